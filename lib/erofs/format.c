/* SPDX-License-Identifier: Apache-2.0 */
/* format: the tables and the checksum of the on-disk format. */
#include "lib/erofs/format.h"

#include <stdio.h>
#include <string.h>

/* By e_name_index; the two ACL names are whole names, not prefixes. */
static const char *const prefixes[] = {
    [1] = "user.",
    [2] = "system.posix_acl_access",
    [3] = "system.posix_acl_default",
    [4] = "trusted.",
    [6] = "security.",
};

#define N_PREFIXES (sizeof(prefixes) / sizeof(prefixes[0]))

const char *erofs_xattr_prefix(uint8_t index)
{
	return index < N_PREFIXES ? prefixes[index] : NULL;
}

uint8_t erofs_xattr_index(const char *name, const char **rest)
{
	for (uint8_t i = 0; i < N_PREFIXES; i++) {
		size_t n = prefixes[i] ? strlen(prefixes[i]) : 0;

		if (!n || strncmp(name, prefixes[i], n) != 0)
			continue;
		*rest = name + n;
		/* A prefix needs something behind it, a whole name must end. */
		if ((prefixes[i][n - 1] == '.') == (name[n] != '\0'))
			return i;
	}
	return 0;
}

uint32_t erofs_super_checksum(const uint8_t *bytes, size_t size)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < size; i++) {
		if (i < SB_CHECKSUM || i >= SB_CHECKSUM + 4)
			crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

const char *erofs_quote(char *buf, size_t size, const char *path, size_t len)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)path[i];

		if (used + 8 > size) {
			memcpy(buf + used, "...", 4);
			return buf;
		}
		if (c >= 0x20 && c < 0x7f && c != '\\')
			buf[used++] = (char)c;
		else
			used += (size_t)snprintf(buf + used, size - used, "\\x%02x", c);
		buf[used] = '\0';
	}
	return buf;
}
