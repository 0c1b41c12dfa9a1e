/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kconfig_tree: what a kernel's own Kconfig files say of a symbol: where it is defined, what it
 * depends on, and which others select it (Documentation/kbuild/kconfig-language.rst).
 *
 * Only the statements are read, as text: conditions are not worked out, nor those that an
 * enclosing `if` or `menu` adds. Bounded: 8192 files of at most 1 MiB, none outside the tree.
 */
#pragma once

#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"

struct kconfig_statement {
	const char *symbol;    /* whose it is, without CONFIG_ */
	const char *statement; /* "select", "imply", "depends on", "default", "prompt" */
	const char *text;      /* behind it; of select and imply: the condition, "" without one */
	const char *file;
	size_t line;
};

struct kconfig_origin {
	struct kconfig_statement *own; /* of the symbol itself, in the order of the files */
	size_t n_own;
	struct kconfig_statement *selects; /* of others that select or imply it */
	size_t n_selects;
	size_t defined; /* how many times; 0: there is no such symbol */
	struct arena arena;
};

/* symbol: without CONFIG_. -ENOENT (kind environment): tree is no Linux source. */
int kconfig_tree_find(const char *tree, const char *symbol, struct kconfig_origin **out,
                      struct error *err);
void kconfig_origin_free(struct kconfig_origin *o);
DEFINE_CLEANUP(struct kconfig_origin, kconfig_origin, kconfig_origin_free)
#define _cleanup_kconfig_origin_ _cleanup_(cleanup_kconfig_origin)
