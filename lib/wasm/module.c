/* SPDX-License-Identifier: Apache-2.0 */
/* module: the bounded reader of a WebAssembly module's sections. */
#include "lib/wasm/module.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"

/* Core specification 5.5.2. */
enum section { TYPE = 1, IMPORT = 2, FUNCTION = 3, MEMORY = 5, EXPORT = 7, SECTION_IDS = 14 };

enum { FORM_FUNC = 0x60 };

/* Limits, 5.3.8 with the bits of the threads, memory64 and custom-page-sizes proposals. */
enum {
	LIMITS_MAX = 1,
	LIMITS_SHARED = 2,
	LIMITS_64 = 4,
	LIMITS_PAGE_SIZE = 8,
	LIMITS_ALL = 15,
};

static int input_error(struct error *err, const char *what)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "%s", what);
}

/* LEB128, 5.2.2: at most ceil(bits / 7) bytes, the unused bits of the last being zero. */
static uint64_t read_leb(struct reader *r, unsigned int bits)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < bits; shift += 7) {
		uint8_t b = reader_u8(r);

		if (bits - shift < 7 && (b & 0x7f) >> (bits - shift) != 0)
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	r->failed = true;
	return 0;
}

static uint32_t read_u32(struct reader *r)
{
	return (uint32_t)read_leb(r, 32);
}

static struct wasm_name read_name(struct reader *r)
{
	struct wasm_name n = {.size = read_u32(r)};

	n.p = (const char *)reader_bytes(r, n.size);
	return n;
}

static int read_limits(struct reader *r, uint8_t *flags, struct error *err)
{
	*flags = reader_u8(r);
	if (*flags & ~LIMITS_ALL)
		return input_error(err, "it has a memory or table of unknown kind");
	read_leb(r, *flags & LIMITS_64 ? 64 : 32);
	if (*flags & LIMITS_MAX)
		read_leb(r, *flags & LIMITS_64 ? 64 : 32);
	if (*flags & LIMITS_PAGE_SIZE)
		read_u32(r);
	return 0;
}

static int read_memory(struct wasm_module *m, struct reader *r, struct error *err)
{
	uint8_t flags;
	int ret = read_limits(r, &flags, err);

	if (ret < 0)
		return ret;
	m->n_memories++;
	m->memory64 = m->memory64 || flags & LIMITS_64;
	m->shared_memory = m->shared_memory || flags & LIMITS_SHARED;
	return 0;
}

/* A count of items and room for them; every item takes at least `least` bytes. */
static int read_count(struct reader *r, size_t least, size_t item, uint32_t *n, void *items,
                      struct error *err)
{
	void *room;

	*n = read_u32(r);
	if (*n > reader_left(r) / least)
		r->failed = true;
	if (r->failed) {
		*n = 0;
		return input_error(err, "it ends in the middle of a section");
	}
	if (*n > WASM_MAX_ITEMS) {
		*n = 0;
		return input_error(err, "it has more than 100000 types, imports or exports");
	}
	room = calloc(*n ? *n : 1, item);
	if (!room) {
		*n = 0;
		return error_errno(err, ENOMEM, "reading a module");
	}
	*(void **)items = room;
	return 0;
}

static const uint8_t *read_values(struct reader *r, uint32_t *n)
{
	*n = read_u32(r);
	if (*n > WASM_MAX_VALUES)
		r->failed = true;
	return reader_bytes(r, *n);
}

static int read_types(struct wasm_module *m, struct reader *r, struct error *err)
{
	int ret = read_count(r, 3, sizeof(*m->types), &m->n_types, &m->types, err);

	for (uint32_t i = 0; ret == 0 && i < m->n_types && !r->failed; i++) {
		struct wasm_type *t = &m->types[i];
		uint8_t form = reader_u8(r);

		if (form != FORM_FUNC && !r->failed)
			return error_set_kind(err, ERROR_INPUT, ENOTSUP,
			                      "it has a type of form 0x%02x; structures, arrays "
			                      "and recursive types are not supported",
			                      form);
		t->params = read_values(r, &t->n_params);
		t->results = read_values(r, &t->n_results);
	}
	return ret;
}

static int read_import(struct wasm_module *m, struct wasm_import *im, struct reader *r,
                       struct error *err)
{
	uint8_t kind, flags;

	im->module = read_name(r);
	im->name = read_name(r);
	kind = reader_u8(r);
	if (kind >= WASM_KINDS)
		return input_error(err, "it has an import of unknown kind");
	im->kind = kind;
	switch (im->kind) {
	case WASM_FUNC:
		im->type = read_u32(r);
		m->n_imported_functions++;
		if (im->type >= m->n_types && !r->failed)
			return input_error(err,
			                   "an imported function has a type that is not there");
		return 0;
	case WASM_TABLE:
		reader_u8(r);
		return read_limits(r, &flags, err);
	case WASM_MEMORY:
		return read_memory(m, r, err);
	case WASM_GLOBAL:
		reader_skip(r, 2);
		return 0;
	default: /* a tag: attribute and type */
		reader_u8(r);
		read_u32(r);
		return 0;
	}
}

static int read_imports(struct wasm_module *m, struct reader *r, struct error *err)
{
	int ret = read_count(r, 4, sizeof(*m->imports), &m->n_imports, &m->imports, err);

	for (uint32_t i = 0; ret == 0 && i < m->n_imports && !r->failed; i++)
		ret = read_import(m, &m->imports[i], r, err);
	return ret;
}

static int read_functions(struct wasm_module *m, struct reader *r, struct error *err)
{
	int ret = read_count(r, 1, sizeof(*m->functions), &m->n_functions, &m->functions, err);

	for (uint32_t i = 0; ret == 0 && i < m->n_functions && !r->failed; i++)
		m->functions[i] = read_u32(r);
	return ret;
}

static int read_memories(struct wasm_module *m, struct reader *r, struct error *err)
{
	uint32_t n = read_u32(r);
	int ret = 0;

	for (uint32_t i = 0; ret == 0 && i < n && !r->failed; i++)
		ret = read_memory(m, r, err);
	return ret;
}

static int read_exports(struct wasm_module *m, struct reader *r, struct error *err)
{
	int ret = read_count(r, 3, sizeof(*m->exports), &m->n_exports, &m->exports, err);

	for (uint32_t i = 0; ret == 0 && i < m->n_exports && !r->failed; i++) {
		struct wasm_export *e = &m->exports[i];
		uint8_t kind;

		e->name = read_name(r);
		kind = reader_u8(r);
		e->index = read_u32(r);
		if (kind >= WASM_KINDS)
			return input_error(err, "it has an export of unknown kind");
		e->kind = kind;
	}
	return ret;
}

static int (*const section_readers[SECTION_IDS])(struct wasm_module *, struct reader *,
                                                 struct error *) = {
    [TYPE] = read_types,      [IMPORT] = read_imports, [FUNCTION] = read_functions,
    [MEMORY] = read_memories, [EXPORT] = read_exports,
};

static int read_preamble(struct reader *r, struct error *err)
{
	const uint8_t *magic = reader_bytes(r, 4);
	uint16_t version, layer;

	if (!magic || memcmp(magic, "\0asm", 4) != 0)
		return input_error(err, "it is not a WebAssembly module (\\0asm is missing)");
	version = reader_le16(r);
	layer = reader_le16(r);
	if (r->failed)
		return input_error(err, "it ends before its version");
	/* Component model, Binary.md: the upper half of the version is the layer. */
	if (layer == 1)
		return error_set_kind(err, ERROR_INPUT, ENOTSUP,
		                      "it is a component (component model, WASI preview 2); only "
		                      "core modules for WASI preview 1 are taken: compile it for "
		                      "wasm32-wasi or wasm32-wasip1");
	if (layer != 0 || version != 1)
		return error_set_kind(err, ERROR_INPUT, ENOTSUP,
		                      "it is of version %u; version 1 is known",
		                      (unsigned int)layer << 16 | version);
	return 0;
}

static int read_section(struct wasm_module *m, struct reader *r, uint32_t *seen, struct error *err)
{
	uint8_t id = reader_u8(r);
	uint32_t size = read_u32(r);
	const uint8_t *data = reader_bytes(r, size);
	struct reader content;
	int ret;

	if (!data)
		return input_error(err, "it ends in the middle of a section");
	if (id >= SECTION_IDS)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "it has a section of unknown id %u",
		                      id);
	if (!section_readers[id])
		return 0;
	if (*seen & 1u << id)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "section %u is there twice", id);
	*seen |= 1u << id;
	content = reader_init(data, size);
	ret = section_readers[id](m, &content, err);
	if (ret < 0)
		return ret;
	if (content.failed || reader_left(&content) > 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "section %u (%" PRIu32 " bytes) is damaged", id, size);
	return 0;
}

int wasm_module_read(struct wasm_module *m, const uint8_t *data, size_t size, struct error *err)
{
	struct reader r = reader_init(data, size);
	uint32_t seen = 0;
	int ret = read_preamble(&r, err);

	while (ret == 0 && reader_left(&r) > 0)
		ret = read_section(m, &r, &seen, err);
	return ret;
}

void wasm_module_free(struct wasm_module *m)
{
	free(m->types);
	free(m->imports);
	free(m->exports);
	free(m->functions);
	memset(m, 0, sizeof(*m));
}

bool wasm_name_is(const struct wasm_name *n, const char *s)
{
	return n->size == strlen(s) && memcmp(n->p, s, n->size) == 0;
}

const struct wasm_export *wasm_module_export(const struct wasm_module *m, const char *name,
                                             enum wasm_kind kind)
{
	for (uint32_t i = 0; i < m->n_exports; i++)
		if (m->exports[i].kind == kind && wasm_name_is(&m->exports[i].name, name))
			return &m->exports[i];
	return NULL;
}

const struct wasm_type *wasm_module_function(const struct wasm_module *m, uint32_t index)
{
	uint32_t type;

	if (index < m->n_imported_functions) {
		const struct wasm_import *im = m->imports;

		for (; index > 0 || im->kind != WASM_FUNC; im++)
			if (im->kind == WASM_FUNC)
				index--;
		return &m->types[im->type];
	}
	index -= m->n_imported_functions;
	if (index >= m->n_functions)
		return NULL;
	type = m->functions[index];
	return type < m->n_types ? &m->types[type] : NULL;
}

static char value_letter(uint8_t type)
{
	/* 5.3.1 to 5.3.4 */
	static const struct {
		uint8_t type;
		char letter;
	} letters[] = {{0x7f, 'i'}, {0x7e, 'I'}, {0x7d, 'f'}, {0x7c, 'F'},
	               {0x7b, 'V'}, {0x70, 'c'}, {0x6f, 'x'}};

	for (size_t i = 0; i < sizeof(letters) / sizeof(*letters); i++)
		if (letters[i].type == type)
			return letters[i].letter;
	return '?';
}

void wasm_type_text(const struct wasm_type *t, char *out, size_t size)
{
	size_t n = 0;

	for (uint32_t i = 0; i < t->n_params && n + 1 < size; i++)
		out[n++] = value_letter(t->params[i]);
	if (n + 1 < size)
		out[n++] = ':';
	for (uint32_t i = 0; i < t->n_results && n + 1 < size; i++)
		out[n++] = value_letter(t->results[i]);
	out[n] = 0;
}
