/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox_calls: the sandbox's beginning and end, its mounts, its OOM events. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "guest/agent/container/mountinfo.h"
#include "guest/agent/image/image_root.h"
#include "guest/agent/image/initdata_device.h"
#include "guest/agent/rpc/answer_by_helper.h"
#include "guest/agent/rpc/handlers.h"
#include "guest/agent/sandbox_container.h"
#include "guest/agent/storage/storage.h"
#include "guest/agent/storage/storage_options.h"
#include "lib/base/fs.h"
#include "lib/base/helper.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/image/initdata.h"
#include "lib/rpc/proto/agent.pb-c.h"

#define SETUP_MS   30000u
#define DESTROY_MS 30000u
#define STALE_MS   30000u
#define FLUSH_MS   5000u

/* ---- CreateSandbox */

struct create_op {
	struct agent *agent;
	struct arena arena; /* the request is in it */
	const Grpc__CreateSandboxRequest *req;
	struct rpc_call *call; /* NULL: cancelled */
	struct sandbox_setup setup;
	struct storage_list storages;
	struct storage_job *job;
	struct error failure;
};

static void create_free(struct create_op *op)
{
	op->agent->sandbox.creating = false;
	arena_free(&op->arena);
	free(op);
}

static void create_undone(void *data)
{
	struct create_op *op = data;
	struct storage *st;

	while ((st = op->agent->sandbox.storages)) {
		st->refs = 1;
		st->shared = false;
		if (storage_drop(&op->agent->sandbox, st, create_undone, op))
			return;
	}
	if (op->call)
		rpc_call_fail_error(op->call, &op->failure);
	create_free(op);
}

static void create_fail(struct create_op *op, const struct error *err)
{
	op->failure = *err;
	log_error("the sandbox cannot be made: %s", err->text);
	create_undone(op);
}

static void create_cancelled(void *data)
{
	struct create_op *op = data;

	op->call = NULL;
	storage_cancel(op->job);
}

static void create_next(struct create_op *op);

static void create_storage_added(int result, struct storage *storage, const struct error *err,
                                 void *data)
{
	struct create_op *op = data;

	op->job = NULL;
	if (result < 0) {
		create_fail(op, err);
		return;
	}
	storage->shared = true; /* the sandbox's own go with the sandbox */
	create_next(op);
}

static void create_next(struct create_op *op)
{
	struct sandbox *s = &op->agent->sandbox;
	struct error err = ERROR_INIT;
	int r = 0;

	if (!op->call) {
		error_set(&err, ECANCELED, "cancelled");
		create_fail(op, &err);
		return;
	}
	if (storage_list_more(&op->storages)) {
		r = storage_add(s, &op->storages, "", create_storage_added, op, &op->job, &err);
		if (r < 0)
			create_fail(op, &err);
		return;
	}
	s->created = true;
	snprintf(s->id, sizeof(s->id), "%s", op->req->sandbox_id);
	log_set_sandbox(s->id);
	if (*op->req->guest_hook_path)
		s->hook_path = strdup(op->req->guest_hook_path);
	rpc_call_reply(op->call, NULL);
	create_free(op);
}

/* ---- init-data that comes with the sandbox: a clone's, which could not be there at boot */

static bool wants_init_data(const Grpc__CreateSandboxRequest *req)
{
	return req->n_storages > 0 && strcmp(req->storages[0]->driver, INITDATA_DRIVER) == 0;
}

/* Who may ask for anything gains nothing by it; where a policy holds, or init-data was there at
 * boot, the host has said who the guest is, and is not asked again. */
static int check_init_data(const struct agent *agent, struct error *err)
{
	if (!agent->pid1)
		return error_set(err, ENOTSUP, "init-data: this agent has no guest of its own");
	if (agent->policy)
		return error_set(err, EPERM,
		                 "init-data: a policy is in force, it can only come at boot");
	if (fs_exists(IMAGE_CONFIG_DIR "/initdata.toml"))
		return error_set(err, EEXIST, "init-data: there is some already");
	return 0;
}

/* What it allows holds for the call that brought it, too. */
static void create_init_data_loaded(int result, const struct error *err, void *data)
{
	struct create_op *op = data;
	struct error e = *err;
	int r = result;

	if (r == 0) {
		agent_load_policy(op->agent);
		r = policy_check(op->agent->policy, grpc__agent_service__descriptor.name,
		                 &op->req->base, &e);
	}
	if (r < 0)
		create_fail(op, &e);
	else
		create_next(op);
}

static int create_load_init_data(struct create_op *op, struct error *err)
{
	int r = check_init_data(op->agent, err);

	op->storages.next = 1;
	return r < 0 ? r
	             : initdata_load_plugged(&op->agent->sandbox, create_init_data_loaded, op, err);
}

static int setup_helper(void *data, void *out, struct error *err)
{
	return sandbox_setup_run(&((struct create_op *)data)->setup, err);
}

static void create_set_up(int result, const void *out, const struct error *err, void *data)
{
	struct create_op *op = data;
	struct error e = ERROR_INIT;

	if (result < 0) {
		create_fail(op, err);
		return;
	}
	op->agent->sandbox.has_namespaces = true;
	if (!wants_init_data(op->req))
		create_next(op);
	else if (create_load_init_data(op, &e) < 0)
		create_fail(op, &e);
}

/* "/sbin/modprobe" "-v" NAME PARAMETER... NULL, for each module, one vector after the other. */
static int list_modules(struct create_op *op, struct error *err)
{
	const Grpc__CreateSandboxRequest *req = op->req;
	size_t n = 1, at = 0;
	const char **v;

	for (size_t i = 0; i < req->n_kernel_modules; i++)
		n += req->kernel_modules[i]->n_parameters + 4;
	v = arena_array(&op->arena, n, sizeof(*v));
	if (!v)
		return error_set(err, ENOMEM, "out of memory for the sandbox");
	for (size_t i = 0; i < req->n_kernel_modules; i++) {
		const Grpc__KernelModule *m = req->kernel_modules[i];

		if (!*m->name || *m->name == '-')
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "\"%s\" is no name of a kernel module", m->name);
		v[at++] = "/sbin/modprobe";
		v[at++] = "-v";
		v[at++] = m->name;
		for (size_t j = 0; j < m->n_parameters; j++)
			v[at++] = m->parameters[j];
		at++;
	}
	op->setup.modprobe = v;
	op->setup.n_modules = req->n_kernel_modules;
	return 0;
}

static int create_check(const struct sandbox *s, const Grpc__CreateSandboxRequest *req,
                        struct error *err)
{
	if (s->created || s->creating)
		return error_set(err, EEXIST, "there is a sandbox already (%s)", s->id);
	if (*req->guest_hook_path && *req->guest_hook_path != '/')
		return error_set_kind(err, ERROR_INPUT, EINVAL, "guest_hook_path is not absolute");
	if (strlen(req->hostname) > 64)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the host name is longer than 64 bytes");
	return *req->sandbox_id
	           ? sandbox_id_check(req->sandbox_id, SANDBOX_ID_MIN, "sandbox id", err)
	           : 0;
}

void rpc_create_sandbox(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__CreateSandboxRequest *req = (const void *)request;
	struct agent *agent = data;
	struct error err = ERROR_INIT;
	struct create_op *op = NULL;
	int r = create_check(&agent->sandbox, req, &err);

	if (r == 0)
		r = storage_options_split(req->storages, req->n_storages, rpc_call_arena(call),
		                          &err);
	if (r == 0) {
		op = calloc(1, sizeof(*op));
		if (!op)
			r = error_set(&err, ENOMEM, "out of memory for the sandbox");
	}
	if (r < 0) {
		rpc_call_fail_error(call, &err);
		return;
	}
	op->agent = agent;
	op->arena = rpc_call_take_arena(call);
	op->req = req;
	op->storages = (struct storage_list){req->storages, req->n_storages, 0, false};
	op->call = call;
	op->setup.hostname = req->hostname;
	op->setup.dns = (const char *const *)req->dns;
	op->setup.n_dns = req->n_dns;
	agent->sandbox.creating = true;
	rpc_call_on_cancel(call, create_cancelled, op);
	r = list_modules(op, &err);
	if (r == 0)
		r = helper_run(agent->loop, "making the sandbox", setup_helper, op, SETUP_MS,
		               create_set_up, op, &err);
	if (r < 0)
		create_fail(op, &err);
}

/* ---- DestroySandbox */

struct destroy_op {
	struct agent *agent;
	struct rpc_call *call;
};

static void destroy_cancelled(void *data)
{
	((struct destroy_op *)data)->call = NULL;
}

static void destroyed(void *data)
{
	struct destroy_op *op = data;
	struct agent *agent = op->agent;

	if (op->call)
		rpc_call_reply(op->call, NULL);
	free(op);
	rpc_server_flush(agent->server, FLUSH_MS);
	loop_exit(agent->loop, 0);
}

void rpc_destroy_sandbox(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	struct agent *agent = data;
	struct destroy_op *op = calloc(1, sizeof(*op));

	if (!op) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	op->agent = agent;
	op->call = call;
	rpc_call_on_cancel(call, destroy_cancelled, op);
	log_info("the sandbox ends");
	sandbox_destroy(&agent->sandbox, DESTROY_MS, destroyed, op);
}

/* ---- mounts */

static int update_mounts(const ProtobufCMessage *request, void *out, struct error *err)
{
	const Grpc__UpdateEphemeralMountsRequest *req = (const void *)request;
	int r = 0;

	for (size_t i = 0; i < req->n_storages && r == 0; i++)
		r = storage_remount_ephemeral(req->storages[i], err);
	return r;
}

void rpc_update_ephemeral_mounts(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__UpdateEphemeralMountsRequest *req = (const void *)request;
	struct error err = ERROR_INIT;

	if (storage_options_split(req->storages, req->n_storages, rpc_call_arena(call), &err) < 0)
		rpc_call_fail_error(call, &err);
	else
		answer_by_helper(data, call, request, update_mounts, NULL, SANDBOX_MOUNT_MS);
}

/* virtiofsd lets go of a stale inode when somebody looks at it. */
static int stat_mounts(const ProtobufCMessage *request, void *out, struct error *err)
{
	_cleanup_mountinfo_ struct mountinfo m = {0};
	struct mountinfo_entry e;
	int r = mountinfo_open(&m, err);

	while (r == 0 && mountinfo_next(&m, &e)) {
		struct stat st;

		if (str_starts(e.point, SANDBOX_SHARED_DIR "/") && stat(e.point, &st) < 0)
			log_debug("stale mount %s", e.point);
	}
	return r;
}

void rpc_remove_stale_mounts(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	answer_by_helper(data, call, request, stat_mounts, NULL, STALE_MS);
}

/* ---- OOM events */

void rpc_get_oom_event(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	struct sandbox *s = &((struct agent *)data)->sandbox;
	Grpc__OOMEvent m = GRPC__OOMEVENT__INIT;

	if (s->n_oom_events == 0) {
		call_queue_park(&s->oom_waiters, call);
		return;
	}
	m.container_id = s->oom_events[0];
	rpc_call_reply(call, &m.base);
	free(m.container_id);
	s->n_oom_events--;
	memmove(s->oom_events, s->oom_events + 1, s->n_oom_events * sizeof(s->oom_events[0]));
}
