/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_create: CreateContainer, one step after the other: devices appear, storages are
 * mounted, the specification is adapted, the engine makes the container and holds its init
 * before the program. Whatever fails, everything before it is undone before the answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/agent/image/image_root.h"
#include "guest/agent/image/pause.h"
#include "guest/agent/rpc/container_devices.h"
#include "guest/agent/rpc/container_spec.h"
#include "guest/agent/rpc/handlers.h"
#include "guest/agent/rpc/shared_mounts.h"
#include "guest/agent/rpc/spec_from_proto.h"
#include "guest/agent/sandbox_container.h"
#include "guest/agent/storage/storage.h"
#include "guest/agent/storage/storage_options.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

#define UNDO_MS 5000u

struct create_op {
	struct sandbox *sandbox;
	struct sandbox_container *c;
	struct arena arena; /* the request is in it */
	const Grpc__CreateContainerRequest *req;
	struct rpc_call *call; /* NULL: cancelled */
	bool cancelled;
	struct oci_spec *spec;
	struct loop_source *step;
	bool had_devices;
	struct storage_list storages;
	struct storage_job *job;
	struct error failure; /* kept while everything is undone */
};

static void op_free(struct create_op *op)
{
	loop_source_free(op->step);
	oci_spec_free(op->spec);
	arena_free(&op->arena);
	free(op);
}

/* ---- failing */

static void undone(int result, const struct error *err, void *data)
{
	struct create_op *op = data;

	if (op->call)
		rpc_call_fail_error(op->call, &op->failure);
	op_free(op);
}

static void op_fail(struct create_op *op, const struct error *err)
{
	struct error ignored = ERROR_INIT;

	op->failure = *err;
	log_warn("container %s: %s", op->req->container_id, err->text);
	op->c->cancel = NULL;
	/* Where undoing has to wait for room, the answer does not. */
	if (sandbox_container_remove(op->c, UNDO_MS, undone, op, &ignored) < 0 &&
	    sandbox_container_remove(op->c, 0, undone, op, &ignored) < 0) {
		log_error("container %s: not removed: %s", op->req->container_id, ignored.text);
		undone(0, NULL, op);
	}
}

/* The caller is gone, or the sandbox ends: the step that runs is let to its end, but no device is
 * waited for. */
static void op_cancel(void *data)
{
	struct create_op *op = data;

	op->cancelled = true;
	storage_cancel(op->job);
	container_devices_cancel(op->c);
}

static void call_cancelled(void *data)
{
	struct create_op *op = data;

	op->call = NULL;
	op_cancel(op);
}

/* ---- the engine */

static void keep_pid_namespace(struct create_op *op)
{
	char path[64];

	if (op->sandbox->pidns_fd >= 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/ns/pid",
	         (int)container_process_pid(container_init(op->c->engine)));
	op->sandbox->pidns_fd = open(path, O_RDONLY | O_CLOEXEC);
}

static void finished(int result, const struct error *err, void *data)
{
	struct create_op *op = data;
	struct error failure = *err;

	if (result == 0 && op->cancelled)
		result = error_set(&failure, ECANCELED, "cancelled");
	if (result < 0) {
		op_fail(op, &failure);
		return;
	}
	keep_pid_namespace(op);
	op->c->state = SANDBOX_CONTAINER_CREATED;
	op->c->cancel = NULL;
	rpc_call_reply(op->call, NULL);
	op_free(op);
}

static void created(int result, const struct error *err, void *data)
{
	struct create_op *op = data;
	struct error failure = *err;

	if (result == 0)
		result = shared_mounts_add(op->c, op->req, finished, op, &failure);
	if (result != 0)
		finished(result < 0 ? result : 0, &failure, op);
}

/* What hooks find in the bundle, as with Kata: the container as it is made. */
static int write_config(const struct create_op *op, const char *bundle, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/config.json", bundle);
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int r =
	    path ? oci_spec_format(op->spec, &text, err) : error_set(err, ENOMEM, "out of memory");

	return r < 0 ? r : fs_write_file_atomic(path, text.data, text.size, 0600, err);
}

static int make_engine(struct create_op *op, struct error *err)
{
	_cleanup_process_stdio_ struct process_stdio io = PROCESS_STDIO_INIT;
	_cleanup_free_ char *bundle = str_printf(SANDBOX_ROOT "/%s", op->c->id);
	bool terminal = op->spec->process->terminal;
	/* The network, and so net.* parameters, are the whole machine's. */
	struct container_opts opts = {
	    .id = op->c->id, .bundle = bundle, .allow_global_sysctls = true};
	const uint32_t ports[3] = {op->req->stdin_port, op->req->stdout_port, op->req->stderr_port};
	struct sandbox_process *init;
	int r;

	if (!bundle)
		return error_set(err, ENOMEM, "out of memory");
	r = fs_mkdir_p(bundle, 0755, err);
	if (r == 0)
		r = write_config(op, bundle, err);
	if (r == 0)
		r = process_stdio_open(&io, op->sandbox, terminal, ports, err);
	if (r < 0)
		return r;
	memcpy(opts.stdio, io.child, sizeof(opts.stdio));
	r = container_create(&opts, op->spec, &op->c->engine, err);
	if (r < 0)
		return r;
	return sandbox_process_new(op->c, op->c->id, true, terminal, container_init(op->c->engine),
	                           &io, created, op, &init, err);
}

/* ---- the specification */

static const struct image_root *find_image(const struct sandbox_container *c)
{
	for (const struct container_storage *h = c->storages; h; h = h->next)
		if (h->storage->image)
			return h->storage->image;
	return NULL;
}

static int keep(const char *text, char **out, struct error *err)
{
	*out = text ? strdup(text) : NULL;
	return text && !*out ? error_set(err, ENOMEM, "out of memory for a container") : 0;
}

static int adapt_spec(struct create_op *op, struct error *err)
{
	const struct image_root *image = find_image(op->c);
	const char *defaults = oci_map_get(&op->spec->annotations, ANNOTATION_IMAGE_DEFAULTS);
	int r = pause_process(op->spec, op->req->storages, op->req->n_storages, PAUSE_BUNDLE, err);

	if (r == 1 && image && defaults && strcmp(defaults, "true") == 0)
		r = container_spec_image_defaults(op->spec, &image->info, err);
	if (r >= 0)
		r = container_spec_namespaces(op->spec, op->sandbox, op->req->sandbox_pidns, err);
	if (r == 0 && op->sandbox->hook_path)
		r = container_spec_guest_hooks(op->spec, op->sandbox->hook_path, err);
	if (r == 0)
		r = keep(container_spec_termination_log(op->spec), &op->c->termination_log, err);
	if (r == 0)
		r = keep(shared_mounts_name(op->spec), &op->c->name, err);
	return r;
}

/* ---- storages and devices, then the rest */

static void next_step(struct create_op *op);

static void storage_added(int result, struct storage *storage, const struct error *err, void *data)
{
	struct create_op *op = data;
	struct error failure = *err;

	op->job = NULL;
	if (result == 0) {
		result = sandbox_container_hold(op->c, storage, &failure);
		if (result < 0)
			storage_drop(op->sandbox, storage, NULL, NULL);
	}
	if (result < 0)
		op_fail(op, &failure);
	else
		next_step(op);
}

static void devices_added(int result, const struct error *err, void *data)
{
	struct create_op *op = data;

	if (result < 0)
		op_fail(op, err);
	else
		next_step(op);
}

/* 1: there is nothing to wait for. */
static int add_devices(struct create_op *op, struct error *err)
{
	op->had_devices = true;
	return container_devices_add(op->c, op->req->devices, op->req->n_devices, op->spec,
	                             devices_added, op, err);
}

static void next_step(struct create_op *op)
{
	struct error err = ERROR_INIT;
	int r = op->cancelled     ? error_set(&err, ECANCELED, "cancelled")
	        : op->had_devices ? 1
	                          : add_devices(op, &err);

	if (r > 0 && storage_list_more(&op->storages)) {
		r = storage_add(op->sandbox, &op->storages, op->c->id, storage_added, op, &op->job,
		                &err);
	} else if (r > 0) {
		r = adapt_spec(op, &err);
		if (r == 0)
			r = make_engine(op, &err);
	}
	if (r < 0)
		op_fail(op, &err);
}

static void first_step(struct loop_source *src, void *data)
{
	struct create_op *op = data;

	loop_source_free(op->step);
	op->step = NULL;
	next_step(op);
}

static int check_request(const struct agent *agent, struct error *err)
{
	if (!agent->sandbox.created)
		return error_set(err, EBUSY, "there is no sandbox yet: CreateSandbox comes first");
	return 0;
}

void rpc_create_container(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__CreateContainerRequest *req = (const void *)request;
	struct agent *agent = data;
	struct error err = ERROR_INIT;
	struct sandbox_container *c = NULL;
	struct create_op *op = calloc(1, sizeof(*op));
	int r = op ? check_request(agent, &err) : error_set(&err, ENOMEM, "out of memory");

	if (r == 0)
		r = storage_options_split(req->storages, req->n_storages, rpc_call_arena(call),
		                          &err);
	if (r == 0)
		r = spec_from_proto(req->oci, &op->spec, &err);
	if (r == 0)
		r = loop_add_timer(agent->loop, 0, first_step, op, &op->step, &err);
	if (r == 0)
		r = sandbox_container_new(&agent->sandbox, req->container_id, &c, &err);
	if (r < 0) {
		if (op)
			op_free(op);
		rpc_call_fail_error(call, &err);
		return;
	}
	op->sandbox = &agent->sandbox;
	op->c = c;
	op->arena = rpc_call_take_arena(call);
	op->req = req;
	op->storages = (struct storage_list){req->storages, req->n_storages, 0, false};
	op->call = call;
	c->cancel = op_cancel;
	c->cancel_data = op;
	rpc_call_on_cancel(call, call_cancelled, op);
}
