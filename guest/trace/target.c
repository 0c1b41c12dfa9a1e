/* SPDX-License-Identifier: Apache-2.0 */
/* target: numbers that the kernel's programs compare with. */
#include "guest/trace/target.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

/* Steps from the folder up to the root of its mount, which is left in *fd. Negative errno. */
static int climb(int *fd)
{
	struct stat here, above;
	unsigned int level = 0;

	for (; level < TRACE_LEVELS; level++) {
		_cleanup_close_ int parent =
		    openat(*fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

		if (parent < 0 || fstat(parent, &above) < 0 || fstat(*fd, &here) < 0)
			return -errno;
		if (above.st_dev != here.st_dev || above.st_ino == here.st_ino)
			break;
		close_fd(fd);
		*fd = steal_fd(&parent);
	}
	return (int)level;
}

static int open_cgroup(const char *path, struct target *t, struct trace_config *config,
                       struct error *err)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;
	struct stat st;
	int level;

	if (fd < 0 || fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "control group %s", path);
	if ((unsigned long)fs.f_type != CGROUP2_SUPER_MAGIC)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s is not a control group of version 2", path);
	t->events = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	level = climb(&fd);
	if (level < 0)
		return error_errno(err, -level, "control group %s", path);
	/* Every control group has this file but the root. A cgroup namespace shows a part only. */
	if (faccessat(fd, "cgroup.type", F_OK, 0) == 0)
		level = TRACE_LEVELS;
	/* kernfs: the number of the folder is the id of the control group, on 64-bit machines. */
	config->cgroup = st.st_ino;
	config->level = (__u32)level;
	return 0;
}

static int open_pidns(const char *path, struct trace_config *config, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct statfs fs;
	struct stat st;

	if (fd < 0 || fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "pid namespace %s", path);
	if (fs.f_type != NSFS_MAGIC)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is not a namespace", path);
	/* The kernel's own form of a device number, which bpf_get_ns_current_pid_tgid() wants. */
	config->pidns_dev = (__u64)major(st.st_dev) << 20 | minor(st.st_dev);
	config->pidns_ino = st.st_ino;
	return 0;
}

int target_open(const char *cgroup, const char *pidns, struct target *out,
                struct trace_config *config, struct error *err)
{
	int r = open_cgroup(cgroup, out, config, err);

	if (r == 0 && pidns)
		r = open_pidns(pidns, config, err);
	if (r == 0)
		target_ended(out, false); /* is anybody in it now? */
	return r;
}

void target_close(struct target *t)
{
	close_fd(&t->events);
}

bool target_ended(struct target *t, bool changed)
{
	char text[256];
	const char *found, *frozen;
	ssize_t n = t->events < 0 ? 0 : pread(t->events, text, sizeof(text) - 1, 0);
	bool was_frozen = t->frozen;

	if (n < 0)
		return errno == ENODEV; /* it was removed */
	text[n] = '\0';
	found = strstr(text, "populated ");
	frozen = strstr(text, "frozen ");
	t->frozen = frozen && frozen[7] == '1';
	if (!found)
		return false;
	/* A change that is not to be seen any more: somebody came and went. */
	if (found[10] == '1' || (changed && t->frozen == was_frozen))
		t->populated = true;
	return t->populated && found[10] == '0';
}
