/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_tasks: the pieces of the verb `kernel`. */
#pragma once

#include <stdbool.h>

#include "image-tool/kernel_fragments.h"
#include "image-tool/report.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/guestimg/kconfig.h"
#include "lib/guestimg/locate.h"

struct kernel_options {
	const char *profile, *source, *why, *output;
	struct strv configs;
	bool list, diff, offline, json, quiet;
};

struct kernel_task {
	const struct kernel_options *o;
	struct locations where;
	struct kernel_catalogue *catalogue; /* owned */
	struct report *r;
};

/* --why SYMBOL: fragments, profiles, and what Kconfig itself says. -ENOENT (kind input): no
 * fragment and no Kconfig knows it. */
int kernel_why(struct kernel_task *t, struct error *err);

/* --diff A B: profiles, configurations, folders with a kernel. */
int kernel_diff(struct kernel_task *t, const char *a, const char *b, struct error *err);

/* What build-kernel answers without building: one line. 1: it has no answer (the kernel is not in
 * the cache, the source not unpacked). `question` is --cached or --source-tree. */
int kernel_ask(const struct kernel_task *t, const char *question, const char *profile,
               struct buffer *answer, struct error *err);
