/* SPDX-License-Identifier: Apache-2.0 */
/*
 * module: what a WebAssembly module imports, exports and has for memory, read from its sections
 * without running or validating its code (wasm2c does that).
 *
 * WebAssembly Core Specification 1.0, section 5 (binary format), with the multi-value, sign
 * extension, bulk memory and reference type additions as far as they touch what is read here.
 * Names are taken as bytes; those that are printed are escaped. A module's own limits: at most
 * WASM_MAX_ITEMS types, imports or exports, WASM_MAX_VALUES parameters or results.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

#define WASM_MAX_ITEMS  100000
#define WASM_MAX_VALUES 1000

enum wasm_kind { WASM_FUNC, WASM_TABLE, WASM_MEMORY, WASM_GLOBAL, WASM_TAG, WASM_KINDS };

/* A name inside the module's bytes; no NUL at its end. */
struct wasm_name {
	const char *p;
	uint32_t size;
};

struct wasm_import {
	struct wasm_name module, name;
	enum wasm_kind kind;
	uint32_t type; /* of a function: index into types */
};

struct wasm_export {
	struct wasm_name name;
	enum wasm_kind kind;
	uint32_t index;
};

/* A function type: bytes of value types (0x7f i32, 0x7e i64, ...) inside the module. */
struct wasm_type {
	const uint8_t *params, *results;
	uint32_t n_params, n_results;
};

struct wasm_module {
	struct wasm_type *types; /* owned, as are the next two */
	struct wasm_import *imports;
	struct wasm_export *exports;
	uint32_t n_types, n_imports, n_exports;
	uint32_t *functions; /* type of each function that the module defines; owned */
	uint32_t n_functions;
	uint32_t n_imported_functions, n_memories; /* memories: imported and defined */
	bool memory64, shared_memory;
};

#define WASM_MODULE_INIT                                                                           \
	{                                                                                          \
		0                                                                                  \
	}

/* Reads the sections. The module refers to `data`, which must outlive it. Errors of kind
 * ERROR_INPUT say what is wrong and, of a component, that it is one. */
int wasm_module_read(struct wasm_module *m, const uint8_t *data, size_t size, struct error *err);
void wasm_module_free(struct wasm_module *m);
#define _cleanup_wasm_module_ __attribute__((cleanup(wasm_module_free)))

bool wasm_name_is(const struct wasm_name *n, const char *s);
/* The export of that name and kind, or NULL. */
const struct wasm_export *wasm_module_export(const struct wasm_module *m, const char *name,
                                             enum wasm_kind kind);
/* The type of a function by its index (imported ones first), or NULL. */
const struct wasm_type *wasm_module_function(const struct wasm_module *m, uint32_t index);
/* The type in the letters of wasi_functions.h: "ii:i"; cut to fit. Other types than i32 and i64
 * are f, F (f64), V, c (funcref), x (externref). */
void wasm_type_text(const struct wasm_type *t, char *out, size_t size);

/*
 * Whether it is a command that the WASI layer can run: exports a function `_start` without
 * parameters or results and a memory named `memory`, and imports nothing but functions of
 * wasi_functions.h, of their types. Errors of kind ERROR_INPUT name what is not so.
 */
int wasm_module_check_command(const struct wasm_module *m, struct error *err);

/*
 * Appends the same module without custom sections, and with all exports but those two under names
 * of ours: nothing in it is text of its author, but the names of imports, which have been checked.
 * `data` is what *m was read from. -EINVAL, -ENOMEM.
 */
int wasm_module_plain(const struct wasm_module *m, const uint8_t *data, size_t size,
                      struct buffer *out);
