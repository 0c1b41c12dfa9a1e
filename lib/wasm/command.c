/* SPDX-License-Identifier: Apache-2.0 */
/* command: whether a module is a command for WASI preview 1, and what it lacks if not. */
#include <errno.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/wasm/module.h"
#include "lib/wasm/wasi_functions.h"

static const struct {
	const char *name, *type;
} wasi_functions[] = {
#define WASI_ROW(name, type, params) {#name, type},
    WASI_FUNCTIONS(WASI_ROW)};

static const char *const kind_names[WASM_KINDS] = {
    [WASM_FUNC] = "function", [WASM_TABLE] = "table", [WASM_MEMORY] = "memory",
    [WASM_GLOBAL] = "global", [WASM_TAG] = "tag",
};

/* Modules that are known, but not provided, and what to do about them. */
static const struct {
	const char *module, *hint;
} known_modules[] = {
    {"wasi_unstable", "that is WASI preview 0: build it with a newer SDK"},
    {"wasi", "wasi-threads: threads are not supported"},
    {"env", "the SDK left it for its host: link what defines it, or build for wasm32-wasi"},
    {"wbg", "it was made for a browser by wasm-bindgen: build it for wasm32-wasi"},
    {"gojs", "it was made for a browser: build it with GOOS=wasip1"},
    {"go", "it was made for a browser: build it with GOOS=wasip1"},
};

static void append_name(struct buffer *b, const struct wasm_name *n)
{
	enum { SHOWN = 80 };

	buffer_json_escape(b, n->p, n->size < SHOWN ? n->size : SHOWN);
	if (n->size > SHOWN)
		buffer_str(b, "...");
}

static const char *hint_for(const struct wasm_import *im)
{
	for (size_t i = 0; i < sizeof(known_modules) / sizeof(*known_modules); i++)
		if (wasm_name_is(&im->module, known_modules[i].module))
			return known_modules[i].hint;
	return "only the functions of WASI preview 1 (" WASI_MODULE ") are provided";
}

static int refuse_import(const struct wasm_import *im, uint32_t others, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;

	append_name(&text, &im->module);
	buffer_str(&text, ".");
	append_name(&text, &im->name);
	if (others > 0)
		buffer_printf(&text, " and %u more", others);
	return error_set_kind(err, ERROR_INPUT, ENOTSUP, "it imports %s %s, which there is not; %s",
	                      kind_names[im->kind], buffer_cstr(&text), hint_for(im));
}

static const char *wasi_type(const struct wasm_import *im)
{
	if (im->kind != WASM_FUNC || !wasm_name_is(&im->module, WASI_MODULE))
		return NULL;
	for (size_t i = 0; i < sizeof(wasi_functions) / sizeof(*wasi_functions); i++)
		if (wasm_name_is(&im->name, wasi_functions[i].name))
			return wasi_functions[i].type;
	return NULL;
}

static int check_imports(const struct wasm_module *m, struct error *err)
{
	const struct wasm_import *first = NULL;
	uint32_t unknown = 0;
	char type[32];

	for (uint32_t i = 0; i < m->n_imports; i++) {
		const struct wasm_import *im = &m->imports[i];
		const char *wanted = wasi_type(im);

		if (!wanted) {
			first = first ? first : im;
			unknown++;
			continue;
		}
		wasm_type_text(&m->types[im->type], type, sizeof(type));
		if (strcmp(type, wanted) != 0)
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "it imports " WASI_MODULE
			                      ".%.*s with the type %s; in WASI preview 1 it is "
			                      "%s (i: i32, I: i64)",
			                      (int)im->name.size, im->name.p, type, wanted);
	}
	return first ? refuse_import(first, unknown - 1, err) : 0;
}

static int check_start(const struct wasm_module *m, struct error *err)
{
	const struct wasm_export *start = wasm_module_export(m, "_start", WASM_FUNC);
	const struct wasm_type *type;

	if (!start && wasm_module_export(m, "_initialize", WASM_FUNC))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "it is a reactor (exports _initialize, no _start): only "
		                      "commands can be run; link it without -mexec-model=reactor");
	if (!start)
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "it exports no function _start: only WASI commands can be run");
	type = wasm_module_function(m, start->index);
	if (!type || type->n_params > 0 || type->n_results > 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "its _start takes parameters or has results; a command's has "
		                      "none");
	return 0;
}

int wasm_module_check_command(const struct wasm_module *m, struct error *err)
{
	int r = check_imports(m, err);

	if (r == 0)
		r = check_start(m, err);
	if (r < 0)
		return r;
	if (m->n_memories > 1 || m->memory64 || m->shared_memory)
		return error_set_kind(err, ERROR_INPUT, ENOTSUP,
		                      "its memory is %s; one memory of 32-bit addresses is taken",
		                      m->memory64        ? "of 64-bit addresses"
		                      : m->shared_memory ? "shared (threads)"
		                                         : "in several parts");
	if (!wasm_module_export(m, "memory", WASM_MEMORY))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "it exports no memory named memory, through which WASI "
		                      "works");
	return 0;
}
