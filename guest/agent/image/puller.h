/* SPDX-License-Identifier: Apache-2.0 */
/*
 * puller: running kihon-pull, the program that faces registries, as a user without rights,
 * and taking what it says with care.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"
#include "lib/oci/runtime_spec.h"

#define PULLER_UID        900
#define PULLER_MAX_OUTPUT (1u << 20) /* bytes of JSON that are read */
#define PULLER_MAX_LAYERS 256u       /* overlayfs takes 500 */

struct puller;

/* result 0: `out` has everything it wrote. Otherwise err is its last line, or what befell it. */
typedef void (*puller_done_fn)(int result, const char *out, size_t size, const struct error *err,
                               void *data);

/* argv[0] is the program; PATH is searched when it has no '/'. stdin_fd -1: /dev/null; it stays
 * the caller's. done is called once, never from within. */
int puller_run(struct loop *loop, char *const *argv, int stdin_fd, uint64_t deadline_ms,
               puller_done_fn done, void *data, struct puller **out, struct error *err);
/* Kills it; done is called with -ECANCELED, later. NULL is fine. */
void puller_cancel(struct puller *p);

/* What `kihon-pull pull --json` prints. */
struct image_info {
	const char *manifest_digest;
	size_t n_layers;
	struct image_layer_info {
		const char *diff_id; /* "sha256:" and 64 hex digits */
		const char *file;    /* absolute path of an EROFS image */
		uint64_t size;
	} * layers; /* lowest first */
	struct oci_strings entrypoint, cmd, env;
	const char *working_dir; /* "" when not said, as user */
	const char *user;
};

/* Everything goes into the arena. -EINVAL names what is wrong with it. */
int image_info_parse(const char *json, size_t size, struct arena *arena, struct image_info *out,
                     struct error *err);
