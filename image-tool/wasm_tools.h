/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasm_tools: a scratch folder and the programs that are run in it: wasm2c of wabt, the guest's
 * compiler. They see names inside the folder only, so that nothing of where it is gets into what
 * they write.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/guestimg/locate.h"

/* The wabt whose generated C is known: 1.0.32, of Debian 12. */
#define WASM_WABT_VERSION "1.0.32"

struct wasm_scratch {
	char *dir; /* owned */
	bool (*interrupted)(void);
};

#define WASM_SCRATCH_INIT                                                                          \
	{                                                                                          \
		0                                                                                  \
	}

/* In $TMPDIR, or /tmp. */
int wasm_scratch_open(struct wasm_scratch *s, bool (*interrupted)(void), struct error *err);
/* Removes the folder and all in it. */
void wasm_scratch_close(struct wasm_scratch *s);
#define _cleanup_wasm_scratch_ __attribute__((cleanup(wasm_scratch_close)))

int wasm_scratch_write(const struct wasm_scratch *s, const char *name, const void *data,
                       size_t size, struct error *err);

/*
 * Runs a program in the folder, its group killed on interruption (-EINTR). 0: it ended with
 * status 0. 1: it ended otherwise, or crashed, and *said has what it wrote on standard error (at
 * most 64 KiB). Negative: it could not be run, or was killed.
 */
int wasm_scratch_run(const struct wasm_scratch *s, const struct strv *argv, struct buffer *said,
                     struct error *err);

/* wasm2c is there and of a version that is known; an error of kind environment otherwise. */
int wasm_find_wasm2c(struct error *err);
/* Makes `tools/guest-cc` in the folder, by the script of the data folder. */
int wasm_make_compiler(const struct wasm_scratch *s, const struct locations *where,
                       struct error *err);
