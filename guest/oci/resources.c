/* SPDX-License-Identifier: Apache-2.0 */
/* resources: the verbs pause, resume, update. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/oci/runtime.h"
#include "guest/oci/store.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"

#define PAUSE_TIMEOUT_MS 30000

/* ---- pause, resume ---- */

static int wait_for_status(struct container *c, bool paused, struct error *err)
{
	uint64_t deadline = loop_now_ms() + PAUSE_TIMEOUT_MS;

	while ((container_status(c) == CONTAINER_PAUSED) != paused) {
		if (loop_now_ms() > deadline)
			return error_set(err, ETIMEDOUT, "container %s does not get %s",
			                 container_id(c), paused ? "paused" : "resumed");
		usleep(1000);
	}
	return 0;
}

static int freeze(const char *id, bool pause, struct error *err)
{
	_cleanup_container_ struct container *c = NULL;
	int r = store_attach(id, false, &c, NULL, err);
	enum container_status s;

	if (r < 0)
		return r;
	s = container_status(c);
	if (pause ? s != CONTAINER_RUNNING && s != CONTAINER_CREATED : s != CONTAINER_PAUSED)
		return error_set_kind(err, ERROR_INPUT, EBUSY,
		                      "container %s cannot be %s: it is %s", id,
		                      pause ? "paused" : "resumed", container_status_name(s));
	r = pause ? container_pause(c, err) : container_resume(c, err);
	return r < 0 ? r : wait_for_status(c, pause, err);
}

static int pause_main(int argc, char **argv, void *data)
{
	struct error err = ERROR_INIT;

	return freeze(argv[0], true, &err) < 0 ? runtime_fail(&err) : 0;
}

static int resume_main(int argc, char **argv, void *data)
{
	struct error err = ERROR_INIT;

	return freeze(argv[0], false, &err) < 0 ? runtime_fail(&err) : 0;
}

const struct verb pause_verb = {
    .name = "pause",
    .args = "ID",
    .summary = "stop all processes of a container for a while",
    .min_args = 1,
    .max_args = 1,
    .run = pause_main,
};

const struct verb resume_verb = {
    .name = "resume",
    .args = "ID",
    .summary = "let a paused container go on",
    .min_args = 1,
    .max_args = 1,
    .run = resume_main,
};

/* ---- update ---- */

struct update_data {
	const char *file;
	const char *memory, *memory_swap, *memory_reservation;
	const char *cpu_share, *cpu_quota, *cpu_period, *cpu_burst, *cpu_idle;
	const char *cpus, *mems;
	const char *pids, *blkio_weight;
	const char *rt_period, *rt_runtime;
	const char *kernel, *kernel_tcp; /* not looked at, as in runc */
};

#define AT(member) offsetof(struct update_data, member)
static const struct option update_options[] = {
    {"resources", 'r', OPTION_STRING, AT(file), "FILE", NULL,
     "linux.resources as JSON; \"-\" is stdin. The options below come on top"},
    {"memory", 0, OPTION_STRING, AT(memory), "BYTES", NULL, "memory limit"},
    {"memory-swap", 0, OPTION_STRING, AT(memory_swap), "BYTES", NULL,
     "limit of memory and swap together, -1: none"},
    {"memory-reservation", 0, OPTION_STRING, AT(memory_reservation), "BYTES", NULL,
     "what is not taken away under pressure"},
    {"cpu-share", 0, OPTION_STRING, AT(cpu_share), "N", NULL, "relative weight, 1024 is usual"},
    {"cpu-quota", 0, OPTION_STRING, AT(cpu_quota), "US", NULL, "microseconds a period"},
    {"cpu-period", 0, OPTION_STRING, AT(cpu_period), "US", NULL, "length of a period"},
    {"cpu-burst", 0, OPTION_STRING, AT(cpu_burst), "US", NULL, "what may be saved up"},
    {"cpu-idle", 0, OPTION_STRING, AT(cpu_idle), "0|1", NULL, "only what nobody else wants"},
    {"cpu-rt-period", 0, OPTION_STRING, AT(rt_period), "US", NULL,
     "an error: version 2 of control groups has no such limit"},
    {"cpu-rt-runtime", 0, OPTION_STRING, AT(rt_runtime), "US", NULL, "likewise"},
    {"cpuset-cpus", 0, OPTION_STRING, AT(cpus), "LIST", NULL, "processors"},
    {"cpuset-mems", 0, OPTION_STRING, AT(mems), "LIST", NULL, "memory nodes"},
    {"pids-limit", 0, OPTION_STRING, AT(pids), "N", NULL, "most processes, -1: no limit"},
    {"blkio-weight", 0, OPTION_STRING, AT(blkio_weight), "N", NULL, "I/O weight, 10 to 1000"},
    {"kernel-memory", 0, OPTION_STRING, AT(kernel), "BYTES", NULL, "changes nothing"},
    {"kernel-memory-tcp", 0, OPTION_STRING, AT(kernel_tcp), "BYTES", NULL, "changes nothing"},
    {0}};

static int read_resources(const char *file, struct oci_spec **out, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int r;

	if (!file) {
		buffer_str(&text, "{}");
		r = 0;
	} else if (strcmp(file, "-") == 0) {
		r = fs_read_fd(0, OCI_SPEC_MAX_JSON, &text);
		if (r < 0)
			return error_errno(err, -r, "reading resources from stdin");
	} else {
		r = fs_read_file(AT_FDCWD, file, OCI_SPEC_MAX_JSON, &text, err);
	}
	return r < 0 ? r : oci_spec_parse_resources(buffer_cstr(&text), text.size, out, err);
}

static int number(const char *text, const char *option, bool sizes, int64_t *out, struct error *err)
{
	uint64_t value = 0;

	if (strcmp(text, "-1") == 0) {
		*out = -1;
		return 0;
	}
	if ((sizes ? parse_size(text, &value) : parse_u64(text, &value)) < 0 || value > INT64_MAX)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "--%s: \"%s\" is not a number",
		                      option, text);
	*out = (int64_t)value;
	return 0;
}

/* Options into the structure, by a table of where each goes. */
static int apply_options(const struct update_data *d, struct oci_resources *res, struct error *err)
{
	const struct {
		const char *text, *name;
		bool size;
		struct oci_i64 *i64;
		struct oci_u64 *u64;
	} table[] = {
	    {d->memory, "memory", true, &res->memory.limit, NULL},
	    {d->memory_swap, "memory-swap", true, &res->memory.swap, NULL},
	    {d->memory_reservation, "memory-reservation", true, &res->memory.reservation, NULL},
	    {d->cpu_share, "cpu-share", false, NULL, &res->cpu.shares},
	    {d->cpu_quota, "cpu-quota", false, &res->cpu.quota, NULL},
	    {d->cpu_period, "cpu-period", false, NULL, &res->cpu.period},
	    {d->cpu_burst, "cpu-burst", false, NULL, &res->cpu.burst},
	    {d->cpu_idle, "cpu-idle", false, &res->cpu.idle, NULL},
	    {d->rt_period, "cpu-rt-period", false, NULL, &res->cpu.realtime_period},
	    {d->rt_runtime, "cpu-rt-runtime", false, &res->cpu.realtime_runtime, NULL},
	    {d->pids, "pids-limit", false, &res->pids_limit, NULL},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int64_t value = 0;
		int r;

		if (!table[i].text)
			continue;
		r = number(table[i].text, table[i].name, table[i].size, &value, err);
		if (r < 0)
			return r;
		if (table[i].i64)
			*table[i].i64 = (struct oci_i64){true, value};
		else
			*table[i].u64 = (struct oci_u64){true, value < 0 ? 0 : (uint64_t)value};
	}
	if (d->cpus)
		res->cpu.cpus = d->cpus;
	if (d->mems)
		res->cpu.mems = d->mems;
	return 0;
}

static int apply_weight(const struct update_data *d, struct oci_spec *spec, struct error *err)
{
	struct oci_resources *res = spec->linux_.resources;
	int64_t value = 0;
	int r;

	if (!d->blkio_weight)
		return 0;
	r = number(d->blkio_weight, "blkio-weight", false, &value, err);
	if (r < 0)
		return r;
	if (!res->block_io)
		res->block_io = arena_new(&spec->arena, struct oci_block_io);
	if (!res->block_io)
		return error_set(err, ENOMEM, "no memory");
	res->block_io->weight = (struct oci_u32){true, (uint32_t)value};
	return 0;
}

static int update_main(int argc, char **argv, void *data)
{
	const struct update_data *d = data;
	_cleanup_container_ struct container *c = NULL;
	_cleanup_oci_spec_ struct oci_spec *spec = NULL;
	struct error err = ERROR_INIT;
	int r = read_resources(d->file, &spec, &err);

	if (r == 0)
		r = apply_options(d, spec->linux_.resources, &err);
	if (r == 0)
		r = apply_weight(d, spec, &err);
	if (r == 0)
		r = store_attach(argv[0], false, &c, NULL, &err);
	if (r == 0)
		r = container_update(c, spec->linux_.resources, &err);
	return r < 0 ? runtime_fail(&err) : 0;
}

const struct verb update_verb = {
    .name = "update",
    .args = "ID",
    .summary = "change the resource limits of a container",
    .options = update_options,
    .min_args = 1,
    .max_args = 1,
    .run = update_main,
    .data_size = sizeof(struct update_data),
};
