/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kconfig: the configuration of a kernel (.config, kernel.config) as a sorted table.
 *
 * Lines are those that Kconfig writes: `CONFIG_NAME=value`, `# CONFIG_NAME is not set`,
 * comments. A symbol that is not set is not in the table: its value is "n". Of a symbol that
 * is named twice the last line counts, as for Kconfig.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#define KCONFIG_FILE        "kernel.config"
#define KCONFIG_MAX_SIZE    (4u << 20) /* bytes */
#define KCONFIG_MAX_SYMBOLS 65536u

struct kconfig_symbol {
	const char *name;  /* without CONFIG_ */
	const char *value; /* y, m, a number, a string in its quotes */
	size_t line;
};

struct kconfig {
	struct kconfig_symbol *symbols; /* sorted by name */
	size_t n;
	struct arena arena;
};

/* `what` names the text in errors. -EINVAL (kind input): a line that is none of these. */
int kconfig_parse(const char *text, size_t size, const char *what, struct kconfig **out,
                  struct error *err);
int kconfig_load(int dirfd, const char *path, struct kconfig **out, struct error *err);
void kconfig_free(struct kconfig *config);
DEFINE_CLEANUP(struct kconfig, kconfig, kconfig_free)
#define _cleanup_kconfig_ _cleanup_(cleanup_kconfig)

/* Which of these symbols are built in ("y"): for who asks for a few and wants no table. */
struct kconfig_wanted {
	const char *name; /* without CONFIG_ */
	bool built_in;    /* out */
};
int kconfig_look_up(int dirfd, const char *path, struct kconfig_wanted *wanted, size_t n,
                    struct error *err);

/* With or without CONFIG_; "n" when it is not set. */
const char *kconfig_value(const struct kconfig *config, const char *name);

/* Calls fn for each symbol that the two do not agree on, sorted by name. A negative return ends it
 * and is returned. */
typedef int (*kconfig_diff_fn)(const char *name, const char *a, const char *b, void *data);
int kconfig_diff(const struct kconfig *a, const struct kconfig *b, kconfig_diff_fn fn, void *data);
