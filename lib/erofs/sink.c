/* SPDX-License-Identifier: Apache-2.0 */
/* sink: gathered writes to the image file. */
#include "lib/erofs/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/erofs/writer.h"

/* Of what is not gathered, between two questions whether to go on. */
#define PIECE (4u << 20)

int sink_init(struct sink *s, int fd, size_t room, struct error *err)
{
	*s = (struct sink){.fd = fd, .room = room};
	s->buf = malloc(room);
	return s->buf ? 0 : error_set(err, ENOMEM, "out of memory for a write buffer");
}

void sink_free(struct sink *s)
{
	free(s->buf);
	s->buf = NULL;
}

static int write_failed(int r, struct error *err)
{
	return error_errno(err, -r, "cannot write the EROFS image");
}

static int put(struct sink *s, const uint8_t *data, size_t size, uint64_t at, struct error *err)
{
	int r;

	if (s->interrupted && s->interrupted())
		return error_set(err, EINTR, "interrupted");
	r = fs_pwrite_all(s->fd, data, size, at);
	return r < 0 ? write_failed(r, err) : 0;
}

int sink_flush(struct sink *s, struct error *err)
{
	int r = s->used ? put(s, s->buf, s->used, s->at, err) : 0;

	s->at += s->used;
	s->used = 0;
	return r;
}

void sink_discard(struct sink *s)
{
	s->used = 0;
}

/* Makes the buffer continue at `at` with room for size bytes. */
static int move_to(struct sink *s, uint64_t at, size_t size, struct error *err)
{
	uint64_t end = s->at + s->used;

	/* A rest of a block is filled, more than that may stay a hole. */
	if (s->used && at >= end && at - end < EROFS_BLOCK_SIZE && at - end <= s->room - s->used &&
	    size <= s->room - s->used - (at - end)) {
		memset(s->buf + s->used, 0, at - end);
		s->used += at - end;
		return 0;
	}
	if (s->used) {
		int r;

		if (at > end && at - end < EROFS_BLOCK_SIZE && at - end <= s->room - s->used) {
			memset(s->buf + s->used, 0, at - end);
			s->used += at - end;
		}
		r = sink_flush(s, err);
		if (r < 0)
			return r;
	}
	s->at = at;
	return 0;
}

int sink_reserve(struct sink *s, uint64_t at, size_t size, uint8_t **out, struct error *err)
{
	int r = move_to(s, at, size, err);

	*out = s->buf + s->used;
	return r;
}

void sink_commit(struct sink *s, size_t size)
{
	s->used += size;
}

int sink_write(struct sink *s, uint64_t at, const void *data, size_t size, struct error *err)
{
	const uint8_t *from = data;
	uint8_t *p;
	int r;

	if (size >= s->room) {
		r = sink_flush(s, err);
		while (r == 0 && size) {
			size_t n = size < PIECE ? size : PIECE;

			r = put(s, from, n, at, err);
			from += n;
			at += n;
			size -= n;
		}
		return r;
	}
	r = sink_reserve(s, at, size, &p, err);
	if (r < 0)
		return r;
	memcpy(p, data, size);
	sink_commit(s, size);
	return 0;
}

int sink_truncate(struct sink *s, uint64_t size, struct error *err)
{
	int r = sink_flush(s, err);

	if (r < 0)
		return r;
	if (ftruncate(s->fd, (off_t)size) < 0)
		return write_failed(-errno, err);
	return 0;
}

int sink_punch(struct sink *s, uint64_t at, uint64_t size, struct error *err)
{
	static const uint8_t zeros[4096];
	int r = sink_flush(s, err);

	if (r < 0)
		return r;
	if (fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)size) ==
	    0)
		return 0;
	while (size && r == 0) {
		size_t n = size < sizeof(zeros) ? (size_t)size : sizeof(zeros);

		r = sink_write(s, at, zeros, n, err);
		at += n;
		size -= n;
	}
	return r;
}
