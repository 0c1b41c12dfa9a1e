/* SPDX-License-Identifier: Apache-2.0 */
/* convert_tree: whether the hash tree that a layer's annotations tell of is one over its bytes. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "image-tool/convert.h"
#include "image-tool/tool.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define PREFIX "org.erofs.dmverity."

struct said {
	char root[80], offset[24], block_size[8];
};

static int keep(void *data, const char *key, const char *value)
{
	struct said *s = data;
	const struct {
		const char *key;
		char *to;
		size_t room;
	} all[] = {
	    {PREFIX "root_digest", s->root, sizeof(s->root)},
	    {PREFIX "hash_offset", s->offset, sizeof(s->offset)},
	    {PREFIX "block_size", s->block_size, sizeof(s->block_size)},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (!strcmp(key, all[i].key))
			snprintf(all[i].to, all[i].room, "%s", value);
	return 0;
}

static int refuse(struct error *err, const char *why)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "its annotations " PREFIX "*: %s", why);
}

int convert_check_tree(const struct convert *c, size_t layer, int fd, uint64_t size,
                       struct error *err)
{
	struct verity_place place = {
	    .data_fd = fd, .hash_fd = fd, .superblock = true, .interrupted = tool_interrupted};
	uint8_t super[VERITY_SUPER_SIZE];
	struct said said = {0};
	struct verity v = {0};
	int r = convert_each_annotation(c->image, layer, keep, &said, err);

	if (r)
		return r;
	if (parse_u64(said.offset, &place.hash_offset) || place.hash_offset % VERITY_BLOCK_SIZE ||
	    size < VERITY_BLOCK_SIZE || place.hash_offset > size - VERITY_BLOCK_SIZE)
		return refuse(err, "hash_offset is no place for a hash tree in the layer");
	if (said.block_size[0] && strcmp(said.block_size, "4096"))
		return refuse(err, "only blocks of 4096 bytes are supported");
	r = fs_pread_all(fd, super, sizeof(super), place.hash_offset);
	if (r)
		return error_errno(err, -r, "cannot read a layer");
	r = verity_super_parse(super, sizeof(super), &v, err);
	if (r)
		return r;
	if (v.data_blocks != place.hash_offset / VERITY_BLOCK_SIZE)
		return refuse(err, "the hash tree is not of all that is before it");
	if (!str_starts(said.root, "sha256:") ||
	    strlen(said.root) != strlen("sha256:") + 2 * sizeof(v.root) ||
	    verity_unhex(said.root + strlen("sha256:"), v.root, sizeof(v.root)))
		return refuse(err, "root_digest is no SHA-256 digest");
	return verity_check(&v, &place, err);
}
