/* SPDX-License-Identifier: Apache-2.0 */
/* read_ahead: one block of memory, filled when it is empty. */
#include "guest/agent/read_ahead.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/rpc/server.h"

void read_ahead_free(struct read_ahead *a)
{
	free(a->memory);
	loop_source_free(a->timer);
	*a = (struct read_ahead){0};
}

static void on_idle(struct loop_source *src, void *data)
{
	struct read_ahead *a = data;

	a->armed = false;
	if (a->used)
		a->armed = loop_set_timer(src, READ_AHEAD_IDLE_MS) == 0;
	else if (a->at == a->end)
		read_ahead_free(a);
	a->used = false;
}

void read_ahead_begin(struct read_ahead *a, struct loop *loop)
{
	if (a->memory)
		return;
	a->memory = malloc(RPC_BYTES_PREFIX + READ_AHEAD_SIZE);
	if (!a->memory)
		return;
	if (loop_add_timer(loop, READ_AHEAD_IDLE_MS, on_idle, a, &a->timer, NULL) < 0)
		read_ahead_free(a);
	a->armed = a->memory;
}

ssize_t read_ahead_fill(struct read_ahead *a, int fd)
{
	ssize_t n;

	if (!a->memory || a->at != a->end) {
		errno = EAGAIN;
		return -1;
	}
	do
		n = read(fd, a->memory + RPC_BYTES_PREFIX, READ_AHEAD_SIZE);
	while (n < 0 && errno == EINTR);
	a->at = 0;
	a->end = n > 0 ? (size_t)n : 0;
	return n;
}

uint8_t *read_ahead_take(struct read_ahead *a, size_t *size)
{
	uint8_t *p = a->memory + RPC_BYTES_PREFIX + a->at;

	if (a->at == a->end)
		return NULL;
	if (*size > a->end - a->at)
		*size = a->end - a->at;
	a->at += *size;
	a->used = true;
	if (!a->armed)
		a->armed = loop_set_timer(a->timer, READ_AHEAD_IDLE_MS) == 0;
	return p;
}
