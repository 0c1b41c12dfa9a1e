/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_options: fstab words (config.md, "Mounts", Linux mount options) sorted into
 * what the kernel takes them as: attributes of the mount, flags of the file system,
 * propagation, and words of ours. What is no known word belongs to the file system.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/oci/runtime_spec.h"

struct mount_options {
	uint64_t set;   /* MOUNT_ATTR_* */
	uint64_t clear; /* MOUNT_ATTR_*; holds MOUNT_ATTR__ATIME when set has an atime word */
	uint64_t set_recursive;
	uint64_t clear_recursive;
	uint64_t propagation; /* MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE or 0 */
	bool propagation_recursive;
	bool bind;
	bool recursive; /* rbind */
	bool idmap;     /* with the container's mappings, or the mount's own */
	bool idmap_recursive;
	bool copy_up; /* tmpcopyup: what was below moves into the tmpfs */
};

void mount_options_parse(const struct oci_strings *words, struct mount_options *out);
/* MS_* of a propagation word ("rslave"), 0 when it is none. */
uint64_t mount_propagation(const char *word, bool *recursive);

enum mount_word_use {
	MOUNT_WORD_OURS,    /* done by attributes; not for the file system */
	MOUNT_WORD_FS_FLAG, /* a flag every file system takes ("sync") */
	MOUNT_WORD_FS,      /* the file system's own */
};
enum mount_word_use mount_word_use(const char *word);

/* The known words, by number; NULL beyond the last. */
const char *mount_word(size_t i);
