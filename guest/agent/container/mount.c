/* SPDX-License-Identifier: Apache-2.0 */
/* mount: fsopen, open_tree, mount_setattr and move_mount, with errors that say what. */
#include "guest/agent/container/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "guest/agent/container/calls.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define MOUNT_DATA_MAX 4096 /* mount(2): a page, with its NUL */
#define FSCONFIG_VALUE_MAX                                                                         \
	255 /* fsconfig(2): a string value has at most 256 bytes with its NUL                      \
	     */

/* The file system's own words of why ("e tmpfs: Bad value for 'size'"), if it said any. */
static int fail_new(int fs, const char *type, const char *option, struct error *err)
{
	int errnum = errno;
	char line[256];
	ssize_t n = read(fs, line, sizeof(line) - 1);

	if (n > 2) {
		line[n] = 0;
		line[strcspn(line, "\n")] = 0;
		return error_set(err, errnum, "making a %s file system: %s", type, line + 2);
	}
	if (option)
		return error_errno(err, errnum, "making a %s file system: option \"%s\"", type,
		                   option);
	return error_errno(err, errnum, "making a %s file system", type);
}

static int configure(int fs, const char *word)
{
	char key[128];
	const char *eq = strchr(word, '=');
	size_t n = eq ? (size_t)(eq - word) : strlen(word);

	if (n >= sizeof(key) || n == 0) {
		errno = EINVAL;
		return -1;
	}
	memcpy(key, word, n);
	key[n] = 0;
	if (!eq)
		return call_fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL, 0);
	if (strlen(eq + 1) > FSCONFIG_VALUE_MAX) {
		errno = E2BIG;
		return -1;
	}
	return call_fsconfig(fs, FSCONFIG_SET_STRING, key, eq + 1, 0);
}

static int configure_all(int fs, const char *type, const struct oci_strings *words,
                         struct error *err)
{
	for (size_t i = 0; i < words->n; i++) {
		if (mount_word_use(words->v[i]) == MOUNT_WORD_OURS)
			continue;
		if (configure(fs, words->v[i]) < 0)
			return fail_new(fs, type, words->v[i], err);
	}
	return 0;
}

int mount_new(const char *type, const char *source, const struct oci_strings *data, uint64_t attr,
              const char *context, struct error *err)
{
	_cleanup_close_ int fs = call_fsopen(type);
	int fd, r;

	if (fs < 0)
		return error_errno(err, errno, "making a %s file system", type);
	if (!str_empty(source) && call_fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return fail_new(fs, type, source, err);
	/* A device that is read-only itself can only be mounted so; kernel file systems
	 * share their superblock, where the flag would be everybody's. */
	if (attr & MOUNT_ATTR_RDONLY && source && source[0] == '/' &&
	    call_fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
		return fail_new(fs, type, "ro", err);
	if (context && call_fsconfig(fs, FSCONFIG_SET_STRING, "context", context, 0) < 0)
		return fail_new(fs, type, "context", err);
	if (data) {
		r = configure_all(fs, type, data, err);
		if (r < 0)
			return r;
	}
	if (call_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fail_new(fs, type, NULL, err);
	fd = call_fsmount(fs, (unsigned int)attr);
	if (fd < 0)
		return fail_new(fs, type, NULL, err);
	return fd;
}

int mount_words_join(const struct oci_strings *words, struct buffer *out, struct error *err)
{
	for (size_t i = 0; i < words->n; i++)
		if (mount_word_use(words->v[i]) == MOUNT_WORD_FS)
			buffer_printf(out, "%s%s", out->size ? "," : "", words->v[i]);
	return out->failed ? error_set(err, ENOMEM, "out of memory for mount options") : 0;
}

int mount_by_name(int at, const char *type, const char *source, const struct oci_strings *words,
                  const char *what, struct error *err)
{
	_cleanup_buffer_ struct buffer data = BUFFER_INIT;
	int errnum = 0, r = mount_words_join(words, &data, err);

	if (r < 0)
		return error_prefix(err, r, "mounting %s", what);
	if (data.size >= MOUNT_DATA_MAX)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "mounting %s: options of %zu bytes, the kernel takes %d",
		                      what, data.size, MOUNT_DATA_MAX - 1);
	if (fchdir(at) < 0 || syscall(SYS_mount, source, ".", type, 0, buffer_cstr(&data)) < 0)
		errnum = errno;
	if (chdir("/") < 0 && !errnum)
		errnum = errno;
	return errnum ? error_errno(err, errnum, "mounting %s", what) : 0;
}

int mount_clone(int dirfd, const char *path, bool recursive, struct error *err)
{
	int fd = call_open_tree(dirfd, path,
	                        OPEN_TREE_CLONE | AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0));

	if (fd < 0)
		return error_errno(err, errno, "taking a bind mount of %s",
		                   *path ? path : "a descriptor");
	return fd;
}

int mount_change(int fd, uint64_t set, uint64_t clear, uint64_t propagation, bool recursive,
                 const char *what, struct error *err)
{
	struct mount_attr attr = {.attr_set = set, .attr_clr = clear, .propagation = propagation};

	if (!set && !clear && !propagation)
		return 0;
	if (call_mount_setattr(fd, recursive ? AT_RECURSIVE : 0, &attr) == 0)
		return 0;
	/* A mount that came from another user namespace keeps its restrictions: the words
	 * that only lift some ("rw") are dropped then. */
	if (errno == EPERM && clear & ~(uint64_t)MOUNT_ATTR__ATIME) {
		attr.attr_clr &= set & MOUNT_ATTR__ATIME ? MOUNT_ATTR__ATIME : 0;
		if (call_mount_setattr(fd, recursive ? AT_RECURSIVE : 0, &attr) == 0)
			return 0;
	}
	return error_errno(err, errno, "setting the attributes of the mount %s", what);
}

int mount_change_options(int fd, const struct mount_options *o, const char *what, struct error *err)
{
	int r = mount_change(fd, o->set, o->clear, 0, false, what, err);

	if (r == 0)
		r = mount_change(fd, o->set_recursive, o->clear_recursive, 0, true, what, err);
	if (r == 0)
		r = mount_change(fd, 0, 0, o->propagation, o->propagation_recursive, what, err);
	return r;
}

int mount_attach(int fd, int destination, const char *what, struct error *err)
{
	if (call_move_mount(fd, destination) < 0)
		return error_errno(err, errno, "mounting %s", what);
	return 0;
}

/* Files of procfs that containers customarily get covered (lxcfs and the like). */
static bool may_cover_in_proc(const char *path)
{
	static const char *const files[] = {
	    "/proc/cpuinfo",
	    "/proc/diskstats",
	    "/proc/loadavg",
	    "/proc/meminfo",
	    "/proc/net/dev",
	    "/proc/slabinfo",
	    "/proc/stat",
	    "/proc/swaps",
	    "/proc/sys/crypto/fips_enabled",
	    "/proc/uptime",
	    "/proc/sys/kernel/ns_last_pid",
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (strcmp(files[i], path) == 0)
			return true;
	return false;
}

/* 1: made or there already. */
static int make_file(int root_fd, const char *path)
{
	_cleanup_free_ char *dir = strdup(path);
	_cleanup_close_ int parent = -1, fd = -1;
	char *slash = dir ? strrchr(dir, '/') : NULL;
	const char *name;

	if (!dir)
		return -ENOMEM;
	name = slash ? slash + 1 : dir;
	if (!*name || strcmp(name, "..") == 0 || strcmp(name, ".") == 0)
		return -EISDIR;
	if (slash)
		*slash = 0;
	parent = fs_mkdir_in_root(root_fd, slash ? dir : "/", 0755);
	if (parent < 0)
		return parent;
	fd = openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : 0;
}

int mount_open_destination(int root_fd, const char *path, bool directory, struct error *err)
{
	struct stat root, there;
	struct statfs fs;
	int fd = fs_open_in_root(root_fd, path, O_PATH, 0), r;

	if (fd == -ENOENT) {
		if (directory) {
			fd = fs_mkdir_in_root(root_fd, path, 0755);
		} else {
			r = make_file(root_fd, path);
			fd = r < 0 ? r : fs_open_in_root(root_fd, path, O_PATH, 0);
		}
		if (fd < 0)
			return error_errno(err, -fd, "making the mount point %s in the container",
			                   path);
	}
	if (fd < 0)
		return error_errno(err, -fd, "opening the mount point %s in the container", path);
	if (fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC && !may_cover_in_proc(path)) {
		close(fd);
		return error_set_kind(err, ERROR_INPUT, EPERM,
		                      "the mount point %s leads into the container's /proc", path);
	}
	if (fstat(fd, &there) == 0 && fstat(root_fd, &root) == 0 && root.st_ino == there.st_ino &&
	    root.st_dev == there.st_dev) {
		close(fd);
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the mount point %s is the container's root: use root.path",
		                      path);
	}
	return fd;
}
