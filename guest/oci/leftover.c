/* SPDX-License-Identifier: Apache-2.0 */
/* leftover: a lock on the record's folder tells a dead create from one under way. */
#include "guest/oci/leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/container/cgroup.h"
#include "guest/oci/runtime.h"
#include "guest/oci/store.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define CGROUP_LINK   "cgroup"
#define DYING_TIMEOUT 2000 /* ms, for a process that has seen its maker's end */

static int open_locked(const char *id)
{
	_cleanup_free_ char *folder = store_path(id, "");
	_cleanup_close_ int fd = -1;

	if (!folder)
		return -ENOMEM;
	fd = openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return steal_fd(&fd);
}

int leftover_lock(const char *id, struct error *err)
{
	_cleanup_close_ int fd = open_locked(id);
	struct stat st;

	/* In the moment between making it and this it may have been taken for a leftover. */
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_nlink == 0)
		return error_set_kind(err, ERROR_INPUT, EEXIST,
		                      "a container with the id %s is made or removed by somebody "
		                      "else",
		                      id);
	return steal_fd(&fd);
}

static char *cgroup_path(const char *path, struct error *err)
{
	_cleanup_free_ char *root = NULL;

	if (cgroup_find_root(&root, err) < 0)
		return NULL;
	return str_printf("%s/%s", root, path + strspn(path, "/"));
}

int leftover_note_cgroup(const char *id, const char *path, struct error *err)
{
	_cleanup_free_ char *link = NULL, *target = NULL;

	if (str_empty(path))
		return 0;
	link = store_path(id, CGROUP_LINK);
	target = cgroup_path(path, err);
	if (!link || !target)
		return err->code < 0 ? err->code : error_set(err, ENOMEM, "no memory");
	if (strlen(target) < PATH_MAX && symlink(target, link) < 0)
		return error_errno(err, errno, "making %s", link);
	return 0;
}

/* Only an empty one: with somebody in it, it is not what a dead create left. */
static void remove_cgroup(const char *id, int folder)
{
	_cleanup_free_ char *usual = NULL;
	char noted[PATH_MAX];
	ssize_t n = readlinkat(folder, CGROUP_LINK, noted, sizeof(noted) - 1);
	struct cgroup c = CGROUP_INIT;

	if (n <= 0)
		usual = runtime()->cgroups == CGROUP_DISABLED ? NULL : cgroup_path(id, NULL);
	else
		noted[n] = 0;
	if ((n <= 0 && !usual) || cgroup_open(n > 0 ? noted : usual, &c, NULL) < 0)
		return;
	for (int waited = 0; waited < DYING_TIMEOUT && cgroup_is_populated(&c) == 1; waited += 10) {
		struct pollfd p = {.fd = cgroup_events_fd(&c), .events = POLLPRI};

		poll(&p, 1, 10);
	}
	if (cgroup_is_populated(&c) == 0)
		cgroup_remove(&c, NULL);
	cgroup_close(&c);
}

int leftover_remove(const char *id, struct error *err)
{
	_cleanup_free_ char *record = store_path(id, "record.json");
	_cleanup_close_ int fd = -1;

	if (!record)
		return error_set(err, ENOMEM, "no memory");
	fd = open_locked(id);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0 || fs_exists(record))
		return error_set_kind(err, ERROR_INPUT, EEXIST,
		                      "a container with the id %s exists already", id);
	remove_cgroup(id, fd);
	store_remove(id);
	return 0;
}
