/* SPDX-License-Identifier: Apache-2.0 */
/* authenticode: which parts of a PE image are hashed, and in which order. */
#include "lib/measure/authenticode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"

/* Microsoft PE format: the MS-DOS stub, the COFF header behind "PE\0\0", the optional header. */
#define DOS_PE_OFFSET     0x3cu
#define COFF_SIZE         24u /* with the signature */
#define COFF_SECTIONS     6u
#define COFF_OPTIONAL     20u
#define OPTIONAL_HEADERS  60u
#define OPTIONAL_CHECKSUM 64u
#define MAGIC_PE32        0x10bu
#define MAGIC_PE32_PLUS   0x20bu
#define DIRECTORY_SIZE    8u
#define DIRECTORY_SIGNED  4u /* the certificate table's number */
#define SECTION_SIZE      40u
#define SECTION_RAW_SIZE  16u
#define SECTION_RAW_AT    20u

struct section {
	uint32_t at, size;
};

struct pe {
	size_t optional;                 /* offset of the optional header */
	size_t sections;                 /* of the section table */
	size_t headers;                  /* bytes of all headers */
	size_t signed_entry, signatures; /* offset of the directory's entry (0: none); bytes */
	size_t n_sections;
};

static int broken(struct error *err, const char *what)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "not a PE image that firmware takes: %s",
	                      what);
}

static size_t pe_offset(const struct blob *image)
{
	if (image->size < 0x40 || image->data[0] != 'M' || image->data[1] != 'Z')
		return 0;
	return get_le32(image->data + DOS_PE_OFFSET);
}

bool authenticode_is_pe(const struct blob *image)
{
	size_t at = pe_offset(image);

	return at > 0 && at <= image->size && image->size - at >= COFF_SIZE &&
	       memcmp(image->data + at, "PE\0", 4) == 0;
}

/* The directory of signatures, when there are that many directories. */
static int read_directories(const struct blob *image, struct pe *pe, size_t optional_size,
                            struct error *err)
{
	const uint8_t *optional = image->data + pe->optional;
	size_t directories = get_le16(optional) == MAGIC_PE32_PLUS ? 112 : 96;
	uint32_t at, size;

	if (optional_size < directories)
		return broken(err, "its optional header is too short");
	if (get_le32(optional + directories - 4) <= DIRECTORY_SIGNED)
		return 0;
	if (optional_size < directories + (DIRECTORY_SIGNED + 1) * DIRECTORY_SIZE)
		return broken(err, "its data directories do not fit into the optional header");
	pe->signed_entry = pe->optional + directories + DIRECTORY_SIGNED * DIRECTORY_SIZE;
	at = get_le32(image->data + pe->signed_entry);
	size = get_le32(image->data + pe->signed_entry + 4);
	if (at > image->size || size > image->size - at)
		return broken(err, "its signatures are beyond its end");
	pe->signatures = size;
	return 0;
}

static int read_headers(const struct blob *image, struct pe *pe, struct error *err)
{
	size_t at = pe_offset(image), optional_size;
	uint16_t magic;

	*pe = (struct pe){0};
	if (!authenticode_is_pe(image))
		return broken(err, "it has no PE header");
	pe->n_sections = get_le16(image->data + at + COFF_SECTIONS);
	optional_size = get_le16(image->data + at + COFF_OPTIONAL);
	pe->optional = at + COFF_SIZE;
	pe->sections = pe->optional + optional_size;
	if (pe->n_sections > AUTHENTICODE_MAX_SECTIONS)
		return broken(err, "it has more than 96 sections");
	if (optional_size < OPTIONAL_CHECKSUM + 4 || pe->sections > image->size ||
	    pe->n_sections * SECTION_SIZE > image->size - pe->sections)
		return broken(err, "its headers are beyond its end");
	magic = get_le16(image->data + pe->optional);
	if (magic != MAGIC_PE32 && magic != MAGIC_PE32_PLUS)
		return broken(err, "its optional header is of an unknown kind");
	pe->headers = get_le32(image->data + pe->optional + OPTIONAL_HEADERS);
	if (pe->headers > image->size || pe->headers < pe->sections + pe->n_sections * SECTION_SIZE)
		return broken(err, "the size of its headers cannot be right");
	return read_directories(image, pe, optional_size, err);
}

static int by_place(const void *a, const void *b)
{
	const struct section *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/* Those with content, in the order of the file. */
static int read_sections(const struct blob *image, const struct pe *pe, struct section *out,
                         size_t *n, struct error *err)
{
	*n = 0;
	for (size_t i = 0; i < pe->n_sections; i++) {
		const uint8_t *p = image->data + pe->sections + i * SECTION_SIZE;
		struct section s = {get_le32(p + SECTION_RAW_AT), get_le32(p + SECTION_RAW_SIZE)};

		if (s.size == 0)
			continue;
		if (s.at > image->size || s.size > image->size - s.at)
			return broken(err, "a section is beyond its end");
		out[(*n)++] = s;
	}
	qsort(out, *n, sizeof(*out), by_place);
	return 0;
}

int authenticode_digest(const struct blob *image, enum sha_alg alg, uint8_t *out, struct error *err)
{
	struct section sections[AUTHENTICODE_MAX_SECTIONS];
	struct blob parts[AUTHENTICODE_MAX_SECTIONS + 4];
	struct pe pe;
	size_t n = 0, m = 0, hashed, checksum;
	int r = read_headers(image, &pe, err);

	if (r == 0)
		r = read_sections(image, &pe, sections, &m, err);
	if (r < 0)
		return r;
	checksum = pe.optional + OPTIONAL_CHECKSUM;
	parts[n++] = (struct blob){image->data, checksum};
	checksum += 4;
	if (pe.signed_entry) {
		parts[n++] = (struct blob){image->data + checksum, pe.signed_entry - checksum};
		checksum = pe.signed_entry + DIRECTORY_SIZE;
	}
	parts[n++] = (struct blob){image->data + checksum, pe.headers - checksum};
	hashed = pe.headers;
	for (size_t i = 0; i < m; i++) {
		parts[n++] = (struct blob){image->data + sections[i].at, sections[i].size};
		hashed += sections[i].size;
	}
	if (hashed > image->size)
		return broken(err, "its sections overlap");
	/* What is behind the sections, without the signatures, which are last. Its place is
	 * counted, not looked up: so the specification has it. */
	if (image->size > hashed) {
		size_t extra = image->size - hashed;

		if (pe.signatures > extra)
			return broken(err, "its signatures overlap its sections");
		parts[n++] = (struct blob){image->data + hashed, extra - pe.signatures};
	}
	return sha_of(alg, parts, n, out, err);
}
