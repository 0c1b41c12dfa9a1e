/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read_ahead: output read from a descriptor before somebody asks for it.
 *
 * For a stream whose reader takes all that it can: the pipe is emptied while the reader still looks
 * at the answer before, so that the next one is at hand and the writer goes on meanwhile. The
 * memory goes back READ_AHEAD_IDLE_MS after it was last of use; what is held then is kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/loop.h"

#define READ_AHEAD_SIZE    65536u /* two answers of ReadStdout */
#define READ_AHEAD_IDLE_MS 1000u

struct read_ahead {
	uint8_t *memory; /* NULL: not in use */
	size_t at, end;  /* of what nobody has taken */
	struct loop_source *timer;
	bool used, armed;
};

/* From now on there is memory to fill; without any it stays as it is. Can be repeated. */
void read_ahead_begin(struct read_ahead *a, struct loop *loop);
/* Reads once if there is memory, and nothing in it. Returns what read(2) does, with errno; -1 and
 * EAGAIN when it did not read. */
ssize_t read_ahead_fill(struct read_ahead *a, int fd);
/* The oldest bytes, at most *size of them, and how many; NULL when there are none. They lie behind
 * RPC_BYTES_PREFIX bytes that may be written over, and are valid until the next call. */
uint8_t *read_ahead_take(struct read_ahead *a, size_t *size);
void read_ahead_free(struct read_ahead *a);
