/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the reader of WebAssembly modules and the check of commands. */
#include <stdlib.h>
#include <string.h>

#include "lib/wasm/module.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is made plain can be read, has as many exports, and does not change when made so again. */
static void check_plain(const struct wasm_module *m, const uint8_t *data, size_t size)
{
	_cleanup_buffer_ struct buffer once = BUFFER_INIT, twice = BUFFER_INIT;
	_cleanup_wasm_module_ struct wasm_module again = WASM_MODULE_INIT;

	if (wasm_module_plain(m, data, size, &once) < 0 ||
	    wasm_module_read(&again, once.data, once.size, NULL) < 0 ||
	    again.n_exports != m->n_exports || again.n_imports != m->n_imports ||
	    wasm_module_plain(&again, once.data, once.size, &twice) < 0 ||
	    once.size != twice.size || memcmp(once.data, twice.data, once.size) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_wasm_module_ struct wasm_module m = WASM_MODULE_INIT;
	struct error err = ERROR_INIT;
	char text[8];

	if (wasm_module_read(&m, data, size, &err) < 0) {
		if (!err.text[0])
			abort();
		return 0;
	}
	for (uint32_t i = 0; i < m.n_types; i++)
		wasm_type_text(&m.types[i], text, sizeof(text));
	for (uint32_t i = 0; i < m.n_imported_functions + m.n_functions; i++)
		wasm_module_function(&m, i);
	if (wasm_module_check_command(&m, &err) < 0 && !err.text[0])
		abort();
	check_plain(&m, data, size);
	return 0;
}
