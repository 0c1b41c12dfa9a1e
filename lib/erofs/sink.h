/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink: the image file being written, through one buffer.
 *
 * Bytes are given with their place in the file; what is next to the last ones is
 * gathered, anything else starts a new run. What is never written stays a hole.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

struct sink {
	int fd;       /* the caller's */
	uint8_t *buf; /* owned */
	size_t room;  /* bytes of buf */
	uint64_t at;  /* place of buf[0] in the file */
	size_t used;
	bool (*interrupted)(void); /* asked before each write: true ends it (-EINTR); or NULL */
};

int sink_init(struct sink *s, int fd, size_t room, struct error *err);
void sink_free(struct sink *s);

int sink_write(struct sink *s, uint64_t at, const void *data, size_t size, struct error *err);
/* Room for size (at most s->room) bytes that will be at `at`; then sink_commit() as many
 * as were put there. */
int sink_reserve(struct sink *s, uint64_t at, size_t size, uint8_t **out, struct error *err);
void sink_commit(struct sink *s, size_t size);
int sink_flush(struct sink *s, struct error *err);
/* Forgets what is gathered. */
void sink_discard(struct sink *s);
/* Sets the file's length. */
int sink_truncate(struct sink *s, uint64_t size, struct error *err);
/* Makes the range read as zeros and gives its room back where the file system can. */
int sink_punch(struct sink *s, uint64_t at, uint64_t size, struct error *err);
