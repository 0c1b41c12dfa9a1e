/* SPDX-License-Identifier: Apache-2.0 */
/* tar_fix: gives every header of a mutated archive its checksum, or no mutation would get past it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Copies an archive, with the checksum of each block that has the magic of one set right. */
static inline void tar_fix(uint8_t *to, const uint8_t *from, size_t size)
{
	memcpy(to, from, size);
	for (size_t at = 0; at + 512 <= size; at += 512) {
		unsigned int sum = 8 * ' ';
		char text[9];

		if (memcmp(to + at + 257, "ustar", 5))
			continue;
		for (size_t i = 0; i < 512; i++)
			sum += i >= 148 && i < 156 ? 0 : to[at + i];
		snprintf(text, sizeof(text), "%06o%c ", sum, 0);
		memcpy(to + at + 148, text, 8);
	}
}
