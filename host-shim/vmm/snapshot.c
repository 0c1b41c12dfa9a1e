/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot: see the header. */
#include "host-shim/vmm/snapshot.h"

#include <errno.h>
#include <isa-l/crc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"

enum {
	HEADER_SIZE = 64,
	SECTION_SIZE = 56,
	FIELD_SIZE = 8,
	ALIGN = 8,
	/* offsets: see the header's table */
	FORMAT_AT = 8,
	SECTIONS_AT = 12,
	FILE_SIZE_AT = 16,
	ARCH_AT = 24,
	MADE_BY_AT = 40,
	HEADER_CRC_AT = 60,
	VERSION_AT = 32,
	FLAGS_AT = 36,
	FIELDS_SIZE_AT = 40,
	FIELDS_CRC_AT = 48,
	SECTION_CRC_AT = 52,
	WORD_SIZE = 16, /* architecture, version of Kihon */
};

static const char magic[8] = {'K', 'I', 'H', 'O', 'N', 'V', 'M', 'S'};
static const char architecture[WORD_SIZE] = "x86_64";

uint32_t snapshot_crc(const void *data, size_t size)
{
	const uint8_t *p = data;
	uint32_t crc = ~0u;

	/* The library counts in int. */
	while (size > 0) {
		size_t n = size < 1u << 30 ? size : 1u << 30;

		crc = crc32_iscsi((unsigned char *)(uintptr_t)p, (int)n, crc);
		p += n;
		size -= n;
	}
	return ~crc;
}

/* ---- writing */

void snapshot_writer_clear(struct snapshot_writer *w)
{
	buffer_free(&w->bytes);
	*w = (struct snapshot_writer)SNAPSHOT_WRITER_INIT;
}

static void end_section(struct snapshot_writer *w)
{
	struct buffer *b = &w->bytes;
	size_t fields = w->section + SECTION_SIZE;
	uint8_t *head = b->data + w->section;

	if (w->section == 0 || b->failed)
		return;
	put_le64(head + FIELDS_SIZE_AT, b->size - fields);
	put_le32(head + FIELDS_CRC_AT, snapshot_crc(b->data + fields, b->size - fields));
	put_le32(head + SECTION_CRC_AT, snapshot_crc(head, SECTION_CRC_AT));
	w->section = 0;
}

void snapshot_begin(struct snapshot_writer *w, const char *name, uint32_t version, uint32_t flags)
{
	struct buffer *b = &w->bytes;
	size_t n = strlen(name);

	if (b->size == 0)
		buffer_fill(b, 0, HEADER_SIZE);
	end_section(w);
	if (n == 0 || n > SNAPSHOT_NAME_MAX || w->n_sections == SNAPSHOT_SECTIONS_MAX)
		b->failed = true;
	if (b->failed)
		return;
	w->section = b->size;
	w->n_sections++;
	buffer_append(b, name, n);
	buffer_fill(b, 0, VERSION_AT - n);
	buffer_le32(b, version);
	buffer_le32(b, flags);
	buffer_fill(b, 0, SECTION_SIZE - FIELDS_SIZE_AT);
}

void snapshot_put(struct snapshot_writer *w, uint32_t tag, const void *data, size_t size)
{
	struct buffer *b = &w->bytes;

	if (w->section == 0 || size > SNAPSHOT_SIZE_MAX)
		b->failed = true;
	if (b->failed)
		return;
	buffer_le32(b, tag);
	buffer_le32(b, (uint32_t)size);
	buffer_append(b, data, size);
	buffer_fill(b, 0, -size & (ALIGN - 1));
}

void snapshot_put_u32(struct snapshot_writer *w, uint32_t tag, uint32_t value)
{
	uint8_t bytes[4];

	put_le32(bytes, value);
	snapshot_put(w, tag, bytes, sizeof(bytes));
}

void snapshot_put_u64(struct snapshot_writer *w, uint32_t tag, uint64_t value)
{
	uint8_t bytes[8];

	put_le64(bytes, value);
	snapshot_put(w, tag, bytes, sizeof(bytes));
}

int snapshot_write(struct snapshot_writer *w, int fd, struct error *err)
{
	static const char version[] = KIHON_VERSION;
	struct buffer *b = &w->bytes;
	int r;

	end_section(w);
	if (b->failed || b->size == 0)
		return error_set(err, b->size ? ENOMEM : EINVAL,
		                 "the snapshot's state is empty or does not fit into %u MiB",
		                 SNAPSHOT_SIZE_MAX >> 20);
	memcpy(b->data, magic, sizeof(magic));
	put_le32(b->data + FORMAT_AT, SNAPSHOT_FORMAT);
	put_le32(b->data + SECTIONS_AT, w->n_sections);
	put_le64(b->data + FILE_SIZE_AT, b->size);
	memcpy(b->data + ARCH_AT, architecture, WORD_SIZE);
	memcpy(b->data + MADE_BY_AT, version,
	       sizeof(version) < WORD_SIZE ? sizeof(version) : WORD_SIZE - 1);
	put_le32(b->data + HEADER_CRC_AT, snapshot_crc(b->data, HEADER_CRC_AT));
	r = fs_write_all(fd, b->data, b->size);
	return r < 0 ? error_errno(err, -r, "writing the snapshot") : 0;
}

/* ---- reading */

struct snapshot {
	struct buffer bytes; /* when it was read from a file */
	char made_by[WORD_SIZE];
	uint32_t n;
	struct snapshot_section sections[];
};

void snapshot_free(struct snapshot *s)
{
	if (!s)
		return;
	buffer_free(&s->bytes);
	free(s);
}

const char *snapshot_made_by(const struct snapshot *s)
{
	return s->made_by;
}

/* At most WORD_SIZE - 1 printable characters. */
static void copy_word(char out[WORD_SIZE], const uint8_t *from)
{
	memcpy(out, from, WORD_SIZE);
	out[WORD_SIZE - 1] = 0;
	for (char *c = out; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static int bad(struct error *err, const char *what)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "the snapshot %s", what);
}

/* From the outside in, so that the reason that is told is the real one. */
static int check_header(const uint8_t *d, size_t size, struct error *err)
{
	uint32_t format;
	char word[WORD_SIZE];

	if (size < sizeof(magic) || memcmp(d, magic, sizeof(magic)) != 0)
		return bad(err, "is none: its first bytes are not KIHONVMS");
	if (size < HEADER_SIZE)
		return bad(err, "is cut short: there is no whole header");
	format = get_le32(d + FORMAT_AT);
	if (format != SNAPSHOT_FORMAT) /* before the checksum, whose place a newer one may move */
		return error_set_kind(
		    err, ERROR_INPUT, EPROTONOSUPPORT,
		    "the snapshot has format %u, this program reads format %u: make it "
		    "anew",
		    format, SNAPSHOT_FORMAT);
	if (get_le32(d + HEADER_CRC_AT) != snapshot_crc(d, HEADER_CRC_AT))
		return bad(err, "is damaged: its header's checksum does not hold");
	copy_word(word, d + ARCH_AT);
	if (memcmp(d + ARCH_AT, architecture, WORD_SIZE) != 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the snapshot is of a machine of architecture '%s', not %s",
		                      word, architecture);
	if (get_le64(d + FILE_SIZE_AT) > size)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the snapshot is cut short: %zu bytes of %llu", size,
		                      (unsigned long long)get_le64(d + FILE_SIZE_AT));
	if (get_le64(d + FILE_SIZE_AT) != size)
		return bad(err, "has bytes behind its end");
	if (get_le32(d + SECTIONS_AT) > SNAPSHOT_SECTIONS_MAX)
		return bad(err, "has too many sections");
	return 0;
}

/* Tags and lengths fill the section exactly. */
static bool fields_fit(const uint8_t *p, size_t size)
{
	while (size > 0) {
		uint64_t whole;

		if (size < FIELD_SIZE || !align_up64(get_le32(p + 4), ALIGN, &whole) ||
		    whole > size - FIELD_SIZE)
			return false;
		p += FIELD_SIZE + whole;
		size -= FIELD_SIZE + whole;
	}
	return true;
}

/* The name of a section: printable, ended by zeros, not used before. */
static bool take_name(struct snapshot *s, const uint8_t *head, char name[SNAPSHOT_NAME_MAX + 1])
{
	size_t n = strnlen((const char *)head, VERSION_AT);

	if (n == 0 || n > SNAPSHOT_NAME_MAX)
		return false;
	for (size_t i = 0; i < VERSION_AT; i++)
		if (i < n ? head[i] <= ' ' || head[i] > '~' : head[i] != 0)
			return false;
	memcpy(name, head, n + 1);
	for (uint32_t i = 0; i < s->n; i++)
		if (strcmp(s->sections[i].name, name) == 0)
			return false;
	return true;
}

static int take_section(struct snapshot *s, struct reader *r, struct error *err)
{
	struct snapshot_section *section = &s->sections[s->n];
	const uint8_t *head = reader_bytes(r, SECTION_SIZE);
	uint64_t size;

	if (!head || get_le32(head + SECTION_CRC_AT) != snapshot_crc(head, SECTION_CRC_AT))
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "the snapshot is damaged: the head of section %u does not hold", s->n);
	if (!take_name(s, head, section->name))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the snapshot's section %u has no name or one that is taken",
		                      s->n);
	size = get_le64(head + FIELDS_SIZE_AT);
	if (size > reader_left(r) || size % ALIGN)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the snapshot's section %s is longer than the file",
		                      section->name);
	section->version = get_le32(head + VERSION_AT);
	section->flags = get_le32(head + FLAGS_AT);
	section->size = (size_t)size;
	section->fields = reader_bytes(r, section->size);
	if (get_le32(head + FIELDS_CRC_AT) != snapshot_crc(section->fields, section->size))
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "the snapshot is damaged: the checksum of section %s does not hold",
		    section->name);
	if (!fields_fit(section->fields, section->size))
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "the snapshot's section %s has fields that do not fit into it", section->name);
	s->n++;
	return 0;
}

int snapshot_parse(struct snapshot **out, const uint8_t *data, size_t size, struct error *err)
{
	_cleanup_snapshot_ struct snapshot *s = NULL;
	struct reader r;
	uint32_t n;
	int e = check_header(data, size, err);

	if (e < 0)
		return e;
	n = get_le32(data + SECTIONS_AT);
	s = calloc(1, sizeof(*s) + n * sizeof(s->sections[0]));
	if (!s)
		return error_set(err, ENOMEM, "no memory for the snapshot's sections");
	copy_word(s->made_by, data + MADE_BY_AT);
	r = reader_init(data + HEADER_SIZE, size - HEADER_SIZE);
	for (uint32_t i = 0; i < n && e == 0; i++)
		e = take_section(s, &r, err);
	if (e == 0 && reader_left(&r) > 0)
		e = bad(err, "has bytes behind its last section");
	if (e == 0)
		*out = steal_ptr(&s);
	return e;
}

int snapshot_read(struct snapshot **out, int fd, struct error *err)
{
	_cleanup_buffer_ struct buffer bytes = BUFFER_INIT;
	int r;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_errno(err, errno, "reading the snapshot");
	r = fs_read_fd(fd, SNAPSHOT_SIZE_MAX, &bytes);
	if (r < 0)
		return error_errno(err, -r, "reading the snapshot");
	r = snapshot_parse(out, bytes.data, bytes.size, err);
	if (r < 0)
		return r;
	(*out)->bytes = bytes;
	bytes = (struct buffer)BUFFER_INIT;
	return 0;
}

int snapshot_open(struct snapshot *s, const char *name, uint32_t version,
                  const struct snapshot_section **out, struct error *err)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct snapshot_section *section = &s->sections[i];

		if (strcmp(section->name, name) != 0)
			continue;
		if (section->version > version)
			return error_set_kind(
			    err, ERROR_INPUT, EPROTONOSUPPORT,
			    "the snapshot's section %s has version %u, this program reads up "
			    "to %u: it was made by a newer one (%s)",
			    name, section->version, version, s->made_by);
		section->opened = true;
		*out = section;
		return 0;
	}
	return error_set_kind(err, ERROR_INPUT, ENOENT, "the snapshot has no section %s", name);
}

int snapshot_finish(const struct snapshot *s, struct error *err)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (!s->sections[i].opened && !(s->sections[i].flags & SNAPSHOT_OPTIONAL))
			return error_set_kind(
			    err, ERROR_INPUT, EPROTONOSUPPORT,
			    "the snapshot has a section %s, of which this machine knows "
			    "nothing (written by %s)",
			    s->sections[i].name, s->made_by);
	return 0;
}

const uint8_t *snapshot_find(const struct snapshot_section *s, uint32_t tag, unsigned int nth,
                             size_t *size)
{
	const uint8_t *p = s->fields, *end = p + s->size;

	while (p < end) {
		uint32_t length = get_le32(p + 4);

		if (get_le32(p) == tag && nth-- == 0) {
			*size = length;
			return p + FIELD_SIZE;
		}
		p += FIELD_SIZE + (((size_t)length + ALIGN - 1) & ~((size_t)ALIGN - 1));
	}
	return NULL;
}

int snapshot_get(const struct snapshot_section *s, uint32_t tag, void *data, size_t size,
                 struct error *err)
{
	size_t found = 0;
	const uint8_t *p = snapshot_find(s, tag, 0, &found);

	if (!p)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the snapshot's section %s has no field %u", s->name, tag);
	if (found != size)
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "the snapshot's section %s has a field %u of %zu bytes, not %zu", s->name, tag,
		    found, size);
	memcpy(data, p, size);
	return 0;
}

int snapshot_get_u32(const struct snapshot_section *s, uint32_t tag, uint32_t *value,
                     struct error *err)
{
	uint8_t bytes[4];
	int r = snapshot_get(s, tag, bytes, sizeof(bytes), err);

	if (r == 0)
		*value = get_le32(bytes);
	return r;
}

int snapshot_get_u64(const struct snapshot_section *s, uint32_t tag, uint64_t *value,
                     struct error *err)
{
	uint8_t bytes[8];
	int r = snapshot_get(s, tag, bytes, sizeof(bytes), err);

	if (r == 0)
		*value = get_le64(bytes);
	return r;
}
