/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the reader of WebAssembly modules and the check of commands. */
#include <stdlib.h>

#include "lib/wasm/module.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	return 0;
}
