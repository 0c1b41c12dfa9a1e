/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_fragments: kernel-config/ read as build-kernel reads it: which fragment asks for which
 * symbol, in which profiles, and what the comment above it says why.
 *
 * A profile is a list of fragments; the last that names a symbol decides. Bounded: 64 profiles,
 * 256 fragments of at most 1 MiB. Errors of fragments are -EINVAL (kind input) with their line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#define KERNEL_MAX_PROFILES  64u
#define KERNEL_MAX_FRAGMENTS 256u

struct fragment_line {
	const char *symbol; /* with CONFIG_ */
	const char *value;
	const char *since;  /* "6.12": asked of that kernel and later only; NULL: of all */
	const char *reason; /* the comment of its group; NULL: none */
	size_t number;      /* of the line */
};

struct fragment {
	const char *name;   /* without .config */
	const char *reason; /* what the fragment is for; NULL: not said */
	struct fragment_line *lines;
	size_t n, room;
};

struct kernel_profile {
	const char *name, *summary;
	struct fragment **fragments; /* in order, of included profiles, too */
	size_t n;
};

struct kernel_catalogue {
	struct kernel_profile *profiles; /* sorted by name */
	size_t n_profiles;
	struct fragment **fragments;
	size_t n_fragments;
	struct arena arena;
};

/* data: the folder that holds kernel-config/. -ENOENT (kind environment). */
int kernel_catalogue_load(const char *data, struct kernel_catalogue **out, struct error *err);
/* One more fragment, after those of every profile: a caller's --kernel-config. */
int kernel_catalogue_extend(struct kernel_catalogue *c, const char *path, struct error *err);
void kernel_catalogue_free(struct kernel_catalogue *c);
DEFINE_CLEANUP(struct kernel_catalogue, kernel_catalogue, kernel_catalogue_free)
#define _cleanup_catalogue_ _cleanup_(cleanup_kernel_catalogue)

/* NULL when there is none. */
const struct kernel_profile *kernel_profile_find(const struct kernel_catalogue *c,
                                                 const char *name);
/* -EINVAL (kind usage) names those that there are. */
int kernel_profile_need(const struct kernel_catalogue *c, const char *name,
                        const struct kernel_profile **out, struct error *err);

/* The line that decides the symbol in a profile, and its fragment; NULL: none names it. */
const struct fragment_line *kernel_profile_line(const struct kernel_profile *p, const char *symbol,
                                                const struct fragment **fragment);

/* All that the profile asks for, as the text of a configuration. */
void kernel_profile_format(const struct kernel_profile *p, struct buffer *out);
