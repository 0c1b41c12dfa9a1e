/* SPDX-License-Identifier: Apache-2.0 */
/* tar_maker: builds archives by hand, as POSIX and GNU tar write them, good ones and bad ones. */
#pragma once

#include <stdint.h>

#include "lib/base/bytes.h"

struct tar_make {
	char type; /* '0' when 0 */
	const char *name, *link;
	uint32_t mode, uid, gid; /* mode 0644 when 0 */
	uint64_t mtime;
	const void *content;
	size_t size;
	bool gnu; /* GNU's magic instead of ustar's */
};

/* Appends a header with its checksum (and nothing else). */
void tar_make_header(struct buffer *b, const struct tar_make *m);
/* Header, content, padding. */
void tar_make(struct buffer *b, const struct tar_make *m);
/* Shorthands: a file with text, a directory, a symbolic link, a hard link. */
void tar_file(struct buffer *b, const char *name, const char *text);
void tar_dir(struct buffer *b, const char *name, uint32_t mode, uint32_t uid);
void tar_symlink(struct buffer *b, const char *name, const char *target);
void tar_hardlink(struct buffer *b, const char *name, const char *target);
/* One record of a pax header: "LENGTH key=value\n". */
void tar_record(struct buffer *b, const char *key, const void *value, size_t size);
/* A header of type 'x' or 'g' with these records. */
void tar_extended(struct buffer *b, char type, const struct buffer *records);
/* The two blocks of zeros. */
void tar_finish(struct buffer *b);
