/* SPDX-License-Identifier: Apache-2.0 */
/* trace: a process, two pipes, and at most two calls that wait. */
#include "guest/agent/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/init/init.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/process.h"
#include "lib/rpc/proto/trace.pb-c.h"

#define ID_MAX    24u
#define WORDS_MAX 600u

/* Of lib/base/options.h: the command line, that is the list of kinds, was wrong. */
#define EXIT_USAGE 2

struct trace {
	struct trace *next;
	struct traces *owner;
	bool ended; /* in owner's `dying` */
	char id[ID_MAX];
	char *container_id;
	uint64_t connection; /* that it was started on */
	pid_t pid;           /* 0: reaped */
	int out, errors;     /* of the program */
	struct loop_source *child, *readable, *timer;
	struct rpc_call *starter, *reader;
	uint32_t max_bytes;    /* the reader's */
	struct buffer partial; /* read, but not yet answered: less than a line */
};

void traces_init(struct traces *t, struct loop *loop, const char *program)
{
	*t = (struct traces){.loop = loop, .program = program};
}

/* ---- the end */

static void trace_free(struct trace *t)
{
	loop_source_free(t->child);
	loop_source_free(t->readable);
	loop_source_free(t->timer);
	close_fd(&t->out);
	close_fd(&t->errors);
	buffer_free(&t->partial);
	free(t->container_id);
	free(t);
}

/* The call is not ours any more. */
static struct rpc_call *take(struct rpc_call **call)
{
	if (*call)
		rpc_call_on_cancel(*call, NULL, NULL);
	return steal_ptr(call);
}

static void answer_ended(struct trace *t)
{
	Kihon__ReadTraceResponse m = KIHON__READ_TRACE_RESPONSE__INIT;
	struct rpc_call *call = take(&t->reader);

	m.ended = true;
	if (call)
		rpc_call_reply(call, &m.base);
}

static void unlink_from(struct trace **list, struct trace *t)
{
	while (*list != t)
		list = &(*list)->next;
	*list = t->next;
}

/* Forgets it, and kills the program if that still runs. */
static void trace_end(struct trace *t)
{
	struct rpc_call *starter = take(&t->starter);

	unlink_from(&t->owner->first, t);
	loop_source_free(t->readable);
	loop_source_free(t->timer);
	t->readable = t->timer = NULL;
	answer_ended(t);
	if (starter)
		rpc_call_fail(starter, RPC_CANCELLED, "the trace was ended while it started");
	if (t->pid == 0) {
		trace_free(t);
		return;
	}
	kill(t->pid, SIGKILL);
	t->ended = true;
	t->next = t->owner->dying;
	t->owner->dying = t;
}

void traces_disconnected(struct traces *traces, uint64_t connection)
{
	for (struct trace *t = traces->first, *next; t; t = next) {
		next = t->next;
		if (t->connection == connection)
			trace_end(t);
	}
}

void traces_release(struct traces *traces)
{
	struct trace *t;

	while (traces->first)
		trace_end(traces->first);
	while ((t = traces->dying)) {
		traces->dying = t->next;
		trace_free(t);
	}
}

/* ---- reading */

/* The descriptor is watched only while somebody waits: a hang-up cannot be masked. */
static void stop_watching(struct trace *t)
{
	loop_source_free(t->readable);
	t->readable = NULL;
}

/* From now on somebody must read, or it ends. */
static void expect_reader(struct trace *t)
{
	stop_watching(t);
	loop_set_timer(t->timer, TRACE_IDLE_MS);
}

/* As far as the last end of a line. */
static size_t whole_lines(const struct buffer *b)
{
	const uint8_t *end = b->size ? memrchr(b->data, '\n', b->size) : NULL;

	return end ? (size_t)(end - b->data) + 1 : 0;
}

static void reply_lines(struct trace *t, struct rpc_call *call, size_t size, bool ended)
{
	Kihon__ReadTraceResponse m = KIHON__READ_TRACE_RESPONSE__INIT;
	struct buffer *b = &t->partial;

	m.lines.data = b->data;
	m.lines.len = size;
	m.ended = ended;
	rpc_call_reply(call, &m.base);
	b->size -= size;
	memmove(b->data, b->data + size, b->size);
	if (b->size == 0)
		buffer_free(b);
}

/* What the pipe has, up to max_bytes in all. 1: it has ended, or has what cannot be a line. */
static int fill(struct trace *t)
{
	while (t->partial.size < t->max_bytes) {
		size_t room = t->max_bytes - t->partial.size;
		uint8_t *to = buffer_reserve(&t->partial, room);
		ssize_t n = to ? read(t->out, to, room) : -1;

		if (!to)
			return -ENOMEM;
		if (n > 0)
			t->partial.size += (size_t)n;
		else if (n == 0)
			return 1;
		else if (errno != EINTR)
			return errno == EAGAIN ? 0 : 1;
	}
	return whole_lines(&t->partial) == 0;
}

/* Answers the call that waits, if it can be; false: not yet. */
static bool try_answer(struct trace *t)
{
	int ended = fill(t);
	size_t size = whole_lines(&t->partial);
	struct rpc_call *call;

	if (ended < 0) {
		t->partial.failed = false;
		call = take(&t->reader);
		expect_reader(t);
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory for events");
		return true;
	}
	if (size == 0 && ended) {
		trace_end(t);
		return true;
	}
	if (size == 0) {
		if (t->partial.size == 0)
			buffer_free(&t->partial);
		return false;
	}
	call = take(&t->reader);
	expect_reader(t);
	reply_lines(t, call, size, false);
	return true;
}

static void answer_start(struct trace *t)
{
	Kihon__StartTraceResponse m = KIHON__START_TRACE_RESPONSE__INIT;
	struct rpc_call *call = take(&t->starter);

	m.trace_id = t->id;
	expect_reader(t);
	if (call)
		rpc_call_reply(call, &m.base);
}

static void on_readable(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct trace *t = data;

	/* Its first line says that it is ready; without one, on_child() says why not. */
	if (t->reader)
		try_answer(t);
	else if (events & EPOLLIN)
		answer_start(t);
	else
		stop_watching(t);
}

static int watch(struct trace *t, struct error *err)
{
	return loop_add_fd(t->owner->loop, t->out, EPOLLIN, on_readable, t, &t->readable, err);
}

static void reader_gone(void *data)
{
	struct trace *t = data;

	t->reader = NULL;
	expect_reader(t);
}

static struct trace *find(const struct traces *traces, const char *id, struct error *err)
{
	for (struct trace *t = traces->first; t; t = t->next)
		if (!t->starter && strcmp(t->id, id) == 0)
			return t;
	error_set(err, ENOENT, "there is no trace '%.64s'; it may have ended", id);
	return NULL;
}

int trace_read(struct traces *traces, struct rpc_call *call, const char *id, uint32_t max_bytes,
               uint64_t timeout_ms, struct error *err)
{
	struct trace *t = find(traces, id, err);
	int r;

	if (!t)
		return -ENOENT;
	if (timeout_ms == 0 || timeout_ms > UINT32_MAX)
		timeout_ms = UINT32_MAX; /* seven weeks */
	if (max_bytes == 0 || max_bytes > TRACE_READ_MAX)
		max_bytes = TRACE_READ_MAX;
	if (max_bytes < TRACE_READ_MIN)
		return error_set(err, EINVAL, "max_bytes must be %u or more: a line may be as long",
		                 TRACE_READ_MIN);
	if (t->reader)
		return error_set(err, EBUSY, "another call waits for trace %s already", id);
	t->reader = call;
	t->max_bytes = max_bytes;
	if (try_answer(t))
		return 0;
	r = watch(t, err);
	if (r == 0)
		r = loop_set_timer(t->timer, timeout_ms);
	if (r < 0) {
		t->reader = NULL;
		expect_reader(t);
		return r;
	}
	rpc_call_on_cancel(call, reader_gone, t);
	return 0;
}

int trace_stop(struct traces *traces, const char *id, struct error *err)
{
	struct trace *t = find(traces, id, err);

	if (!t)
		return -ENOENT;
	trace_end(t);
	return 0;
}

/* ---- starting */

/* Of a reader: its time is up. Without one: nobody reads. While starting: it takes too long. */
static void on_timer(struct loop_source *src, void *data)
{
	struct trace *t = data;
	struct rpc_call *call;

	if (t->reader) {
		call = take(&t->reader);
		expect_reader(t);
		reply_lines(t, call, 0, false);
		return;
	}
	call = take(&t->starter);
	if (call)
		rpc_call_fail(call, RPC_DEADLINE_EXCEEDED, "%s was not ready in %u s",
		              t->owner->program, TRACE_START_MS / 1000);
	trace_end(t);
}

/* Its one line of error output, without what a log could stumble over. */
static void read_words(struct trace *t, char words[WORDS_MAX])
{
	ssize_t n = read(t->errors, words, WORDS_MAX - 1);
	size_t end;

	words[n > 0 ? n : 0] = '\0';
	end = strcspn(words, "\n");
	words[end] = '\0';
	for (char *c = words; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
}

/* It has ended without a line: its words say why. */
static void fail_start(struct trace *t, int status)
{
	enum rpc_code code = process_exit_code(status) == EXIT_USAGE ? RPC_INVALID_ARGUMENT
	                                                             : RPC_FAILED_PRECONDITION;
	char words[WORDS_MAX];

	read_words(t, words);
	rpc_call_fail(take(&t->starter), code, "%s",
	              words[0] ? words : "the tracer failed without a word");
	trace_end(t);
}

static void on_child(struct loop_source *src, pid_t pid, int status, void *data)
{
	struct trace *t = data;
	struct pollfd lines = {.fd = t->out, .events = POLLIN};

	t->pid = 0;
	if (t->ended) {
		unlink_from(&t->owner->dying, t);
		trace_free(t);
		return;
	}
	if (!t->starter && process_exit_code(status) != 0) {
		char words[WORDS_MAX];

		read_words(t, words);
		log_warn("%s of container %s ended with status %d: %s", t->owner->program,
		         t->container_id, process_exit_code(status), words);
	}
	/* What it wrote is still to be read. */
	if (t->reader)
		try_answer(t);
	else if (t->starter && poll(&lines, 1, 0) == 1 && (lines.revents & POLLIN))
		answer_start(t);
	else if (t->starter)
		fail_start(t, status);
}

static void starter_gone(void *data)
{
	struct trace *t = data;

	t->starter = NULL;
	trace_end(t);
}

static int spawn(struct trace *t, const struct trace_target *target, struct error *err)
{
	static char *const env[] = {"PATH=/usr/bin:/bin", NULL};
	char *argv[8] = {(char *)t->owner->program, "--cgroup", "/proc/self/fd/3"};
	_cleanup_close_ int out = -1, errors = -1;
	int outs[2], errs[2], n = 3, r;
	struct process_opts o = {
	    .path = argv[0],
	    .argv = argv,
	    .envp = env,
	    .n_fds = target->pidns_fd < 0 ? 4 : 5,
	    .die_with_parent = true,
	    .before_drop = getpid() == 1 ? init_child_reset : NULL,
	};

	if (target->kinds) {
		argv[n++] = "--kinds";
		argv[n++] = (char *)target->kinds;
	}
	if (target->pidns_fd >= 0) {
		argv[n++] = "--pidns";
		argv[n++] = "/proc/self/fd/4";
	}
	if (pipe2(outs, O_CLOEXEC) < 0)
		return error_errno(err, errno, "a pipe for the tracer");
	t->out = outs[0];
	out = outs[1];
	if (pipe2(errs, O_CLOEXEC) < 0)
		return error_errno(err, errno, "a pipe for the tracer");
	t->errors = errs[0];
	errors = errs[1];
	fs_set_nonblock(t->out, true);
	fs_set_nonblock(t->errors, true);
	o.fds[0] = -1;
	o.fds[1] = out;
	o.fds[2] = errors;
	o.fds[3] = target->cgroup_fd;
	o.fds[4] = target->pidns_fd;
	r = process_spawn(&o, &t->pid, err);
	if (r == -ENOENT)
		return error_set(err, ENOSYS, "this guest has no %s: its image is made without",
		                 t->owner->program);
	return r;
}

static int prepare(struct trace *t, const struct trace_target *target, struct error *err)
{
	struct traces *traces = t->owner;
	int r;

	snprintf(t->id, sizeof(t->id), "t%" PRIu64, ++traces->last_number);
	t->container_id = strdup(target->container_id);
	if (!t->container_id)
		return error_set(err, ENOMEM, "out of memory for a trace");
	r = loop_add_timer(traces->loop, TRACE_START_MS, on_timer, t, &t->timer, err);
	if (r == 0)
		r = spawn(t, target, err);
	if (r == 0)
		r = loop_add_child(traces->loop, t->pid, on_child, t, &t->child, err);
	if (r == 0)
		r = watch(t, err);
	return r;
}

static int check_room(const struct traces *traces, const char *container_id, struct error *err)
{
	unsigned int n = 0;

	for (const struct trace *t = traces->first; t; t = t->next, n++)
		if (strcmp(t->container_id, container_id) == 0)
			return error_set(err, EEXIST, "container %s is being traced already: %s",
			                 container_id, t->id);
	if (n >= TRACE_MAX)
		return error_set(err, ENOSPC, "more than %u traces", TRACE_MAX);
	return 0;
}

int trace_start(struct traces *traces, struct rpc_call *call, const struct trace_target *target,
                struct error *err)
{
	struct trace *t;
	int r = check_room(traces, target->container_id, err);

	if (r < 0)
		return r;
	t = calloc(1, sizeof(*t));
	if (!t)
		return error_set(err, ENOMEM, "out of memory for a trace");
	t->owner = traces;
	t->out = t->errors = -1;
	t->connection = rpc_call_connection(call);
	r = prepare(t, target, err);
	if (r < 0) {
		/* Reaped by the loop, which then knows nobody to tell. */
		if (t->pid > 0)
			kill(t->pid, SIGKILL);
		trace_free(t);
		return r;
	}
	t->next = traces->first;
	traces->first = t;
	t->starter = call;
	rpc_call_on_cancel(call, starter_gone, t);
	return 0;
}
