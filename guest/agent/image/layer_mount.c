/* SPDX-License-Identifier: Apache-2.0 */
/* layer_mount: EROFS from a file (Linux 6.12) or a loop device, and overlayfs. */
#include "guest/agent/image/layer_mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/image/layer.h"

#define LOOP_TRIES 16 /* another helper may take the number that we were told is free */

int layer_open(const char *store, const char *file, uint64_t size, uid_t owner, struct error *err)
{
	_cleanup_close_ int root = open(store, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
	size_t n = strlen(store);
	struct stat st;

	if (root < 0)
		return error_errno(err, errno, "image store %s", store);
	if (strncmp(file, store, n) != 0 || file[n] != '/')
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "layer \"%s\" is not in the store %s", file, store);
	fd = fs_open_in_root(root, file + n, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(err, -fd, "layer %s", file);
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "layer %s", file);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size ||
	    (st.st_uid != owner && st.st_uid != 0))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "layer %s is not the file that was announced", file);
	if (fchown(fd, 0, 0) < 0 || fchmod(fd, 0444) < 0)
		return error_errno(err, errno, "taking over layer %s", file);
	return steal_fd(&fd);
}

/* A read-only loop device on fd that goes away with its last user. Returns its descriptor. */
static int loop_attach(int fd, char *path, size_t path_size, struct error *err)
{
	_cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct loop_config config = {
	    .fd = (uint32_t)fd,
	    .info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR,
	};

	if (control < 0)
		return error_errno(err, errno, "/dev/loop-control");
	for (int i = 0; i < LOOP_TRIES; i++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE), dev;

		if (number < 0)
			return error_errno(err, errno, "a free loop device");
		snprintf(path, path_size, "/dev/loop%d", number);
		dev = open(path, O_RDONLY | O_CLOEXEC);
		if (dev < 0)
			return error_errno(err, errno, "%s", path);
		if (ioctl(dev, LOOP_CONFIGURE, &config) == 0)
			return dev;
		close(dev);
		if (errno != EBUSY)
			return error_errno(err, errno, "setting up %s", path);
	}
	return error_set(err, EBUSY, "every loop device is taken");
}

int layer_mount(int fd, const char *target, struct error *err)
{
	const unsigned long flags = MS_RDONLY | MS_NODEV;
	_cleanup_close_ int dev = -1;
	char path[64];
	int r = fs_mkdir_p(target, 0755, err);

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (mount(path, target, "erofs", flags, NULL) == 0)
		return 0;
	/* ENOTBLK: no mounts from files in this kernel; EINVAL, ENOSYS, EOPNOTSUPP: not from a
	 * file of this file system (tmpfs before 6.13). */
	if (errno != ENOTBLK && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return error_errno(err, errno, "mounting a layer on %s", target);
	dev = loop_attach(fd, path, sizeof(path), err);
	if (dev < 0)
		return dev;
	if (mount(path, target, "erofs", flags, NULL) < 0)
		return error_errno(err, errno, "mounting a layer (%s) on %s", path, target);
	return 0;
}

/* overlayfs takes one lower directory without an upper only from 6.5 on: a bind mount then. */
static int bind_single(unsigned int number, const char *target, struct error *err)
{
	char from[16];

	snprintf(from, sizeof(from), "%u", number);
	if (mount(from, target, NULL, MS_BIND, NULL) < 0)
		return error_errno(err, errno, "binding a layer on %s", target);
	return 0;
}

/* Extended attributes of one directory to another; overlayfs' own stay behind. */
static int copy_xattrs(int from, int to, struct error *err)
{
	char names[4096], value[4096];
	ssize_t n = flistxattr(from, names, sizeof(names));

	if (n < 0)
		return errno == ENOTSUP ? 0 : error_errno(err, errno, "listing attributes");
	for (const char *name = names; name < names + n; name += strlen(name) + 1) {
		ssize_t size = 0;

		if (str_starts(name, "trusted.overlay.") || strcmp(name, LAYER_ROOT_UNSAID) == 0)
			continue;
		size = fgetxattr(from, name, value, sizeof(value));
		if (size < 0 || fsetxattr(to, name, value, (size_t)size, 0) < 0)
			return error_errno(err, errno, "the attribute %s", name);
	}
	return 0;
}

/* The root directory of the topmost layer that says something of it; else of the lowest. */
static int open_root(const unsigned int *numbers, size_t n)
{
	int fd = -1;

	while (n-- > 0) {
		char path[16], mark;

		snprintf(path, sizeof(path), "%u", numbers[n]);
		close_fd(&fd);
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || fgetxattr(fd, LAYER_ROOT_UNSAID, &mark, 1) < 0)
			break;
	}
	return fd;
}

/* overlayfs shows the upper directory's attributes for the merged root: they must be those that
 * the image gives its root. Owner before mode and xattrs, which chown(2) changes; times last. */
static int copy_root_attributes(const unsigned int *numbers, size_t n, const char *upper,
                                struct error *err)
{
	_cleanup_close_ int from = open_root(numbers, n);
	_cleanup_close_ int to = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int r;

	if (from < 0 || to < 0 || fstat(from, &st) < 0)
		return error_errno(err, errno, "the image's root directory");
	if (fchown(to, st.st_uid, st.st_gid) < 0 || fchmod(to, st.st_mode & 07777) < 0)
		return error_errno(err, errno, "the mode and owner of %s", upper);
	r = copy_xattrs(from, to, err);
	if (r < 0)
		return error_prefix(err, r, "the image's root directory");
	if (futimens(to, (struct timespec[]){st.st_atim, st.st_mtim}) < 0)
		return error_errno(err, errno, "the times of %s", upper);
	return 0;
}

/* What a container wrote to before keeps the attributes that it has. */
static bool is_new(const char *upper)
{
	_cleanup_closedir_ DIR *dir = opendir(upper);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return false;
	return true;
}

int layer_overlay(const char *base, const unsigned int *numbers, size_t n, const char *upper,
                  const char *work, const char *target, struct error *err)
{
	_cleanup_buffer_ struct buffer data = BUFFER_INIT;
	int r = fs_mkdir_p(target, 0755, err);

	if (r == 0 && upper)
		r = fs_mkdir_p(upper, 0755, err);
	if (r == 0 && work)
		r = fs_mkdir_p(work, 0755, err);
	if (r < 0)
		return r;
	if (chdir(base) < 0)
		return error_errno(err, errno, "%s", base);
	if (n == 1 && !upper)
		return bind_single(numbers[0], target, err);
	if (n > 0 && upper && is_new(upper)) {
		r = copy_root_attributes(numbers, n, upper, err);
		if (r < 0)
			return r;
	}
	buffer_str(&data, "lowerdir=");
	for (size_t i = n; i-- > 0;)
		buffer_printf(&data, "%u%s", numbers[i], i ? ":" : "");
	if (upper)
		buffer_printf(&data, ",upperdir=%s,workdir=%s", upper, work);
	if (data.failed)
		return error_set(err, ENOMEM, "out of memory for overlay options");
	if (data.size >= 4096)
		return error_set(err, E2BIG, "%zu layers are too many for one overlay", n);
	if (mount("overlay", target, "overlay", 0, buffer_cstr(&data)) < 0)
		return error_errno(err, errno, "overlaying %zu layers on %s", n, target);
	return 0;
}
