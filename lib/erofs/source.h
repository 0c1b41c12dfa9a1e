/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source: copies host files into the image. Files of one folder are opened from one
 * descriptor, without following links below the folder that the caller named.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/erofs/node.h"
#include "lib/erofs/sink.h"

struct copier {
	struct sink *sink;
	const struct source *root; /* whose descriptor root_fd is */
	int root_fd;
	const struct source *dir; /* whose descriptor dir_fd is */
	int dir_fd;
};

void copier_init(struct copier *c, struct sink *sink);
void copier_done(struct copier *c);
/* An O_PATH descriptor of a folder that is a source, or a negative errno; it stays the
 * copier's and valid until the next call. */
int copier_enter(struct copier *c, const struct source *dir, struct error *err);
/* A descriptor, the caller's, of a CONTENT_SOURCE node's file, which is as large as it was. */
int copier_open(struct copier *c, const struct erofs_node *node, struct error *err);
/* Exactly `size` bytes of it from `offset` on; -ESTALE when there are fewer. */
int copier_read(const struct erofs_node *node, int fd, uint8_t *buf, size_t size, uint64_t offset,
                struct error *err);
/* Copies a CONTENT_SOURCE node's size bytes to `at`. -ESTALE when the file is not what
 * it was. */
int copier_copy(struct copier *c, const struct erofs_node *node, uint64_t at, struct error *err);

/* The path a source stands for, cut at size - 1 bytes; returns buf. */
const char *source_path(const struct source *s, char *buf, size_t size);
