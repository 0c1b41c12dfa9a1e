/* SPDX-License-Identifier: Apache-2.0 */
/* dial: connects to a vsock port of a guest that may not be up yet. */
#include "dial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/str.h"

#define LINE_ROOM 32

struct dial {
	struct loop *loop;
	struct hypervisor *hv;
	uint32_t port;
	uint64_t deadline;
	struct loop_source *src, *timer;
	int fd;
	char line[LINE_ROOM]; /* of the answer, so far */
	size_t have;
	dial_fn fn;
	void *data;
};

static void hang_up(struct dial *d)
{
	loop_source_free(d->src);
	d->src = NULL;
	close_fd(&d->fd);
}

static void finish(struct dial *d, int result)
{
	loop_source_free(d->timer);
	d->timer = NULL;
	d->fn(d->data, result);
}

/* "OK 1073741824\n": one byte at a time, what follows is the stream's. 1 there, 0 not yet. */
static int read_answer(struct dial *d)
{
	for (;;) {
		char *c = &d->line[d->have];
		ssize_t n = read(d->fd, c, 1);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n <= 0)
			return -ECONNREFUSED;
		if (*c == '\n')
			return str_starts(d->line, "OK ") ? 1 : -EPROTO;
		if (++d->have == LINE_ROOM)
			return -EPROTO;
	}
}

static void on_answer(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct dial *d = data;
	int r = read_answer(d);

	if (r == 1) {
		loop_source_free(d->src);
		d->src = NULL;
		finish(d, steal_fd(&d->fd));
	} else if (r < 0) {
		hang_up(d);
	}
}

static void try_once(struct dial *d)
{
	d->have = 0;
	memset(d->line, 0, sizeof(d->line));
	d->fd = hypervisor_vsock_connect(d->hv, d->port, NULL);
	if (d->fd < 0)
		return;
	if (loop_add_fd(d->loop, d->fd, EPOLLIN, on_answer, d, &d->src, NULL) < 0)
		hang_up(d);
}

static void on_timer(struct loop_source *src, void *data)
{
	struct dial *d = data;

	if (loop_now_ms() >= d->deadline) {
		hang_up(d);
		finish(d, -ETIMEDOUT);
		return;
	}
	if (d->fd < 0)
		try_once(d);
	loop_set_timer(src, DIAL_RETRY_MS);
}

int dial_start(struct dial **out, struct loop *loop, struct hypervisor *hv, uint32_t port,
               uint64_t timeout_ms, dial_fn fn, void *data, struct error *err)
{
	struct dial *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return error_set(err, ENOMEM, "no memory to connect to the guest");
	d->loop = loop;
	d->hv = hv;
	d->port = port;
	d->deadline = loop_now_ms() + timeout_ms;
	d->fd = -1;
	d->fn = fn;
	d->data = data;
	r = loop_add_timer(loop, 0, on_timer, d, &d->timer, err);
	if (r < 0) {
		free(d);
		return r;
	}
	*out = d;
	return 0;
}

void dial_free(struct dial *d)
{
	if (!d)
		return;
	hang_up(d);
	loop_source_free(d->timer);
	free(d);
}
