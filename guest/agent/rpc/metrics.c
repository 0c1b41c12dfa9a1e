/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics: GetMetrics, the agent and the guest in Prometheus text format 0.0.4, under the
 * names that Kata's monitor knows.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "guest/agent/rpc/handlers.h"
#include "guest/agent/rpc/text_file.h"
#include "lib/rpc/proto/agent.pb-c.h"

#define METRICS_MAX (1u << 20)

static void heading(struct buffer *out, const char *name, const char *help, const char *type)
{
	buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void single(struct buffer *out, const char *name, const char *help, const char *type,
                   uint64_t value)
{
	heading(out, name, help, type);
	buffer_printf(out, "%s %" PRIu64 "\n", name, value);
}

/* NAME{item="KEY"} VALUE for each "KEY: VALUE" or "KEY VALUE" line; kB become bytes. */
static void key_lines(struct buffer *out, const char *name, const char *help, const char *file,
                      const char *label)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	const char *p;

	heading(out, name, help, "gauge");
	text_file_read(AT_FDCWD, file, &text);
	for (p = buffer_cstr(&text); *p; p += *p == '\n') {
		size_t n = strcspn(p, ": \t\n"), line = strcspn(p, "\n");
		const char *at = p + n + strspn(p + n, ": \t");
		char *end;
		uint64_t v = strtoull(at, &end, 10);

		if (end != at && n > 0 && end <= p + line) {
			if (strncmp(end, " kB", 3) == 0)
				v *= 1024;
			buffer_printf(out, "%s{%s=\"", name, label);
			buffer_json_escape(out, p, n);
			buffer_printf(out, "\"} %" PRIu64 "\n", v);
		}
		p += line;
	}
}

/* ---- the agent */

static void agent_metrics(struct buffer *out, struct agent *agent)
{
	_cleanup_buffer_ struct buffer stat = BUFFER_INIT, status = BUFFER_INIT;
	const char *p;
	unsigned long long utime = 0, stime = 0;
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);

	single(out, "kata_agent_scrape_count", "Metrics scrape count", "counter", ++agent->scrapes);
	text_file_read(AT_FDCWD, "/proc/self/stat", &stat);
	text_file_read(AT_FDCWD, "/proc/self/status", &status);
	/* utime and stime are fields 14 and 15; the name in field 2 may hold blanks. */
	p = strrchr(buffer_cstr(&stat), ')');
	for (int field = 2; p && field < 14; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	if (p) {
		char *end;

		utime = strtoull(p, &end, 10);
		stime = strtoull(end, NULL, 10);
	}
	single(out, "kata_agent_threads", "Agent process threads", "gauge",
	       text_file_value(&status, "Threads"));
	single(out, "kata_agent_total_time", "Agent process total time in ms", "gauge",
	       (utime + stime) * 1000 / (hz ? hz : 100));
	single(out, "kata_agent_total_vm", "Agent process total virtual memory in bytes", "gauge",
	       text_file_value(&status, "VmSize") * 1024);
	single(out, "kata_agent_total_rss", "Agent process total resident memory in bytes", "gauge",
	       text_file_value(&status, "VmRSS") * 1024);
	key_lines(out, "kata_agent_proc_status", "Agent process status", "/proc/self/status",
	          "item");
	key_lines(out, "kata_agent_io_stat", "Agent process I/O", "/proc/self/io", "item");
	heading(out, "kata_agent_proc_stat", "Agent process CPU time in clock ticks", "gauge");
	buffer_printf(out,
	              "kata_agent_proc_stat{item=\"utime\"} %llu\n"
	              "kata_agent_proc_stat{item=\"stime\"} %llu\n",
	              utime, stime);
}

/* ---- the guest */

static void load_and_tasks(struct buffer *out)
{
	static const char *const spans[] = {"load1", "load5", "load15"};
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	const char *p;
	char *end;

	text_file_read(AT_FDCWD, "/proc/loadavg", &text);
	p = buffer_cstr(&text);
	heading(out, "kata_guest_load", "Guest system load", "gauge");
	for (int i = 0; i < 3 && *p; i++) {
		size_t n = strcspn(p, " \n");

		buffer_printf(out, "kata_guest_load{item=\"%s\"} %.*s\n", spans[i], (int)n, p);
		p += n + strspn(p + n, " ");
	}
	heading(out, "kata_guest_tasks", "Guest system tasks", "gauge");
	buffer_printf(out, "kata_guest_tasks{item=\"cur\"} %llu\n", strtoull(p, &end, 10));
	if (*end == '/')
		buffer_printf(out, "kata_guest_tasks{item=\"max\"} %llu\n",
		              strtoull(end + 1, NULL, 10));
}

/* One line of numbers with a name for each column. */
static void columns(struct buffer *out, const char *name, const char *label, const char *who,
                    size_t n, const char *p, const char *const *names, size_t n_names)
{
	for (size_t i = 0; i < n_names; i++) {
		char *end;
		unsigned long long v = strtoull(p, &end, 10);

		if (end == p)
			return;
		buffer_printf(out, "%s{%s=\"%.*s\",item=\"%s\"} %llu\n", name, label, (int)n, who,
		              names[i], v);
		p = end;
	}
}

static void cpu_time(struct buffer *out)
{
	static const char *const names[] = {"user", "nice",    "system", "idle",  "iowait",
	                                    "irq",  "softirq", "steal",  "guest", "guest_nice"};
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	const char *p;

	heading(out, "kata_guest_cpu_time", "Guest CPU time in clock ticks", "gauge");
	text_file_read(AT_FDCWD, "/proc/stat", &text);
	for (p = buffer_cstr(&text); strncmp(p, "cpu", 3) == 0; p += *p == '\n') {
		size_t n = strcspn(p, " ");
		bool all = n == 3;

		columns(out, "kata_guest_cpu_time", "cpu", all ? "total" : p + 3, all ? 5 : n - 3,
		        p + n, names, sizeof(names) / sizeof(names[0]));
		p += strcspn(p, "\n");
	}
}

static void net_devices(struct buffer *out)
{
	static const char *const names[] = {
	    "recv_bytes", "recv_packets", "recv_errs",       "recv_drop",
	    "recv_fifo",  "recv_frame",   "recv_compressed", "recv_multicast",
	    "sent_bytes", "sent_packets", "sent_errs",       "sent_drop",
	    "sent_fifo",  "sent_colls",   "sent_carrier",    "sent_compressed"};
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	const char *p;

	heading(out, "kata_guest_netdev_stat", "Guest network devices", "gauge");
	text_file_read(AT_FDCWD, "/proc/self/net/dev", &text);
	for (p = buffer_cstr(&text); *p; p += *p == '\n') {
		const char *who = p + strspn(p, " ");
		size_t n = strcspn(who, ":\n");

		if (who[n] == ':')
			columns(out, "kata_guest_netdev_stat", "interface", who, n, who + n + 1,
			        names, sizeof(names) / sizeof(names[0]));
		p += strcspn(p, "\n");
	}
}

static void disks(struct buffer *out)
{
	static const char *const names[] = {"reads",
	                                    "reads_merged",
	                                    "sectors_read",
	                                    "time_reading",
	                                    "writes",
	                                    "writes_merged",
	                                    "sectors_written",
	                                    "time_writing",
	                                    "in_progress",
	                                    "time_in_progress",
	                                    "weighted_time_in_progress"};
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	const char *p;

	heading(out, "kata_guest_diskstat", "Guest disks", "gauge");
	text_file_read(AT_FDCWD, "/proc/diskstats", &text);
	for (p = buffer_cstr(&text); *p; p += *p == '\n') {
		char *end;
		const char *who;
		size_t n;

		strtoull(p, &end, 10);   /* major */
		strtoull(end, &end, 10); /* minor */
		who = end + strspn(end, " ");
		n = strcspn(who, " \n");
		columns(out, "kata_guest_diskstat", "disk", who, n, who + n, names,
		        sizeof(names) / sizeof(names[0]));
		p += strcspn(p, "\n");
	}
}

/* Of the guest's own memory only: a share of the host's could hang. */
static void file_systems(struct buffer *out)
{
	struct statvfs st;

	if (statvfs("/run", &st) < 0)
		return;
	heading(out, "kata_guest_filesystem_bytes", "Room of the guest's file systems", "gauge");
	buffer_printf(out,
	              "kata_guest_filesystem_bytes{mount=\"/run\",item=\"total\"} %llu\n"
	              "kata_guest_filesystem_bytes{mount=\"/run\",item=\"available\"} %llu\n",
	              (unsigned long long)st.f_blocks * st.f_frsize,
	              (unsigned long long)st.f_bavail * st.f_frsize);
	heading(out, "kata_guest_filesystem_inodes", "Inodes of the guest's file systems", "gauge");
	buffer_printf(out,
	              "kata_guest_filesystem_inodes{mount=\"/run\",item=\"total\"} %llu\n"
	              "kata_guest_filesystem_inodes{mount=\"/run\",item=\"available\"} %llu\n",
	              (unsigned long long)st.f_files, (unsigned long long)st.f_ffree);
}

void rpc_get_metrics(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	_cleanup_buffer_ struct buffer out = {.limit = METRICS_MAX};
	Grpc__Metrics m = GRPC__METRICS__INIT;

	agent_metrics(&out, data);
	load_and_tasks(&out);
	cpu_time(&out);
	key_lines(&out, "kata_guest_vm_stat", "Guest virtual memory", "/proc/vmstat", "item");
	net_devices(&out);
	disks(&out);
	key_lines(&out, "kata_guest_meminfo", "Guest memory in bytes", "/proc/meminfo", "item");
	file_systems(&out);
	if (out.failed) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	m.metrics = (char *)out.data;
	rpc_call_reply(call, &m.base);
}
