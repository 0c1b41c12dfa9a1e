/* SPDX-License-Identifier: Apache-2.0 */
/* stats: asks the built-in monitor of a guest that runs for its numbers, and prints them. */
#include "host-shim/cli/stats.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "host-shim/cli/guest.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/str.h"

#define TIMEOUT_S 30

struct stats_data {
	bool prometheus;
};

static int fetch(const char *guest, struct buffer *text, struct error *err)
{
	const struct timeval limit = {.tv_sec = TIMEOUT_S};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	_cleanup_free_ char *dir = NULL;
	_cleanup_close_ int fd = -1;
	int r = runtime_dir_find(guest, &dir, err);

	if (r < 0)
		return r;
	if ((size_t)snprintf(at.sun_path, sizeof(at.sun_path), "%s/" HYPERVISOR_STATS_SOCKET,
	                     dir) >= sizeof(at.sun_path))
		return error_set(err, ENAMETOOLONG, "%s: the path is too long for a socket", dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(err, errno, "making a socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return error_set_kind(
		    err, ERROR_INPUT, errno,
		    "guest %s has no statistics: only the built-in monitor keeps them", guest);
	r = fs_read_fd(fd, HYPERVISOR_STATS_MAX, text);
	if (r < 0)
		return error_errno(err, -r, "reading the statistics of guest %s", guest);
	return 0;
}

/* ---- Prometheus text, exposition format 0.0.4 */

static double number(const cJSON *obj, const char *key)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(obj, key);

	return cJSON_IsNumber(n) ? n->valuedouble : 0;
}

/* Names and help; `name` ends with the unit, as Prometheus wants it, and times are seconds. */
static const struct {
	const char *object, *key, *name, *type, *help;
} scalars[] = {
    {NULL, "cpus", "kihon_vm_cpus", "gauge", "Processors of the guest."},
    {"memory", "size_bytes", "kihon_vm_memory_size_bytes", "gauge", "RAM that the guest has."},
    {"memory", "resident_bytes", "kihon_vm_memory_resident_bytes", "gauge",
     "RAM and images of the guest that are in memory."},
    {"memory", "private_bytes", "kihon_vm_memory_private_bytes", "gauge",
     "Of these, pages that no other process has."},
    {"memory", "shared_bytes", "kihon_vm_memory_shared_bytes", "gauge",
     "Of these, pages that other processes have, too."},
    {"memory", "monitor_private_bytes", "kihon_vm_monitor_private_bytes", "gauge",
     "Private memory of the monitor beside the guest's."},
    {"memory", "balloon_bytes", "kihon_vm_memory_balloon_bytes", "gauge",
     "RAM that is in the guest's balloon."},
    {"memory", "given_back_bytes", "kihon_vm_memory_given_back_bytes_total", "counter",
     "Memory that the guest's balloon gave back to the host, reported pages included."},
    {"memory", "taken_back_bytes", "kihon_vm_memory_taken_back_bytes_total", "counter",
     "Memory that the guest took from its balloon because it had no other."},
};

static void put_scalars(struct buffer *b, const cJSON *root, const char *guest)
{
	for (size_t i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++) {
		const cJSON *from = scalars[i].object
		                        ? cJSON_GetObjectItemCaseSensitive(root, scalars[i].object)
		                        : root;

		if (!cJSON_HasObjectItem(from, scalars[i].key))
			continue;
		buffer_printf(b, "# HELP %s %s\n# TYPE %s %s\n%s{guest=\"%s\"} %.0f\n",
		              scalars[i].name, scalars[i].help, scalars[i].name, scalars[i].type,
		              scalars[i].name, guest, number(from, scalars[i].key));
	}
}

/* From the process's start, of what has happened. */
static void put_times(struct buffer *b, const cJSON *root, const char *guest)
{
	static const char *const stages[][2] = {{"created_ns", "created"},
	                                        {"run_ns", "run"},
	                                        {"kernel_ns", "kernel"},
	                                        {"init_ns", "init"},
	                                        {"agent_ns", "agent"}};

	buffer_str(b, "# HELP kihon_vm_boot_seconds Time from the start of the process to a stage "
	              "of the boot.\n# TYPE kihon_vm_boot_seconds gauge\n");
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		if (number(root, stages[i][0]) > 0)
			buffer_printf(b, "kihon_vm_boot_seconds{guest=\"%s\",stage=\"%s\"} %.6f\n",
			              guest, stages[i][1],
			              (number(root, stages[i][0]) - number(root, "started_ns")) /
			                  1e9);
}

/* Labels come from the monitor's own tables, but it faces the guest: nothing that has to be
 * quoted gets through. */
static bool is_plain(const char *s)
{
	return s && *s && !s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_")];
}

static void put_exits(struct buffer *b, const cJSON *root, const char *guest)
{
	const cJSON *exits = cJSON_GetObjectItemCaseSensitive(root, "exits"), *e;

	buffer_str(b, "# HELP kihon_vm_exits_total Returns of KVM_RUN to the monitor, by reason.\n"
	              "# TYPE kihon_vm_exits_total counter\n");
	cJSON_ArrayForEach(e, exits)
	{
		if (cJSON_IsNumber(e) && is_plain(e->string) && strcmp(e->string, "total") != 0)
			buffer_printf(b, "kihon_vm_exits_total{guest=\"%s\",reason=\"%s\"} %.0f\n",
			              guest, e->string, e->valuedouble);
	}
}

/* Of each queue; 0 where another process serves the device. */
static const struct {
	const char *key, *help;
} counters[] = {
    {"notifications", "Doorbells that the device looked at."},
    {"interrupts", "Interrupts that the device raised."},
    {"chains", "Buffers that the device took."},
    {"read_bytes", "Bytes of these that the driver gave."},
    {"written_bytes", "Bytes that the device wrote into them."},
};

static void put_queues(struct buffer *b, const cJSON *root, const char *guest, const char *key,
                       const char *help)
{
	const cJSON *devices = cJSON_GetObjectItemCaseSensitive(root, "devices"), *d, *q;

	buffer_printf(b,
	              "# HELP kihon_vm_queue_%s_total %s\n# TYPE kihon_vm_queue_%s_total counter\n",
	              key, help, key);
	cJSON_ArrayForEach(d, devices)
	{
		const char *name =
		    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(d, "name"));
		unsigned int i = 0;

		if (!is_plain(name))
			continue;
		cJSON_ArrayForEach(q, cJSON_GetObjectItemCaseSensitive(d, "queues")) buffer_printf(
		    b,
		    "kihon_vm_queue_%s_total{guest=\"%s\",slot=\"%.0f\",device=\"%s\","
		    "queue=\"%u\"} %.0f\n",
		    key, guest, number(d, "slot"), name, i++, number(q, key));
	}
}

static int to_prometheus(const struct buffer *json, const char *guest, struct buffer *out,
                         struct error *err)
{
	_cleanup_cjson_ cJSON *root = NULL;
	int r = json_parse((const char *)json->data, json->size, HYPERVISOR_STATS_MAX,
	                   "the statistics", &root, err);

	if (r < 0)
		return r;
	put_scalars(out, root, guest);
	put_times(out, root, guest);
	put_exits(out, root, guest);
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		put_queues(out, root, guest, counters[i].key, counters[i].help);
	return out->failed ? error_set(err, ENOMEM, "no memory for the statistics") : 0;
}

static int run(int argc, char **argv, void *data)
{
	const struct stats_data *d = data;
	_cleanup_buffer_ struct buffer json = BUFFER_INIT, text = BUFFER_INIT;
	struct error err = ERROR_INIT;
	int r = fetch(argv[0], &json, &err);

	if (r == 0 && json.size == 0)
		r = error_set(&err, EPROTO, "guest %s is at its end", argv[0]);
	if (r == 0 && d->prometheus)
		r = to_prometheus(&json, argv[0], &text, &err);
	if (r == 0 && !d->prometheus) {
		buffer_append(&text, json.data, json.size);
		buffer_str(&text, "\n");
	}
	if (r == 0)
		r = fs_write_all(STDOUT_FILENO, text.data, text.size);
	if (r < 0 && !err.text[0])
		error_errno(&err, -r, "standard output");
	return r < 0 ? cli_fail(&err) : 0;
}

static const struct option options[] = {
    {"prometheus", 0, OPTION_FLAG, offsetof(struct stats_data, prometheus), NULL, NULL,
     "as Prometheus reads it, instead of JSON"},
    {0},
};

const struct verb stats_verb = {
    .name = "stats",
    .args = "NAME",
    .summary = "print what the monitor of a running guest has counted",
    .details =
        "NAME is the id of a guest: the name of its folder below $XDG_RUNTIME_DIR/kihon or\n"
        "/run/kihon. Only the built-in monitor counts: exits by reason, doorbells and interrupts\n"
        "of every queue, memory (resident, private, shared, the monitor's own), and when it\n"
        "started, made the machine, ran its first instruction, saw the guest's kernel use a\n"
        "device, heard of its process 1 and of its agent: nanoseconds of the host's monotonic\n"
        "clock, 0 for what has not happened.\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run,
    .data_size = sizeof(struct stats_data),
};
