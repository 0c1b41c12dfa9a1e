/* SPDX-License-Identifier: Apache-2.0 */
/* session: one process in the guest and this terminal. */
#include "session.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host-shim/cli/out_stream.h"
#include "lib/rpc/proto/agent.pb-c.h"

/* Bytes of one read or write of a stream, as Kata's runtimes use. */
#define STREAM_CHUNK 32768

struct stream {
	struct session *session;
	const char *method; /* ReadStdout or ReadStderr */
	struct out_stream *output;
	bool ended;
};

struct session {
	struct loop *loop;
	struct rpc_client *client;
	struct session_options o;
	struct stream streams[2];               /* stdout, stderr */
	struct loop_source *input, *input_soon; /* the latter for files, which do not poll */
	uint8_t chunk[STREAM_CHUNK];            /* of standard input, on its way */
	size_t chunk_size, chunk_sent;
	bool input_ended;
	int status; /* of the process, -1: not known */
	bool ended, out_of_memory;
	session_end_fn end;
	void *data;
};

static void finish(struct session *s, int status, const char *why)
{
	if (s->ended)
		return;
	s->ended = true;
	s->end(s->data, status, why);
}

static void finish_if_done(struct session *s)
{
	if (s->streams[0].ended && s->streams[1].ended && s->status >= 0)
		finish(s, s->status, "");
}

static int call(struct session *s, const char *method, const ProtobufCMessage *request,
                rpc_result_fn fn, void *data, struct error *err)
{
	if (!s->client)
		return error_set(err, ENOTCONN, "the guest is gone");
	return rpc_client_call(s->client, &grpc__agent_service__descriptor, method, request, 0, fn,
	                       data, err);
}

/* A call whose answer changes nothing. */
static void ignore(const struct rpc_result *result, void *data)
{
}

/* ---- output */

static void on_read(const struct rpc_result *result, void *data);

static int read_more(struct stream *st, struct error *err)
{
	Grpc__ReadStreamRequest req = GRPC__READ_STREAM_REQUEST__INIT;

	req.container_id = req.exec_id = (char *)st->session->o.id;
	req.len = STREAM_CHUNK;
	return call(st->session, st->method, &req.base, on_read, st, err);
}

static void stream_ended(struct stream *st)
{
	st->ended = true;
	finish_if_done(st->session);
}

/* The end is an answer without data, or (agents before 3.27) an error. */
static void on_read(const struct rpc_result *result, void *data)
{
	const Grpc__ReadStreamResponse *reply = (const void *)result->reply;
	struct stream *st = data;

	if (!reply || reply->data.len == 0)
		stream_ended(st);
	else if (out_stream_put(st->output, reply->data.data, reply->data.len) < 0)
		finish(st->session, -ENOMEM, "no memory for the container's output");
}

static void finish_write(struct stream *st, int result)
{
	struct error err = ERROR_INIT;

	error_errno(&err, -result, "cannot pass the container's standard %s on",
	            st == st->session->streams ? "output" : "error");
	finish(st->session, result, err.text);
}

/* What was read is out; only now the next is asked for, so that a slow reader slows the
 * process down and fills no memory. */
static void on_written(void *data, int result)
{
	struct stream *st = data;
	struct error err = ERROR_INIT;

	if (result == -EPIPE)
		finish(st->session, 128 + SIGPIPE, "");
	else if (result < 0)
		finish_write(st, result);
	else if (read_more(st, &err) < 0)
		finish(st->session, err.code, err.text);
}

/* ---- input */

static void send_chunk(struct session *s);

static void close_input(struct session *s)
{
	Grpc__CloseStdinRequest req = GRPC__CLOSE_STDIN_REQUEST__INIT;

	s->input_ended = true;
	loop_source_free(s->input);
	s->input = NULL;
	req.container_id = req.exec_id = (char *)s->o.id;
	call(s, "CloseStdin", &req.base, ignore, NULL, NULL);
}

static void want_input(struct session *s)
{
	if (s->input)
		loop_set_events(s->input, EPOLLIN);
	else if (s->input_soon)
		loop_set_timer(s->input_soon, 0);
}

static void on_sent(const struct rpc_result *result, void *data)
{
	const Grpc__WriteStreamResponse *reply = (const void *)result->reply;
	struct session *s = data;

	if (!reply || reply->len == 0) { /* the process reads no more */
		s->input_ended = true;
		loop_source_free(s->input);
		s->input = NULL;
		return;
	}
	s->chunk_sent +=
	    reply->len < s->chunk_size - s->chunk_sent ? reply->len : s->chunk_size - s->chunk_sent;
	if (s->chunk_sent < s->chunk_size)
		send_chunk(s);
	else
		want_input(s);
}

static void send_chunk(struct session *s)
{
	Grpc__WriteStreamRequest req = GRPC__WRITE_STREAM_REQUEST__INIT;

	req.container_id = req.exec_id = (char *)s->o.id;
	req.data.data = s->chunk + s->chunk_sent;
	req.data.len = s->chunk_size - s->chunk_sent;
	if (call(s, "WriteStdin", &req.base, on_sent, s, NULL) < 0)
		s->input_ended = true;
}

static void read_input(struct session *s)
{
	ssize_t n = read(STDIN_FILENO, s->chunk, sizeof(s->chunk));

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		want_input(s);
		return;
	}
	if (s->input)
		loop_set_events(s->input, 0);
	if (n <= 0) {
		close_input(s);
		return;
	}
	s->chunk_size = (size_t)n;
	s->chunk_sent = 0;
	send_chunk(s);
}

static void on_input_soon(struct loop_source *src, void *data)
{
	read_input(data);
}

static void on_input(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct session *s = data;

	if (s->chunk_sent == s->chunk_size) {
		read_input(s);
		return;
	}
	/* Hung up while a chunk is on its way. That event would repeat for ever, and reading
	 * does not block any more: from here on the input is like a file. */
	loop_source_free(s->input);
	s->input = NULL;
	if (loop_add_timer(s->loop, UINT32_MAX, on_input_soon, s, &s->input_soon, NULL) < 0)
		close_input(s);
}

static int start_input(struct session *s, struct error *err)
{
	int r;

	if (!s->o.interactive) {
		close_input(s);
		return 0;
	}
	r = loop_add_fd(s->loop, STDIN_FILENO, EPOLLIN, on_input, s, &s->input, NULL);
	/* EPERM: a file or /dev/null, which never blocks. */
	if (r == 0)
		return 0;
	return loop_add_timer(s->loop, 0, on_input_soon, s, &s->input_soon, err);
}

/* ---- the end */

static void on_exit_status(const struct rpc_result *result, void *data)
{
	const Grpc__WaitProcessResponse *reply = (const void *)result->reply;
	struct session *s = data;

	/* The connection ended: the caller hears of that, and why, from others. */
	if (result->code == RPC_UNAVAILABLE)
		return;
	if (!reply) {
		finish(s, -EIO, result->message);
		return;
	}
	s->status = reply->status & 0xff;
	finish_if_done(s);
}

/* ---- memory */

/* It comes before the status of the process that it ended. A policy may forbid the call. */
static void on_oom(const struct rpc_result *result, void *data)
{
	struct session *s = data;

	s->out_of_memory |= result->code == RPC_OK;
}

static void watch_memory(struct session *s)
{
	Grpc__GetOOMEventRequest req = GRPC__GET_OOMEVENT_REQUEST__INIT;

	call(s, "GetOOMEvent", &req.base, on_oom, s, NULL);
}

bool session_out_of_memory(const struct session *s)
{
	return s->out_of_memory;
}

/* ---- life */

void session_signal(struct session *s, int signo)
{
	Grpc__SignalProcessRequest req = GRPC__SIGNAL_PROCESS_REQUEST__INIT;

	req.container_id = req.exec_id = (char *)s->o.id;
	req.signal = (uint32_t)signo;
	call(s, "SignalProcess", &req.base, ignore, NULL, NULL);
}

void session_resize(struct session *s, unsigned short rows, unsigned short columns)
{
	Grpc__TtyWinResizeRequest req = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;

	req.container_id = req.exec_id = (char *)s->o.id;
	req.row = rows;
	req.column = columns;
	call(s, "TtyWinResize", &req.base, ignore, NULL, NULL);
}

static int start_stream(struct session *s, int i, const char *method, struct error *err)
{
	struct stream *st = &s->streams[i];
	int r;

	st->session = s;
	st->method = method;
	r = out_stream_new(&st->output, s->loop, i == 0 ? STDOUT_FILENO : STDERR_FILENO, on_written,
	                   st, err);
	return r < 0 ? r : read_more(st, err);
}

int session_start(struct session **out, struct loop *loop, struct rpc_client *client,
                  const struct session_options *o, session_end_fn end, void *data,
                  struct error *err)
{
	struct session *s = calloc(1, sizeof(*s));
	Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
	int r;

	if (!s)
		return error_set(err, ENOMEM, "no memory for a session");
	s->loop = loop;
	s->client = client;
	s->o = *o;
	s->end = end;
	s->data = data;
	s->status = -1;
	s->streams[1].ended = o->terminal;
	wait.container_id = wait.exec_id = (char *)o->id;
	r = start_stream(s, 0, "ReadStdout", err);
	if (r == 0 && !o->terminal)
		r = start_stream(s, 1, "ReadStderr", err);
	if (r == 0)
		r = call(s, "WaitProcess", &wait.base, on_exit_status, s, err);
	if (r == 0)
		r = start_input(s, err);
	if (r < 0) {
		session_free(s);
		return r;
	}
	watch_memory(s);
	*out = s;
	return 0;
}

void session_stop(struct session *s)
{
	if (!s)
		return;
	s->ended = true;
	s->client = NULL;
	loop_source_free(s->input);
	loop_source_free(s->input_soon);
	s->input = s->input_soon = NULL;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	session_stop(s);
	for (int i = 0; i < 2; i++)
		out_stream_free(s->streams[i].output);
	free(s);
}
