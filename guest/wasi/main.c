/* SPDX-License-Identifier: Apache-2.0 */
/* main: of a program that was made of a WebAssembly module. */
#include <string.h>
#include <unistd.h>

#include "guest/wasi/runtime.h"
#include "guest/wasi/wasi.h"

static struct wasi_memory module_memory(void *instance)
{
	const wasm_rt_memory_t *m = wasm_program.memory();

	return (struct wasi_memory){m->data, m->size};
}

int main(int argc, char **argv, char **envp)
{
	static struct wasi w = {.memory = module_memory};
	struct error err = ERROR_INIT;

	if (wasm_runtime_init() < 0)
		wasm_runtime_fail("cannot catch faults");
	if (wasi_start(&w, argv, envp, &err) < 0)
		wasm_runtime_fail(err.text);
	wasm_program.instantiate(&w);
	wasm_program.start();
	_exit(0);
}
