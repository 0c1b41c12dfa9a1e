/* SPDX-License-Identifier: Apache-2.0 */
/* namespace: the table of types, joining, id mappings and clock offsets. */
#include "guest/agent/container/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/container/calls.h"
#include "lib/base/fs.h"
#include "lib/base/process.h"
#include "lib/base/str.h"

static const struct {
	uint64_t flag;
	const char *type; /* OCI's word */
	const char *file; /* below /proc/PID/ns */
} types[NAMESPACE_TYPES] = {
    {CLONE_NEWUSER, "user", "user"},       {CLONE_NEWPID, "pid", "pid"},
    {CLONE_NEWNET, "network", "net"},      {CLONE_NEWIPC, "ipc", "ipc"},
    {CLONE_NEWUTS, "uts", "uts"},          {CLONE_NEWTIME, "time", "time"},
    {CLONE_NEWCGROUP, "cgroup", "cgroup"}, {CLONE_NEWNS, "mount", "mnt"},
};

static int open_namespace(const char *path, size_t i, struct error *err)
{
	int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), kind;

	if (fd < 0)
		return error_errno(err, errno, "opening the %s namespace %s", types[i].type, path);
	kind = ioctl(fd, NS_GET_NSTYPE);
	if (kind < 0 || (uint64_t)kind != types[i].flag) {
		close(fd);
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is not a %s namespace", path,
		                      types[i].type);
	}
	return fd;
}

/* Joining the user namespace one is in is refused by the kernel, and there is no need. */
static bool is_own_user_namespace(int fd)
{
	struct stat own, other;

	return stat("/proc/self/ns/user", &own) == 0 && fstat(fd, &other) == 0 &&
	       own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

int namespace_plan_init(struct namespace_plan *plan, const struct oci_linux *l, struct error *err)
{
	memset(plan, 0, sizeof(*plan));
	for (size_t i = 0; i < NAMESPACE_TYPES; i++)
		plan->fds[i] = -1;
	for (size_t n = 0; n < l->n_namespaces; n++) {
		const struct oci_namespace *ns = &l->namespaces[n];
		size_t i = 0;
		int fd;

		while (i < NAMESPACE_TYPES && strcmp(types[i].type, ns->type) != 0)
			i++;
		if (i == NAMESPACE_TYPES)
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "unknown namespace type \"%s\"", ns->type);
		if (str_empty(ns->path)) {
			plan->create |= types[i].flag;
			continue;
		}
		fd = open_namespace(ns->path, i, err);
		if (fd < 0) {
			namespace_plan_free(plan);
			return fd;
		}
		if (types[i].flag == CLONE_NEWUSER && is_own_user_namespace(fd)) {
			close(fd);
			continue;
		}
		plan->fds[i] = fd;
		plan->join |= types[i].flag;
	}
	plan->private_user = (plan->create | plan->join) & CLONE_NEWUSER;
	return 0;
}

void namespace_plan_free(struct namespace_plan *plan)
{
	for (size_t i = 0; i < NAMESPACE_TYPES; i++)
		close_fd(&plan->fds[i]);
	plan->join = 0;
}

int namespace_join(const struct namespace_plan *plan, struct error *err)
{
	bool joined[NAMESPACE_TYPES] = {false};

	/* Types[0] is the user namespace: in the first round it comes last. */
	for (int round = 0; round < 2; round++) {
		for (size_t k = 1; k <= NAMESPACE_TYPES; k++) {
			size_t i = round == 0 ? k % NAMESPACE_TYPES : k - 1;

			if (plan->fds[i] < 0 || joined[i])
				continue;
			if (setns(plan->fds[i], (int)types[i].flag) == 0)
				joined[i] = true;
			else if (round == 1 || errno != EPERM || plan->fds[0] < 0 || i == 0)
				return error_errno(err, errno, "joining the %s namespace",
				                   types[i].type);
		}
	}
	return 0;
}

int namespace_differing(pid_t pid, uint64_t *flags, struct error *err)
{
	*flags = 0;
	for (size_t i = 0; i < NAMESPACE_TYPES; i++) {
		char own[64], other[64];
		struct stat a, b;

		snprintf(own, sizeof(own), "/proc/self/ns/%s", types[i].file);
		snprintf(other, sizeof(other), "/proc/%d/ns/%s", pid, types[i].file);
		if (stat(own, &a) < 0)
			continue; /* a kernel without this type */
		if (stat(other, &b) < 0)
			return error_errno(err, errno == ENOENT ? ESRCH : errno,
			                   "looking at the %s namespace of process %d",
			                   types[i].type, pid);
		if (a.st_ino != b.st_ino || a.st_dev != b.st_dev)
			*flags |= types[i].flag;
	}
	return 0;
}

static int write_map(pid_t pid, const char *file, const char *text)
{
	char path[64];
	struct error ignored;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	return fs_write_string(AT_FDCWD, path, text, &ignored);
}

/* newuidmap PID CONTAINER HOST SIZE ... (shadow-utils), for callers without CAP_SETUID. */
static int run_map_tool(const char *tool, pid_t pid, const struct oci_id_mapping *m, size_t n,
                        struct error *err)
{
	_cleanup_strv_ struct strv argv = STRV_INIT;
	_cleanup_buffer_ struct buffer out = BUFFER_INIT, text = BUFFER_INIT;
	int status = 0, r;

	strv_add(&argv, tool);
	strv_addf(&argv, "%d", pid);
	for (size_t i = 0; i < n; i++) {
		strv_addf(&argv, "%u", m[i].container_id);
		strv_addf(&argv, "%u", m[i].host_id);
		strv_addf(&argv, "%u", m[i].size);
	}
	if (argv.n != 2 + 3 * n)
		return error_set(err, ENOMEM, "mapping ids: no memory");
	r = process_run(argv.v, &out, &text, 4096, &status, err);
	if (r < 0)
		return error_prefix(err, r, "mapping ids");
	if (process_exit_code(status) != 0)
		return error_set(err, EPERM, "mapping ids: %s: %s", tool, buffer_cstr(&text));
	return 0;
}

static int map(pid_t pid, const char *file, const char *tool, const struct oci_id_mapping *m,
               size_t n, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int r;

	if (n == 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "a user namespace without %s mappings",
		                      file[0] == 'u' ? "uid" : "gid");
	for (size_t i = 0; i < n; i++)
		buffer_printf(&text, "%u %u %u\n", m[i].container_id, m[i].host_id, m[i].size);
	if (text.failed)
		return error_set(err, ENOMEM, "mapping ids: no memory");
	r = write_map(pid, file, buffer_cstr(&text));
	if (r == -EPERM && geteuid() != 0)
		return run_map_tool(tool, pid, m, n, err);
	if (r < 0)
		return error_errno(err, -r, "writing %s of the container", file);
	return 0;
}

int namespace_map_ids(pid_t pid, const struct oci_linux *l, struct error *err)
{
	int r;

	/* user_namespaces(7): an unprivileged process that maps its own group only must give
	 * up setgroups first; newgidmap does without. */
	if (geteuid() != 0 && l->n_gid_mappings == 1 && l->gid_mappings[0].size == 1)
		(void)write_map(pid, "setgroups", "deny");
	r = map(pid, "uid_map", "newuidmap", l->uid_mappings, l->n_uid_mappings, err);
	if (r == 0)
		r = map(pid, "gid_map", "newgidmap", l->gid_mappings, l->n_gid_mappings, err);
	return r;
}

int namespace_set_time_offsets(const struct oci_linux *l, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;

	for (size_t i = 0; i < l->n_time_offsets; i++)
		buffer_printf(&text, "%s %" PRId64 " %u\n", l->time_offsets[i].clock,
		              l->time_offsets[i].secs, l->time_offsets[i].nanosecs);
	if (text.failed)
		return error_set(err, ENOMEM, "setting clock offsets: no memory");
	if (text.size == 0)
		return 0;
	return fs_write_string(AT_FDCWD, "/proc/self/timens_offsets", buffer_cstr(&text), err);
}
