/* SPDX-License-Identifier: Apache-2.0 */
/* guest_calls: what concerns the guest as a machine: details, clock, entropy, CPUs, memory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/agent/rpc/handlers.h"
#include "guest/agent/storage/storage.h"
#include "guest/init/clock.h"
#include "guest/init/entropy.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/version.h"
#include "lib/rpc/proto/agent.pb-c.h"

#define MEMORY_DIR       "/sys/devices/system/memory"
#define CPU_DIR          "/sys/devices/system/cpu"
#define ONLINE_STEP_MS   50u
#define ONLINE_MAX_STEPS 100u

static void answer(struct rpc_call *call, int result, const struct error *err)
{
	if (result < 0)
		rpc_call_fail_error(call, err);
	else
		rpc_call_reply(call, NULL);
}

/* ---- details */

static uint64_t memory_block_size(void)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;

	if (fs_read_file(AT_FDCWD, MEMORY_DIR "/block_size_bytes", 64, &text, NULL) < 0)
		return 0;
	return strtoull(buffer_cstr(&text), NULL, 16);
}

static size_t count(const char *const *v)
{
	size_t n = 0;

	while (v[n])
		n++;
	return n;
}

void rpc_get_guest_details(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	static const char *const features[] = {"guest-pull", "kihon-image-defaults", NULL};
	const Grpc__GuestDetailsRequest *req = (const void *)request;
	const struct agent *agent = data;
	Grpc__GuestDetailsResponse m = GRPC__GUEST_DETAILS_RESPONSE__INIT;
	Grpc__AgentDetails details = GRPC__AGENT_DETAILS__INIT;

	details.version = (char *)KIHON_VERSION;
	details.init_daemon = agent->pid1;
	/* Kata's runtime refuses containers with a seccomp profile where this is false. */
	details.supports_seccomp = true;
	details.storage_handlers = (char **)storage_driver_names();
	details.n_storage_handlers = count(storage_driver_names());
	details.extra_features = (char **)features;
	details.n_extra_features = count(features);
	m.agent_details = &details;
	if (req->mem_block_size)
		m.mem_block_size_bytes = memory_block_size();
	if (req->mem_hotplug_probe)
		m.support_mem_hotplug_probe = fs_exists(MEMORY_DIR "/probe");
	rpc_call_reply(call, &m.base);
}

/* ---- clock, entropy */

void rpc_set_guest_date_time(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__SetGuestDateTimeRequest *req = (const void *)request;
	struct error err = ERROR_INIT;

	/* A message without a time is no wish for 1970, when no certificate is valid yet. */
	if (req->sec == 0 && req->usec == 0) {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT,
		              "Sec and Usec are missing: there is no time to set");
		return;
	}
	answer(call, clock_set(req->sec, req->usec, &err), &err);
}

void rpc_reseed_random_dev(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__ReseedRandomDevRequest *req = (const void *)request;
	struct error err = ERROR_INIT;

	answer(
	    call,
	    entropy_reseed(req->data.len ? req->data.data : (const void *)"", req->data.len, &err),
	    &err);
}

/* ---- CPUs and memory */

/* Writes 1 into the `online` file of each PREFIXn that is offline. Returns how many came online;
 * *already counts those that were. A device that refuses stays as it is. */
static unsigned int online_all(const char *dir, const char *prefix, unsigned int *already)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	size_t n = strlen(prefix);
	unsigned int done = 0;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_buffer_ struct buffer state = BUFFER_INIT;
		char path[300];

		if (strncmp(e->d_name, prefix, n) != 0 || e->d_name[n] < '0' || e->d_name[n] > '9')
			continue;
		snprintf(path, sizeof(path), "%s/%s/online", dir, e->d_name);
		if (fs_read_file(AT_FDCWD, path, 16, &state, NULL) < 0 ||
		    buffer_cstr(&state)[0] == '1') {
			(*already)++; /* cpu0 has no such file */
			continue;
		}
		if (fs_write_string(AT_FDCWD, path, "1", NULL) == 0)
			done++;
	}
	return done;
}

struct online_op {
	struct rpc_call *call;
	struct loop_source *timer;
	uint32_t nb_cpus;
	bool cpu_only;
	unsigned int steps, online;
};

static void online_end(struct online_op *op)
{
	loop_source_free(op->timer);
	free(op);
}

static void online_cancelled(void *data)
{
	online_end(data);
}

/* As many as asked for, or all that are there when that was no number of them. */
static bool online_step(struct online_op *op)
{
	unsigned int already = 0, memory = 0;

	op->online = online_all(CPU_DIR, "cpu", &already) + already;
	if (!op->cpu_only)
		online_all(MEMORY_DIR, "memory", &memory);
	return op->online >= op->nb_cpus;
}

static void online_again(struct loop_source *src, void *data)
{
	struct online_op *op = data;

	if (online_step(op)) {
		rpc_call_on_cancel(op->call, NULL, NULL);
		rpc_call_reply(op->call, NULL);
		online_end(op);
	} else if (++op->steps >= ONLINE_MAX_STEPS) {
		rpc_call_on_cancel(op->call, NULL, NULL);
		rpc_call_fail(op->call, RPC_DEADLINE_EXCEEDED, "only %u of %u CPUs are online",
		              op->online, op->nb_cpus);
		online_end(op);
	} else {
		loop_set_timer(op->timer, ONLINE_STEP_MS);
	}
}

void rpc_online_cpu_mem(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__OnlineCPUMemRequest *req = (const void *)request;
	struct agent *agent = data;
	struct online_op *op = calloc(1, sizeof(*op));
	struct error err = ERROR_INIT;
	int r;

	if (!op) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	op->call = call;
	op->nb_cpus = req->nb_cpus;
	op->cpu_only = req->cpu_only;
	if (online_step(op) || !req->wait) {
		free(op);
		rpc_call_reply(call, NULL);
		return;
	}
	r = loop_add_timer(agent->loop, ONLINE_STEP_MS, online_again, op, &op->timer, &err);
	if (r < 0) {
		free(op);
		rpc_call_fail_error(call, &err);
		return;
	}
	rpc_call_on_cancel(call, online_cancelled, op);
}

void rpc_mem_hotplug_by_probe(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__MemHotplugByProbeRequest *req = (const void *)request;
	struct error err = ERROR_INIT;
	int r = 0;

	for (size_t i = 0; i < req->n_memhotplugprobeaddr && r == 0; i++) {
		char text[32];

		snprintf(text, sizeof(text), "0x%llX",
		         (unsigned long long)req->memhotplugprobeaddr[i]);
		r = fs_write_string(AT_FDCWD, MEMORY_DIR "/probe", text, &err);
	}
	answer(call, r, &err);
}
