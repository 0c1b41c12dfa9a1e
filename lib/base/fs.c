/* SPDX-License-Identifier: Apache-2.0 */
/* fs: whole-file reads and writes, openat2 inside a root, trees removed safely. */
#include "fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "str.h"

int fs_openat2(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {
	    .flags = (uint64_t)(unsigned int)flags,
	    .mode = flags & (O_CREAT | O_TMPFILE) ? mode & 07777 : 0,
	    .resolve = resolve,
	};

	/* O_TMPFILE holds O_DIRECTORY's bit: a mode goes only with creation. */
	if (!(flags & O_CREAT) && (flags & O_TMPFILE) != O_TMPFILE)
		how.mode = 0;
	return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

int fs_open_in_root(int rootfd, const char *path, int flags, mode_t mode)
{
	int fd;

	/* EAGAIN: a rename raced with ".." in the path; the kernel asks for another try. */
	for (int tries = 0; tries < 32; tries++) {
		fd = fs_openat2(rootfd, path, flags | O_CLOEXEC, mode,
		                RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd < 0 ? -errno : fd;
}

int fs_mkdir_in_root(int rootfd, const char *path, mode_t mode)
{
	_cleanup_strv_ struct strv parts = STRV_INIT;
	char sofar[PATH_MAX] = "/";
	size_t n = 1;
	int r = fs_open_in_root(rootfd, path, O_PATH | O_DIRECTORY, 0);

	if (r != -ENOENT) /* mostly it is there */
		return r;
	r = strv_split(&parts, path, "/");
	if (r < 0)
		return r;
	for (size_t i = 0; i < parts.n; i++) {
		_cleanup_close_ int parent =
		    fs_open_in_root(rootfd, sofar, O_PATH | O_DIRECTORY, 0);
		size_t len = strlen(parts.v[i]);

		if (parent < 0)
			return parent;
		if (n + len + 2 > sizeof(sofar))
			return -ENAMETOOLONG;
		memcpy(sofar + n, parts.v[i], len + 1);
		n += len;
		/* ".." and "." are there already; the next open resolves them in the root. */
		if (strcmp(parts.v[i], "..") != 0 && strcmp(parts.v[i], ".") != 0 &&
		    mkdirat(parent, parts.v[i], mode) < 0 && errno != EEXIST)
			return -errno;
		memcpy(sofar + n, "/", 2);
		n++;
	}
	return fs_open_in_root(rootfd, sofar, O_PATH | O_DIRECTORY, 0);
}

/* Most files are small (those of /proc and of cgroups): they go by way of the stack, so that no
 * more is allocated than they have. */
int fs_read_fd(int fd, size_t max, struct buffer *out)
{
	for (;;) {
		uint8_t small[4096];
		bool first = out->size < sizeof(small);
		size_t want = first ? sizeof(small) : out->size;
		uint8_t *p = small;
		ssize_t n;

		if (out->size > max)
			return -EFBIG;
		if (want > max - out->size + 1)
			want = max - out->size + 1;
		if (!first)
			p = buffer_reserve(out, want);
		if (!p)
			return -ENOMEM;
		n = read(fd, p, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (first) {
			buffer_append(out, small, (size_t)n); /* also of nothing: an empty text */
			if (out->failed)
				return -ENOMEM;
		} else {
			out->size += (size_t)n;
			out->data[out->size] = 0;
		}
		if (n == 0)
			return 0;
	}
}

int fs_read_file(int dirfd, const char *path, size_t max, struct buffer *out, struct error *err)
{
	/* A pipe that nobody writes to must not hold up the opening: it is empty. One that somebody
	 * does is waited for. */
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r;

	if (fd < 0)
		return error_errno(err, errno, "cannot open %s", path);
	r = fs_set_nonblock(fd, false);
	if (r == 0)
		r = fs_read_fd(fd, max, out);
	if (r == -EFBIG)
		return error_set_kind(err, ERROR_INPUT, EFBIG, "%s is larger than %zu bytes", path,
		                      max);
	if (r < 0)
		return error_errno(err, -r, "cannot read %s", path);
	return 0;
}

int fs_write_string(int dirfd, const char *path, const char *text, struct error *err)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	size_t size = strlen(text);
	ssize_t n;

	if (fd < 0)
		return error_errno(err, errno, "cannot open %s for writing", path);
	do
		n = write(fd, text, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(err, errno, "cannot write \"%s\" to %s", text, path);
	if ((size_t)n != size)
		return error_set(err, EIO, "cannot write \"%s\" to %s: short write", text, path);
	return 0;
}

int fs_write_all(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

int fs_pwrite_all(int fd, const void *data, size_t size, uint64_t offset)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = pwrite(fd, p, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

int fs_pread_all(int fd, void *data, size_t size, uint64_t offset)
{
	char *p = data;

	while (size > 0) {
		ssize_t n = pread(fd, p, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		p += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

/* A device or a pipe: putting a file in its place would be the end of /dev/null, say. */
static bool is_special(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

int fs_temp_open(struct fs_temp *t, const char *path, mode_t mode, struct error *err)
{
	*t = (struct fs_temp)FS_TEMP_INIT;
	if (is_special(path))
		return error_set_kind(err, ERROR_INPUT, EEXIST,
		                      "cannot write %s: there is something that is no file", path);
	t->path = strdup(path);
	t->tmp_path = str_printf("%s.tmp-XXXXXX", path);
	if (!t->path || !t->tmp_path) {
		fs_temp_abort(t);
		return error_set(err, ENOMEM, "no memory to write %s", path);
	}
	t->fd = mkostemp(t->tmp_path, O_CLOEXEC);
	if (t->fd < 0) {
		int r = error_errno(err, errno, "cannot write %s", path);

		free(steal_ptr(&t->tmp_path));
		fs_temp_abort(t);
		return r;
	}
	/* As asked for, whatever the umask: outputs are the same for everybody. */
	if (fchmod(t->fd, mode) < 0) {
		int r = error_errno(err, errno, "cannot set the mode of %s", path);

		fs_temp_abort(t);
		return r;
	}
	return 0;
}

void fs_temp_abort(struct fs_temp *t)
{
	if (t->tmp_path)
		unlink(t->tmp_path);
	free(t->tmp_path);
	free(t->path);
	close_fd(&t->fd);
	*t = (struct fs_temp)FS_TEMP_INIT;
}

int fs_temp_commit(struct fs_temp *t, struct error *err)
{
	int r = 0;

	if (fsync(t->fd) < 0 && errno != EINVAL && errno != EROFS)
		r = errno;
	if (close(steal_fd(&t->fd)) < 0 && r == 0)
		r = errno;
	if (r == 0 && rename(t->tmp_path, t->path) < 0)
		r = errno;
	if (r != 0) {
		error_errno(err, r, "cannot write %s", t->path);
		fs_temp_abort(t);
		return -r;
	}
	free(steal_ptr(&t->tmp_path));
	fs_temp_abort(t);
	return 0;
}

static int write_special(const char *path, const void *data, size_t size, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC);
	int r = fd < 0 ? -errno : fs_write_all(fd, data, size);

	return r < 0 ? error_errno(err, -r, "cannot write %s", path) : 0;
}

int fs_write_file_atomic(const char *path, const void *data, size_t size, mode_t mode,
                         struct error *err)
{
	_cleanup_fs_temp_ struct fs_temp t = FS_TEMP_INIT;
	int r;

	if (is_special(path))
		return write_special(path, data, size, err);
	r = fs_temp_open(&t, path, mode, err);
	if (r < 0)
		return r;
	r = fs_write_all(t.fd, data, size);
	if (r < 0)
		return error_errno(err, -r, "cannot write %s", path);
	return fs_temp_commit(&t, err);
}

int fs_mkdir_p(const char *path, mode_t mode, struct error *err)
{
	char buf[PATH_MAX];
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(buf))
		return error_set(err, n ? ENAMETOOLONG : EINVAL, "cannot make directory \"%s\"",
		                 path);
	memcpy(buf, path, n + 1);
	for (char *p = buf + 1;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = '\0';
		if (mkdir(buf, mode) < 0 && errno != EEXIST)
			return error_errno(err, errno, "cannot make directory %s", buf);
		*p = c;
		if (!c)
			break;
	}
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOTDIR, "%s is not a directory",
		                      path);
	return 0;
}

/* One open folder of the walk. Depth costs a descriptor and this record, no stack. */
struct level {
	DIR *dir;
	char *name; /* in its parent; owned */
};

struct walk {
	struct level *levels;
	size_t n, room;
};

static int walk_push(struct walk *w, int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct level l;

	if (fd < 0)
		return -errno;
	if (w->n == w->room) {
		size_t room = w->room ? 2 * w->room : 16;
		struct level *p = realloc(w->levels, room * sizeof(*p));

		if (!p) {
			close(fd);
			return -ENOMEM;
		}
		w->levels = p;
		w->room = room;
	}
	l.name = strdup(name);
	l.dir = l.name ? fdopendir(fd) : NULL;
	if (!l.dir) {
		free(l.name);
		close(fd);
		return -ENOMEM;
	}
	w->levels[w->n++] = l;
	return 0;
}

static void walk_pop(struct walk *w)
{
	struct level *l = &w->levels[--w->n];

	closedir(l->dir);
	free(l->name);
}

/* Removes what is in the top folder, or enters its next subfolder. 1: it is empty. */
static int walk_step(struct walk *w)
{
	DIR *dir = w->levels[w->n - 1].dir;
	struct dirent *e;

	while ((errno = 0, e = readdir(dir))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(dir), e->d_name, 0) == 0 || errno == ENOENT)
			continue;
		if (errno != EISDIR && errno != EPERM)
			return -errno;
		return walk_push(w, dirfd(dir), e->d_name);
	}
	return errno ? -errno : 1;
}

static int remove_dir(int dirfd_, const char *name)
{
	struct walk w = {0};
	int r = walk_push(&w, dirfd_, name);

	while (r >= 0 && w.n > 0) {
		r = walk_step(&w);
		if (r != 1)
			continue;
		int parent = w.n > 1 ? dirfd(w.levels[w.n - 2].dir) : dirfd_;

		r = unlinkat(parent, w.levels[w.n - 1].name, AT_REMOVEDIR) < 0 ? -errno : 0;
		walk_pop(&w);
		if (w.n > 0)
			rewinddir(w.levels[w.n - 1].dir);
	}
	while (w.n > 0)
		walk_pop(&w);
	free(w.levels);
	return r < 0 ? r : 0;
}

int fs_remove_tree(int dirfd, const char *name, struct error *err)
{
	int r;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return error_errno(err, errno, "cannot remove %s", name);
	r = remove_dir(dirfd, name);
	return r < 0 && r != -ENOENT ? error_errno(err, -r, "cannot remove %s", name) : 0;
}

/* Shows the next entry of the top folder to fn, and enters it when it is a folder of the same
 * file system. 1: there is no further entry. */
static int walk_show(struct walk *w, dev_t dev, fs_walk_fn fn, void *data)
{
	DIR *dir = w->levels[w->n - 1].dir;
	struct dirent *e;
	struct stat st;
	int r;

	errno = 0;
	e = readdir(dir);
	if (!e)
		return errno ? -errno : 1;
	if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
		return 0;
	if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	r = fn(dirfd(dir), e->d_name, &st, data);
	if (r == 0 && S_ISDIR(st.st_mode) && st.st_dev == dev)
		r = walk_push(w, dirfd(dir), e->d_name);
	return r > 0 ? -ECANCELED : r;
}

int fs_walk_tree(int dirfd_, const char *name, fs_walk_fn fn, void *data)
{
	struct walk w = {0};
	struct stat st;
	int r;

	if (fstatat(dirfd_, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	r = fn(dirfd_, name, &st, data);
	if (r == 0 && S_ISDIR(st.st_mode))
		r = walk_push(&w, dirfd_, name);
	while (r >= 0 && w.n > 0) {
		r = walk_show(&w, st.st_dev, fn, data);
		if (r == 1)
			walk_pop(&w);
	}
	while (w.n > 0)
		walk_pop(&w);
	free(w.levels);
	return r < 0 ? r : 0;
}

int fs_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

bool fs_exists(const char *path)
{
	return access(path, F_OK) == 0;
}
