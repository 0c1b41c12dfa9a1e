/* SPDX-License-Identifier: Apache-2.0 */
/* out_stream: writes to a descriptor that others share, without blocking the loop. */
#include "out_stream.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

struct out_stream {
	struct loop *loop;
	int fd;
	struct loop_source *src; /* NULL: not a thing that polls, a file or /dev/null */
	struct loop_source *soon;
	struct buffer held;
	size_t from;
	out_stream_done_fn done;
	void *data;
};

static void finish(struct out_stream *o, int result)
{
	buffer_clear(&o->held);
	o->from = 0;
	if (o->src)
		loop_set_events(o->src, 0);
	o->done(o->data, result);
}

/* One write. False: all is done, or failed, and `o` may be gone by what `done` did. */
static bool write_some(struct out_stream *o, size_t most)
{
	size_t left = o->held.size - o->from;
	ssize_t n = write(o->fd, o->held.data + o->from, left < most ? left : most);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n >= 0)
		o->from += (size_t)n;
	if (n >= 0 && o->from < o->held.size)
		return true;
	finish(o, n < 0 ? -errno : 0);
	return false;
}

static void on_writable(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct out_stream *o = data;

	if (o->held.size > o->from) {
		write_some(o, PIPE_BUF);
	} else if (events & (EPOLLERR | EPOLLHUP)) {
		/* The reader has gone while there was nothing to say: the next write will tell. */
		loop_source_free(o->src);
		o->src = NULL;
	}
}

/* Files: nothing to wait for. A write to a full disk ends it. */
static void on_soon(struct loop_source *src, void *data)
{
	struct out_stream *o = data;

	if (write_some(o, SIZE_MAX / 2))
		loop_set_timer(src, 0);
}

int out_stream_new(struct out_stream **out, struct loop *loop, int fd, out_stream_done_fn done,
                   void *data, struct error *err)
{
	struct out_stream *o = calloc(1, sizeof(*o));

	if (!o)
		return error_set(err, ENOMEM, "no memory for an output stream");
	o->loop = loop;
	o->fd = fd;
	o->done = done;
	o->data = data;
	/* EPERM: a regular file; such never block. */
	loop_add_fd(loop, fd, 0, on_writable, o, &o->src, NULL);
	*out = o;
	return 0;
}

int out_stream_put(struct out_stream *o, const void *bytes, size_t size)
{
	buffer_append(&o->held, bytes, size);
	if (o->held.failed)
		return -ENOMEM;
	if (o->src)
		return loop_set_events(o->src, EPOLLOUT);
	if (o->soon)
		return loop_set_timer(o->soon, 0);
	return loop_add_timer(o->loop, 0, on_soon, o, &o->soon, NULL);
}

void out_stream_free(struct out_stream *o)
{
	if (!o)
		return;
	loop_source_free(o->src);
	loop_source_free(o->soon);
	buffer_free(&o->held);
	free(o);
}
