/* SPDX-License-Identifier: Apache-2.0 */
/* runtime_dir: a private folder for one running guest, gone with it. */
#include "runtime_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

static char *base_path(void)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");

	if (!str_empty(xdg))
		return str_printf("%s/kihon", xdg);
	if (geteuid() == 0)
		return str_printf("/run/kihon");
	return str_printf("/tmp/kihon-%u", (unsigned int)geteuid());
}

/* Opens the common folder, which must be ours alone: below /tmp anybody could have made it. */
static int open_base(const char *path, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		goto failed;
	fd = open(path, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		goto failed;
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return error_set_kind(err, ERROR_ENVIRONMENT, EPERM,
		                      "runtime folder %s belongs to somebody else: remove it or "
		                      "set XDG_RUNTIME_DIR",
		                      path);
	return steal_fd(&fd);
failed:
	return error_hint(err, error_errno(err, errno, "runtime folder %s", path),
	                  "set XDG_RUNTIME_DIR to a folder that can be written");
}

/* Removes the folders whose owner is gone. Called with the common lock held, so that none
 * is between being made and being locked. */
static void sweep(int base)
{
	_cleanup_close_ int copy = openat(base, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *e;

	if (!dir)
		return;
	steal_fd(&copy);
	while ((e = readdir(dir))) {
		_cleanup_free_ char *lock = NULL;
		_cleanup_close_ int fd = -1;

		if (e->d_name[0] == '.')
			continue;
		lock = str_printf("%s/lock", e->d_name);
		if (!lock)
			return;
		fd = openat(base, lock, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 ? errno != ENOENT : flock(fd, LOCK_EX | LOCK_NB) < 0)
			continue;
		fs_remove_tree(base, e->d_name, NULL);
	}
}

static int make(struct runtime_dir *d, int base, const char *base_name, struct error *err)
{
	uint8_t random[6];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return error_errno(err, errno, "getting random bytes");
	d->id = str_printf("%02x%02x%02x%02x%02x%02x", random[0], random[1], random[2], random[3],
	                   random[4], random[5]);
	d->path = d->id ? str_printf("%s/%s", base_name, d->id) : NULL;
	if (!d->path)
		return error_set(err, ENOMEM, "no memory for the runtime folder");
	if (mkdirat(base, d->id, 0700) == 0) {
		_cleanup_free_ char *lock = str_printf("%s/lock", d->path);

		d->lock = lock ? open(lock, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
		if (d->lock >= 0 && flock(d->lock, LOCK_EX | LOCK_NB) == 0)
			return 0;
	}
	return error_hint(err, error_errno(err, errno, "making %s", d->path),
	                  "set XDG_RUNTIME_DIR to a folder that can be written");
}

int runtime_dir_new(struct runtime_dir *d, struct error *err)
{
	_cleanup_free_ char *base_name = base_path();
	_cleanup_close_ int base = -1, lock = -1;
	int r;

	*d = (struct runtime_dir)RUNTIME_DIR_INIT;
	if (!base_name)
		return error_set(err, ENOMEM, "no memory for the runtime folder");
	base = open_base(base_name, err);
	if (base < 0)
		return base;
	lock = openat(base, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return error_errno(err, errno, "locking %s", base_name);
	sweep(base);
	r = make(d, base, base_name, err);
	if (r < 0)
		runtime_dir_free(d);
	return r;
}

void runtime_dir_free(struct runtime_dir *d)
{
	if (d->path)
		fs_remove_tree(AT_FDCWD, d->path, NULL);
	close_fd(&d->lock);
	free(d->path);
	free(d->id);
	*d = (struct runtime_dir)RUNTIME_DIR_INIT;
}

int runtime_dir_find(const char *id, char **path, struct error *err)
{
	_cleanup_free_ char *base = base_path();
	_cleanup_free_ char *dir = base ? str_printf("%s/%s", base, id) : NULL;

	if (!dir)
		return error_set(err, ENOMEM, "no memory for the runtime folder");
	if (!*id || id[strspn(id, "0123456789abcdef")] || !fs_exists(dir))
		return error_set_kind(err, ERROR_USAGE, ENOENT, "no guest '%s' runs here (in %s)",
		                      id, base);
	*path = steal_ptr(&dir);
	return 0;
}

int runtime_dir_unnamed_file(const struct runtime_dir *d, const void *data, size_t size,
                             struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/unnamed", d->path);
	_cleanup_close_ int fd = -1, reader = -1;
	int r;

	if (!path)
		return error_set(err, ENOMEM, "no memory for a file name");
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(err, errno, "making %s", path);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	unlink(path);
	r = reader < 0 ? -errno : fs_write_all(fd, data, size);
	if (r < 0)
		return error_errno(err, -r, "writing %s", path);
	return steal_fd(&reader);
}
