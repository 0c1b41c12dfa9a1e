/* SPDX-License-Identifier: Apache-2.0 */
/* stream: reads and writes that never block, parked until the descriptor is ready. */
#include "guest/agent/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest/agent/call_queue.h"
#include "guest/agent/read_ahead.h"
#include "lib/base/fs.h"
#include "lib/rpc/proto/agent.pb-c.h"

struct reading {
	uint32_t len;
};

/* data NULL: close the input. */
struct writing {
	const uint8_t *data;
	size_t size, done;
};

struct stream {
	struct loop *loop;
	int fd;
	struct loop_source *source, *drain;
	uint32_t events;
	enum agent_eof eof;
	bool ended;    /* the process is gone */
	bool drained;  /* ... and for long enough */
	bool at_eof;   /* nothing more will come */
	bool told_eof; /* and a reader knows */
	struct call_queue readers, writers;
	struct read_ahead ahead;
	void (*at_end)(void *data);
	void *data;
};

static void on_event(struct loop_source *src, int fd, uint32_t events, void *data);

/* The descriptor is watched only while a call waits: a hang-up cannot be masked, and would
 * wake us for ever. */
static void update_events(struct stream *s)
{
	uint32_t events = 0;
	int r = 0;

	if (!call_queue_empty(&s->readers))
		events |= EPOLLIN;
	if (!call_queue_empty(&s->writers))
		events |= EPOLLOUT;
	if (s->fd < 0 || events == s->events)
		return;
	if (!events) {
		loop_source_free(s->source);
		s->source = NULL;
	} else if (s->source) {
		r = loop_set_events(s->source, events);
	} else {
		r = loop_add_fd(s->loop, s->fd, events, on_event, s, &s->source, NULL);
	}
	s->events = events;
	if (r < 0) {
		call_queue_fail(&s->readers, RPC_RESOURCE_EXHAUSTED, "out of memory");
		call_queue_fail(&s->writers, RPC_RESOURCE_EXHAUSTED, "out of memory");
		s->events = 0;
	}
}

static void queue_dropped(void *data)
{
	update_events(data);
}

static void close_stream(struct stream *s)
{
	loop_source_free(s->source);
	s->source = NULL;
	s->events = 0;
	close_fd(&s->fd);
}

/* ---- reading */

static void answer_eof(struct stream *s, struct rpc_call *call)
{
	Grpc__ReadStreamResponse m = GRPC__READ_STREAM_RESPONSE__INIT;

	s->told_eof = true;
	if (s->eof == AGENT_EOF_EMPTY)
		rpc_call_reply(call, &m.base);
	else
		rpc_call_fail(call, RPC_INTERNAL, "read meet eof");
}

#define READ_RESPONSE_DATA 1u /* field number of ReadStreamResponse.data */

/* After an answer: what its reader will ask for next. */
static void read_on(struct stream *s)
{
	ssize_t n;

	if (s->fd < 0 || s->at_eof)
		return;
	n = read_ahead_fill(&s->ahead, s->fd);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		s->at_eof = true;
}

/* Answers the call from what was read before. */
static bool read_held(struct stream *s, struct rpc_call *call, uint32_t len, bool parked)
{
	size_t size = len;
	uint8_t *data = len > 0 ? read_ahead_take(&s->ahead, &size) : NULL;

	if (!data)
		return false;
	if (parked)
		call_queue_pop(&s->readers);
	rpc_call_reply_bytes(call, READ_RESPONSE_DATA, data, size);
	read_on(s);
	return true;
}

/* Answers the call if it can be answered now; the bytes go from the pipe into the frame. */
static bool read_one(struct stream *s, struct rpc_call *call, uint32_t len, bool parked)
{
	uint8_t *room;
	ssize_t n = 0;

	if (len > STREAM_READ_MAX)
		len = STREAM_READ_MAX;
	if (read_held(s, call, len, parked))
		return true;
	room = rpc_call_bytes_room(call, len);
	if (room && !s->at_eof && s->fd >= 0 && len > 0) {
		do
			n = read(s->fd, room, len);
		while (n < 0 && errno == EINTR);
		if (n < 0 && errno == EAGAIN && !s->drained)
			return false;
	}
	if (parked)
		call_queue_pop(&s->readers);
	if (!room) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
	} else if (n <= 0 && len > 0) {
		/* A pty whose last slave is closed reads EIO: the end, as well. */
		s->at_eof = true;
		answer_eof(s, call);
	} else {
		rpc_call_reply_bytes(call, READ_RESPONSE_DATA, room, (size_t)n);
		if (n == STREAM_READ_MAX)
			read_ahead_begin(&s->ahead, s->loop);
		read_on(s);
	}
	return true;
}

static void read_parked(struct stream *s)
{
	void *item;
	struct rpc_call *call;

	while ((call = call_queue_first(&s->readers, &item)))
		if (!read_one(s, call, ((struct reading *)item)->len, true))
			break;
}

/* Last in every path that may have told the end: the owner may free the stream. */
static void check_end(struct stream *s)
{
	void (*fn)(void *) = s->at_end;

	if (!s->told_eof || !fn)
		return;
	s->at_end = NULL;
	fn(s->data);
}

void stream_read(struct stream *s, struct rpc_call *call, uint32_t len)
{
	struct reading *r;

	if (!call_queue_empty(&s->readers) || !read_one(s, call, len, false)) {
		r = arena_alloc(rpc_call_arena(call), sizeof(*r));
		if (!r) {
			rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
			return;
		}
		r->len = len;
		call_queue_park_item(&s->readers, call, r);
		update_events(s);
	}
	check_end(s);
}

/* ---- writing */

static void answer_write(struct rpc_call *call, const struct writing *w)
{
	Grpc__WriteStreamResponse m = GRPC__WRITE_STREAM_RESPONSE__INIT;

	m.len = (uint32_t)w->size;
	rpc_call_reply(call, &m.base);
}

/* Writes what it can; true when the call is answered. */
static bool write_one(struct stream *s, struct rpc_call *call, struct writing *w, bool parked)
{
	bool is_close = !w->data;

	while (s->fd >= 0 && w->done < w->size) {
		ssize_t n = write(s->fd, w->data + w->done, w->size - w->done);

		if (n > 0)
			w->done += (size_t)n;
		else if (n < 0 && errno == EAGAIN && !s->ended)
			return false;
		else if (n >= 0 || errno != EINTR)
			close_stream(s);
	}
	if (parked)
		call_queue_pop(&s->writers);
	if (is_close)
		close_stream(s);
	if (is_close && w->size == 0)
		rpc_call_reply(call, NULL);
	else if (w->done < w->size || s->fd < 0)
		rpc_call_fail(call, RPC_FAILED_PRECONDITION, "the input of the process is closed");
	else
		answer_write(call, w);
	return true;
}

static void write_parked(struct stream *s)
{
	struct rpc_call *call;
	void *item;

	while ((call = call_queue_first(&s->writers, &item)))
		if (!write_one(s, call, item, true))
			break;
}

static void queue_write(struct stream *s, struct rpc_call *call, const uint8_t *data, size_t size)
{
	struct writing *w = arena_alloc(rpc_call_arena(call), sizeof(*w));

	if (!w) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	w->data = data;
	w->size = size;
	w->done = 0;
	if (call_queue_empty(&s->writers) && write_one(s, call, w, false))
		return;
	call_queue_park_item(&s->writers, call, w);
	update_events(s);
}

void stream_write(struct stream *s, struct rpc_call *call, const uint8_t *data, size_t size)
{
	queue_write(s, call, data, size);
}

void stream_close_input(struct stream *s, struct rpc_call *call)
{
	queue_write(s, call, NULL, 0);
}

/* ---- events and ends */

static void on_event(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct stream *s = data;

	if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
		write_parked(s);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_parked(s);
	update_events(s);
	check_end(s);
}

static void on_drained(struct loop_source *src, void *data)
{
	struct stream *s = data;

	s->drained = true;
	read_parked(s);
	update_events(s);
	check_end(s);
}

void stream_ended(struct stream *s)
{
	if (!s || s->ended)
		return;
	s->ended = true;
	write_parked(s);
	/* Without the timer the end would never be told: then there is no patience. */
	if (loop_add_timer(s->loop, STREAM_DRAIN_MS, on_drained, s, &s->drain, NULL) < 0)
		s->drained = true;
	read_parked(s);
	update_events(s);
	check_end(s);
}

bool stream_at_end(const struct stream *s)
{
	return !s || s->told_eof;
}

int stream_fd(const struct stream *s)
{
	return s ? s->fd : -1;
}

int stream_new(struct loop *loop, int fd, enum agent_eof eof, void (*at_end)(void *data),
               void *data, struct stream **out, struct error *err)
{
	struct stream *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_set(err, ENOMEM, "out of memory for a stream");
	s->loop = loop;
	s->eof = eof;
	s->at_end = at_end;
	s->data = data;
	s->readers.dropped = s->writers.dropped = queue_dropped;
	s->readers.data = s->writers.data = s;
	r = fs_set_nonblock(fd, true);
	if (r < 0)
		error_errno(err, -r, "a stream cannot be made non-blocking");
	if (r < 0) {
		free(s);
		return r;
	}
	s->fd = fd;
	*out = s;
	return 0;
}

void stream_free(struct stream *s)
{
	struct rpc_call *call;

	if (!s)
		return;
	s->at_end = NULL;
	while ((call = call_queue_pop(&s->readers)))
		answer_eof(s, call);
	call_queue_fail(&s->writers, RPC_FAILED_PRECONDITION, "the input of the process is closed");
	loop_source_free(s->drain);
	read_ahead_free(&s->ahead);
	close_stream(s);
	free(s);
}
