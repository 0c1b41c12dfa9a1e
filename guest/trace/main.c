/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kihon-trace: prints what happens in one control group as lines of JSON, until that is empty, or
 * nobody reads any more.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest/trace/confine.h"
#include "guest/trace/event.h"
#include "guest/trace/kinds.h"
#include "guest/trace/load.h"
#include "guest/trace/target.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/base/options.h"

/* Lines that wait to be written; what comes while they are full waits in the ring. */
#define OUTPUT_HIGH  (64u << 10)
#define OUTPUT_LIMIT (OUTPUT_HIGH + TRACE_LINE_MAX)
/* A control group that never had a process tells nobody when it is removed: look now and then. */
#define EMPTY_MS 1000

struct trace_data {
	const char *cgroup, *pidns, *kinds;
};

struct tracer {
	struct loaded *programs;
	struct target target;
	struct buffer out;
	int64_t real_offset_ns;
	uint64_t lost_told;
	uint64_t bad; /* records that were none */
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Blocks while the reader is slow. False: there is none. */
static bool flush(struct tracer *t)
{
	bool ok = fs_write_all(STDOUT_FILENO, t->out.data, t->out.size) == 0;

	buffer_clear(&t->out);
	return ok;
}

static int on_record(void *data, void *record, size_t size)
{
	struct tracer *t = data;

	if (trace_event_write(record, size, t->real_offset_ns, &t->out, NULL) < 0)
		t->bad++;
	/* Writing from here keeps the memory bounded whatever the ring holds. */
	return t->out.size >= OUTPUT_HIGH && !flush(t) ? -EPIPE : 0;
}

static void tell_lost(struct tracer *t)
{
	uint64_t lost = loaded_lost(t->programs) + t->bad;

	if (lost != t->lost_told)
		trace_lost_write(clock_ns(CLOCK_REALTIME), lost - t->lost_told, &t->out);
	t->lost_told = lost;
}

/* What is there now. False: nobody reads. */
static bool pass_on(struct tracer *t)
{
	t->real_offset_ns = (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME));
	loaded_read(t->programs);
	tell_lost(t);
	return flush(t);
}

static void follow(struct tracer *t)
{
	struct pollfd fds[] = {
	    {.fd = loaded_fd(t->programs), .events = POLLIN},
	    {.fd = t->target.events, .events = POLLPRI},
	    {.fd = STDOUT_FILENO}, /* a pipe without a reader is in error */
	};

	for (;;) {
		bool ended;

		if (poll(fds, 3, t->target.populated ? -1 : EMPTY_MS) < 0 && errno != EINTR)
			return;
		if (fds[2].revents & (POLLERR | POLLHUP | POLLNVAL))
			return;
		/* First whether it has ended, then what came before. Only when poll(2) says so:
		 * reading takes a change that came since then, and with it one who came and went.
		 */
		ended = fds[1].revents && target_ended(&t->target, true);
		if (!pass_on(t))
			return;
		if (ended)
			break;
	}
	trace_end_write(clock_ns(CLOCK_REALTIME), &t->out);
	flush(t);
}

static int start(struct tracer *t, const struct trace_data *d, struct error *err)
{
	struct trace_config config = {.kinds = TRACE_ALL_KINDS};
	int r = d->kinds ? trace_kinds_parse(d->kinds, &config.kinds, err) : 0;

	if (r == 0)
		r = target_open(d->cgroup, d->pidns, &t->target, &config, err);
	if (r == 0)
		r = loaded_new(&config, on_record, t, &t->programs, err);
	if (r < 0)
		return r;
	/* Before confine(): C libraries look for the time zone once, even for a time without. */
	trace_start_write(clock_ns(CLOCK_REALTIME), config.kinds, &t->out);
	return confine(err);
}

static int run(int argc, char **argv, void *data)
{
	/* Stays as it is at the end: confine() leaves no system call to take it apart with. */
	static struct tracer t = {.target = TARGET_INIT, .out = {.limit = OUTPUT_LIMIT}};
	const struct trace_data *d = data;
	struct error err = ERROR_INIT;
	int r;

	signal(SIGPIPE, SIG_IGN);
	if (!d->cgroup)
		r = error_set_kind(&err, ERROR_USAGE, EINVAL, "--cgroup DIR is missing");
	else
		r = start(&t, d, &err);
	if (r < 0)
		return program_fail("kihon-trace", &err);
	if (flush(&t))
		follow(&t);
	return 0;
}

#define AT(m) offsetof(struct trace_data, m)

static const struct option options[] = {
    {"cgroup", 0, OPTION_STRING, AT(cgroup), "DIR", NULL,
     "the control group (version 2) that is looked at, with those below it"},
    {"pidns", 0, OPTION_STRING, AT(pidns), "FILE", NULL,
     "/proc/PID/ns/pid of the container: numbers of processes as seen there, too"},
    {"kinds", 0, OPTION_STRING, AT(kinds), "LIST", NULL,
     "fork, exec, exit, oom, open, connect, accept, separated by commas (default: all)"},
    {0},
};

int main(int argc, char **argv)
{
	static const struct verb only = {
	    .summary = "print what happens in a container as lines of JSON",
	    .options = options,
	    .run = run,
	    .data_size = sizeof(struct trace_data),
	};
	static const struct program program = {
	    .name = "kihon-trace",
	    .summary = "print what happens in a container as lines of JSON",
	    .details =
	        "Started by the agent on demand. Loads BPF programs on tracepoints, gives up its\n"
	        "privileges, and prints an object a line: processes that start and end, OOM\n"
	        "kills, opened files, connections. Ends when the control group is empty, or\n"
	        "nobody reads. What was lost for want of room is counted in a line \"lost\".\n"
	        "\n"
	        "Exit status: 0 ended, 1 failed, 2 usage, 3 an argument is of the wrong kind,\n"
	        "4 the kernel or the permission is missing.",
	    .only = &only,
	};

	return program_main(&program, argc, argv);
}
