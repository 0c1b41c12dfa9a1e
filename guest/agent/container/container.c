/* SPDX-License-Identifier: Apache-2.0 */
/* container: the object of a container; making, starting, looking, destroying. */
#include "guest/agent/container/container.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/agent/container/calls.h"
#include "guest/agent/container/device_filter.h"
#include "guest/agent/container/hook.h"
#include "guest/agent/container/internal.h"
#include "guest/agent/container/rootfs.h"
#include "guest/agent/container/start_socket.h"
#include "guest/agent/container/state.h"
#include "guest/agent/container/sync.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

/* ---- the object ---- */

void container_free(struct container *c)
{
	if (!c)
		return;
	while (c->others)
		container_process_free(c->others);
	process_close(&c->init);
	cgroup_close(&c->cgroup);
	close_fd(&c->filter_fd);
	arena_free(&c->kept);
	free(c->id);
	free(c->bundle);
	free(c->start_socket);
	free(c->shared_root);
	free(c);
}

struct container *container_alloc(const char *id, const char *bundle, const char *start_socket)
{
	struct container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->cgroup = (struct cgroup)CGROUP_INIT;
	c->filter_fd = -1;
	process_init(&c->init, c);
	c->id = strdup(id);
	c->bundle = bundle ? strdup(bundle) : NULL;
	c->start_socket = start_socket ? strdup(start_socket) : NULL;
	if (!c->id || (bundle && !c->bundle) || (start_socket && !c->start_socket)) {
		container_free(c);
		return NULL;
	}
	return c;
}

static int keep_hooks(struct arena *a, const struct oci_hooks *from, struct oci_hooks *to)
{
	if (from->n == 0)
		return 0;
	to->v = arena_new_array(a, from->n, struct oci_hook);
	if (!to->v)
		return -ENOMEM;
	for (; to->n < from->n; to->n++) {
		const struct oci_hook *h = &from->v[to->n];
		struct oci_hook *k = &to->v[to->n];

		k->path = arena_strdup(a, h->path);
		k->timeout = h->timeout;
		if (!k->path ||
		    oci_strings_copy(a, &k->args, (const char *const *)h->args.v, h->args.n) < 0 ||
		    oci_strings_copy(a, &k->env, (const char *const *)h->env.v, h->env.n) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int keep_annotations(struct arena *a, const struct oci_map *from, struct oci_map *to)
{
	to->v = arena_new_array(a, from->n, struct oci_pair);
	if (!to->v)
		return -ENOMEM;
	for (; to->n < from->n; to->n++) {
		to->v[to->n].key = arena_strdup(a, from->v[to->n].key);
		to->v[to->n].value = arena_strdup(a, from->v[to->n].value);
	}
	return a->failed ? -ENOMEM : 0;
}

/* What later processes, hooks and the state need; the specification may go then. */
int container_keep(struct container *c, const struct oci_spec *spec, struct error *err)
{
	struct arena *a = &c->kept;
	const struct oci_process *p = spec->process;

	/* About an attached one its maker has warned. */
	capability_sets_parse(p ? p->capabilities : NULL, !c->attached, &c->capabilities);
	c->version = arena_strdup(a, spec->version);
	c->apparmor = arena_strdup(a, p ? p->apparmor_profile : NULL);
	c->selinux = arena_strdup(a, p ? p->selinux_label : NULL);
	if (spec->linux_.personality) {
		c->personality = arena_new(a, struct oci_personality);
		if (c->personality)
			c->personality->domain = arena_strdup(a, spec->linux_.personality->domain);
	}
	if (keep_hooks(a, &spec->hooks[OCI_HOOK_POSTSTART], &c->poststart) < 0 ||
	    keep_hooks(a, &spec->hooks[OCI_HOOK_POSTSTOP], &c->poststop) < 0 ||
	    keep_annotations(a, &spec->annotations, &c->annotations) < 0 || a->failed)
		return error_set(err, ENOMEM, "container %s: no memory", c->id);
	return 0;
}

int container_attach(const struct container_record *rec, const struct oci_spec *spec,
                     struct container **out, struct error *err)
{
	_cleanup_container_ struct container *c =
	    container_alloc(rec->id, rec->bundle, rec->start_socket);
	const struct oci_namespace *pid = oci_spec_namespace(spec, "pid");
	int r;

	if (!c)
		return error_set(err, ENOMEM, "container %s: no memory", rec->id);
	c->attached = true;
	r = container_keep(c, spec, err);
	if (r < 0)
		return r;
	c->init_start_time = rec->init_start_time;
	c->init.pid = rec->init_pid;
	c->init.ready = true;
	c->private_user = oci_spec_namespace(spec, "user") != NULL;
	c->private_pid = pid && str_empty(pid->path);
	c->no_cgroup = !rec->cgroup_path;
	c->shared_root = rec->shared_root ? strdup(rec->shared_root) : NULL;
	c->shared_root_below = rec->shared_root_below;
	if (rec->shared_root && !c->shared_root)
		return error_set(err, ENOMEM, "container %s: no memory", rec->id);
	if (process_start_time(rec->init_pid) == rec->init_start_time)
		c->init.pidfd = call_pidfd_open(rec->init_pid);
	else
		c->init.exited = true;
	if (rec->cgroup_path && cgroup_open(rec->cgroup_path, &c->cgroup, NULL) < 0)
		c->cgroup = (struct cgroup)CGROUP_INIT; /* gone with its last process */
	if (rec->filter_path)
		c->filter_fd = openat(AT_FDCWD, rec->filter_path, O_RDONLY | O_CLOEXEC);
	*out = steal_ptr(&c);
	return 0;
}

/* ---- starting ---- */

int container_keep_created(struct container *c, struct error *err)
{
	int r = c->init.sync_fd < 0 ? 0 : sync_send(c->init.sync_fd, SYNC_KEPT, 0, -1);

	return r < 0 ? error_errno(err, -r, "leaving container %s", c->id) : 0;
}

int container_start(struct container *c, struct error *err)
{
	int r;

	if (container_status(c) != CONTAINER_CREATED)
		return error_set_kind(err, ERROR_INPUT, EBUSY,
		                      "container %s cannot be started: it is %s", c->id,
		                      container_status_name(container_status(c)));
	if (c->init.sync_fd < 0) {
		r = start_socket_connect(c->start_socket, err);
		if (r < 0)
			return error_prefix(err, r, "container %s", c->id);
		c->init.sync_fd = r;
	}
	r = sync_send(c->init.sync_fd, SYNC_START, 0, -1);
	if (r < 0)
		return error_errno(err, -r, "starting container %s", c->id);
	if (c->start_socket)
		unlink(c->start_socket);
	c->init.started = true;
	return 0;
}

/* ---- looking ---- */

const char *container_id(const struct container *c)
{
	return c->id;
}

const char *container_cgroup_path(const struct container *c)
{
	return c->cgroup.path;
}

const char *container_shared_root(const struct container *c, uint64_t *below)
{
	*below = c->shared_root_below;
	return c->shared_root;
}

int container_cgroup_fd(const struct container *c)
{
	return c->cgroup.fd;
}

int container_filter_fd(const struct container *c)
{
	return c->filter_fd;
}

int container_cgroup_events_fd(struct container *c)
{
	return cgroup_events_fd(&c->cgroup);
}

struct container_process *container_init(struct container *c)
{
	return &c->init;
}

/* The start socket goes when the container is started, which a later process sees by it. */
static bool was_started(const struct container *c)
{
	if (c->init.started || !c->attached)
		return c->init.started;
	return !c->start_socket || !fs_exists(c->start_socket);
}

enum container_status container_status(const struct container *c)
{
	if (c->init.exited)
		return CONTAINER_STOPPED;
	if (c->attached && process_start_time(c->init.pid) != c->init_start_time)
		return CONTAINER_STOPPED;
	if (!c->init.ready)
		return CONTAINER_CREATING;
	if (c->cgroup.fd >= 0 && cgroup_is_frozen(&c->cgroup) == 1)
		return CONTAINER_PAUSED;
	return was_started(c) ? CONTAINER_RUNNING : CONTAINER_CREATED;
}

const char *container_status_name(enum container_status s)
{
	static const char *const names[] = {
	    [CONTAINER_CREATING] = "creating", [CONTAINER_CREATED] = "created",
	    [CONTAINER_RUNNING] = "running",   [CONTAINER_PAUSED] = "paused",
	    [CONTAINER_STOPPED] = "stopped",
	};

	return names[s];
}

int container_pids(const struct container *c, pid_t **pids, size_t *n, struct error *err)
{
	*n = 0;
	if (c->cgroup.fd >= 0)
		return cgroup_pids(&c->cgroup, pids, n, err);
	*pids = malloc(sizeof(**pids));
	if (!*pids)
		return error_set(err, ENOMEM, "container %s: no memory", c->id);
	if (!c->init.exited)
		(*pids)[(*n)++] = c->init.pid;
	return 0;
}

static struct state state_of(const struct container *c)
{
	enum container_status s = container_status(c);

	return (struct state){.version = c->version,
	                      .id = c->id,
	                      .status = container_status_name(s),
	                      .pid = s == CONTAINER_STOPPED ? 0 : c->init.pid,
	                      .bundle = c->bundle,
	                      .annotations = &c->annotations};
}

char *container_state_json(const struct container *c)
{
	struct buffer out = BUFFER_INIT;
	struct state s = state_of(c);

	state_write(&s, &out);
	return buffer_steal(&out);
}

/* ---- acting ---- */

static int need_cgroup(const struct container *c, const char *what, struct error *err)
{
	if (c->cgroup.fd >= 0)
		return 0;
	return error_set_kind(err, ERROR_ENVIRONMENT, ENOTSUP,
	                      "%s container %s: it has no cgroup of its own", what, c->id);
}

int container_signal_all(struct container *c, int signo, struct error *err)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;
	int r;

	if (c->cgroup.fd < 0)
		return container_process_signal(&c->init, signo, err);
	if (signo == SIGKILL)
		return cgroup_kill(&c->cgroup, err);
	r = cgroup_pids(&c->cgroup, &pids, &n, err);
	for (size_t i = 0; i < n; i++)
		kill(pids[i], signo);
	return r;
}

int container_pause(struct container *c, struct error *err)
{
	int r = need_cgroup(c, "pausing", err);

	return r < 0 ? r : cgroup_freeze(&c->cgroup, true, err);
}

int container_resume(struct container *c, struct error *err)
{
	int r = need_cgroup(c, "resuming", err);

	return r < 0 ? r : cgroup_freeze(&c->cgroup, false, err);
}

int container_update(struct container *c, const struct oci_resources *res, struct error *err)
{
	struct device_filter filter = {0};
	int r = need_cgroup(c, "updating", err);

	if (r == 0)
		r = cgroup_apply(&c->cgroup, res, err);
	if (r < 0 || res->n_devices == 0)
		return r;
	r = device_filter_build(res, NULL, 0, &filter, err);
	if (r == 0)
		r = device_filter_attach(&filter, c->cgroup.fd, err);
	device_filter_free(&filter);
	return r;
}

/* Each hook on its own: a failing one is told and the others still run. */
static void __attribute__((noreturn))
hook_runner(const struct oci_hooks *hooks, const char *point, const struct state *state)
{
	int status = 0;

	for (size_t i = 0; i < hooks->n; i++) {
		const struct oci_hooks one = {1, &hooks->v[i]};
		struct error err = ERROR_INIT;

		if (hooks_run(&one, point, state, &err) < 0) {
			log_warn("container %s: %s", state->id, err.text);
			status = 1;
		}
	}
	_exit(status);
}

int container_run_hooks(struct container *c, enum oci_hook_point point, pid_t *runner,
                        struct error *err)
{
	const struct oci_hooks *hooks = point == OCI_HOOK_POSTSTART ? &c->poststart : &c->poststop;
	struct state s = state_of(c);

	*runner = 0;
	if (hooks->n == 0)
		return 0;
	if (point == OCI_HOOK_POSTSTOP) {
		s.status = "stopped";
		s.pid = 0;
	}
	*runner = fork();
	if (*runner < 0)
		return error_errno(err, errno, "running the hooks of container %s", c->id);
	if (*runner == 0)
		hook_runner(hooks, oci_hook_point_name(point), &s);
	return 0;
}

/* ---- the end ---- */

/* Without a cgroup the pid namespace's first process takes all others with it. */
static int destroy_without_cgroup(struct container *c, struct error *err)
{
	int r;

	if (c->init.pid <= 0 || c->init.exited || container_status(c) == CONTAINER_STOPPED)
		return 0;
	r = container_process_signal(&c->init, SIGKILL, err);
	return r < 0 ? r : process_start_time(c->init.pid) != 0;
}

static int destroy_with_cgroup(struct container *c, struct error *err)
{
	int r;

	/* The usual case: nobody is left. */
	if (c->init.exited && cgroup_remove(&c->cgroup, NULL) == 0) {
		cgroup_close(&c->cgroup);
		return 0;
	}
	r = cgroup_kill(&c->cgroup, err);
	if (r < 0)
		return r;
	/* A frozen group dies all the same (cgroup-v2.rst, cgroup.kill), but only once thawed on
	 * kernels without that file. */
	if (cgroup_is_frozen(&c->cgroup) == 1)
		(void)cgroup_freeze(&c->cgroup, false, NULL);
	r = cgroup_remove(&c->cgroup, err);
	if (r == 0)
		cgroup_close(&c->cgroup);
	return r;
}

int container_destroy(struct container *c, struct error *err)
{
	int r;

	if (c->start_socket)
		unlink(c->start_socket);
	r = c->cgroup.fd < 0 ? destroy_without_cgroup(c, err) : destroy_with_cgroup(c, err);
	if (r != 0 || !c->shared_root)
		return r;
	return rootfs_detach(c->shared_root, c->shared_root_below, err);
}
