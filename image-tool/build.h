/* SPDX-License-Identifier: Apache-2.0 */
/* build: what was asked of `build`; the table of options is build_options.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/str.h"

struct build_options {
	/* NULL until something says otherwise: build_image() puts in what is usual. */
	const char *profile, *format, *root_fs, *compress, *hot;
	const char *agent, *kernel, *kernel_source, *sign;
	const char *locked, *write_lock, *from, *output;
	struct strv kernel_configs, extras;
	uint64_t size; /* bytes; 0: the least */
	bool verity, offline, update, json, quiet;
};

/* Runs it; the exit status. */
int build_run(struct build_options *o);
