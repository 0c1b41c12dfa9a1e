/* SPDX-License-Identifier: Apache-2.0 */
/* connection: reading, the output queue, and back-pressure. */
#include "lib/rpc/connection.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"

/* Most peers send less than a page at a time; a buffer on the stack that is larger than what comes
 * is a stack that reaches further down, in memory that each clone of a guest has of its own. */
#define READ_SOME 2048u
#define READ_MUCH 16384u

size_t rpc_connection_backlog(const struct rpc_connection *c)
{
	return c->out.size - c->out_done;
}

static void update_events(struct rpc_connection *c)
{
	size_t backlog = rpc_connection_backlog(c);
	uint32_t events = 0;

	if (c->fd < 0)
		return;
	if (c->broken || (!c->held && (!c->out_pause || backlog < c->out_pause)))
		events |= EPOLLIN;
	if (backlog > 0 && !c->broken)
		events |= EPOLLOUT;
	if (events != c->events && loop_set_events(c->source, events) == 0)
		c->events = events;
}

void rpc_connection_hold(struct rpc_connection *c, bool hold)
{
	c->held = hold;
	update_events(c);
}

/* The socket then reads end-of-file, from which the loop tells `closed`. */
void rpc_connection_break(struct rpc_connection *c, const char *why)
{
	if (c->broken || c->fd < 0)
		return;
	c->broken = true;
	c->why = why;
	buffer_free(&c->out);
	c->out_done = 0;
	shutdown(c->fd, SHUT_RDWR);
	update_events(c);
}

/* Bytes taken by the socket; 0 too when it is full or broken. */
static size_t try_write(struct rpc_connection *c, const uint8_t *bytes, size_t size)
{
	size_t done = 0;

	while (done < size && !c->broken) {
		ssize_t n = send(c->fd, bytes + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		else
			rpc_connection_break(c, "the connection broke");
	}
	return done;
}

static void write_queued(struct rpc_connection *c)
{
	c->out_done += try_write(c, c->out.data + c->out_done, rpc_connection_backlog(c));
	if (c->broken)
		return;
	if (rpc_connection_backlog(c) == 0) {
		buffer_free(&c->out);
		c->out_done = 0;
	} else if (c->out_done > c->out.size / 2) {
		memmove(c->out.data, c->out.data + c->out_done, rpc_connection_backlog(c));
		c->out.size -= c->out_done;
		c->out_done = 0;
	}
}

void rpc_connection_send(struct rpc_connection *c, const uint8_t *bytes, size_t size)
{
	size_t done = 0;

	if (c->fd < 0 || c->broken)
		return;
	if (rpc_connection_backlog(c) == 0)
		done = try_write(c, bytes, size);
	if (c->broken || done == size)
		return;
	if (c->out_limit && rpc_connection_backlog(c) + size - done > c->out_limit) {
		rpc_connection_break(c, "the peer does not read its answers");
		return;
	}
	buffer_append(&c->out, bytes + done, size - done);
	if (c->out.failed) {
		rpc_connection_break(c, "out of memory for answers");
		return;
	}
	update_events(c);
}

void rpc_connection_flush(struct rpc_connection *c, uint64_t timeout_ms)
{
	uint64_t end = loop_now_ms() + timeout_ms;

	while (c->fd >= 0 && !c->broken && rpc_connection_backlog(c) > 0) {
		struct pollfd p = {c->fd, POLLOUT, 0};
		uint64_t now = loop_now_ms();

		if (now >= end || poll(&p, 1, (int)(end - now)) == 0)
			return;
		write_queued(c);
	}
}

static void end_connection(struct rpc_connection *c, const char *why)
{
	void (*closed)(const char *, void *) = c->on_closed;
	void *data = c->data;

	why = c->broken ? c->why : why;
	rpc_connection_release(c);
	closed(why, data);
}

static void read_into(struct rpc_connection *c, int fd, uint8_t *in, size_t size)
{
	ssize_t n = recv(fd, in, size, MSG_DONTWAIT);
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_connection(c, n < 0 ? strerror(errno) : "the peer closed the connection");
		return;
	}
	c->reads_much = (size_t)n >= READ_SOME;
	r = ttrpc_parser_feed(&c->parser, in, (size_t)n, c->on_frame, c->data);
	if (r == -ENOMEM)
		rpc_connection_break(c, "out of memory for a frame");
}

static __attribute__((noinline)) void read_some(struct rpc_connection *c, int fd)
{
	uint8_t in[READ_SOME];

	read_into(c, fd, in, sizeof(in));
}

static __attribute__((noinline)) void read_much(struct rpc_connection *c, int fd)
{
	uint8_t in[READ_MUCH];

	read_into(c, fd, in, sizeof(in));
}

static void on_event(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct rpc_connection *c = data;

	if (events & EPOLLOUT && !c->broken) {
		write_queued(c);
		update_events(c);
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	if (c->broken || !(c->events & EPOLLIN)) {
		/* Not reading: only a hang-up can have woken us. */
		if (c->broken || events & (EPOLLHUP | EPOLLERR))
			end_connection(c, "the peer closed the connection");
		return;
	}
	if (c->reads_much)
		read_much(c, fd);
	else
		read_some(c, fd);
}

int rpc_connection_start(struct rpc_connection *c, struct loop *loop, int fd, struct error *err)
{
	int r;

	c->loop = loop;
	c->fd = -1;
	c->events = EPOLLIN;
	r = loop_add_fd(loop, fd, EPOLLIN, on_event, c, &c->source, err);
	if (r < 0)
		return r;
	c->fd = fd;
	return 0;
}

void rpc_connection_release(struct rpc_connection *c)
{
	loop_source_free(c->source);
	c->source = NULL;
	/* Also for a forked helper that still holds a copy of the descriptor. */
	if (c->fd >= 0)
		shutdown(c->fd, SHUT_RDWR);
	close_fd(&c->fd);
	ttrpc_parser_free(&c->parser);
	buffer_free(&c->out);
	c->out_done = 0;
}
