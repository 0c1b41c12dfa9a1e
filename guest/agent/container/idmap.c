/* SPDX-License-Identifier: Apache-2.0 */
/* idmap: a process in a user namespace of the wanted mapping lends it to the mount. */
#include "guest/agent/container/idmap.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/agent/container/calls.h"
#include "guest/agent/container/namespace.h"
#include "lib/base/cleanup.h"

static int open_user_namespace(const struct oci_linux *mappings, struct error *err)
{
	struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	char path[64];
	pid_t pid = call_clone3(&args);
	int fd = -1, r;

	if (pid < 0)
		return error_errno(err, errno, "making a user namespace for an id-mapped mount");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;)
			pause();
	}
	r = namespace_map_ids(pid, mappings, err);
	if (r == 0) {
		snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
		fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			r = error_errno(err, errno, "opening %s", path);
	}
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r < 0 ? r : fd;
}

int idmap_apply(int mount_fd, const struct oci_spec *spec, const struct oci_mount *m,
                bool recursive, struct error *err)
{
	bool own = m->n_uid_mappings || m->n_gid_mappings;
	const struct oci_linux mappings = {
	    .n_uid_mappings = own ? m->n_uid_mappings : spec->linux_.n_uid_mappings,
	    .uid_mappings = own ? m->uid_mappings : spec->linux_.uid_mappings,
	    .n_gid_mappings = own ? m->n_gid_mappings : spec->linux_.n_gid_mappings,
	    .gid_mappings = own ? m->gid_mappings : spec->linux_.gid_mappings,
	};
	_cleanup_close_ int user = open_user_namespace(&mappings, err);
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)user};

	if (user < 0)
		return user;
	if (call_mount_setattr(mount_fd, recursive ? AT_RECURSIVE : 0, &attr) < 0)
		return error_errno(
		    err, errno == EINVAL ? ENOTSUP : errno,
		    "mapping the ids of the mount (does its file system support it?)");
	return 0;
}
