/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_resources: linux.resources, whose words are those of cgroup v1, as writes to
 * cgroup v2 files (config-linux.md "Control groups"; kernel cgroup-v2.rst).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "guest/agent/container/cgroup.h"
#include "guest/agent/container/cgroup_controllers.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

static bool memory_set(const struct oci_memory *m)
{
	return m->limit.value > 0 || m->reservation.value > 0 || m->swap.value > 0;
}

static bool cpu_set_(const struct oci_cpu *c)
{
	return c->shares.value || c->quota.value > 0 || c->burst.value || c->idle.value;
}

static uint32_t unified_needs(const struct oci_map *unified)
{
	uint32_t needed = 0;

	for (size_t i = 0; i < unified->n; i++) {
		size_t n = strcspn(unified->v[i].key, ".");

		for (int k = 0; k < CGROUP_CONTROLLERS; k++)
			if (strlen(cgroup_controller_names[k]) == n &&
			    strncmp(unified->v[i].key, cgroup_controller_names[k], n) == 0)
				needed |= 1u << k;
	}
	return needed;
}

uint32_t cgroup_controllers_needed(const struct oci_resources *r)
{
	uint32_t needed = 0;

	if (!r)
		return 0;
	if (memory_set(&r->memory))
		needed |= 1u << CGROUP_MEMORY;
	if (cpu_set_(&r->cpu))
		needed |= 1u << CGROUP_CPU;
	if (!str_empty(r->cpu.cpus) || !str_empty(r->cpu.mems))
		needed |= 1u << CGROUP_CPUSET;
	if (r->pids_limit.set && r->pids_limit.value > 0)
		needed |= 1u << CGROUP_PIDS;
	if (r->block_io)
		needed |= 1u << CGROUP_IO;
	if (r->n_hugepage_limits)
		needed |= 1u << CGROUP_HUGETLB;
	if (r->n_rdma)
		needed |= 1u << CGROUP_RDMA;
	return needed | unified_needs(&r->unified);
}

static int put(const struct cgroup *c, const char *file, const char *text, struct error *err)
{
	int r = fs_write_string(c->fd, file, text, NULL);

	if (r < 0)
		return error_errno(err, -r, "setting %s of the cgroup to \"%s\"", file, text);
	return 0;
}

/* Limits: -1 and what is larger than any machine say "no limit", which holds where there is
 * no file. */
static int put_limit(const struct cgroup *c, const char *file, int64_t value, struct error *err)
{
	char text[24];

	if (value < 0 || value == INT64_MAX)
		return put(c, file, "max", NULL) == -ENOENT ? 0 : put(c, file, "max", err);
	snprintf(text, sizeof(text), "%" PRId64, value);
	return put(c, file, text, err);
}

/* ---- memory ---- */

/* OCI's swap is memory and swap together, the file is swap alone. */
static int swap_value(const struct oci_memory *m, int64_t *out, struct error *err)
{
	if (m->swap.value <= 0 || m->swap.value == INT64_MAX) {
		*out = m->swap.value == 0 ? 0 : -1;
		return 0;
	}
	if (!m->limit.set || m->limit.value < 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "memory.swap (memory and swap together) is limited and "
		                      "memory.limit is not");
	if (m->swap.value < m->limit.value)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "memory.swap (memory and swap together) is less than "
		                      "memory.limit");
	*out = m->swap.value - m->limit.value;
	return 0;
}

static int check_usage(const struct cgroup *c, const struct oci_memory *m, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	uint64_t now;

	if (!m->check_before_update.value || !m->limit.set || m->limit.value <= 0 ||
	    fs_read_file(c->fd, "memory.current", 64, &text, NULL) < 0)
		return 0;
	if (text.size && text.data[text.size - 1] == '\n')
		text.data[text.size - 1] = 0;
	if (parse_u64(buffer_cstr(&text), &now) == 0 && now > (uint64_t)m->limit.value)
		return error_set_kind(err, ERROR_INPUT, EBUSY,
		                      "the memory limit %" PRId64 " is below the usage %" PRIu64,
		                      m->limit.value, now);
	return 0;
}

static int apply_memory(const struct cgroup *c, const struct oci_memory *m, struct error *err)
{
	int64_t swap = 0;
	int r = check_usage(c, m, err);

	/* Memory without a limit has none together with swap either. */
	if (r == 0 && m->limit.value < 0 && m->swap.value == 0)
		r = put_limit(c, "memory.swap.max", -1, err);
	if (r == 0 && m->swap.set && m->swap.value != 0) {
		r = swap_value(m, &swap, err);
		/* No swap at all is what a kernel without it has anyway. */
		if (r == 0 && (swap != 0 || put(c, "memory.swap.max", "0", NULL) != -ENOENT))
			r = put_limit(c, "memory.swap.max", swap, err);
	}
	if (r == 0 && m->limit.set && m->limit.value != 0)
		r = put_limit(c, "memory.max", m->limit.value, err);
	if (r == 0 && m->reservation.set && m->reservation.value != 0)
		r = put_limit(c, "memory.low", m->reservation.value, err);
	return r;
}

/* ---- cpu ---- */

/* Shares 2..262144 (1024 normal) onto weight 1..10000, linearly as other runtimes do. */
static uint64_t cpu_weight(uint64_t shares)
{
	if (shares < 2)
		shares = 2;
	if (shares > 262144)
		shares = 262144;
	return 1 + (shares - 2) * 9999 / 262142;
}

/* cpu.max takes a period with a quota only: a new period keeps the quota that is there. */
static void read_quota(const struct cgroup *c, char *quota, size_t size)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	size_t n;

	if (fs_read_file(c->fd, "cpu.max", 64, &text, NULL) < 0)
		return;
	n = strcspn(buffer_cstr(&text), " \n");
	if (n > 0 && n < size)
		snprintf(quota, size, "%.*s", (int)n, buffer_cstr(&text));
}

static int apply_cpu_max(const struct cgroup *c, const struct oci_cpu *cpu, struct error *err)
{
	char quota[24] = "max", text[64];
	int r;

	if (!cpu->quota.value && !cpu->period.value)
		return 0;
	if (cpu->quota.value == 0)
		read_quota(c, quota, sizeof(quota));
	if (cpu->quota.value > 0)
		snprintf(quota, sizeof(quota), "%" PRId64, cpu->quota.value);
	if (cpu->period.value)
		snprintf(text, sizeof(text), "%s %" PRIu64, quota, cpu->period.value);
	else
		snprintf(text, sizeof(text), "%s", quota);
	r = put(c, "cpu.max", text, NULL);
	if (r == -ENOENT && cpu->quota.value <= 0)
		return 0;
	return r < 0 ? put(c, "cpu.max", text, err) : 0;
}

static int apply_cpu(const struct cgroup *c, const struct oci_cpu *cpu, struct error *err)
{
	char text[64];
	int r = 0;

	if (cpu->idle.set && cpu->idle.value != 0)
		r = put(c, "cpu.idle", "1", err);
	else if (cpu->idle.set)
		r = put(c, "cpu.idle", "0", NULL) == -ENOENT ? 0 : r;
	if (r == 0 && cpu->shares.value && !cpu->idle.value) {
		snprintf(text, sizeof(text), "%" PRIu64, cpu_weight(cpu->shares.value));
		r = put(c, "cpu.weight", text, err);
	}
	if (r == 0)
		r = apply_cpu_max(c, cpu, err);
	if (r == 0 && cpu->burst.value) {
		snprintf(text, sizeof(text), "%" PRIu64, cpu->burst.value);
		r = put(c, "cpu.max.burst", text, err);
	}
	if (r == 0 && !str_empty(cpu->cpus))
		r = put(c, "cpuset.cpus", cpu->cpus, err);
	if (r == 0 && !str_empty(cpu->mems))
		r = put(c, "cpuset.mems", cpu->mems, err);
	return r;
}

/* ---- io ---- */

/* blkio weight 10..1000 onto io.weight 1..10000; BFQ's own file takes 1..1000 as it is. */
static uint32_t io_weight(uint32_t weight)
{
	if (weight < 10)
		weight = 10;
	if (weight > 1000)
		weight = 1000;
	return 1 + (weight - 10) * 9999 / 990;
}

static int put_weight(const struct cgroup *c, const char *device, uint32_t weight,
                      struct error *err)
{
	char text[64];
	int r;

	snprintf(text, sizeof(text), "%s%u", device, weight);
	r = put(c, "io.bfq.weight", text, NULL);
	if (r != -ENOENT)
		return r < 0 ? put(c, "io.bfq.weight", text, err) : 0;
	snprintf(text, sizeof(text), "%s%u", device, io_weight(weight));
	return put(c, "io.weight", text, err);
}

static int put_throttles(const struct cgroup *c, const struct oci_throttles *t, const char *key,
                         struct error *err)
{
	char text[96];
	int r = 0;

	for (size_t i = 0; i < t->n && r == 0; i++) {
		if (t->v[i].rate)
			snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " %s=%" PRIu64,
			         t->v[i].major, t->v[i].minor, key, t->v[i].rate);
		else
			snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " %s=max",
			         t->v[i].major, t->v[i].minor, key);
		r = put(c, "io.max", text, err);
	}
	return r;
}

static int apply_io(const struct cgroup *c, const struct oci_block_io *io, struct error *err)
{
	char device[48];
	int r = 0;

	if (!io)
		return 0;
	if (io->weight.set && io->weight.value)
		r = put_weight(c, "", io->weight.value, err);
	for (size_t i = 0; i < io->n_weight_devices && r == 0; i++) {
		const struct oci_weight_device *d = &io->weight_devices[i];

		if (!d->weight.set || !d->weight.value)
			continue;
		snprintf(device, sizeof(device), "%" PRId64 ":%" PRId64 " ", d->major, d->minor);
		r = put_weight(c, device, d->weight.value, err);
	}
	if (r == 0)
		r = put_throttles(c, &io->read_bps, "rbps", err);
	if (r == 0)
		r = put_throttles(c, &io->write_bps, "wbps", err);
	if (r == 0)
		r = put_throttles(c, &io->read_iops, "riops", err);
	if (r == 0)
		r = put_throttles(c, &io->write_iops, "wiops", err);
	return r;
}

/* ---- the rest ---- */

static int apply_hugepages(const struct cgroup *c, const struct oci_resources *res,
                           struct error *err)
{
	for (size_t i = 0; i < res->n_hugepage_limits; i++) {
		const struct oci_hugepage_limit *h = &res->hugepage_limits[i];
		char file[64], text[24];
		int r;

		snprintf(text, sizeof(text), "%" PRIu64, h->limit);
		snprintf(file, sizeof(file), "hugetlb.%s.max", h->page_size);
		r = put(c, file, text, err);
		if (r < 0)
			return r;
		snprintf(file, sizeof(file), "hugetlb.%s.rsvd.max", h->page_size);
		r = put(c, file, text, NULL);
		if (r < 0 && r != -ENOENT)
			return put(c, file, text, err);
	}
	return 0;
}

static int apply_rdma(const struct cgroup *c, const struct oci_resources *res, struct error *err)
{
	for (size_t i = 0; i < res->n_rdma; i++) {
		const struct oci_rdma *d = &res->rdma[i];
		char text[160], handles[32] = "", objects[32] = "";
		int r;

		if (d->hca_handles.set)
			snprintf(handles, sizeof(handles), " hca_handle=%u", d->hca_handles.value);
		if (d->hca_objects.set)
			snprintf(objects, sizeof(objects), " hca_object=%u", d->hca_objects.value);
		if ((size_t)snprintf(text, sizeof(text), "%s%s%s", d->device, handles, objects) >=
		    sizeof(text))
			return error_set_kind(err, ERROR_INPUT, EINVAL, "rdma device name \"%s\"",
			                      d->device);
		r = put(c, "rdma.max", text, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The two sentences are those of crun, which scripts know. */
static int check_key(const char *key, struct error *err)
{
	if (!strchr(key, '/') && strchr(key, '.'))
		return 0;
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "unified resource \"%s\" is no file of a cgroup: the specified key "
	                      "has not the form CONTROLLER.VALUE `%s`",
	                      key, key);
}

static int explain_missing(const char *key, struct error *err)
{
	struct oci_pair pair = {.key = (char *)key};
	const struct oci_map one = {.n = 1, .v = &pair};

	if (unified_needs(&one) || str_starts(key, "cgroup."))
		return -ENOENT;
	error_clear(err);
	return error_set_kind(err, ERROR_INPUT, ENOENT,
	                      "unified resource \"%s\": the requested cgroup controller `%.*s` is "
	                      "not available",
	                      key, (int)strcspn(key, "."), key);
}

static int apply_unified(const struct cgroup *c, const struct oci_map *unified, struct error *err)
{
	for (size_t i = 0; i < unified->n; i++) {
		const char *key = unified->v[i].key;
		char *line, *save = NULL, *copy;
		int r;

		r = check_key(key, err);
		if (r < 0)
			return r;
		/* A file takes one line a write: io.max has one a device. */
		copy = strdup(unified->v[i].value);
		if (!copy)
			return error_set(err, ENOMEM, "setting %s: no memory", key);
		for (line = strtok_r(copy, "\n", &save); line && r == 0;
		     line = strtok_r(NULL, "\n", &save))
			r = put(c, key, line, err);
		free(copy);
		if (r == -ENOENT)
			r = explain_missing(key, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_pids(const struct cgroup *c, const struct oci_resources *res, struct error *err)
{
	int64_t limit = res->pids_limit.value;

	if (!res->pids_limit.set)
		return 0;
	return put_limit(c, "pids.max", limit > 0 ? limit : -1, err);
}

/* config.md: values that are not supported are errors. memory.swappiness and memory.kernel are
 * advice that nothing answers to any more. */
static int refuse_version_1(const struct oci_resources *res, struct error *err)
{
	const struct oci_network *net = res->network;
	const struct {
		bool present;
		const char *name;
	} all[] = {
	    {res->cpu.realtime_runtime.value != 0, "cpu.realtimeRuntime"},
	    {res->cpu.realtime_period.value != 0, "cpu.realtimePeriod"},
	    {net && net->class_id.value != 0, "network.classID"},
	    {net && net->n_priorities, "network.priorities"},
	    {res->memory.disable_oom_killer.value, "memory.disableOOMKiller"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].present)
			return error_set_kind(err, ERROR_ENVIRONMENT, ENOTSUP,
			                      "linux.resources: version 2 of control groups has "
			                      "no %s",
			                      all[i].name);
	return 0;
}

int cgroup_apply(const struct cgroup *c, const struct oci_resources *res, struct error *err)
{
	int r;

	if (!res)
		return 0;
	r = refuse_version_1(res, err);
	if (r == 0)
		r = apply_memory(c, &res->memory, err);
	if (r == 0)
		r = apply_cpu(c, &res->cpu, err);
	if (r == 0)
		r = apply_pids(c, res, err);
	if (r == 0)
		r = apply_io(c, res->block_io, err);
	if (r == 0)
		r = apply_hugepages(c, res, err);
	if (r == 0)
		r = apply_rdma(c, res, err);
	if (r == 0)
		r = apply_unified(c, &res->unified, err);
	return r;
}
