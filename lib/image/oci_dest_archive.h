/* SPDX-License-Identifier: Apache-2.0 */
/* oci_dest_archive: a folder of an OCI layout as a tar. Used by oci_dest.c alone. */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"

/* Writes the files (paths below dir_fd, in this order) and the folders they are in to out_fd. The
 * same files give the same bytes: no owner, no time. */
int archive_write(int dir_fd, const char *const *paths, size_t n, int out_fd, struct error *err);
