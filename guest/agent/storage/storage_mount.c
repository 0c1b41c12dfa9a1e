/* SPDX-License-Identifier: Apache-2.0 */
/* storage_mount: mounting, looking whether it is there, group ownership. */
#include "guest/agent/storage/storage_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/container/mount.h"
#include "guest/agent/container/mountinfo.h"
#include "guest/agent/sandbox.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

const char *storage_option(char *const *options, size_t n, const char *key)
{
	size_t len = strlen(key);
	const char *found = NULL;

	for (size_t i = 0; i < n; i++)
		if (strncmp(options[i], key, len) == 0 && options[i][len] == '=')
			found = options[i] + len + 1;
	return found;
}

bool storage_is_mounted(const char *target, const char *fstype)
{
	_cleanup_mountinfo_ struct mountinfo m = {0};
	struct mountinfo_entry e;
	bool found = false;

	if (mountinfo_open(&m, NULL) < 0)
		return false;
	while (mountinfo_next(&m, &e)) /* the last mount on a point is the one on top */
		if (strcmp(e.point, target) == 0)
			found = !fstype || strcmp(e.type, fstype) == 0;
	return found;
}

int storage_mounts_at(const char *target, struct error *err)
{
	_cleanup_mountinfo_ struct mountinfo m = {0};
	struct mountinfo_entry e;
	int n = 0, r = mountinfo_open(&m, err);

	while (r == 0 && mountinfo_next(&m, &e))
		n += strcmp(e.point, target) == 0;
	return r < 0 ? r : n;
}

/* -ELOOP: through a link below SANDBOX_ROOT; a negative errno. */
static int open_point(const char *path)
{
	static const char root[] = SANDBOX_ROOT "/";
	_cleanup_close_ int dir = -1;
	int fd;

	if (!str_starts(path, root)) {
		fd = open(path, O_PATH | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	dir = open(SANDBOX_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	path += sizeof(root) - 1;
	while (*path == '/')
		path++;
	fd = fs_openat2(dir, *path ? path : ".", O_PATH | O_CLOEXEC, 0,
	                RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH);
	return fd < 0 ? -errno : fd;
}

int storage_check_links(const char *mount_point, struct error *err)
{
	_cleanup_free_ char *path = strdup(mount_point);
	char *slash;

	if (!path)
		return error_set(err, ENOMEM, "out of memory");
	/* As far as it exists: the rest is made later, and has no links. */
	while (str_starts(path, SANDBOX_ROOT "/")) {
		int fd = open_point(path);

		if (fd >= 0)
			close(fd);
		if (fd == -ELOOP)
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "the mount point %s leads through a symbolic link",
			                      mount_point);
		if (fd != -ENOENT)
			break;
		slash = strrchr(path, '/');
		*slash = '\0';
	}
	return 0;
}

static int make_file(const char *path, struct error *err)
{
	_cleanup_free_ char *parent = strdup(path);
	char *slash = parent ? strrchr(parent, '/') : NULL;
	int fd, r;

	if (!parent)
		return error_set(err, ENOMEM, "out of memory");
	if (slash && slash != parent) {
		*slash = '\0';
		r = fs_mkdir_p(parent, 0755, err);
		if (r < 0)
			return r;
	}
	fd = open(path, O_CREAT | O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return error_errno(err, errno, "mount point %s", path);
	close(fd);
	return 0;
}

static int open_target(const char *source, const char *target, bool bind, struct error *err)
{
	struct stat st;
	int fd, r;

	if (bind && stat(source, &st) == 0 && !S_ISDIR(st.st_mode))
		r = make_file(target, err);
	else
		r = fs_mkdir_p(target, 0755, err);
	if (r < 0)
		return r;
	fd = open_point(target);
	return fd < 0 ? error_errno(err, -fd, "mount point %s", target) : fd;
}

/* The words that are the kernel's or ours. */
static int keep_words(char *const *options, size_t n, struct oci_strings *out, struct error *err)
{
	out->n = 0;
	out->v = calloc(n + 1, sizeof(*out->v));
	if (!out->v)
		return error_set(err, ENOMEM, "out of memory for mount options");
	for (size_t i = 0; i < n; i++) {
		if (strcmp(options[i], "loop") == 0)
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "mount option \"loop\" is not allowed");
		if (*options[i] && !str_starts(options[i], "X-") && !str_starts(options[i], "x-"))
			out->v[out->n++] = options[i];
	}
	return 0;
}

/* With options that are longer than mount_new() takes. */
static int mount_long(int at, const char *source, const char *target, const char *fstype,
                      const struct oci_strings *words, const struct mount_options *o,
                      struct error *err)
{
	_cleanup_close_ int top = -1;
	int r;

	error_clear(err);
	r = mount_by_name(at, fstype, source, words, target, err);
	if (r < 0) {
		rmdir(target); /* which may be ours; stays when it has something in it */
		return r;
	}
	top = open_point(target);
	r = top < 0 ? error_errno(err, -top, "the mount %s", target)
	            : mount_change_options(top, o, target, err);
	if (r < 0)
		umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW);
	return r;
}

int storage_mount(const char *source, const char *target, const char *fstype, char *const *options,
                  size_t n, struct error *err)
{
	_cleanup_close_ int mnt = -1, at = -1;
	_cleanup_free_ char **to_free = NULL;
	struct oci_strings words;
	struct mount_options o;
	bool bind;
	int r;

	if (*target != '/')
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "mount point \"%s\" is not absolute", target);
	r = keep_words(options, n, &words, err);
	to_free = words.v;
	if (r < 0)
		return r;
	mount_options_parse(&words, &o);
	bind = o.bind || strcmp(fstype, "bind") == 0;
	if (!bind && storage_is_mounted(target, fstype))
		return 0;
	mnt = bind ? mount_clone(AT_FDCWD, source, o.recursive, err)
	           : mount_new(fstype, source, &words, o.set, NULL, err);
	if (mnt < 0 && mnt != -E2BIG)
		return error_prefix(err, mnt, "mounting %s on %s", source, target);
	r = mnt < 0 ? 0 : mount_change_options(mnt, &o, target, err);
	if (r < 0)
		return r;
	at = open_target(source, target, bind, err);
	if (at < 0)
		return at;
	if (mnt < 0)
		return mount_long(at, source, target, fstype, &words, &o, err);
	return mount_attach(mnt, at, target, err);
}

static bool is_below(const char *point, const char *path, size_t n)
{
	return strncmp(point, path, n) == 0 && (point[n] == '/' || point[n] == '\0');
}

/* Unmounts, from the last one back, what lies below now: hundreds of layers are read about once.
 * Returns how many went; negative: none, and something stays. */
static int unmount_round(const char *path)
{
	_cleanup_mountinfo_ struct mountinfo m = {0};
	_cleanup_free_ const char **points = NULL;
	struct mountinfo_entry e;
	size_t n = 0, room = 0;
	int done = 0, r = 0;

	if (mountinfo_open(&m, NULL) < 0)
		return -EIO;
	while (mountinfo_next(&m, &e)) {
		if (!is_below(e.point, path, strlen(path)))
			continue;
		if (n == room) {
			const char **more = realloc(points, (2 * room + 16) * sizeof(*points));

			if (!more)
				return -ENOMEM;
			points = more;
			room = 2 * room + 16;
		}
		points[n++] = e.point;
	}
	while (n-- > 0) {
		if (umount2(points[n], MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
			done++;
		else
			r = -errno;
	}
	return done ? done : r;
}

unsigned int storage_unmount_below(const char *path)
{
	int r;

	/* With a mount goes what lies on it: another round tells whether that is so. */
	while ((r = unmount_round(path)) > 0)
		;
	return r < 0;
}

/* ---- fs_group */

/* By descriptor: a container that shares the volume may swap names while we walk. */
static int own_entry(int dirfd, const char *name, const struct stat *st, void *data)
{
	_cleanup_close_ int fd = -1;
	char path[32];
	mode_t mode = st->st_mode & 07777;

	if (!S_ISDIR(st->st_mode) && !S_ISREG(st->st_mode))
		return 0;
	fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	mode |= 0660; /* as kubelet does it, also for files that their owner only reads */
	if (S_ISDIR(st->st_mode))
		mode |= S_ISGID | 0110;
	if (fchownat(fd, "", (uid_t)-1, *(const gid_t *)data, AT_EMPTY_PATH) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return chmod(path, mode) < 0 ? -errno : 0;
}

int storage_own_by_group(const char *path, gid_t gid, bool only_if_root_differs, struct error *err)
{
	const mode_t want = S_ISGID | 0770;
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return error_errno(err, errno, "%s", path);
	if (only_if_root_differs && st.st_gid == gid && (st.st_mode & want) == want)
		return 0;
	r = fs_walk_tree(AT_FDCWD, path, own_entry, &gid);
	return r < 0 ? error_errno(err, -r, "giving %s to group %u", path, gid) : 0;
}
