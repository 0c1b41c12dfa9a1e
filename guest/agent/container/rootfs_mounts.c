/* SPDX-License-Identifier: Apache-2.0 */
/* rootfs_mounts: the mounts of a specification, by type (config.md, "Mounts"). */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/container/calls.h"
#include "guest/agent/container/idmap.h"
#include "guest/agent/container/mount.h"
#include "guest/agent/container/rootfs.h"
#include "guest/agent/container/sync.h"
#include "guest/agent/container/tree_copy.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

/* One mount on its way into the container. */
struct mounting {
	struct rootfs *root;
	const struct oci_mount *m;
	size_t index;
	struct mount_options o;
	int fd;       /* the detached mount */
	bool changed; /* its attributes are set already */
};

static bool is_bind(const struct oci_mount *m, const struct mount_options *o)
{
	return o->bind || (m->type && strcmp(m->type, "bind") == 0);
}

bool rootfs_mount_maps_ids(const struct oci_mount *m)
{
	struct mount_options o;

	mount_options_parse(&m->options, &o);
	return is_bind(m, &o) && (m->n_uid_mappings || m->n_gid_mappings || o.idmap);
}

int rootfs_open_source(const struct oci_spec *spec, size_t index, const char *bundle,
                       struct error *err)
{
	const struct oci_mount *m = &spec->mounts[index];
	_cleanup_free_ char *joined = NULL;
	const char *source = m->source;
	struct mount_options o;
	int fd, r;

	mount_options_parse(&m->options, &o);
	if (str_empty(source))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "the bind mount %s has no source",
		                      m->destination);
	if (source[0] != '/' && bundle) {
		joined = str_printf("%s/%s", bundle, source);
		if (!joined)
			return error_set(err, ENOMEM, "mounting %s: no memory", m->destination);
		source = joined;
	}
	fd = mount_clone(AT_FDCWD, source, o.recursive, err);
	if (fd < 0)
		return error_prefix(err, fd, "mounting %s", m->destination);
	if (rootfs_mount_maps_ids(m)) {
		r = idmap_apply(fd, spec, m, o.idmap_recursive, err);
		if (r < 0) {
			close(fd);
			return error_prefix(err, r, "mounting %s", m->destination);
		}
	}
	return fd;
}

static int ask_helper(struct mounting *x, struct error *err)
{
	int r = sync_send(x->root->helper_fd, SYNC_MOUNT_SOURCE, (int)x->index, -1);

	if (r < 0)
		return error_errno(err, -r, "asking for the source of %s", x->m->destination);
	r = sync_expect(x->root->helper_fd, SYNC_MOUNT_SOURCE, &x->fd, "the runtime's helper", err);
	if (r == 0 && x->fd < 0)
		return error_set(err, EPROTO, "no source for %s", x->m->destination);
	return r;
}

/* A source that only the runtime's ids may look into is opened on its side; so is one whose ids are
 * mapped, for /proc here has no numbers of the container's own processes. */
static int make_bind(struct mounting *x, struct error *err)
{
	for (size_t i = 0; i < x->m->options.n; i++)
		if (mount_word_use(x->m->options.v[i]) == MOUNT_WORD_FS)
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "the bind mount %s cannot have the option \"%s\"",
			                      x->m->destination, x->m->options.v[i]);
	if (x->root->helper_fd >= 0 &&
	    (x->root->namespaces->private_user || rootfs_mount_maps_ids(x->m))) {
		int r = ask_helper(x, err);

		/* An unprivileged runtime may less than this process in its own namespaces. */
		if (r != -EPERM || rootfs_mount_maps_ids(x->m))
			return r;
		error_clear(err);
	}
	x->fd = rootfs_open_source(x->root->spec, x->index, x->root->bundle, err);
	return x->fd < 0 ? x->fd : 0;
}

static int make_new(struct mounting *x, const char *type, const struct oci_strings *data,
                    struct error *err)
{
	const struct oci_linux *l = &x->root->spec->linux_;
	const char *context = NULL;

	if (x->m->n_uid_mappings || x->m->n_gid_mappings)
		return error_set_kind(err, ERROR_INPUT, ENOTSUP,
		                      "mounting %s: id mappings are for bind mounts",
		                      x->m->destination);
	if (!str_empty(l->mount_label) && fs_exists("/sys/fs/selinux/enforce") &&
	    strcmp(type, "proc") != 0 && strcmp(type, "sysfs") != 0)
		context = l->mount_label;
	x->fd = mount_new(type, x->m->source, data, x->o.set, context, err);
	if (x->fd < 0)
		return error_prefix(err, x->fd, "mounting %s", x->m->destination);
	x->changed = true;
	return 0;
}

/* Without the right to a fresh one (user namespace, network of the runtime) the runtime's
 * /sys is shown. */
static int make_sysfs(struct mounting *x, struct error *err)
{
	int r = make_new(x, "sysfs", &x->m->options, err);

	if (r != -EPERM || !x->root->namespaces->private_user)
		return r;
	x->fd = mount_clone(AT_FDCWD, "/sys", true, err);
	x->changed = false;
	return x->fd < 0 ? x->fd : 0;
}

/* "cgroup" means version 2 here. Where it cannot be mounted afresh, the container's own
 * directory is shown. */
static int make_cgroup(struct mounting *x, struct error *err)
{
	int r = make_new(x, "cgroup2", NULL, err);

	if (r == 0 || !x->root->cgroup_path)
		return r;
	x->fd = mount_clone(AT_FDCWD, x->root->cgroup_path, true, err);
	x->changed = false;
	return x->fd < 0 ? x->fd : 0;
}

/* The mount points of /proc and /sys must be directories of the image itself: a link would
 * put another file system where the masks are expected (CVE-2019-19921). */
static int check_ordinary(struct mounting *x, struct error *err)
{
	const char *path = x->m->destination;
	_cleanup_close_ int fd = -1;

	while (*path == '/')
		path++;
	if (!*path)
		return 0;
	fd = fs_openat2(x->root->fd, path, O_PATH | O_CLOEXEC, 0,
	                RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH);
	if (fd < 0 && errno != ENOENT && errno != ELOOP)
		return error_errno(err, errno, "opening %s in the container", x->m->destination);
	if (fd < 0 && errno == ELOOP)
		return error_set_kind(err, ERROR_INPUT, ELOOP,
		                      "%s must be mounted on ordinary directory %s, which leads "
		                      "through a link",
		                      x->m->type, x->m->destination);
	return 0;
}

static int make_proc(struct mounting *x, struct error *err)
{
	return make_new(x, "proc", &x->m->options, err);
}

/* A tmpfs keeps the mode of the directory it covers, unless told otherwise. */
static int make_tmpfs(struct mounting *x, struct error *err)
{
	_cleanup_close_ int below = -1;
	bool has_mode = false;
	struct stat st;
	int r = make_new(x, "tmpfs", &x->m->options, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < x->m->options.n; i++)
		has_mode = has_mode || str_starts(x->m->options.v[i], "mode=");
	below = fs_open_in_root(x->root->fd, x->m->destination, O_RDONLY | O_DIRECTORY, 0);
	if (below < 0 || fstat(below, &st) < 0)
		return 0;
	if (!has_mode && !(x->o.set & MOUNT_ATTR_RDONLY)) {
		_cleanup_close_ int top = openat(x->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (top < 0 || fchmod(top, st.st_mode & 07777) < 0)
			return error_errno(err, errno, "setting the mode of %s", x->m->destination);
	}
	return x->o.copy_up ? tree_copy(below, x->fd, err) : 0;
}

static const struct {
	const char *type;
	int (*make)(struct mounting *x, struct error *err);
	bool ordinary; /* see check_ordinary() */
} makers[] = {
    {"proc", make_proc, true},     {"sysfs", make_sysfs, true},    {"tmpfs", make_tmpfs, false},
    {"cgroup", make_cgroup, true}, {"cgroup2", make_cgroup, true},
};

static int make(struct mounting *x, struct error *err)
{
	const char *type = x->m->type;
	int r;

	if (is_bind(x->m, &x->o))
		return make_bind(x, err);
	if (str_empty(type))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "the mount %s has no type",
		                      x->m->destination);
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		if (strcmp(makers[i].type, type) != 0)
			continue;
		r = makers[i].ordinary ? check_ordinary(x, err) : 0;
		return r < 0 ? r : makers[i].make(x, err);
	}
	return make_new(x, type, &x->m->options, err);
}

static int mount_long(struct mounting *x, int destination, struct error *err)
{
	int r = mount_by_name(destination, x->m->type, x->m->source, &x->m->options,
	                      x->m->destination, err);

	if (r < 0)
		return r;
	x->fd = fs_open_in_root(x->root->fd, x->m->destination, O_PATH, 0);
	if (x->fd < 0)
		return error_errno(err, -x->fd, "opening the mount %s", x->m->destination);
	return mount_change_options(x->fd, &x->o, x->m->destination, err);
}

static int mount_one(struct mounting *x, struct error *err)
{
	_cleanup_close_ int destination = -1;
	struct stat st;
	int r = make(x, err);
	bool by_name = r == -E2BIG, directory = true;

	if (r < 0 && !by_name)
		return r;
	if (!by_name) {
		if (fstat(x->fd, &st) < 0)
			return error_errno(err, errno, "mounting %s", x->m->destination);
		directory = S_ISDIR(st.st_mode);
	}
	destination = mount_open_destination(x->root->fd, x->m->destination, directory, err);
	if (destination < 0)
		return destination;
	if (by_name)
		return mount_long(x, destination, err);
	if (x->changed)
		x->o.set = x->o.clear = 0;
	r = mount_change_options(x->fd, &x->o, x->m->destination, err);
	return r < 0 ? r : mount_attach(x->fd, destination, x->m->destination, err);
}

/* A fresh /dev becomes read-only when the mounts below it and the devices are made. */
static bool is_late_readonly(const struct oci_mount *m, const struct mount_options *o)
{
	return o->set & MOUNT_ATTR_RDONLY && !is_bind(m, o) &&
	       (strcmp(m->destination, "/dev") == 0 || strcmp(m->destination, "/dev/") == 0);
}

int rootfs_mount_all(struct rootfs *root, struct error *err)
{
	const struct oci_spec *spec = root->spec;
	int r = 0;

	for (size_t i = 0; i < spec->n_mounts && r == 0; i++) {
		struct mounting x = {.root = root, .m = &spec->mounts[i], .index = i, .fd = -1};

		mount_options_parse(&x.m->options, &x.o);
		if (is_late_readonly(x.m, &x.o)) {
			x.o.set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
			root->dev_readonly = true;
		}
		r = mount_one(&x, err);
		close_fd(&x.fd);
	}
	return r;
}
