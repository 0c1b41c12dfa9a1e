/* SPDX-License-Identifier: Apache-2.0 */
/* base64: RFC 4648 section 4, with padding, in memory. */
#pragma once

#include <stddef.h>

#include "lib/base/bytes.h"

/* Appends. Line ends and blanks in the text are skipped, missing padding is forgiven;
 * anything else that is not base64 is -EINVAL (nothing appended). */
int base64_decode(struct buffer *out, const char *text, size_t size);
void base64_encode(struct buffer *out, const void *data, size_t size);
