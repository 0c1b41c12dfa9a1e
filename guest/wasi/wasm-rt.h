/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasm-rt: what the C that wasm2c (wabt 1.0.32) writes takes from its environment: our own
 * definition of that interface, by the name under which it is included.
 *
 * A module's memory is an address range of 8 GiB of which only the module's own pages can be
 * touched, so that no access is checked in the code: an address of 32 bits plus an offset of 32
 * bits is always inside of the range (guard pages). Traps end the process (runtime.c).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define wasm_rt_memcpy      __builtin_memcpy
#define wasm_rt_unreachable __builtin_unreachable

/* No code for checks of addresses and of the depth of calls: the processor makes them. */
#define WASM_RT_MEMCHECK_SIGNAL_HANDLER 1
#define WASM_RT_USE_STACK_DEPTH_COUNT   0

/* Core specification, 4.4: what makes an instruction trap. */
typedef enum {
	WASM_RT_TRAP_NONE,
	WASM_RT_TRAP_OOB,
	WASM_RT_TRAP_INT_OVERFLOW,
	WASM_RT_TRAP_DIV_BY_ZERO,
	WASM_RT_TRAP_INVALID_CONVERSION,
	WASM_RT_TRAP_UNREACHABLE,
	WASM_RT_TRAP_CALL_INDIRECT,
	WASM_RT_TRAP_EXHAUSTION,
} wasm_rt_trap_t;

typedef enum {
	WASM_RT_I32,
	WASM_RT_I64,
	WASM_RT_F32,
	WASM_RT_F64,
	WASM_RT_FUNCREF,
	WASM_RT_EXTERNREF,
} wasm_rt_type_t;

typedef void (*wasm_rt_function_ptr_t)(void);

/* An element of a table: the function, its type as a number, whose function it is. */
typedef struct {
	uint32_t func_type;
	wasm_rt_function_ptr_t func;
	void *module_instance;
} wasm_rt_funcref_t;

typedef void *wasm_rt_externref_t;

static const wasm_rt_funcref_t wasm_rt_funcref_null_value = {0, NULL, NULL};
static const wasm_rt_externref_t wasm_rt_externref_null_value = NULL;

typedef struct {
	uint8_t *data;
	uint32_t pages, max_pages; /* of 64 KiB */
	uint64_t size;             /* bytes */
} wasm_rt_memory_t;

typedef struct {
	wasm_rt_funcref_t *data;
	uint32_t max_size, size;
} wasm_rt_funcref_table_t;

typedef struct {
	wasm_rt_externref_t *data;
	uint32_t max_size, size;
} wasm_rt_externref_table_t;

bool wasm_rt_is_initialized(void);
__attribute__((noreturn, cold)) void wasm_rt_trap(wasm_rt_trap_t trap);

/* A number for the type: the same for the same parameters and results, never 0. */
uint32_t wasm_rt_register_func_type(uint32_t params, uint32_t results, ...);

void wasm_rt_allocate_memory(wasm_rt_memory_t *m, uint32_t pages, uint32_t max_pages);
/* The number of pages before, or UINT32_MAX when there is no room. */
uint32_t wasm_rt_grow_memory(wasm_rt_memory_t *m, uint32_t pages);
void wasm_rt_free_memory(wasm_rt_memory_t *m);

void wasm_rt_allocate_funcref_table(wasm_rt_funcref_table_t *t, uint32_t n, uint32_t max);
void wasm_rt_free_funcref_table(wasm_rt_funcref_table_t *t);
/* The number of elements before, or UINT32_MAX. */
uint32_t wasm_rt_grow_funcref_table(wasm_rt_funcref_table_t *t, uint32_t n,
                                    wasm_rt_funcref_t value);
void wasm_rt_allocate_externref_table(wasm_rt_externref_table_t *t, uint32_t n, uint32_t max);
void wasm_rt_free_externref_table(wasm_rt_externref_table_t *t);
uint32_t wasm_rt_grow_externref_table(wasm_rt_externref_table_t *t, uint32_t n,
                                      wasm_rt_externref_t value);
