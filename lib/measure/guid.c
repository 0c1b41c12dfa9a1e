/* SPDX-License-Identifier: Apache-2.0 */
/* guid: text to bytes. */
#include "lib/measure/guid.h"

#include <string.h>

/* Where the i-th byte of the text goes. */
static const uint8_t order[GUID_SIZE] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

static unsigned int digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	return (unsigned int)((c | 0x20) - 'a' + 10);
}

void guid_bytes(const char *text, uint8_t out[GUID_SIZE])
{
	for (size_t i = 0; i < GUID_SIZE; i++, text += 2) {
		if (*text == '-')
			text++;
		out[order[i]] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
	}
}

bool guid_is(const uint8_t *bytes, const char *text)
{
	uint8_t guid[GUID_SIZE];

	guid_bytes(text, guid);
	return memcmp(bytes, guid, sizeof(guid)) == 0;
}
