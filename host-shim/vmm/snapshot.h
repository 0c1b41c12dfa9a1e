/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot: the state of a paused machine as a file: sections of fields, each with a checksum.
 *
 * A file is a header and sections. A section has a name ("vcpu.0", "virtio.vsock"), a version of
 * its own, and fields: a tag, a length, bytes. So the format grows without breaking: a field that a
 * reader does not ask for is passed over, a section of a newer version or of an unknown name is
 * refused with the reason, unless its writer marked it as one that may be left out. Memory is a
 *file of its own (snapshot_memory.h).
 *
 *	offset  size                                offset  size
 *	0       8   "KIHONVMS"                      0       32  name, filled up with zeros
 *	8       4   version of the format           32      4   version of the section
 *	12      4   number of sections              36      4   flags (enum snapshot_flag)
 *	16      8   bytes of the whole file         40      8   bytes of fields, a multiple of 8
 *	24      16  architecture ("x86_64")         48      4   CRC-32C of the fields
 *	40      16  version of Kihon that wrote it  52      4   CRC-32C of bytes 0 to 51
 *	56      4   0                               56          fields: tag and length (4 bytes
 *each), 60      4   CRC-32C of bytes 0 to 59                    then bytes, filled up to 8 with
 *zeros
 *
 * All numbers are little-endian. Sections follow each other without gaps and nothing follows them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

#define SNAPSHOT_FORMAT       1u
#define SNAPSHOT_SIZE_MAX     (64u << 20)
#define SNAPSHOT_SECTIONS_MAX 1024u
#define SNAPSHOT_NAME_MAX     31u

enum snapshot_flag { SNAPSHOT_OPTIONAL = 1 }; /* who does not know the section leaves it out */

/* ---- writing. Errors (no memory, misuse) are kept and told by snapshot_write(). */

struct snapshot_writer {
	struct buffer bytes;
	size_t section; /* where the open one begins; 0: none is open */
	uint32_t n_sections;
};

#define SNAPSHOT_WRITER_INIT                                                                       \
	{                                                                                          \
		.bytes = {.limit = SNAPSHOT_SIZE_MAX }                                             \
	}

void snapshot_writer_clear(struct snapshot_writer *w);
#define _cleanup_snapshot_writer_ __attribute__((cleanup(snapshot_writer_clear)))

/* Begins a section, which ends where the next begins or the file does. Names are unique. */
void snapshot_begin(struct snapshot_writer *w, const char *name, uint32_t version, uint32_t flags);
void snapshot_put(struct snapshot_writer *w, uint32_t tag, const void *data, size_t size);
void snapshot_put_u32(struct snapshot_writer *w, uint32_t tag, uint32_t value);
void snapshot_put_u64(struct snapshot_writer *w, uint32_t tag, uint64_t value);

/* Writes the file to fd, from its present position. Nothing may be added afterwards. */
int snapshot_write(struct snapshot_writer *w, int fd, struct error *err);

/* ---- reading */

struct snapshot;

struct snapshot_section {
	char name[SNAPSHOT_NAME_MAX + 1];
	uint32_t version, flags;
	const uint8_t *fields; /* the snapshot's */
	size_t size;
	bool opened;
};

/* Checks every byte of a file before any of it is used. -EINVAL: it is none, cut short, damaged, or
 * of another architecture; -EPROTONOSUPPORT: of a newer format; -EFBIG. `data` is the caller's and
 * must outlive the snapshot. */
int snapshot_parse(struct snapshot **out, const uint8_t *data, size_t size, struct error *err);
/* The same of a file, read from its beginning. */
int snapshot_read(struct snapshot **out, int fd, struct error *err);
void snapshot_free(struct snapshot *s); /* NULL is fine */
static inline void cleanup_snapshot(struct snapshot **s)
{
	snapshot_free(*s);
}
#define _cleanup_snapshot_ __attribute__((cleanup(cleanup_snapshot)))

/* The version of Kihon that wrote it; printable. */
const char *snapshot_made_by(const struct snapshot *s);

/* The section, when it is there in a version of at most `version`. -ENOENT: it is not;
 * -EPROTONOSUPPORT: it is newer. */
int snapshot_open(struct snapshot *s, const char *name, uint32_t version,
                  const struct snapshot_section **out, struct error *err);

/* Once all was opened that this machine has: -EPROTONOSUPPORT when there is more, which would be
 * lost (a device that this machine has not). */
int snapshot_finish(const struct snapshot *s, struct error *err);

/* The nth field (from 0) with this tag, or NULL. */
const uint8_t *snapshot_find(const struct snapshot_section *s, uint32_t tag, unsigned int nth,
                             size_t *size);
/* A field that must be there, in just this size. -EINVAL. */
int snapshot_get(const struct snapshot_section *s, uint32_t tag, void *data, size_t size,
                 struct error *err);
int snapshot_get_u32(const struct snapshot_section *s, uint32_t tag, uint32_t *value,
                     struct error *err);
int snapshot_get_u64(const struct snapshot_section *s, uint32_t tag, uint64_t *value,
                     struct error *err);

/* CRC-32C (Castagnoli; RFC 3720 B.4). */
uint32_t snapshot_crc(const void *data, size_t size);
