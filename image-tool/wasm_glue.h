/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasm_glue: the C file between what wasm2c writes and the WASI layer: one function for each
 * import, and the table (guest/wasi/runtime.h) by which the layer starts the module.
 */
#pragma once

#include "lib/base/bytes.h"
#include "lib/wasm/module.h"

/* The name that wasm2c is told to give the module, and of the header that it writes. */
#define WASM_MODULE_NAME   "kihon"
#define WASM_MODULE_HEADER "module.h"

/* The module has passed wasm_module_check_command(). */
void wasm_glue(const struct wasm_module *m, struct buffer *out);
