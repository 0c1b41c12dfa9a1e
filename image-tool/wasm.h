/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasm: a WebAssembly command module made into one static program.
 *
 * The module is translated to C by wabt's wasm2c, compiled with the guest's compiler, and linked
 * with our WASI preview 1 layer (guest/wasi) into a static-PIE program that runs on any x86-64
 * Linux, in a guest or not. docs/wasm.md says what such a program sees. The same module and the
 * same tools give the same bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/guestimg/locate.h"

/* The largest module that is taken, in bytes. */
#define WASM_MODULE_MAX (64u << 20)

struct wasm_request {
	const uint8_t *data; /* the module */
	size_t size;
	const char *name;                        /* of the module, for messages */
	const struct locations *where;           /* whose guest/ has the compiler and the layer */
	bool (*interrupted)(void);               /* asked while tools run; may be NULL */
	void (*stage)(void *, const char *what); /* "translating", "compiling"; may be NULL */
	void *stage_data;
};

/* What the program needs of a kernel, for the choice of one. */
struct wasm_needs {
	bool sockets; /* imports one of the sock_ functions */
};

/* It begins as a module does ("\0asm"): nothing is said about the rest. Components begin so too. */
bool wasm_is_module(const uint8_t *data, size_t size);

/*
 * Writes the program to out_fd, an empty file open for writing; the mode is the caller's affair.
 * `needs` may be NULL. Errors of kind ERROR_INPUT: the module is broken, is not a command
 * (exports no _start), or imports what there is not, by name; of kind ERROR_ENVIRONMENT: wasm2c
 * or the guest's compiler is missing or too old, no room. -EINTR: interrupted. Nothing is left
 * behind but what was written to out_fd.
 */
int wasm_compile(const struct wasm_request *rq, int out_fd, struct wasm_needs *needs,
                 struct error *err);
