/* SPDX-License-Identifier: Apache-2.0 */
/* compression: the table of formats and methods. */
#include "image-tool/compression.h"

#include <errno.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/str.h"

/* The first row of a format is what it has without being asked. */
static const struct row {
	const char *fs, *method;
	unsigned int level, max_level; /* 0: no levels */
	const char *suffix, *symbol;
} rows[] = {
    {"erofs", "none", 0, 0, "", NULL},
    {"erofs", "lz4", 0, 0, "", "CONFIG_EROFS_FS_ZIP"},
    {"erofs", "lz4hc", 9, 12, "", "CONFIG_EROFS_FS_ZIP"},
    {"initrd", "gzip", 9, 9, ".gz", "CONFIG_RD_GZIP"},
    {"initrd", "zstd", 12, 19, ".zst", "CONFIG_RD_ZSTD"},
    {"initrd", "lz4", 12, 12, ".lz4", "CONFIG_RD_LZ4"},
    {"initrd", "none", 0, 0, "", NULL},
    {"ext4", "none", 0, 0, "", NULL},
};

#define N_ROWS (sizeof(rows) / sizeof(*rows))

static int does_not_go(const char *word, const char *fs, struct error *err)
{
	_cleanup_buffer_ struct buffer list = BUFFER_INIT;

	for (size_t i = 0; i < N_ROWS; i++)
		if (strcmp(rows[i].fs, fs) == 0)
			buffer_printf(&list, "%s%s", list.size > 0 ? ", " : "", rows[i].method);
	return error_set_kind(err, ERROR_USAGE, EINVAL,
	                      "--compress %s does not go with %s, which takes: %s", word, fs,
	                      buffer_cstr(&list));
}

static int take_level(struct compression *out, const struct row *row, const char *word,
                      const char *level, struct error *err)
{
	out->level = row->level;
	if (!level)
		return 0;
	if (row->max_level > 0 && parse_u32(level + 1, &out->level) == 0 && out->level > 0 &&
	    out->level <= row->max_level)
		return 0;
	if (row->max_level == 0)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "--compress %s: %s has no levels",
		                      word, row->method);
	return error_set_kind(err, ERROR_USAGE, EINVAL,
	                      "--compress %s: the levels of %s are 1 to %u", word, row->method,
	                      row->max_level);
}

int compression_choose(struct compression *out, const char *word, const char *fs, struct error *err)
{
	const char *level = word ? strchr(word, ',') : NULL;
	size_t n = !word ? 0 : level ? (size_t)(level - word) : strlen(word);

	for (size_t i = 0; i < N_ROWS; i++) {
		const struct row *row = &rows[i];

		if (strcmp(row->fs, fs) != 0)
			continue;
		if (word && (strlen(row->method) != n || strncmp(row->method, word, n) != 0))
			continue;
		*out = (struct compression){
		    .method = row->method, .suffix = row->suffix, .kernel_symbol = row->symbol};
		return take_level(out, row, word, level, err);
	}
	return does_not_go(word, fs, err);
}
