/* SPDX-License-Identifier: Apache-2.0 */
/* mounts: a table of file systems and a table of links, and the loops that walk them. */
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

#define SAFE        (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define CGROUP_ROOT "/sys/fs/cgroup"

struct early_mount {
	const char *type;
	const char *target;
	unsigned long flags;
	const char *data;
	mode_t mkdir_mode; /* 0: the folder is there or the kernel lacks the file system */
	bool required;
};

/* In this order: each needs the folders of those before it. */
static const struct early_mount mounts[] = {
    {"proc", "/proc", SAFE, NULL, 0555, true},
    {"sysfs", "/sys", SAFE, NULL, 0555, true},
    {"devtmpfs", "/dev", MS_NOSUID, "mode=0755", 0755, true},
    {"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777", 01777, false},
    /* gid 5 is tty in every distribution; ptmxmode lets any user open a terminal. */
    {"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666", 0755, false},
    {"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755", 0755, true},
    {"cgroup2", CGROUP_ROOT, SAFE | MS_RELATIME, "nsdelegate", 0, false},
    {"mqueue", "/dev/mqueue", SAFE, NULL, 01777, false},
    /* Confidential-computing reports are asked for in configfs (configfs-tsm). */
    {"configfs", "/sys/kernel/config", SAFE, NULL, 0, false},
};

static const struct {
	const char *target, *path;
} links[] = {
    /* The device node of devtmpfs belongs to no devpts instance in particular. */
    {"pts/ptmx", "/dev/ptmx"},          {"/proc/self/fd", "/dev/fd"},
    {"/proc/self/fd/0", "/dev/stdin"},  {"/proc/self/fd/1", "/dev/stdout"},
    {"/proc/self/fd/2", "/dev/stderr"},
};

static int mount_one(const struct early_mount *m, struct error *err)
{
	/* umask must not take the sticky folders' bits away; a read-only root has them already. */
	if (m->mkdir_mode && mkdir(m->target, m->mkdir_mode) == 0 && m->mkdir_mode & 01000)
		(void)chmod(m->target, m->mkdir_mode);
	if (mount(m->type, m->target, m->type, m->flags, m->data) == 0)
		return 0;
	/* CONFIG_DEVTMPFS_MOUNT: the kernel was first, without our flags. */
	if (errno == EBUSY)
		return mount(NULL, m->target, NULL, MS_REMOUNT | MS_BIND | m->flags, NULL) == 0
		           ? 0
		           : error_errno(err, errno, "remount %s", m->target);
	return error_errno(err, errno, "mount %s on %s", m->type, m->target);
}

/* Programs expect to write to /tmp; a read-only root cannot let them. */
static void mount_tmp(void)
{
	static const struct early_mount tmp = {"tmpfs",     "/tmp", MS_NOSUID | MS_NODEV,
	                                       "mode=1777", 01777,  false};
	struct error err = ERROR_INIT;
	struct statvfs vfs;

	if (statvfs("/", &vfs) < 0 || !(vfs.f_flag & ST_RDONLY))
		return;
	if (mount_one(&tmp, &err) < 0 && err.code != -ENOENT)
		log_warn("%s", err.text);
}

static void make_links(void)
{
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		if (symlink(links[i].target, links[i].path) == 0)
			continue;
		if (errno == EEXIST && unlink(links[i].path) == 0 &&
		    symlink(links[i].target, links[i].path) == 0)
			continue;
		log_warn("link %s: errno %d", links[i].path, errno);
	}
}

int mounts_setup(struct error *err)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(*mounts); i++) {
		struct error why = ERROR_INIT;

		if (mount_one(&mounts[i], &why) == 0)
			continue;
		if (mounts[i].required) {
			if (err)
				*err = why;
			return why.code;
		}
		/* No such file system in this kernel, or no folder for it, is a choice. */
		if (why.code != -ENODEV && why.code != -ENOENT)
			log_warn("%s", why.text);
	}
	mount_tmp();
	make_links();
	return 0;
}

int mounts_enable_controllers(struct error *err)
{
	_cleanup_close_ int dir = open(CGROUP_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_buffer_ struct buffer have = BUFFER_INIT, want = BUFFER_INIT;
	_cleanup_strv_ struct strv names = STRV_INIT;
	int r;

	if (dir < 0)
		return errno == ENOENT ? 1 : error_errno(err, errno, "open " CGROUP_ROOT);
	r = fs_read_file(dir, "cgroup.controllers", 4096, &have, err);
	if (r < 0)
		return r == -ENOENT ? 1 : r;
	r = strv_split(&names, buffer_cstr(&have), " \n");
	for (size_t i = 0; r == 0 && i < names.n; i++)
		buffer_printf(&want, "%s+%s", i ? " " : "", names.v[i]);
	if (r < 0 || want.failed)
		return error_set(err, ENOMEM, "enable cgroup controllers: out of memory");
	if (names.n == 0 ||
	    fs_write_string(dir, "cgroup.subtree_control", buffer_cstr(&want), NULL) == 0)
		return 0;
	/* One that cannot be enabled must not take the others with it. */
	for (size_t i = 0; i < names.n; i++) {
		struct error why = ERROR_INIT;

		buffer_clear(&want);
		buffer_printf(&want, "+%s", names.v[i]);
		if (fs_write_string(dir, "cgroup.subtree_control", buffer_cstr(&want), &why) < 0)
			log_warn("%s", why.text);
	}
	return 0;
}
