/* SPDX-License-Identifier: Apache-2.0 */
/* relay: reads when its buffer is empty, writes when it is not. */
#include "lib/base/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"

#define RELAY_BUFFER 16384u

struct relay {
	struct loop *loop;
	int from, to;
	struct loop_source *source; /* of the one that is waited for */
	bool writing;               /* ... which is `to` */
	uint8_t *buffer;            /* only while there is something in it */
	size_t size, done_size;
	bool finish, ended, told;
	relay_done_fn done;
	void *data;
};

static void on_ready(struct loop_source *src, int fd, uint32_t events, void *data);

static void stop_waiting(struct relay *r)
{
	loop_source_free(r->source);
	r->source = NULL;
}

/* Only the side that we wait for is watched: a hang-up of the other cannot be masked. */
static int wait_for(struct relay *r, bool writing)
{
	if (r->source && r->writing == writing)
		return 0;
	stop_waiting(r);
	r->writing = writing;
	return loop_add_fd(r->loop, writing ? r->to : r->from, writing ? EPOLLOUT : EPOLLIN,
	                   on_ready, r, &r->source, NULL);
}

static void drop_buffer(struct relay *r)
{
	free(r->buffer);
	r->buffer = NULL;
	r->size = r->done_size = 0;
}

/* 1: the buffer is empty now; 0: it is not; negative: `to` takes no more. */
static int write_some(struct relay *r)
{
	while (r->done_size < r->size) {
		ssize_t n = write(r->to, r->buffer + r->done_size, r->size - r->done_size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		r->done_size += (size_t)n;
	}
	drop_buffer(r);
	return 1;
}

/* 1: something was read; 0: nothing is there; negative: the end. */
static int read_some(struct relay *r)
{
	ssize_t n;

	if (!r->buffer)
		r->buffer = malloc(RELAY_BUFFER);
	if (!r->buffer)
		return -ENOMEM;
	do
		n = read(r->from, r->buffer, RELAY_BUFFER);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		r->size = (size_t)n;
		return 1;
	}
	drop_buffer(r);
	return n < 0 && errno == EAGAIN && !r->finish ? 0 : -EPIPE;
}

static void end(struct relay *r)
{
	stop_waiting(r);
	drop_buffer(r);
	r->ended = true;
	if (r->told)
		return;
	r->told = true;
	r->done(r, r->data);
}

/* A few turns at a time: others want to be served, too. */
static void pump(struct relay *r)
{
	for (int turn = 0; turn < 8 && !r->ended; turn++) {
		int n = r->size ? write_some(r) : 1;

		if (n == 0) {
			if (wait_for(r, true) < 0)
				end(r);
			return;
		}
		n = n < 0 ? n : read_some(r);
		if (n < 0) {
			end(r);
			return;
		}
		if (n == 0)
			break;
	}
	if (!r->ended && wait_for(r, r->size > 0) < 0)
		end(r);
}

static void on_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	pump(data);
}

void relay_finish(struct relay *relay)
{
	relay->finish = true;
	if (!relay->ended && !relay->size)
		pump(relay);
}

int relay_new(struct loop *loop, int from, int to, relay_done_fn done, void *data,
              struct relay **out, struct error *err)
{
	struct relay *r = calloc(1, sizeof(*r));
	int code;

	if (!r)
		return error_set(err, ENOMEM, "out of memory for a relay");
	*r = (struct relay){.loop = loop, .done = done, .data = data, .from = -1, .to = -1};
	r->from = fcntl(from, F_DUPFD_CLOEXEC, 3);
	r->to = fcntl(to, F_DUPFD_CLOEXEC, 3);
	code = r->from < 0 || r->to < 0 ? -errno : 0;
	if (code == 0) {
		fs_set_nonblock(r->from, true);
		fs_set_nonblock(r->to, true);
		code = wait_for(r, false);
	}
	if (code < 0) {
		relay_free(r);
		return error_errno(err, -code, "a relay between two descriptors");
	}
	*out = r;
	return 0;
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	stop_waiting(relay);
	drop_buffer(relay);
	close_fd(&relay->from);
	close_fd(&relay->to);
	free(relay);
}
