/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasi: WASI preview 1 for one WebAssembly module that was compiled to native code.
 *
 * Each function of lib/wasm/wasi_functions.h is here as wasi_NAME(), takes the state and the
 * function's own parameters, and returns a WASI errno. Pointers are offsets into the module's
 * memory; every one is checked (WASI_FAULT). Descriptors are rows of a table of our own with their
 * rights; paths are resolved below the descriptor they start from (openat2 RESOLVE_BENEATH) and
 * cannot leave it, whatever links and ".." they hold: WASI_NOTCAPABLE.
 *
 * One thread, one module a process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/wasi/types.h"
#include "lib/base/error.h"
#include "lib/wasm/wasi_functions.h"

/* The module's memory as it is now: it may grow between two calls, but does not move. */
struct wasi_memory {
	uint8_t *data;
	uint64_t size;
};

struct wasi_fd {
	int fd; /* of the kernel; -1: the row is free */
	enum wasi_filetype type;
	uint64_t base, inheriting; /* rights */
	char *preopen;             /* the name of a preopened directory; owned, or NULL */
	bool preopened_socket;
};

struct wasi {
	struct wasi_memory (*memory)(void *instance);
	void *instance;
	struct wasi_fd *fds; /* owned */
	uint32_t n_fds;
	char **argv,
	    **envp;       /* NULL-terminated; what the module sees; envp (not the strings) owned */
	char *listen_fds; /* a string of envp; owned */
};

/*
 * Fills the table: 0 to 2 are the process's own; then sockets, then directories:
 *
 *	LISTEN_FDS         sockets from descriptor 3 on, as systemd passes them
 *	KIHON_WASI_LISTEN  ADDRESS:PORT[,...] that are listened on; sets LISTEN_FDS
 *	KIHON_WASI_DIRS    HOST[=GUEST][:...] directories; unset: /, empty: none
 *
 * Variables whose names begin with KIHON_ are not shown to the module. Errors name the variable.
 */
int wasi_start(struct wasi *w, char **argv, char **envp, struct error *err);
void wasi_free(struct wasi *w);

#define WASI_PARAMETERS(...)               (struct wasi * w, ##__VA_ARGS__)
#define WASI_PROTOTYPE(name, type, params) uint32_t wasi_##name WASI_PARAMETERS params;
WASI_FUNCTIONS(WASI_PROTOTYPE)
#undef WASI_PROTOTYPE
