/* SPDX-License-Identifier: Apache-2.0 */
/* lz4: liblz4 as the writer's compressors. */
#include <errno.h>
#include <lz4.h>
#include <lz4hc.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/erofs/compress.h"

static size_t fill_fast(void *state, int level, const uint8_t *in, size_t *size, uint8_t *out,
                        size_t room)
{
	int taken = (int)*size;
	int n = LZ4_compress_destSize((const char *)in, (char *)out, &taken, (int)room);

	*size = n > 0 ? (size_t)taken : 0;
	return n > 0 ? (size_t)n : 0;
}

static size_t fill_hc(void *state, int level, const uint8_t *in, size_t *size, uint8_t *out,
                      size_t room)
{
	int taken = (int)*size;
	int n = LZ4_compress_HC_destSize(state, (const char *)in, (char *)out, &taken, (int)room,
	                                 level);

	*size = n > 0 ? (size_t)taken : 0;
	return n > 0 ? (size_t)n : 0;
}

const struct erofs_compressor erofs_lz4 = {
    .name = "lz4",
    .fill = fill_fast,
};

const struct erofs_compressor erofs_lz4hc = {
    .name = "lz4hc",
    .min_level = 1,
    .max_level = LZ4HC_CLEVEL_MAX,
    .default_level = LZ4HC_CLEVEL_DEFAULT,
    .state_size = sizeof(LZ4_streamHC_t),
    .fill = fill_hc,
};

const char *erofs_lz4_version(void)
{
	return LZ4_versionString();
}

int erofs_compression_parse(const char *text, struct erofs_compression *out, struct error *err)
{
	static const struct erofs_compressor *const all[] = {&erofs_lz4, &erofs_lz4hc};
	const char *comma = strchr(text, ',');
	size_t len = comma ? (size_t)(comma - text) : strlen(text);

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		const struct erofs_compressor *c = all[i];
		uint32_t level = (uint32_t)c->default_level;

		if (strlen(c->name) != len || strncmp(c->name, text, len) != 0)
			continue;
		if (comma && c->min_level == c->max_level)
			return error_set_kind(err, ERROR_USAGE, EINVAL, "%s has no levels: '%s'",
			                      c->name, text);
		if (comma && (parse_u32(comma + 1, &level) < 0 || level < (uint32_t)c->min_level ||
		              level > (uint32_t)c->max_level))
			return error_set_kind(err, ERROR_USAGE, EINVAL,
			                      "levels of %s are %d to %d, not '%s'", c->name,
			                      c->min_level, c->max_level, comma + 1);
		*out = (struct erofs_compression){
		    .compressor = c,
		    .level = (int)level,
		    .cluster_blocks = EROFS_CLUSTER_BLOCKS,
		};
		return 0;
	}
	return error_set_kind(err, ERROR_USAGE, EINVAL,
	                      "'%s' is no compression: lz4, lz4hc or lz4hc,LEVEL", text);
}
