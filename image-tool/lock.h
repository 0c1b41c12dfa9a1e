/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock: image.lock, every input that an image was made of, each a pin:
 *
 *	{"schema": 1, "pins": [
 *	  {"kind": "kernel-source", "name": "linux-source-6.12", "version": "...", "sha256": "..."},
 *	  ...]}
 *
 * kind            name                     version              sha256 of
 * kihon           kihon                    of these programs
 * kernel-source   Debian's package         of the package       its tarball
 * kernel-config   the profile                                   the final .config
 * kernel-compiler gcc                      its and ld's words
 * kernel-file     vmlinux, bzImage                              a kernel given with --kernel
 * compressor      liblz4                   its version; of a compressed EROFS root
 * package         library                  of Debian's source   its .dsc
 * package-build   library                  of recipe, tool chain and what it depends on, as a hash
 * profile         list of files                                 its text
 * file            source in that list                           content
 * fragment        base name of --kernel-config FILE             content
 * extra           base name of --extra                          see extra.h
 *
 * The order is that of the table, then that of use. The same inputs give the same bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#define LOCK_FILE     "image.lock"
#define LOCK_MAX_SIZE (4u << 20) /* bytes */
#define LOCK_MAX_PINS 4096u

struct lock_pin {
	const char *kind, *name;
	const char *version; /* NULL: none */
	const char *sha256;  /* NULL: none */
};

struct lock {
	struct lock_pin *pins; /* owned */
	size_t n, room;
	struct arena arena; /* of the strings */
};

void lock_free(struct lock *l);
#define _cleanup_lock_ __attribute__((cleanup(lock_free)))

/* Copies the strings. */
int lock_add(struct lock *l, const char *kind, const char *name, const char *version,
             const char *sha256, struct error *err);
void lock_format(const struct lock *l, struct buffer *out);
/* `what` names the text in errors. -EINVAL (kind input). */
int lock_parse(struct lock *l, const char *text, size_t size, const char *what, struct error *err);
int lock_load(struct lock *l, const char *path, struct error *err);

/* Which pins to compare: of kinds that are known before kernel and libraries are looked at; of
 * kinds that `now` has a pin of; all. */
enum lock_part { LOCK_SOURCES, LOCK_KNOWN, LOCK_ALL };

/* Calls fn with a line for each pin that the two do not agree on, in the order of the former. A
 * non-zero return ends it and is returned. */
typedef int (*lock_diff_fn)(const char *line, void *data);
int lock_diff(const struct lock *former, const struct lock *now, enum lock_part part,
              lock_diff_fn fn, void *data);
