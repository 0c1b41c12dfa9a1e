/* SPDX-License-Identifier: Apache-2.0 */
/* base64: see the header. */
#include "lib/image/base64.h"

#include <errno.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_decode(struct buffer *out, const char *text, size_t size)
{
	size_t before = out->size, digits = 0, padding = 0;
	uint32_t bits = 0;

	for (size_t i = 0; i < size; i++) {
		const char *at;

		if (strchr(" \t\r\n", text[i]) && text[i])
			continue;
		if (text[i] == '=') {
			padding++;
			continue;
		}
		at = text[i] ? strchr(alphabet, text[i]) : NULL;
		if (!at || padding) {
			out->size = before;
			return -EINVAL;
		}
		bits = bits << 6 | (uint32_t)(at - alphabet);
		if (++digits % 4 == 0)
			buffer_append(
			    out,
			    (uint8_t[]){(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits},
			    3);
	}
	if (digits % 4 == 3)
		buffer_append(out, (uint8_t[]){(uint8_t)(bits >> 10), (uint8_t)(bits >> 2)}, 2);
	else if (digits % 4 == 2)
		buffer_append(out, (uint8_t[]){(uint8_t)(bits >> 4)}, 1);
	if (digits % 4 == 1 || padding > 2) {
		out->size = before;
		return -EINVAL;
	}
	return out->failed ? -ENOMEM : 0;
}

void base64_encode(struct buffer *out, const void *data, size_t size)
{
	const uint8_t *p = data;

	for (; size; p += 3) {
		size_t n = size < 3 ? size : 3;
		uint32_t bits =
		    (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0u);
		char text[4] = {alphabet[bits >> 18], alphabet[bits >> 12 & 63],
		                n > 1 ? alphabet[bits >> 6 & 63] : '=',
		                n > 2 ? alphabet[bits & 63] : '='};

		buffer_append(out, text, 4);
		size -= n;
	}
}
