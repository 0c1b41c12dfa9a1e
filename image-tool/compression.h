/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compression: which methods go with which format of the root file system, and what a kernel
 * needs for them.
 */
#pragma once

#include "lib/base/error.h"

#define COMPRESSION_WORDS "none, gzip, zstd, lz4 or lz4hc"

struct compression {
	const char *method;        /* "none", "gzip", "zstd", "lz4" or "lz4hc" */
	unsigned int level;        /* 1 and up; 0: the method has none */
	const char *suffix;        /* of an initrd's file name: ".gz"; "" for others */
	const char *kernel_symbol; /* that the guest's kernel must have; NULL: none */
};

/* word is METHOD or METHOD,LEVEL; NULL: what the format has by itself. `fs` is the file system in
 * the image: "erofs", "ext4" or "initrd". -EINVAL (kind usage) names what goes with it. */
int compression_choose(struct compression *out, const char *word, const char *fs,
                       struct error *err);
