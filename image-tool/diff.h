/* SPDX-License-Identifier: Apache-2.0 */
/* diff: the pieces of the verb `diff`: what they compare, and what they count. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "image-tool/report.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/guestimg/kconfig.h"

/* What a rule of --fail-on may ask about. */
enum diff_topic {
	DIFF_MEMBERS,  /* of image.json, those of the other topics not counted */
	DIFF_CMDLINE,  /* the kernel's words, of every device */
	DIFF_KERNEL,   /* version, configuration, and the bytes of vmlinux and bzImage */
	DIFF_PACKAGES, /* added, removed, of another version */
	DIFF_FILES,    /* in the root: added, removed, changed */
	DIFF_TOPICS,
};

struct diff {
	const char *a, *b; /* as the caller named them */
	struct report *r;
	uint64_t counts[DIFF_TOPICS];
	uint64_t size_a, size_b; /* bytes of all files of an image, or of the one */
};

/* Two folders with image.json. */
int diff_images(struct diff *d, struct error *err);
/* Two files, each a root file system, an initrd, or a disk whose first partition is one. */
int diff_contents(struct diff *d, const char *a, const char *b, struct error *err);
/* Symbols of two kernels; `list` is the report's word for them. */
int diff_kconfig(struct report *r, const char *list, const struct kconfig *a,
                 const struct kconfig *b, uint64_t *count, struct error *err);

/* ---- rules: "size+5%,packages" */

#define DIFF_RULES "size[+N%|+BYTES], files, packages, kernel, cmdline, members, any"

/* Only checks the words; -EINVAL (kind usage) names the first that is none. */
int diff_rules_check(const char *rules, struct error *err);
/* Reports each rule. Returns how many are hit, and their names in *hit, for one line. */
int diff_rules_apply(const char *rules, struct diff *d, struct buffer *hit, struct error *err);
