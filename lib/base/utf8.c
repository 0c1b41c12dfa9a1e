/* SPDX-License-Identifier: Apache-2.0 */
/* utf8: see the header; the table is RFC 3629 section 4. */
#include "utf8.h"

#include <errno.h>
#include <string.h>

size_t utf8_length(const uint8_t *p, size_t n)
{
	static const struct {
		uint8_t first_min, first_max, second_min, second_max, length;
	} forms[] = {
	    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
	    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
	    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	if (p[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (p[0] < forms[i].first_min || p[0] > forms[i].first_max)
			continue;
		if (n < forms[i].length || p[1] < forms[i].second_min || p[1] > forms[i].second_max)
			return 0;
		for (size_t k = 2; k < forms[i].length; k++)
			if (p[k] < 0x80 || p[k] > 0xbf)
				return 0;
		return forms[i].length;
	}
	return 0;
}

bool utf8_valid(const void *text, size_t size)
{
	const uint8_t *p = text;

	for (size_t i = 0, n; i < size; i += n) {
		n = utf8_length(p + i, size - i);
		if (!n)
			return false;
	}
	return true;
}

void utf8_clean(char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		size_t n = utf8_length((const uint8_t *)text, left);

		if (n == 0) {
			*text = '?';
			n = 1;
		}
		text += n;
		left -= n;
	}
}

int utf8_append(struct buffer *b, uint32_t c)
{
	uint8_t bytes[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return -EINVAL;
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		bytes[i] = (uint8_t)(0x80 | (c & 0x3f));
	bytes[0] = (uint8_t)(n == 1 ? c : (0xf00u >> n & 0xff) | c);
	buffer_append(b, bytes, n);
	return 0;
}
