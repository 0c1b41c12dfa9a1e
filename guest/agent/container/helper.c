/* SPDX-License-Identifier: Apache-2.0 */
/* helper: a loop of requests, ended by the other side. */
#include "guest/agent/container/helper.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "guest/agent/container/attributes.h"
#include "guest/agent/container/descriptors.h"
#include "guest/agent/container/hook.h"
#include "guest/agent/container/namespace.h"
#include "guest/agent/container/rootfs.h"
#include "guest/agent/container/sync.h"
#include "lib/base/cleanup.h"
#include "lib/base/process.h"

bool helper_needed(const struct oci_spec *spec, bool new_user_namespace)
{
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (rootfs_mount_maps_ids(&spec->mounts[i]))
			return true;
	return new_user_namespace || spec->hooks[OCI_HOOK_PRESTART].n ||
	       spec->hooks[OCI_HOOK_CREATE_RUNTIME].n;
}

static int map_ids(const struct helper_args *a, struct error *err)
{
	int r = attributes_set_outside(a->state.pid, a->spec->process, err);

	if (r == 0)
		r = attributes_set_rlimits(a->state.pid, a->spec->process, err);
	return r < 0 ? r : namespace_map_ids(a->state.pid, &a->spec->linux_, err);
}

static int run_hooks(const struct helper_args *a, struct error *err)
{
	struct state state = a->state;
	int r;

	/* runtime-spec 1.0 had prestart hooks run by start, and they still expect that word. */
	state.status = "created";
	r = hooks_run(&a->spec->hooks[OCI_HOOK_PRESTART], oci_hook_point_name(OCI_HOOK_PRESTART),
	              &state, err);
	if (r == 0)
		r = hooks_run(&a->spec->hooks[OCI_HOOK_CREATE_RUNTIME],
		              oci_hook_point_name(OCI_HOOK_CREATE_RUNTIME), &a->state, err);
	return r;
}

static int answer(const struct helper_args *a, const struct sync_message *m)
{
	struct error err = ERROR_INIT;
	_cleanup_close_ int source = -1;
	int r;

	switch (m->type) {
	case SYNC_MAP_IDS:
		r = map_ids(a, &err);
		break;
	case SYNC_HOOKS:
		r = run_hooks(a, &err);
		break;
	case SYNC_MOUNT_SOURCE:
		if (m->code < 0 || (size_t)m->code >= a->spec->n_mounts) {
			r = error_set(&err, EPROTO, "asked for mount %d", m->code);
			break;
		}
		source = rootfs_open_source(a->spec, (size_t)m->code, a->state.bundle, &err);
		if (source >= 0)
			return sync_send(a->fd, SYNC_MOUNT_SOURCE, 0, source);
		r = source;
		break;
	default:
		r = error_set(&err, EPROTO, "asked for %u", m->type);
	}
	return r < 0 ? sync_send_error(a->fd, &err) : sync_send(a->fd, SYNC_DONE, 0, -1);
}

static void __attribute__((noreturn)) serve(struct helper_args a)
{
	struct descriptors keep = {0};
	struct sync_message m;
	int passed;

	process_reset_signals();
	descriptors_keep(&keep, &a.fd);
	descriptors_close_others(&keep, 3);
	while (sync_recv(a.fd, &m, &passed, 0) > 0) {
		close_fd(&passed);
		if (answer(&a, &m) < 0)
			break;
	}
	_exit(0);
}

int helper_start(const struct helper_args *args, pid_t *pid, struct error *err)
{
	sigset_t all, old;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	*pid = fork();
	if (*pid == 0)
		serve(*args);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (*pid < 0)
		return error_errno(err, errno, "starting the helper of container %s",
		                   args->state.id);
	return 0;
}

int helper_ask(int fd, int what, struct error *err)
{
	int r = sync_send(fd, (enum sync_type)what, 0, -1);

	if (r < 0)
		return error_errno(err, -r, "asking the runtime's helper");
	return sync_expect(fd, SYNC_DONE, NULL, "the runtime's helper", err);
}
