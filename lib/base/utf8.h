/* SPDX-License-Identifier: Apache-2.0 */
/* utf8: well-formed UTF-8 (RFC 3629), nothing longer than needed, no surrogates. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

/* Bytes of the character at p, of which n >= 1 are there; 0 when it is none. */
size_t utf8_length(const uint8_t *p, size_t n);
bool utf8_valid(const void *text, size_t size);
/* Puts a '?' in the place of every byte that belongs to no character. */
void utf8_clean(char *text);
/* -EINVAL: not a character (a surrogate, or beyond U+10FFFF). */
int utf8_append(struct buffer *b, uint32_t code_point);
