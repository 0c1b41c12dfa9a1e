/* SPDX-License-Identifier: Apache-2.0 */
/* text_file: reading is bounded, what is missing is zero. */
#include "guest/agent/rpc/text_file.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"

void text_file_read(int dirfd, const char *name, struct buffer *out)
{
	if (fs_read_file(dirfd, name, TEXT_FILE_MAX, out, NULL) < 0)
		buffer_clear(out);
}

uint64_t text_file_value(const struct buffer *text, const char *key)
{
	const char *line = buffer_cstr(text);
	size_t n = strlen(key);

	while (*line) {
		if (strncmp(line, key, n) == 0 && (line[n] == ' ' || line[n] == ':'))
			return strtoull(line + n + 1, NULL, 10);
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return 0;
}

uint64_t text_file_number(int dirfd, const char *name)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;

	text_file_read(dirfd, name, &text);
	if (str_starts(buffer_cstr(&text), "max"))
		return UINT64_MAX;
	return strtoull(buffer_cstr(&text), NULL, 10);
}
