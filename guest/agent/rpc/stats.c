/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats: StatsContainer, what cgroup v2 (Documentation/admin-guide/cgroup-v2.rst) says of a
 * container, in the words of the protocol, which are version 1's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/agent/rpc/handlers.h"
#include "guest/agent/rpc/stats.h"
#include "guest/agent/rpc/text_file.h"
#include "guest/agent/sandbox_container.h"
#include "lib/base/str.h"
#include "lib/rpc/proto/agent.pb-c.h"

#define NSEC_PER_USEC 1000u

/* ---- CPU and pids */

static int fill_cpu(struct arena *a, int dir, Grpc__CgroupStats *out)
{
	Grpc__CpuStats *cpu = arena_alloc(a, sizeof(*cpu));
	Grpc__CpuUsage *usage = arena_alloc(a, sizeof(*usage));
	Grpc__ThrottlingData *throttling = arena_alloc(a, sizeof(*throttling));
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;

	if (!cpu || !usage || !throttling)
		return -ENOMEM;
	grpc__cpu_stats__init(cpu);
	grpc__cpu_usage__init(usage);
	grpc__throttling_data__init(throttling);
	text_file_read(dir, "cpu.stat", &text);
	usage->total_usage = text_file_value(&text, "usage_usec") * NSEC_PER_USEC;
	usage->usage_in_usermode = text_file_value(&text, "user_usec") * NSEC_PER_USEC;
	usage->usage_in_kernelmode = text_file_value(&text, "system_usec") * NSEC_PER_USEC;
	throttling->periods = text_file_value(&text, "nr_periods");
	throttling->throttled_periods = text_file_value(&text, "nr_throttled");
	throttling->throttled_time = text_file_value(&text, "throttled_usec") * NSEC_PER_USEC;
	cpu->cpu_usage = usage;
	cpu->throttling_data = throttling;
	out->cpu_stats = cpu;
	return 0;
}

static int fill_pids(struct arena *a, int dir, Grpc__CgroupStats *out)
{
	Grpc__PidsStats *pids = arena_alloc(a, sizeof(*pids));

	if (!pids)
		return -ENOMEM;
	grpc__pids_stats__init(pids);
	pids->current = text_file_number(dir, "pids.current");
	pids->limit = text_file_number(dir, "pids.max");
	if (pids->limit == UINT64_MAX)
		pids->limit = 0; /* as the protocol says "no limit" here */
	out->pids_stats = pids;
	return 0;
}

/* ---- memory */

/* Each line of memory.stat is an entry of the map. */
static int fill_memory_map(struct arena *a, const struct buffer *text, Grpc__MemoryStats *out)
{
	const char *p = buffer_cstr(text);
	size_t lines = 0;

	for (const char *q = p; *q; q++)
		lines += *q == '\n';
	out->stats = arena_array(a, lines, sizeof(*out->stats));
	while (out->stats && out->n_stats < lines && *p) {
		Grpc__MemoryStats__StatsEntry *e = arena_alloc(a, sizeof(*e));
		size_t n = strcspn(p, " \n");

		if (!e)
			return -ENOMEM;
		grpc__memory_stats__stats_entry__init(e);
		e->key = arena_strndup(a, p, n);
		e->value = p[n] == ' ' ? strtoull(p + n, NULL, 10) : 0;
		if (!e->key)
			return -ENOMEM;
		out->stats[out->n_stats++] = e;
		p += strcspn(p, "\n");
		p += *p == '\n';
	}
	return out->stats ? 0 : -ENOMEM;
}

static Grpc__MemoryData *memory_data(struct arena *a, uint64_t usage, uint64_t max,
                                     uint64_t failures, uint64_t limit)
{
	Grpc__MemoryData *d = arena_alloc(a, sizeof(*d));

	if (!d)
		return NULL;
	grpc__memory_data__init(d);
	d->usage = usage;
	d->max_usage = max;
	d->failcnt = failures;
	d->limit = limit;
	return d;
}

static int fill_memory(struct arena *a, int dir, Grpc__CgroupStats *out)
{
	Grpc__MemoryStats *m = arena_alloc(a, sizeof(*m));
	_cleanup_buffer_ struct buffer stat = BUFFER_INIT, events = BUFFER_INIT, swap = BUFFER_INIT;

	if (!m)
		return -ENOMEM;
	grpc__memory_stats__init(m);
	text_file_read(dir, "memory.stat", &stat);
	text_file_read(dir, "memory.events", &events);
	text_file_read(dir, "memory.swap.events", &swap);
	m->cache = text_file_value(&stat, "file");
	m->use_hierarchy = true;
	m->usage = memory_data(
	    a, text_file_number(dir, "memory.current"), text_file_number(dir, "memory.peak"),
	    text_file_value(&events, "max"), text_file_number(dir, "memory.max"));
	m->swap_usage =
	    memory_data(a, text_file_number(dir, "memory.swap.current"),
	                text_file_number(dir, "memory.swap.peak"), text_file_value(&swap, "max"),
	                text_file_number(dir, "memory.swap.max"));
	m->kernel_usage = memory_data(a, text_file_value(&stat, "kernel"), 0, 0, UINT64_MAX);
	if (!m->usage || !m->swap_usage || !m->kernel_usage || fill_memory_map(a, &stat, m) < 0)
		return -ENOMEM;
	out->memory_stats = m;
	return 0;
}

/* ---- block devices: "MAJ:MIN rbytes=N wbytes=N rios=N wios=N dbytes=N dios=N" */

struct io_list {
	Grpc__BlkioStatsEntry **v;
	size_t n, room;
};

static int add_io(struct arena *a, struct io_list *list, uint64_t major, uint64_t minor,
                  const char *op, const char *line, const char *key)
{
	const char *at = strstr(line, key);
	Grpc__BlkioStatsEntry *e = arena_alloc(a, sizeof(*e));

	if (!e || list->n >= list->room)
		return -ENOMEM;
	grpc__blkio_stats_entry__init(e);
	e->major = major;
	e->minor = minor;
	e->op = (char *)op;
	e->value = at ? strtoull(at + strlen(key), NULL, 10) : 0;
	list->v[list->n++] = e;
	return 0;
}

static const struct {
	const char *op, *bytes, *count;
} io_ops[] = {
    {"read", " rbytes=", " rios="},
    {"write", " wbytes=", " wios="},
    {"discard", " dbytes=", " dios="},
};
#define N_IO_OPS (sizeof(io_ops) / sizeof(io_ops[0]))

static int add_io_line(struct arena *a, const char *line, struct io_list *bytes,
                       struct io_list *counts)
{
	char *end;
	uint64_t major = strtoull(line, &end, 10), minor;
	int r = 0;

	if (*end != ':')
		return 0;
	minor = strtoull(end + 1, NULL, 10);
	for (size_t i = 0; i < N_IO_OPS && r == 0; i++) {
		r = add_io(a, bytes, major, minor, io_ops[i].op, line, io_ops[i].bytes);
		if (r == 0)
			r = add_io(a, counts, major, minor, io_ops[i].op, line, io_ops[i].count);
	}
	return r;
}

static int fill_io(struct arena *a, int dir, Grpc__CgroupStats *out)
{
	Grpc__BlkioStats *io = arena_alloc(a, sizeof(*io));
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct io_list bytes = {0}, counts = {0};
	size_t lines = 1;
	char *save = NULL, *line;
	int r = 0;

	if (!io)
		return -ENOMEM;
	grpc__blkio_stats__init(io);
	text_file_read(dir, "io.stat", &text);
	for (size_t i = 0; i < text.size; i++)
		lines += text.data[i] == '\n';
	bytes.room = counts.room = lines * N_IO_OPS;
	bytes.v = arena_array(a, bytes.room, sizeof(*bytes.v));
	counts.v = arena_array(a, counts.room, sizeof(*counts.v));
	if (!bytes.v || !counts.v)
		return -ENOMEM;
	line = text.size ? strtok_r((char *)text.data, "\n", &save) : NULL;
	for (; line && r == 0; line = strtok_r(NULL, "\n", &save))
		r = add_io_line(a, line, &bytes, &counts);
	io->io_service_bytes_recursive = bytes.v;
	io->n_io_service_bytes_recursive = bytes.n;
	io->io_serviced_recursive = counts.v;
	io->n_io_serviced_recursive = counts.n;
	out->blkio_stats = io;
	return r;
}

/* ---- huge pages: hugetlb.SIZE.{current,max,events} */

#define MAX_HUGE_SIZES 8u

static int add_huge_size(struct arena *a, int dir, const char *size, Grpc__CgroupStats *out)
{
	Grpc__CgroupStats__HugetlbStatsEntry *e = arena_alloc(a, sizeof(*e));
	Grpc__HugetlbStats *h = arena_alloc(a, sizeof(*h));
	_cleanup_buffer_ struct buffer events = BUFFER_INIT;
	char name[64];

	if (!e || !h)
		return -ENOMEM;
	grpc__cgroup_stats__hugetlb_stats_entry__init(e);
	grpc__hugetlb_stats__init(h);
	snprintf(name, sizeof(name), "hugetlb.%s.current", size);
	h->usage = h->max_usage = text_file_number(dir, name);
	snprintf(name, sizeof(name), "hugetlb.%s.events", size);
	text_file_read(dir, name, &events);
	h->failcnt = text_file_value(&events, "max");
	e->key = arena_strdup(a, size);
	e->value = h;
	out->hugetlb_stats[out->n_hugetlb_stats++] = e;
	return e->key ? 0 : -ENOMEM;
}

static int fill_huge_pages(struct arena *a, const char *path, int dir, Grpc__CgroupStats *out)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	struct dirent *e;
	int r = 0;

	out->hugetlb_stats = arena_array(a, MAX_HUGE_SIZES, sizeof(*out->hugetlb_stats));
	if (!out->hugetlb_stats)
		return -ENOMEM;
	while (d && r == 0 && out->n_hugetlb_stats < MAX_HUGE_SIZES && (e = readdir(d))) {
		char size[32];
		size_t n;

		if (!str_starts(e->d_name, "hugetlb.") || !str_ends(e->d_name, ".current") ||
		    strstr(e->d_name, ".rsvd."))
			continue;
		n = strlen(e->d_name) - strlen("hugetlb.") - strlen(".current");
		if (n == 0 || n >= sizeof(size))
			continue;
		memcpy(size, e->d_name + strlen("hugetlb."), n);
		size[n] = '\0';
		r = add_huge_size(a, dir, size, out);
	}
	return r;
}

/* ---- network: the guest's interfaces are every container's (Kata leaves this empty) */

#define NET_FIELDS 12u

/* "  eth0: RX bytes packets errs drop fifo frame compressed multicast TX bytes packets errs drop"
 */
static Grpc__NetworkStats *parse_interface(struct arena *a, char *line)
{
	char *colon = strchr(line, ':'), *p;
	Grpc__NetworkStats *s = colon ? arena_alloc(a, sizeof(*s)) : NULL;
	uint64_t v[NET_FIELDS];

	if (!s)
		return NULL;
	grpc__network_stats__init(s);
	*colon = '\0';
	while (*line == ' ')
		line++;
	s->name = arena_strdup(a, line);
	p = colon + 1;
	for (size_t i = 0; i < NET_FIELDS; i++)
		v[i] = strtoull(p, &p, 10);
	s->rx_bytes = v[0];
	s->rx_packets = v[1];
	s->rx_errors = v[2];
	s->rx_dropped = v[3];
	s->tx_bytes = v[8];
	s->tx_packets = v[9];
	s->tx_errors = v[10];
	s->tx_dropped = v[11];
	return s->name ? s : NULL;
}

static int fill_network(struct arena *a, Grpc__StatsContainerResponse *out)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	char *save = NULL, *line;
	size_t lines = 1;

	text_file_read(AT_FDCWD, "/proc/self/net/dev", &text);
	for (size_t i = 0; i < text.size; i++)
		lines += text.data[i] == '\n';
	out->network_stats = arena_array(a, lines, sizeof(*out->network_stats));
	if (!out->network_stats)
		return -ENOMEM;
	line = text.size ? strtok_r((char *)text.data, "\n", &save) : NULL;
	for (; line; line = strtok_r(NULL, "\n", &save)) {
		if (!strchr(line, ':'))
			continue; /* the two lines of headings */
		out->network_stats[out->n_network_stats] = parse_interface(a, line);
		if (!out->network_stats[out->n_network_stats])
			return -ENOMEM;
		out->n_network_stats++;
	}
	return 0;
}

int stats_of_cgroup(struct arena *a, int dir, const char *path, Grpc__CgroupStats *out)
{
	int r = fill_cpu(a, dir, out);

	if (r == 0)
		r = fill_pids(a, dir, out);
	if (r == 0)
		r = fill_memory(a, dir, out);
	if (r == 0)
		r = fill_io(a, dir, out);
	if (r == 0 && path)
		r = fill_huge_pages(a, path, dir, out);
	return r;
}

void rpc_stats_container(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__StatsContainerRequest *req = (const void *)request;
	struct agent *agent = data;
	struct arena *a = rpc_call_arena(call);
	Grpc__StatsContainerResponse m = GRPC__STATS_CONTAINER_RESPONSE__INIT;
	Grpc__CgroupStats stats = GRPC__CGROUP_STATS__INIT;
	struct error err = ERROR_INIT;
	struct sandbox_container *c;
	int r;

	if (sandbox_container_find(&agent->sandbox, req->container_id, &c, &err) < 0) {
		rpc_call_fail_error(call, &err);
		return;
	}
	r = stats_of_cgroup(a, container_cgroup_fd(c->engine), container_cgroup_path(c->engine),
	                    &stats);
	if (r == 0)
		r = fill_network(a, &m);
	m.cgroup_stats = &stats;
	if (r < 0)
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
	else
		rpc_call_reply(call, &m.base);
}
