/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain: a module without the names that its author chose.
 *
 * wasm2c puts names of exports into comments of the C that it writes, as they are: one that holds
 * the end of a comment would be C of the author's own, compiled without any of the bounds that
 * WebAssembly has.
 */
#include <errno.h>
#include <stdio.h>

#include "lib/base/bytes.h"
#include "lib/wasm/module.h"

enum { SECTION_CUSTOM = 0, SECTION_EXPORT = 7, PREAMBLE = 8 };

static void put_leb(struct buffer *b, uint32_t v)
{
	uint8_t byte;

	do {
		byte = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		buffer_append(b, &byte, 1);
	} while (v >>= 7);
}

/* The section is sound: wasm_module_read() has gone through it. */
static uint32_t get_leb(struct reader *r)
{
	uint32_t v = 0;
	uint8_t byte;

	for (unsigned int shift = 0; shift < 35; shift += 7) {
		byte = reader_u8(r);
		v |= (uint32_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			break;
	}
	return v;
}

static bool is_ours(const struct wasm_export *e)
{
	return (e->kind == WASM_FUNC && wasm_name_is(&e->name, "_start")) ||
	       (e->kind == WASM_MEMORY && wasm_name_is(&e->name, "memory"));
}

/* All exports stay, since a reference to a function may need its export; most get another name. */
static void put_exports(const struct wasm_module *m, struct buffer *out)
{
	put_leb(out, m->n_exports);
	for (uint32_t i = 0; i < m->n_exports; i++) {
		const struct wasm_export *e = &m->exports[i];
		const uint8_t kind = (uint8_t)e->kind;
		char name[16];
		int n = snprintf(name, sizeof(name), "e%u", i);

		put_leb(out, is_ours(e) ? e->name.size : (uint32_t)n);
		buffer_append(out, is_ours(e) ? e->name.p : name,
		              is_ours(e) ? e->name.size : (size_t)n);
		buffer_append(out, &kind, 1);
		put_leb(out, e->index);
	}
}

int wasm_module_plain(const struct wasm_module *m, const uint8_t *data, size_t size,
                      struct buffer *out)
{
	_cleanup_buffer_ struct buffer exports = BUFFER_INIT;
	struct reader r = reader_init(data, size);

	put_exports(m, &exports);
	buffer_append(out, reader_bytes(&r, PREAMBLE), PREAMBLE);
	while (reader_left(&r) > 0) {
		uint8_t id = reader_u8(&r);
		uint32_t n = get_leb(&r);
		const uint8_t *content = reader_bytes(&r, n);

		if (r.failed)
			return -EINVAL;
		if (id == SECTION_CUSTOM)
			continue;
		if (id == SECTION_EXPORT) {
			content = exports.data;
			n = (uint32_t)exports.size;
		}
		buffer_append(out, &id, 1);
		put_leb(out, n);
		buffer_append(out, content, n);
	}
	return out->failed || exports.failed ? -ENOMEM : 0;
}
