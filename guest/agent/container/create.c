/* SPDX-License-Identifier: Apache-2.0 */
/* create: forking a container's first process and its further ones. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/agent/container/attributes.h"
#include "guest/agent/container/calls.h"
#include "guest/agent/container/child.h"
#include "guest/agent/container/container.h"
#include "guest/agent/container/device_filter.h"
#include "guest/agent/container/helper.h"
#include "guest/agent/container/internal.h"
#include "guest/agent/container/namespace.h"
#include "guest/agent/container/rootfs.h"
#include "guest/agent/container/spawn.h"
#include "guest/agent/container/start_socket.h"
#include "guest/agent/container/sync.h"
#include "guest/agent/container/syscall_filter.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

static int open_proc(struct error *err)
{
	_cleanup_close_ int fd = openat(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT, "/proc is not mounted");
	return steal_fd(&fd);
}

/* Labels count only where the kernel has the module (config.md: a runtime may). */
static const char *label(const char *own, const char *inherited, bool have, const char *module,
                         const char *id)
{
	const char *wanted = str_empty(own) ? inherited : own;

	if (str_empty(wanted) || have)
		return wanted;
	if (strcmp(wanted, "unconfined") != 0)
		log_debug("container %s: no %s in this kernel, \"%s\" is left out", id, module,
		          wanted);
	return NULL;
}

static void plan_labels(struct child_plan *plan, const struct container *c,
                        const struct oci_process *p)
{
	plan->apparmor = label(p->apparmor_profile, c->apparmor,
	                       (str_empty(p->apparmor_profile) && str_empty(c->apparmor)) ||
	                           attributes_have_apparmor(),
	                       "AppArmor", c->id);
	plan->selinux = label(p->selinux_label, c->selinux,
	                      (str_empty(p->selinux_label) && str_empty(c->selinux)) ||
	                          attributes_have_selinux(),
	                      "SELinux", c->id);
}

/* crun's word, which "podman run --group-add keep-groups" sets. */
static bool keeps_groups(const struct oci_map *annotations)
{
	for (size_t i = 0; i < annotations->n; i++)
		if (strcmp(annotations->v[i].key, "run.oci.keep_original_groups") == 0)
			return strcmp(annotations->v[i].value, "0") != 0;
	return false;
}

/* ---- checks that need no container ---- */

/* Parameters that a namespace of the container separates (namespaces(7), sysctl(5)). */
static bool sysctl_is_separate(const char *key, const struct namespace_plan *ns)
{
	static const struct {
		const char *prefix;
		uint64_t flag;
	} separate[] = {
	    {"net.", CLONE_NEWNET},       {"fs.mqueue.", CLONE_NEWIPC},
	    {"kernel.msg", CLONE_NEWIPC}, {"kernel.sem", CLONE_NEWIPC},
	    {"kernel.shm", CLONE_NEWIPC}, {"kernel.domainname", CLONE_NEWUTS},
	    {"user.", CLONE_NEWUSER},
	};

	for (size_t i = 0; i < sizeof(separate) / sizeof(separate[0]); i++)
		if (str_starts(key, separate[i].prefix))
			return (ns->create | ns->join) & separate[i].flag;
	return false;
}

static int check_sysctl(const char *key, const struct namespace_plan *ns, struct error *err)
{
	char dotted[128];

	snprintf(dotted, sizeof(dotted), "%s", key);
	for (char *p = dotted; *p; p++)
		if (*p == '/')
			*p = '.';
	if (strcmp(dotted, "kernel.hostname") == 0)
		return error_set_kind(err, ERROR_INPUT, EPERM,
		                      "the kernel parameter kernel.hostname is not allowed: it is "
		                      "what the member \"hostname\" is for");
	if (sysctl_is_separate(dotted, ns))
		return 0;
	return error_set_kind(err, ERROR_INPUT, EPERM,
	                      "the kernel parameter %s is not separate in the container's "
	                      "namespaces",
	                      key);
}

/* config.md: what is not supported must be an error, not silence. */
static int refuse_unsupported(const struct oci_linux *l, struct error *err)
{
	const struct {
		bool present;
		const char *why;
	} all[] = {
	    {l->intel_rdt, "linux.intelRdt: no resctrl file system is used here"},
	    {l->memory_policy, "linux.memoryPolicy is not supported: use linux.resources.cpu.mems"},
	    {l->n_net_devices, "linux.netDevices is not supported: move the interface into the "
	                       "network namespace before, and name that by its path"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].present)
			return error_set_kind(err, ERROR_ENVIRONMENT, ENOTSUP, "%s", all[i].why);
	return 0;
}

static int check_spec(const struct container_opts *o, const struct oci_spec *spec,
                      const struct namespace_plan *ns, struct error *err)
{
	const struct oci_linux *l = &spec->linux_;
	int r = 0;

	if (!((ns->create | ns->join) & CLONE_NEWNS) && !o->allow_shared_mounts)
		return error_set_kind(err, ERROR_INPUT, ENOTSUP,
		                      "a container without a mount namespace is not supported: add "
		                      "{\"type\": \"mount\"} to linux.namespaces");
	for (size_t i = 0; i < l->sysctl.n && !o->allow_global_sysctls && r == 0; i++)
		r = check_sysctl(l->sysctl.v[i].key, ns, err);
	return r < 0 ? r : refuse_unsupported(l, err);
}

/* ---- the cgroup ---- */

static int make_cgroup(struct container *c, const struct container_opts *o,
                       const struct oci_spec *spec, struct error *err)
{
	const char *wanted = spec->linux_.cgroups_path;
	_cleanup_free_ char *root = NULL, *path = NULL;
	int r = 0;

	c->no_cgroup = o->no_cgroup;
	if (o->no_cgroup)
		return 0;
	if (!o->cgroup_root)
		r = cgroup_find_root(&root, err);
	if (r < 0)
		return r;
	path = str_empty(wanted) ? str_printf("/%s", o->id) : strdup(wanted);
	if (!path)
		return error_set(err, ENOMEM, "container %s: no memory", o->id);
	r = cgroup_create(o->cgroup_root ? o->cgroup_root : root, path, spec->linux_.resources,
	                  &c->cgroup, err);
	if (o->cgroup_optional && (r == -EACCES || r == -EPERM || r == -EROFS) &&
	    !cgroup_controllers_needed(spec->linux_.resources)) {
		c->no_cgroup = true;
		error_clear(err);
		return 0;
	}
	return r < 0 ? r : cgroup_apply(&c->cgroup, spec->linux_.resources, err);
}

/* config-linux.md, "Cgroup ownership": to a user namespace that gets its cgroup read-write. */
static int delegate_cgroup(const struct container *c, const struct oci_spec *spec,
                           const struct namespace_plan *ns, struct error *err)
{
	const struct oci_linux *l = &spec->linux_;

	if (c->cgroup.fd < 0 || !(ns->create & CLONE_NEWUSER) || !(ns->create & CLONE_NEWCGROUP))
		return 0;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const struct oci_mount *m = &spec->mounts[i];
		uint32_t uid = spec->process->user.uid;
		bool readonly = false;

		if (!m->type || strncmp(m->type, "cgroup", 6) != 0 ||
		    strcmp(m->destination, "/sys/fs/cgroup") != 0)
			continue;
		for (size_t k = 0; k < m->options.n; k++)
			readonly = readonly || strcmp(m->options.v[k], "ro") == 0;
		for (size_t k = 0; k < l->n_uid_mappings && !readonly; k++) {
			const struct oci_id_mapping *map = &l->uid_mappings[k];

			if (uid >= map->container_id && uid - map->container_id < map->size)
				return cgroup_delegate(&c->cgroup,
				                       uid - map->container_id + map->host_id, err);
		}
	}
	return 0;
}

static int filter_devices(const struct container *c, const struct oci_spec *spec,
                          const struct namespace_plan *ns, struct error *err)
{
	struct device_filter f = {0};
	int r;

	if (c->cgroup.fd < 0)
		return 0;
	r = device_filter_build(spec->linux_.resources, spec->linux_.devices,
	                        spec->linux_.n_devices, &f, err);
	if (r == 0)
		r = device_filter_attach(&f, c->cgroup.fd, err);
	device_filter_free(&f);
	/* Who is in a user namespace may not load programs, and cannot make or reach devices
	 * that the runtime did not bind. */
	if (r == -EPERM && (ns->private_user || geteuid() != 0)) {
		error_clear(err);
		r = 0;
	}
	return r;
}

/* ---- the first process ---- */

/* root.path, relative to the bundle. Looking at it is left to the child: it may lie on a
 * share that does not answer. */
static int find_rootfs(const struct container_opts *o, const struct oci_spec *spec, char **out,
                       struct error *err)
{
	const char *path = spec->root->path;

	*out =
	    path[0] == '/' ? strdup(path) : str_printf("%s/%s", o->bundle ? o->bundle : ".", path);
	return *out ? 0 : error_set(err, ENOMEM, "container %s: no memory", o->id);
}

struct making {
	struct container *c;
	const struct container_opts *o;
	const struct oci_spec *spec;
	struct namespace_plan namespaces;
	struct child_plan plan;
	char *rootfs;
	int child_end;    /* of the sync pair */
	int helper_ours;  /* the helper's end */
	int helper_child; /* the container's end */
};

static void making_free(struct making *m)
{
	namespace_plan_free(&m->namespaces);
	free(m->rootfs);
	close_fd(&m->child_end);
	close_fd(&m->helper_ours);
	close_fd(&m->helper_child);
	close_fd(&m->plan.listen_fd);
	close_fd(&m->plan.proc_fd);
}

/* Without a mount namespace the root's mounts outlive the container, until it is destroyed. */
static int find_shared_root(struct making *m, struct error *err)
{
	if ((m->namespaces.create | m->namespaces.join) & CLONE_NEWNS)
		return 0;
	m->c->shared_root = realpath(m->rootfs, NULL);
	if (!m->c->shared_root)
		return error_errno(err, errno, "the root file system %s", m->rootfs);
	m->c->shared_root_below = rootfs_mount_number(m->c->shared_root);
	return 0;
}

static int make_channels(struct making *m, struct error *err)
{
	int fds[2], r = sync_pair(fds, err);

	if (r < 0)
		return r;
	m->c->init.sync_fd = fds[0];
	m->child_end = fds[1];
	if (helper_needed(m->spec, m->namespaces.create & CLONE_NEWUSER)) {
		r = sync_pair(fds, err);
		if (r < 0)
			return r;
		m->helper_ours = fds[0];
		m->helper_child = fds[1];
	}
	if (m->o->start_socket) {
		r = start_socket_listen(m->o->start_socket, err);
		if (r < 0)
			return r;
		m->plan.listen_fd = r;
	}
	r = open_proc(err);
	if (r < 0)
		return r;
	m->plan.proc_fd = r;
	return 0;
}

static void fill_plan(struct making *m)
{
	struct child_plan *p = &m->plan;
	const struct oci_spec *spec = m->spec;

	p->spec = spec;
	p->process = spec->process;
	p->personality = spec->linux_.personality;
	p->namespaces = &m->namespaces;
	p->private_user = m->namespaces.private_user;
	p->capabilities = m->c->capabilities;
	p->rootfs = m->rootfs;
	p->bundle = m->o->bundle;
	p->cgroup_path = m->c->cgroup.path;
	p->state = (struct state){.version = spec->version,
	                          .id = m->o->id,
	                          .status = "creating",
	                          .bundle = m->o->bundle,
	                          .annotations = &spec->annotations};
	p->sync_fd = m->child_end;
	p->helper_fd = m->helper_child;
	memcpy(p->stdio, m->o->stdio, sizeof(p->stdio));
	p->preserve_fds = m->o->preserve_fds;
	p->no_pivot = m->o->no_pivot;
	p->die_with_parent = m->o->die_with_parent;
	p->keep_keyring = m->o->no_new_keyring;
	p->keep_groups = m->o->caller_waits && keeps_groups(&spec->annotations);
	p->filter_comes = m->o->caller_waits && spec->linux_.seccomp;
	plan_labels(p, m->c, spec->process);
}

static int spawn_first(struct making *m, struct error *err)
{
	const struct spawn_args args = {.namespaces = &m->namespaces,
	                                .target_pidfd = -1,
	                                .time_offsets = &m->spec->linux_,
	                                .cgroup_fd = m->c->cgroup.fd,
	                                .before = child_before,
	                                .run = child_run,
	                                .data = &m->plan};
	struct helper_args helper = {.spec = m->spec, .state = m->plan.state, .fd = m->helper_ours};
	pid_t helper_pid;
	int r = spawn(&args, &m->c->init.pid, &m->c->init.pidfd, err);

	/* The child's ends closed first: the helper must see their end of file. */
	close_fd(&m->child_end);
	close_fd(&m->helper_child);
	if (r < 0 || m->helper_ours < 0)
		return r;
	helper.state.pid = m->c->init.pid;
	return helper_start(&helper, &helper_pid, err);
}

static int hand_over_filter(struct container *c, const struct oci_spec *spec, struct error *err)
{
	int r = syscall_filter_compile(spec->linux_.seccomp, &c->filter_fd, err);

	if (r < 0)
		return r;
	r = sync_send(c->init.sync_fd, SYNC_PROGRAM, 0, c->filter_fd);
	/* One that has failed meanwhile is heard of by container_process_handle(). */
	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		return error_errno(err, -r, "handing over the seccomp filter");
	return 0;
}

/* While the child sets itself up: the program is not started before this is done. */
static int make_filters(struct making *m, struct error *err)
{
	int r = filter_devices(m->c, m->spec, &m->namespaces, err);

	return r == 0 && m->plan.filter_comes ? hand_over_filter(m->c, m->spec, err) : r;
}

static int make(struct making *m, struct error *err)
{
	int r = oci_spec_validate(m->spec, err);

	if (r == 0)
		r = container_keep(m->c, m->spec, err);
	if (r == 0)
		r = namespace_plan_init(&m->namespaces, &m->spec->linux_, err);
	if (r == 0)
		r = check_spec(m->o, m->spec, &m->namespaces, err);
	if (r == 0)
		r = find_rootfs(m->o, m->spec, &m->rootfs, err);
	if (r < 0)
		return r;
	m->c->private_user = m->namespaces.private_user;
	m->c->private_pid = m->namespaces.create & CLONE_NEWPID;
	r = find_shared_root(m, err);
	if (r == 0)
		r = make_cgroup(m->c, m->o, m->spec, err);
	if (r == 0)
		r = delegate_cgroup(m->c, m->spec, &m->namespaces, err);
	if (r == 0 && !m->o->caller_waits)
		r = filter_devices(m->c, m->spec, &m->namespaces, err);
	if (r == 0)
		r = make_channels(m, err);
	if (r < 0)
		return r;
	fill_plan(m);
	r = spawn_first(m, err);
	return r == 0 && m->o->caller_waits ? make_filters(m, err) : r;
}

/* Nothing stays behind: the process, its cgroup, the socket. */
static void unmake(struct container *c)
{
	if (c->init.pid > 0) {
		kill(c->init.pid, SIGKILL);
		while (waitpid(c->init.pid, NULL, 0) < 0 && errno == EINTR)
			;
		c->init.exited = true;
	}
	/* Killing takes descriptors; there is nobody left to kill. */
	if (container_destroy(c, NULL) < 0 && c->cgroup.fd >= 0)
		cgroup_remove(&c->cgroup, NULL);
	container_free(c);
}

int container_create(const struct container_opts *opts, const struct oci_spec *spec,
                     struct container **out, struct error *err)
{
	struct making m = {
	    .c = container_alloc(opts->id, opts->bundle, opts->start_socket),
	    .o = opts,
	    .spec = spec,
	    .child_end = -1,
	    .helper_ours = -1,
	    .helper_child = -1,
	    .plan = {.listen_fd = -1, .proc_fd = -1, .filter_fd = -1, .root_fd = -1}};
	int r;

	if (!m.c)
		return error_set(err, ENOMEM, "container %s: no memory", opts->id);
	for (int i = 0; i < NAMESPACE_TYPES; i++)
		m.namespaces.fds[i] = -1;
	r = make(&m, err);
	making_free(&m);
	if (r < 0) {
		unmake(m.c);
		return r;
	}
	*out = m.c;
	return 0;
}

/* ---- further processes ---- */

/* The group a further process starts in: the container's, or one below it. */
static int open_exec_cgroup(const struct container *c, const char *sub, int *out, struct error *err)
{
	*out = -1;
	if (c->cgroup.fd < 0)
		return 0;
	sub = sub ? sub + strspn(sub, "/") : "";
	*out = fs_openat2(c->cgroup.fd, *sub ? sub : ".",
	                  O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, RESOLVE_BENEATH);
	if (*out < 0 && errno == EXDEV)
		return error_set_kind(err, ERROR_INPUT, EXDEV,
		                      "the cgroup for the process: %s is not a sub cgroup path of "
		                      "container %s",
		                      sub, c->id);
	if (*out < 0)
		return error_errno(err, errno, "opening the cgroup \"%s\" of container %s", sub,
		                   c->id);
	return 0;
}

static int spawn_further(struct container_process *p, struct child_plan *plan, int cgroup_fd,
                         bool only_there, struct error *err)
{
	struct container *c = p->container;
	struct spawn_args args = {.target_pidfd = c->init.pidfd,
	                          .cgroup_fd = cgroup_fd,
	                          .before = child_before,
	                          .run = child_run,
	                          .data = plan};
	_cleanup_close_ int inner = -1;
	int r = namespace_differing(c->init.pid, &args.target_flags, err);

	if (r < 0)
		return error_prefix(err, r, "container %s is not running", c->id);
	plan->private_user = args.target_flags & CLONE_NEWUSER;
	r = spawn(&args, &p->pid, &p->pidfd, err);
	/* A container that manages its own cgroup has its processes further down, and its
	 * first one is where others may be (cgroup-v2.rst, "No Internal Process Constraint"). */
	if (r == -EBUSY && !only_there) {
		error_clear(err);
		r = cgroup_open_of_process(c->init.pid, &inner, err);
		args.cgroup_fd = inner;
		if (r == 0)
			r = spawn(&args, &p->pid, &p->pidfd, err);
	}
	return r;
}

/* With its mount namespace a process gets the container's root. Here it is not the namespace's. */
static int open_root_of(const struct container *c, struct error *err)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/root", c->init.pid);
	fd = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? error_errno(err, errno, "opening the root of container %s", c->id) : fd;
}

static int make_further(struct container_process *p, const struct oci_process *process,
                        const struct container_exec_opts *o, struct error *err)
{
	struct container *c = p->container;
	_cleanup_close_ int theirs = -1, proc = -1, sub = -1, root = -1;
	struct child_plan plan = {.process = process,
	                          .personality = c->personality,
	                          .capabilities = c->capabilities,
	                          .state = {.id = c->id},
	                          .helper_fd = -1,
	                          .listen_fd = -1,
	                          .filter_fd = c->filter_fd,
	                          .root_fd = -1,
	                          .preserve_fds = o->preserve_fds,
	                          .die_with_parent = o->die_with_parent,
	                          .keep_keyring = true,
	                          .keep_groups = c->attached && keeps_groups(&c->annotations)};
	int fds[2], r = oci_process_validate(process, err);

	if (r == 0 && process->capabilities)
		capability_sets_parse(process->capabilities, true, &plan.capabilities);
	if (r == 0)
		r = proc = open_proc(err);
	if (r >= 0)
		r = sync_pair(fds, err);
	if (r < 0)
		return r;
	p->sync_fd = fds[0];
	theirs = fds[1];
	plan.sync_fd = theirs;
	plan.proc_fd = proc;
	memcpy(plan.stdio, o->stdio, sizeof(plan.stdio));
	plan_labels(&plan, c, process);
	if (c->shared_root) {
		r = plan.root_fd = root = open_root_of(c, err);
		if (r < 0)
			return r;
	}
	r = open_exec_cgroup(c, o->cgroup, &sub, err);
	return r < 0 ? r : spawn_further(p, &plan, sub, o->cgroup != NULL, err);
}

int container_exec(struct container *c, const struct oci_process *process,
                   const struct container_exec_opts *opts, struct container_process **out,
                   struct error *err)
{
	enum container_status s = container_status(c);
	struct container_process *p;
	int r;

	if (s != CONTAINER_RUNNING && s != CONTAINER_CREATED)
		return error_set_kind(err, ERROR_INPUT, s == CONTAINER_PAUSED ? EBUSY : ESRCH,
		                      "container %s is %s: nothing can be executed in it", c->id,
		                      container_status_name(s));
	p = malloc(sizeof(*p));
	if (!p)
		return error_set(err, ENOMEM, "container %s: no memory", c->id);
	process_init(p, c);
	p->started = true;
	p->next = c->others;
	c->others = p;
	r = make_further(p, process, opts, err);
	if (r < 0) {
		container_process_free(p);
		return r;
	}
	*out = p;
	return 0;
}
