/* SPDX-License-Identifier: Apache-2.0 */
/* dax_info: the NVDIMM information block as bytes and back. */
#include "lib/disk/dax_info.h"

#include <errno.h>
#include <string.h>

#include "lib/base/bytes.h"

enum {
	INFO_SIGNATURE = 0, /* 16 bytes; UUIDs follow, which are zero without labels */
	INFO_VERSION_MAJOR = 52,
	INFO_VERSION_MINOR = 54,
	INFO_DATA_OFFSET = 56,
	INFO_MODE = 72,
	INFO_ALIGN = 84,
	INFO_CHECKSUM = 4088,
};

#define MODE_RAM 1u

static const char signature[16] = "NVDIMM_PFN_INFO";

/* Fletcher-64 over the block's 32-bit words, the checksum's own counted as zero. */
static uint64_t checksum(const uint8_t *block)
{
	uint32_t low = 0;
	uint64_t high = 0;

	for (size_t at = 0; at < DAX_INFO_SIZE; at += 4) {
		low += at < INFO_CHECKSUM ? get_le32(block + at) : 0;
		high += low;
	}
	return high << 32 | low;
}

void dax_info_format(const struct dax_info *info, uint8_t out[DAX_INFO_SIZE])
{
	memset(out, 0, DAX_INFO_SIZE);
	memcpy(out + INFO_SIGNATURE, signature, sizeof(signature));
	put_le16(out + INFO_VERSION_MINOR, 2);
	put_le64(out + INFO_DATA_OFFSET, info->data_offset);
	put_le32(out + INFO_MODE, MODE_RAM);
	put_le32(out + INFO_ALIGN, info->align);
	put_le64(out + INFO_CHECKSUM, checksum(out));
}

int dax_info_parse(const uint8_t *data, size_t size, struct dax_info *out, struct error *err)
{
	const char *wrong = NULL;

	*out = (struct dax_info){0};
	if (size < DAX_INFO_SIZE ||
	    memcmp(data + INFO_SIGNATURE, signature, sizeof(signature)) != 0)
		return 1;
	out->data_offset = get_le64(data + INFO_DATA_OFFSET);
	out->align = get_le32(data + INFO_ALIGN);
	if (get_le64(data + INFO_CHECKSUM) != checksum(data))
		wrong = "has a wrong checksum";
	else if (get_le16(data + INFO_VERSION_MAJOR) != 0 ||
	         get_le16(data + INFO_VERSION_MINOR) < 1)
		wrong = "is of a version that is not known (0.1 and later are)";
	else if (get_le32(data + INFO_MODE) != MODE_RAM)
		wrong = "keeps its page map elsewhere than in memory";
	return wrong ? error_set_kind(err, ERROR_INPUT, EUCLEAN, "the DAX information block %s",
	                              wrong)
	             : 0;
}
