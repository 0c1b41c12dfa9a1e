/* SPDX-License-Identifier: Apache-2.0 */
/* output: a ring that any thread fills and the loop empties. */
#include "output.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host-shim/vmm/devices/rate.h"
#include "host-shim/vmm/virtio/later.h"
#include "lib/base/fs.h"

#define WRITE_SIZE    4096u /* bytes at a time: a pipe that has room takes this much whole */
#define WRITES_A_TURN 64    /* before other sources of the loop get their turn */
#define WAIT_MS       50    /* until the rate is looked at again */

struct output {
	struct loop *loop;
	int fd, event_fd;
	struct loop_source *wake, *room;
	struct later again;
	struct rate rate;
	pthread_mutex_t lock; /* for all below */
	uint8_t ring[OUTPUT_HOLD];
	size_t first, size; /* bytes held */
	uint64_t lost;
	bool dead; /* the reader is gone */
};

void output_put(struct output *o, const void *bytes, size_t size)
{
	size_t take, end, part;
	bool wake;

	pthread_mutex_lock(&o->lock);
	take = size < OUTPUT_HOLD - o->size ? size : OUTPUT_HOLD - o->size;
	if (o->dead)
		take = 0;
	o->lost += size - take;
	wake = o->size == 0 && take > 0;
	end = (o->first + o->size) % OUTPUT_HOLD;
	part = take < OUTPUT_HOLD - end ? take : OUTPUT_HOLD - end;
	memcpy(o->ring + end, bytes, part);
	memcpy(o->ring, (const uint8_t *)bytes + part, take - part);
	o->size += take;
	pthread_mutex_unlock(&o->lock);
	if (wake)
		loop_event_signal(o->event_fd);
}

uint64_t output_lost(struct output *o)
{
	uint64_t lost;

	pthread_mutex_lock(&o->lock);
	lost = o->lost;
	pthread_mutex_unlock(&o->lock);
	return lost;
}

/* A copy of the oldest bytes; how many. */
static size_t peek(struct output *o, uint8_t *to, size_t max)
{
	size_t n, part;

	pthread_mutex_lock(&o->lock);
	n = o->size < max ? o->size : max;
	part = n < OUTPUT_HOLD - o->first ? n : OUTPUT_HOLD - o->first;
	memcpy(to, o->ring + o->first, part);
	memcpy(to + part, o->ring, n - part);
	pthread_mutex_unlock(&o->lock);
	return n;
}

static void consume(struct output *o, size_t n)
{
	pthread_mutex_lock(&o->lock);
	o->first = (o->first + n) % OUTPUT_HOLD;
	o->size -= n;
	if (o->size == 0)
		o->first = 0; /* the rest of the ring need not be touched */
	pthread_mutex_unlock(&o->lock);
}

static void give_up(struct output *o)
{
	pthread_mutex_lock(&o->lock);
	o->dead = true;
	o->lost += o->size;
	o->size = 0;
	pthread_mutex_unlock(&o->lock);
}

enum drained { EMPTY, NO_ROOM, TOO_FAST, MORE };

static enum drained drain(struct output *o)
{
	uint8_t bytes[WRITE_SIZE];

	/* To a file there is always room, and a guest fills up as fast as this empties. */
	for (unsigned int i = 0; i < WRITES_A_TURN; i++) {
		size_t n = peek(o, bytes, sizeof(bytes)), may;
		ssize_t r;

		if (n == 0)
			return EMPTY;
		may = (size_t)rate_allows(&o->rate, n, loop_now_ms());
		if (may == 0)
			return TOO_FAST;
		r = write(o->fd, bytes, may);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && errno == EAGAIN)
			return NO_ROOM;
		if (r <= 0) {
			give_up(o);
			return EMPTY;
		}
		rate_take(&o->rate, (uint64_t)r);
		consume(o, (size_t)r);
	}
	return MORE;
}

static void on_room(struct loop_source *src, int fd, uint32_t events, void *data);

static void run(struct output *o)
{
	enum drained d = drain(o);

	if (d != NO_ROOM) {
		loop_source_free(o->room);
		o->room = NULL;
	} else if (!o->room &&
	           loop_add_fd(o->loop, o->fd, EPOLLOUT, on_room, o, &o->room, NULL) < 0) {
		o->room = NULL;
		d = TOO_FAST;
	}
	if (d == TOO_FAST)
		later_set(&o->again, WAIT_MS);
	else if (d == MORE)
		later_set(&o->again, 1);
}

static void on_room(struct loop_source *src, int fd, uint32_t events, void *data)
{
	run(data);
}

static void on_wake(struct loop_source *src, int fd, uint32_t events, void *data)
{
	if (loop_event_take(fd))
		run(data);
}

static void run_again(struct loop_source *src, void *data)
{
	run(data);
}

int output_new(struct output **out, struct loop *loop, int fd, uint64_t rate, struct error *err)
{
	_cleanup_output_ struct output *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return error_set(err, ENOMEM, "no memory for the guest's output");
	pthread_mutex_init(&o->lock, NULL);
	o->loop = loop;
	o->fd = fd;
	o->rate = rate_init(rate, loop_now_ms());
	o->again = (struct later){.loop = loop, .fn = run_again, .data = o};
	o->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (o->event_fd < 0)
		return error_errno(err, errno, "eventfd of the guest's output");
	r = fs_set_nonblock(fd, true);
	if (r < 0)
		return error_errno(err, -r, "descriptor of the guest's output");
	r = loop_add_fd(loop, o->event_fd, EPOLLIN, on_wake, o, &o->wake, err);
	if (r < 0)
		return r;
	*out = steal_ptr(&o);
	return 0;
}

void output_free(struct output *o)
{
	if (!o)
		return;
	drain(o);
	loop_source_free(o->wake);
	loop_source_free(o->room);
	later_clear(&o->again);
	close_fd(&o->event_fd);
	pthread_mutex_destroy(&o->lock);
	free(o);
}
