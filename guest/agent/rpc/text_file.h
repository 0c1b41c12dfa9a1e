/* SPDX-License-Identifier: Apache-2.0 */
/* text_file: numbers out of the kernel's small text files (procfs, cgroupfs). */
#pragma once

#include <stdint.h>

#include "lib/base/bytes.h"

#define TEXT_FILE_MAX (256u << 10)

/* The whole file; empty when it cannot be read (a controller that is not there). */
void text_file_read(int dirfd, const char *name, struct buffer *out);
/* The number after "KEY " at the beginning of a line (or KEY, ':' and blanks); 0 without. */
uint64_t text_file_value(const struct buffer *text, const char *key);
/* A file that is one number; UINT64_MAX for "max", 0 without. */
uint64_t text_file_number(int dirfd, const char *name);
