/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the WASI layer as a module would that does what it likes: the bytes are a memory of 4 KiB
 * and then calls of any function with any arguments, in a folder that is new each time. What it
 * points to must stay inside of the memory (AddressSanitizer), and the folder is all it sees.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "guest/wasi/wasi.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"

enum { MEMORY = 4096, CALLS = 64, PARAMETERS = 9 };

static uint8_t *memory;

static struct wasi_memory module_memory(void *instance)
{
	return (struct wasi_memory){memory, MEMORY};
}

/* Small numbers are descriptors and flags, others offsets; the largest are outside. */
static uint64_t argument(struct reader *r)
{
	uint8_t kind = reader_u8(r);

	if (kind < 0xa0)
		return kind % 40;
	if (kind < 0xf0)
		return reader_le16(r) % (MEMORY + 64);
	return kind < 0xf8 ? reader_le64(r) : UINT64_MAX - (kind - 0xf8);
}

/* All take at most nine integers, which the x86-64 calling convention passes the same way whether
 * they are of 32 or 64 bits, and whether the function looks at all of them or not. */
typedef uint32_t (*any_function)(struct wasi *, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                 uint64_t, uint64_t, uint64_t, uint64_t);

static const struct {
	const char *name;
	any_function call;
} functions[] = {
#define WASI_ROW(name, type, params) {#name, (any_function)(void (*)(void))wasi_##name},
    WASI_FUNCTIONS(WASI_ROW)};

/* These end the process or wait. */
static const char *const left_out[] = {"proc_exit", "proc_raise", "poll_oneoff"};

static void call(struct wasi *w, struct reader *r)
{
	unsigned int which = reader_u8(r) % (sizeof(functions) / sizeof(*functions));
	uint64_t a[PARAMETERS];

	for (int k = 0; k < PARAMETERS; k++)
		a[k] = argument(r);
	for (size_t k = 0; k < sizeof(left_out) / sizeof(*left_out); k++)
		if (strcmp(functions[which].name, left_out[k]) == 0)
			return;
	functions[which].call(w, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8]);
}

static void start(struct wasi *w, const char *dir)
{
	static char *argv[] = {(char *)"module", (char *)"argument", NULL};
	static char list[64], *envp[] = {list, (char *)"A=1", NULL};
	const struct rlimit size = {1 << 20, 1 << 20};
	struct error err = ERROR_INIT;

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &size);
	snprintf(list, sizeof(list), "KIHON_WASI_DIRS=%s=/", dir);
	if (wasi_start(w, argv, envp, &err) < 0)
		abort();
	/* The fuzzer's own. */
	for (int fd = 0; fd < 3; fd++)
		w->fds[fd].fd = open("/dev/null", O_RDWR | O_CLOEXEC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char dir[] = "/tmp/kihon-fuzz-wasi.XXXXXX";
	struct wasi w = {.memory = module_memory};
	size_t given = size < MEMORY ? size : MEMORY;
	struct reader r = reader_init(data + given, size - given);

	if (!mkdtemp(dir))
		return 0;
	/* On the heap, for AddressSanitizer. */
	memory = calloc(1, MEMORY);
	if (!memory)
		abort();
	memcpy(memory, data, given);
	start(&w, dir);
	for (int i = 0; i < CALLS && reader_left(&r) > 0; i++)
		call(&w, &r);
	wasi_free(&w);
	free(memory);
	fs_remove_tree(AT_FDCWD, dir, NULL);
	return 0;
}
