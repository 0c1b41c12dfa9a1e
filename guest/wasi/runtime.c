/* SPDX-License-Identifier: Apache-2.0 */
/* runtime: memory on guard pages, tables, function types, traps. */
#include "guest/wasi/runtime.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE UINT64_C(65536)

/* An address and an offset of 32 bits each, and the widest access. */
#define RESERVED ((UINT64_C(1) << 33) + PAGE)

/* Memories are of 32-bit addresses. */
#define PAGES_MAX 65536

#define ALT_STACK_SIZE 16384

/* What a fault outside of the module's memory may be away from the stack pointer when it was
 * the stack's: code is compiled to touch each page of a frame (-fstack-clash-protection). */
#define STACK_REACH (64u << 10)

struct func_type {
	uint32_t params, results;
	wasm_rt_type_t *values; /* never freed */
};

/* One module a process, and a signal handler that must find its memory. */
static struct {
	uint8_t *memory;
	struct func_type *types;
	uint32_t n_types;
	bool initialized;
} runtime;

static void put(const char *s)
{
	size_t n = strlen(s);

	while (n > 0) {
		ssize_t w = write(STDERR_FILENO, s, n);

		if (w <= 0)
			return;
		s += w;
		n -= (size_t)w;
	}
}

void wasm_runtime_fail(const char *why)
{
	put("wasm: ");
	put(why);
	put("\n");
	_exit(WASM_EXIT_NO_START);
}

void wasm_rt_trap(wasm_rt_trap_t trap)
{
	static const char *const lines[] = {
	    [WASM_RT_TRAP_NONE] = "wasm trap: none\n",
	    [WASM_RT_TRAP_OOB] = "wasm trap: out of bounds memory or table access\n",
	    [WASM_RT_TRAP_INT_OVERFLOW] = "wasm trap: integer overflow\n",
	    [WASM_RT_TRAP_DIV_BY_ZERO] = "wasm trap: integer divide by zero\n",
	    [WASM_RT_TRAP_INVALID_CONVERSION] = "wasm trap: invalid conversion to integer\n",
	    [WASM_RT_TRAP_UNREACHABLE] = "wasm trap: unreachable instruction executed\n",
	    [WASM_RT_TRAP_CALL_INDIRECT] =
	        "wasm trap: indirect call of no function, or of one of another type\n",
	    [WASM_RT_TRAP_EXHAUSTION] = "wasm trap: call stack exhausted\n",
	};

	put(lines[trap]);
	_exit(WASM_EXIT_TRAP);
}

static void on_fault(int signo, siginfo_t *info, void *context)
{
	const ucontext_t *u = context;
	uint64_t at = (uint64_t)(uintptr_t)info->si_addr;
	uint64_t memory = (uint64_t)(uintptr_t)runtime.memory;
	uint64_t sp = (uint64_t)u->uc_mcontext.gregs[REG_RSP];

	if (memory && at >= memory && at - memory < RESERVED)
		wasm_rt_trap(WASM_RT_TRAP_OOB);
	if (at + STACK_REACH > sp && at < sp + STACK_REACH)
		wasm_rt_trap(WASM_RT_TRAP_EXHAUSTION);
	/* Ours: die of it as any program does, when the instruction is tried again. */
	signal(signo, SIG_DFL);
}

int wasm_runtime_init(void)
{
	static uint8_t alt_stack[ALT_STACK_SIZE];
	const stack_t ss = {.ss_sp = alt_stack, .ss_size = sizeof(alt_stack)};
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	struct rlimit limit;
	sigset_t none;

	/* A fault whose signal is blocked would be the end without a word. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* The stack of a process grows up to the limit of the moment. */
	if (getrlimit(RLIMIT_STACK, &limit) == 0) {
		limit.rlim_cur =
		    limit.rlim_max < WASM_STACK_SIZE ? limit.rlim_max : WASM_STACK_SIZE;
		setrlimit(RLIMIT_STACK, &limit);
	}
	if (sigaltstack(&ss, NULL) < 0 || sigaction(SIGSEGV, &sa, NULL) < 0 ||
	    sigaction(SIGBUS, &sa, NULL) < 0)
		return -errno;
	runtime.initialized = true;
	return 0;
}

bool wasm_rt_is_initialized(void)
{
	return runtime.initialized;
}

static uint32_t find_type(uint32_t params, uint32_t results, const wasm_rt_type_t *values)
{
	for (uint32_t i = 0; i < runtime.n_types; i++) {
		const struct func_type *t = &runtime.types[i];

		if (t->params == params && t->results == results &&
		    memcmp(t->values, values, (params + results) * sizeof(*values)) == 0)
			return i + 1;
	}
	return 0;
}

uint32_t wasm_rt_register_func_type(uint32_t params, uint32_t results, ...)
{
	size_t size = (size_t)params + results;
	wasm_rt_type_t *values = calloc(size ? size : 1, sizeof(*values));
	struct func_type *types;
	uint32_t known;
	va_list ap;

	if (!values)
		wasm_runtime_fail("too little memory for the module's types");
	va_start(ap, results);
	for (size_t i = 0; i < size; i++)
		values[i] = va_arg(ap, wasm_rt_type_t);
	va_end(ap);
	known = find_type(params, results, values);
	if (known) {
		free(values);
		return known;
	}
	types = realloc(runtime.types, (runtime.n_types + 1) * sizeof(*types));
	if (!types)
		wasm_runtime_fail("too little memory for the module's types");
	runtime.types = types;
	types[runtime.n_types] = (struct func_type){params, results, values};
	return ++runtime.n_types;
}

void wasm_rt_allocate_memory(wasm_rt_memory_t *m, uint32_t pages, uint32_t max_pages)
{
	void *p =
	    mmap(NULL, RESERVED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		wasm_runtime_fail("cannot reserve 8 GiB of addresses for the module's memory "
		                  "(a limit: ulimit -v?)");
	*m = (wasm_rt_memory_t){
	    .data = p,
	    .max_pages = max_pages < PAGES_MAX ? max_pages : PAGES_MAX,
	};
	runtime.memory = p;
	if (wasm_rt_grow_memory(m, pages) == UINT32_MAX)
		wasm_runtime_fail("too little memory for what the module begins with");
}

uint32_t wasm_rt_grow_memory(wasm_rt_memory_t *m, uint32_t pages)
{
	uint32_t before = m->pages;

	if (pages > m->max_pages - before)
		return UINT32_MAX;
	if (pages > 0 && mprotect(m->data + m->size, pages * PAGE, PROT_READ | PROT_WRITE) < 0)
		return UINT32_MAX;
	m->pages += pages;
	m->size += pages * PAGE;
	return before;
}

void wasm_rt_free_memory(wasm_rt_memory_t *m)
{
	munmap(m->data, RESERVED);
	*m = (wasm_rt_memory_t){0};
	runtime.memory = NULL;
}

/* Room for `n` elements more, zeroed; false when there is none. */
static bool table_room(void **data, uint32_t size, uint32_t max, uint32_t n, size_t element)
{
	uint8_t *p;

	if (n > max - size)
		return false;
	p = reallocarray(*data, (size_t)size + n + !(size + n), element);
	if (!p)
		return false;
	memset(p + size * element, 0, n * element);
	*data = p;
	return true;
}

#define DEFINE_TABLE(kind)                                                                         \
	uint32_t wasm_rt_grow_##kind##_table(wasm_rt_##kind##_table_t *t, uint32_t n,              \
	                                     wasm_rt_##kind##_t value)                             \
	{                                                                                          \
		uint32_t before = t->size;                                                         \
		void *data = t->data;                                                              \
                                                                                                   \
		if (!table_room(&data, before, t->max_size, n, sizeof(value)))                     \
			return UINT32_MAX;                                                         \
		t->data = data;                                                                    \
		t->size += n;                                                                      \
		for (uint32_t i = before; i < t->size; i++)                                        \
			t->data[i] = value;                                                        \
		return before;                                                                     \
	}                                                                                          \
                                                                                                   \
	void wasm_rt_allocate_##kind##_table(wasm_rt_##kind##_table_t *t, uint32_t n,              \
	                                     uint32_t max)                                         \
	{                                                                                          \
		*t = (wasm_rt_##kind##_table_t){.max_size = max};                                  \
		if (wasm_rt_grow_##kind##_table(t, n, wasm_rt_##kind##_null_value) == UINT32_MAX)  \
			wasm_runtime_fail("too little memory for the module's tables");            \
	}                                                                                          \
                                                                                                   \
	void wasm_rt_free_##kind##_table(wasm_rt_##kind##_table_t *t)                              \
	{                                                                                          \
		free(t->data);                                                                     \
		*t = (wasm_rt_##kind##_table_t){0};                                                \
	}

DEFINE_TABLE(funcref)
DEFINE_TABLE(externref)
