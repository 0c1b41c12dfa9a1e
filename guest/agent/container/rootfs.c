/* SPDX-License-Identifier: Apache-2.0 */
/* rootfs: bind the root, enter it, protect it. The mounts in it: rootfs_mounts.c. */
#include "guest/agent/container/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "guest/agent/container/calls.h"
#include "guest/agent/container/mount.h"
#include "guest/agent/container/mountinfo.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

/* The mount that holds `path` must not be shared: pivot_root(2) refuses it, and binding
 * the rootfs would show outside. Only reached with rootfsPropagation "shared": else
 * everything was made a slave before. */
static int make_parent_private(const char *path, struct error *err)
{
	_cleanup_mountinfo_ struct mountinfo m = {0};
	_cleanup_free_ char *best = NULL;
	_cleanup_close_ int fd = -1;
	struct mountinfo_entry e;
	int r = mountinfo_open(&m, err);

	if (r < 0)
		return r;
	while (mountinfo_next(&m, &e)) {
		size_t n = strlen(e.point);

		if (strcmp(e.point, "/") != 0 &&
		    (strncmp(e.point, path, n) != 0 || (path[n] != '/' && path[n] != 0)))
			continue;
		if (best && strlen(best) > n)
			continue;
		free(best);
		best = strdup(e.point);
		if (!best)
			return error_set(err, ENOMEM, "preparing the root: no memory");
	}
	fd = openat(AT_FDCWD, best ? best : "/", O_PATH | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "opening the mount %s", best);
	return mount_change(fd, 0, 0, MS_PRIVATE, false, best, err);
}

static int cut_propagation(struct rootfs *root, struct error *err)
{
	_cleanup_close_ int slash = openat(AT_FDCWD, "/", O_PATH | O_CLOEXEC);
	const char *word = root->spec->linux_.rootfs_propagation;
	bool recursive = true;
	uint64_t propagation = str_empty(word) ? MS_SLAVE : mount_propagation(word, &recursive);
	int r;

	if (slash < 0)
		return error_errno(err, errno, "opening /");
	/* An unbindable tree could not be copied below; its root becomes so at the end. */
	if (propagation == MS_UNBINDABLE)
		propagation = MS_PRIVATE;
	r = mount_change(slash, 0, 0, propagation, true, "/", err);
	if (r == -EINVAL) /* "/" is no mount (a chroot): nothing propagates from it */
		r = 0;
	if (r == 0 && propagation == MS_SHARED)
		r = make_parent_private(root->real, err);
	return r;
}

/* Before the old root goes: what is detached with it can no longer be copied. */
static int open_null(struct rootfs *root, struct error *err)
{
	struct stat st;

	if (root->spec->linux_.masked_paths.n == 0)
		return 0;
	root->null_mount = mount_clone(AT_FDCWD, "/dev/null", false, err);
	if (root->null_mount < 0)
		return root->null_mount;
	if (fstat(root->null_mount, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return error_set_kind(err, ERROR_ENVIRONMENT, ENODEV,
		                      "the runtime's /dev/null is not the null device");
	return mount_change(root->null_mount, MOUNT_ATTR_RDONLY, 0, 0, false, "/dev/null", err);
}

int rootfs_open(struct rootfs *root, struct error *err)
{
	_cleanup_close_ int tree = -1, there = -1;
	int r;

	/* Mount points are compared with it. */
	root->real = realpath(root->path, NULL);
	if (!root->real)
		return error_errno(err, errno, "the root file system %s", root->path);
	r = root->shared ? 0 : cut_propagation(root, err);
	if (r == 0)
		r = open_null(root, err);
	if (r < 0)
		return r;
	there = openat(AT_FDCWD, root->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (there < 0)
		return error_errno(err, errno, "opening the root file system %s", root->path);
	tree = mount_clone(there, "", true, err);
	if (tree < 0)
		return error_prefix(err, tree, "the root file system %s", root->path);
	/* With a private copy nothing that the container mounts reaches anyone. */
	r = mount_change(tree, 0, 0, MS_PRIVATE, root->shared, "the root", err);
	if (r == 0)
		r = mount_attach(tree, there, "the root file system", err);
	if (r < 0)
		return r;
	root->fd = steal_fd(&tree);
	return 0;
}

void rootfs_close(struct rootfs *root)
{
	free(root->real);
	root->real = NULL;
	close_fd(&root->fd);
	close_fd(&root->null_mount);
}

/* pivot_root(2) does not work when "/" is the initial ramfs. There the root is moved over
 * it. Everything else that is mounted goes away first, or it would stay reachable for who
 * can leave a chroot. */
static int unmount_others(const struct rootfs *root, struct error *err)
{
	_cleanup_mountinfo_ struct mountinfo m = {0};
	struct mountinfo_entry e;
	_cleanup_strv_ struct strv points = STRV_INIT;
	size_t n = strlen(root->real);
	int r = mountinfo_open(&m, err);

	if (r < 0)
		return r;
	while (mountinfo_next(&m, &e)) {
		size_t k = strlen(e.point);

		/* Neither what is above the rootfs nor what is inside it. */
		if (strcmp(e.point, "/") == 0 ||
		    (strncmp(root->real, e.point, k) == 0 &&
		     (root->real[k] == '/' || root->real[k] == 0)) ||
		    (strncmp(e.point, root->real, n) == 0 && e.point[n] == '/'))
			continue;
		if (strv_add(&points, e.point) < 0)
			return error_set(err, ENOMEM, "leaving the old root: no memory");
	}
	while (points.n > 0) {
		const char *point = points.v[--points.n];

		if (call_umount2(point, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
			return error_errno(err, errno, "unmounting %s of the old root", point);
	}
	return 0;
}

static int change_root(const struct rootfs *root, struct error *err)
{
	if (fchdir(root->fd) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return error_errno(err, errno, "changing the root directory");
	return 0;
}

static int enter_by_move(struct rootfs *root, struct error *err)
{
	_cleanup_close_ int slash = -1;
	int r = unmount_others(root, err);

	if (r < 0)
		return r;
	slash = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (slash < 0)
		return error_errno(err, errno, "opening /");
	r = mount_attach(root->fd, slash, "the root file system on /", err);
	return r < 0 ? r : change_root(root, err);
}

int rootfs_enter(struct rootfs *root, struct error *err)
{
	_cleanup_close_ int old = -1;

	if (root->shared)
		return change_root(root, err);
	if (root->no_pivot)
		return enter_by_move(root, err);
	old = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (old < 0)
		return error_errno(err, errno, "opening /");
	if (fchdir(root->fd) < 0)
		return error_errno(err, errno, "entering the root file system");
	/* pivot_root(2): with "." twice the old root ends up on top of the new one. */
	if (call_pivot_root(".", ".") < 0) {
		if (errno == EINVAL)
			return enter_by_move(root, err);
		return error_errno(err, errno, "changing the root with pivot_root");
	}
	if (!str_empty(root->spec->linux_.rootfs_propagation)) {
		int r = mount_change(old, 0, 0, MS_SLAVE, true, "the old root", err);

		if (r < 0)
			return r;
	}
	if (fchdir(old) < 0 || call_umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return error_errno(err, errno, "leaving the old root");
	return 0;
}

/* ---- without a mount namespace ---- */

uint64_t rootfs_mount_number(const char *path)
{
	_cleanup_close_ int fd = openat(AT_FDCWD, path, O_PATH | O_CLOEXEC);
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	char info[64];
	const char *at;

	snprintf(info, sizeof(info), "/proc/self/fdinfo/%d", fd);
	if (fd < 0 || fs_read_file(AT_FDCWD, info, 4096, &text, NULL) < 0)
		return 0;
	at = strstr(buffer_cstr(&text), "mnt_id:");
	return at ? strtoull(at + strlen("mnt_id:"), NULL, 10) : 0;
}

int rootfs_detach(const char *path, uint64_t below, struct error *err)
{
	/* Where nothing came on top there is nothing of ours. */
	if (below == 0 || rootfs_mount_number(path) == below)
		return 0;
	if (call_umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL &&
	    errno != ENOENT)
		return error_errno(err, errno, "unmounting the root file system %s", path);
	return 0;
}

/* ---- protection ---- */

/* One mount that covers many: a detached mount cannot be copied, so the first place gets
 * the mount itself and the others copies of it. */
struct cover {
	int fd;
	bool used;
};

static int cover_with(struct cover *c, int destination, const char *path, struct error *err)
{
	_cleanup_close_ int copy = -1;

	if (!c->used) {
		c->used = true;
		return mount_attach(c->fd, destination, path, err);
	}
	copy = mount_clone(c->fd, "", false, err);
	return copy < 0 ? copy : mount_attach(copy, destination, path, err);
}

static int make_empty(struct error *err)
{
	static char inodes[] = "nr_inodes=2", mode[] = "mode=755";
	char *words[] = {inodes, mode, NULL};
	const struct oci_strings data = {2, words};

	return mount_new("tmpfs", "tmpfs", &data,
	                 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
	                     MOUNT_ATTR_NOEXEC,
	                 NULL, err);
}

/* Masks (config-linux.md): a file by the null device, a directory by an empty read-only
 * tmpfs. What does not exist needs no mask. */
static int mask(const char *path, struct cover *null, struct cover *empty, struct error *err)
{
	_cleanup_close_ int fd = openat(AT_FDCWD, path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES
		           ? 0
		           : error_errno(err, errno, "masking %s", path);
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "masking %s", path);
	if (!S_ISDIR(st.st_mode))
		return cover_with(null, fd, path, err);
	if (empty->fd < 0) {
		empty->fd = make_empty(err);
		if (empty->fd < 0)
			return error_prefix(err, empty->fd, "masking %s", path);
	}
	return cover_with(empty, fd, path, err);
}

static int mask_all(struct rootfs *root, struct error *err)
{
	const struct oci_strings *paths = &root->spec->linux_.masked_paths;
	struct cover null = {root->null_mount, false}, empty = {-1, false};
	int r = 0;

	for (size_t i = 0; i < paths->n && r == 0; i++)
		r = mask(paths->v[i], &null, &empty, err);
	close_fd(&empty.fd);
	return r;
}

static int make_readonly(const char *path, struct error *err)
{
	_cleanup_close_ int fd = openat(AT_FDCWD, path, O_PATH | O_CLOEXEC);
	_cleanup_close_ int copy = -1;
	int r;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR
		           ? 0
		           : error_errno(err, errno, "making %s read-only", path);
	copy = mount_clone(fd, "", true, err);
	if (copy < 0)
		return error_prefix(err, copy, "making %s read-only", path);
	r = mount_change(copy, MOUNT_ATTR_RDONLY, 0, 0, true, path, err);
	return r < 0 ? r : mount_attach(copy, fd, path, err);
}

static int protect_dev(struct error *err)
{
	_cleanup_close_ int dev = openat(AT_FDCWD, "/dev", O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (dev < 0)
		return error_errno(err, errno, "making /dev read-only");
	return mount_change(dev, MOUNT_ATTR_RDONLY, 0, 0, false, "/dev", err);
}

int rootfs_protect(struct rootfs *root, struct error *err)
{
	const struct oci_linux *l = &root->spec->linux_;
	bool recursive = false;
	uint64_t propagation = 0;
	int r = 0;

	for (size_t i = 0; i < l->readonly_paths.n && r == 0; i++)
		r = make_readonly(l->readonly_paths.v[i], err);
	if (r == 0)
		r = mask_all(root, err);
	if (r == 0 && root->dev_readonly)
		r = protect_dev(err);
	if (r == 0 && root->spec->root->readonly)
		r = mount_change(root->fd, MOUNT_ATTR_RDONLY, 0, 0, false, "/", err);
	if (r == 0 && !str_empty(l->rootfs_propagation) && !root->shared) {
		propagation = mount_propagation(l->rootfs_propagation, &recursive);
		r = mount_change(root->fd, 0, 0, propagation, recursive, "/", err);
	}
	return r;
}
