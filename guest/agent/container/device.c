/* SPDX-License-Identifier: Apache-2.0 */
/* device: mknod below an opened parent, or a bind mount of the runtime's node. */
#include "guest/agent/container/device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "guest/agent/container/mount.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"

#define NODE(name, maj, min)                                                                       \
	{                                                                                          \
		.path = "/dev/" name, .type = "c", .major = maj, .minor = min, .file_mode = {      \
			true,                                                                      \
			0666                                                                       \
		}                                                                                  \
	}

const struct oci_device default_devices[] = {
    NODE("null", 1, 3),   NODE("zero", 1, 5),    NODE("full", 1, 7),
    NODE("random", 1, 8), NODE("urandom", 1, 9), NODE("tty", 5, 0),
};
const size_t n_default_devices = sizeof(default_devices) / sizeof(default_devices[0]);

static mode_t type_of(const struct oci_device *d)
{
	switch (d->type[0]) {
	case 'b':
		return S_IFBLK;
	case 'p':
		return S_IFIFO;
	default: /* c, and its old name u */
		return S_IFCHR;
	}
}

static dev_t number_of(const struct oci_device *d)
{
	return d->type[0] == 'p' ? 0 : makedev((unsigned int)d->major, (unsigned int)d->minor);
}

static bool matches(const struct oci_device *d, const struct stat *st)
{
	return (st->st_mode & S_IFMT) == type_of(d) &&
	       (d->type[0] == 'p' || st->st_rdev == number_of(d));
}

static int bind_node(int root_fd, const struct oci_device *d, struct error *err)
{
	_cleanup_close_ int node = -1, destination = -1;
	struct stat st;

	node = mount_clone(AT_FDCWD, d->path, false, err);
	if (node < 0)
		return error_prefix(err, node, "making the device %s", d->path);
	if (fstat(node, &st) < 0 || !matches(d, &st))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "making the device %s: the runtime's one is another",
		                      d->path);
	destination = mount_open_destination(root_fd, d->path, false, err);
	if (destination < 0)
		return destination;
	return mount_attach(node, destination, d->path, err);
}

static int make_node(int parent, const char *name, const struct oci_device *d, struct error *err)
{
	mode_t mode = d->file_mode.set ? d->file_mode.value & 07777 : 0666;
	uid_t uid = d->uid.set ? d->uid.value : 0;
	gid_t gid = d->gid.set ? d->gid.value : 0;
	struct stat st;

	if (mknodat(parent, name, type_of(d) | mode, number_of(d)) < 0) {
		if (errno != EEXIST)
			return error_errno(err, errno, "making the device %s", d->path);
		if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !matches(d, &st))
			return error_set_kind(err, ERROR_INPUT, EEXIST,
			                      "making the device %s: there is something else",
			                      d->path);
		return 0;
	}
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(err, errno, "making the device %s", d->path);
	/* The folder may have had a say (a set-group-id bit, an access list). */
	if ((st.st_mode & 07777) != mode && fchmodat(parent, name, mode, 0) < 0)
		return error_errno(err, errno, "setting the mode of %s", d->path);
	if ((st.st_uid != uid || st.st_gid != gid) &&
	    fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(err, errno, "setting the owner of %s", d->path);
	return 0;
}

static int make_device(int root_fd, const struct oci_device *d, bool bind, struct error *err)
{
	_cleanup_free_ char *dir = strdup(d->path);
	_cleanup_close_ int parent = -1;
	char *slash;
	int r;

	if (!dir)
		return error_set(err, ENOMEM, "making the device %s: no memory", d->path);
	if (bind && d->type[0] != 'p')
		return bind_node(root_fd, d, err);
	slash = strrchr(dir, '/');
	if (!slash || !slash[1] || strcmp(slash + 1, "..") == 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "\"%s\" is no name for a device",
		                      d->path);
	*slash = 0;
	parent = fs_mkdir_in_root(root_fd, *dir ? dir : "/", 0755);
	if (parent < 0)
		return error_errno(err, -parent, "making the folder of the device %s", d->path);
	r = make_node(parent, slash + 1, d, err);
	/* The runtime itself may be in a user namespace, as that of an ordinary user's podman is.
	 */
	if (r == -EPERM && d->type[0] != 'p') {
		error_clear(err);
		r = bind_node(root_fd, d, err);
	}
	return r;
}

static int make_links(int root_fd, struct error *err)
{
	static const struct {
		const char *name, *target;
		bool replace;
	} links[] = {
	    {"core", "/proc/kcore", false},       {"fd", "/proc/self/fd", false},
	    {"stdin", "/proc/self/fd/0", false},  {"stdout", "/proc/self/fd/1", false},
	    {"stderr", "/proc/self/fd/2", false}, {"ptmx", "pts/ptmx", true},
	};
	_cleanup_close_ int dev = fs_mkdir_in_root(root_fd, "/dev", 0755);

	if (dev < 0)
		return error_errno(err, -dev, "opening /dev in the container");
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if (symlinkat(links[i].target, dev, links[i].name) == 0)
			continue;
		/* An image may bring a ptmx node, which would be the runtime's. */
		if (errno == EEXIST && links[i].replace && unlinkat(dev, links[i].name, 0) == 0 &&
		    symlinkat(links[i].target, dev, links[i].name) == 0)
			continue;
		if (errno != EEXIST)
			return error_errno(err, errno, "making the link /dev/%s", links[i].name);
	}
	return 0;
}

/* A bind mount on /dev brings everything along. */
static bool dev_is_bound(const struct oci_spec *spec)
{
	struct mount_options o;

	for (size_t i = 0; i < spec->n_mounts; i++) {
		const struct oci_mount *m = &spec->mounts[i];

		if (strcmp(m->destination, "/dev") != 0 && strcmp(m->destination, "/dev/") != 0)
			continue;
		mount_options_parse(&m->options, &o);
		if (o.bind || (m->type && strcmp(m->type, "bind") == 0))
			return true;
	}
	return false;
}

static bool in_spec(const struct oci_spec *spec, const char *path)
{
	for (size_t i = 0; i < spec->linux_.n_devices; i++)
		if (strcmp(spec->linux_.devices[i].path, path) == 0)
			return true;
	return false;
}

static int make_all(int root_fd, const struct oci_spec *spec, bool bind, struct error *err)
{
	int r = 0;

	if (!dev_is_bound(spec)) {
		for (size_t i = 0; i < n_default_devices && r == 0; i++)
			if (!in_spec(spec, default_devices[i].path))
				r = make_device(root_fd, &default_devices[i], bind, err);
		if (r == 0)
			r = make_links(root_fd, err);
	}
	/* A node /dev/ptmx would be the multiplexer of the runtime's terminals: the link stays. */
	for (size_t i = 0; i < spec->linux_.n_devices && r == 0; i++)
		if (strcmp(spec->linux_.devices[i].path, "/dev/ptmx") != 0)
			r = make_device(root_fd, &spec->linux_.devices[i], bind, err);
	return r;
}

int devices_make(int root_fd, const struct oci_spec *spec, bool bind, struct error *err)
{
	mode_t old = umask(0);
	int r = make_all(root_fd, spec, bind, err);

	umask(old);
	return r;
}
