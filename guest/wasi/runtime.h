/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime: from the start of the process to that of the module, and traps.
 *
 * The program ends with the module's status; 134 after a trap (as other runtimes do, with one line
 * on standard error that says which); 125 when it could not be started.
 */
#pragma once

#include "wasm-rt.h"

struct wasi;

#define WASM_EXIT_TRAP     134
#define WASM_EXIT_NO_START 125

/* Bytes of stack that a module's calls may take. */
#define WASM_STACK_SIZE (8u << 20)

/* What is compiled with a module (image-tool/wasm_glue.h) says how to run it. */
struct wasm_program {
	void (*instantiate)(struct wasi *w);
	void (*start)(void);
	wasm_rt_memory_t *(*memory)(void);
};
extern const struct wasm_program wasm_program;

/* Limits the stack and catches faults. Returns 0 or a negative errno. */
int wasm_runtime_init(void);

/* Says on standard error that it could not be started, and why; ends with WASM_EXIT_NO_START. */
__attribute__((noreturn, cold)) void wasm_runtime_fail(const char *why);
