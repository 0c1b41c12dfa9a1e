/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_files: the files that an image lies in, a folder's or an archive's, to be read by name.
 *
 * A folder's links are followed inside it. An archive is looked through once, its members' content
 * passed over; of two members of one name the later one counts, as when it is unpacked. Several
 * threads may read at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#define OCI_FILES_MAX 65536 /* members of an archive */

struct oci_files;

/* Errors of kind input: -ENOTDIR and the like are the caller's question wrong, -EINVAL no archive.
 */
int oci_files_open_dir(const char *dir, struct oci_files **out, struct error *err);
int oci_files_open_archive(const char *file, struct oci_files **out, struct error *err);
void oci_files_close(struct oci_files *f);
DEFINE_CLEANUP(struct oci_files, oci_files, oci_files_close)
#define _cleanup_oci_files_ _cleanup_(cleanup_oci_files)

/* Where a file's bytes are. */
struct oci_range {
	int fd;
	bool own; /* the descriptor is the range's */
	uint64_t offset;
	uint64_t size;
};

/* 1: there is no regular file of that name. */
int oci_files_find(const struct oci_files *f, const char *name, struct oci_range *out,
                   struct error *err);
void oci_range_close(struct oci_range *r);
#define _cleanup_oci_range_ _cleanup_(oci_range_close)

/* All bytes, in order. -EIO when the file is shorter than it was. */
typedef int (*oci_bytes_fn)(void *data, const uint8_t *p, size_t n, struct error *err);
int oci_range_read(const struct oci_range *r, oci_bytes_fn fn, void *data, struct error *err);

/* A file of at most `max` bytes, appended. 1: it is not there. */
int oci_files_read(const struct oci_files *f, const char *name, size_t max, struct buffer *out,
                   struct error *err);
