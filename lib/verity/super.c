/* SPDX-License-Identifier: Apache-2.0 */
/*
 * super: the superblock before a hash tree, and the kernel's words for one.
 *
 * The superblock's fields are those of cryptsetup's documentation of the on-disk format
 * ("Verity superblock format"), little endian, 512 bytes.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/verity/shape.h"

enum {
	SUPER_SIGNATURE = 0, /* "verity", two NULs */
	SUPER_VERSION = 8,   /* 1 */
	SUPER_HASH_TYPE = 12,
	SUPER_UUID = 16,
	SUPER_ALGORITHM = 32,
	SUPER_ALGORITHM_SIZE = 32,
	SUPER_DATA_BLOCK = 64,
	SUPER_HASH_BLOCK = 68,
	SUPER_DATA_BLOCKS = 72,
	SUPER_SALT_SIZE = 80, /* 16 bits, then 6 bytes of padding */
	SUPER_SALT = 88,
};

static const uint8_t signature[8] = "verity\0";
static const uint8_t algorithm[32] = "sha256";

void verity_super_format(const struct verity *v, uint8_t out[VERITY_SUPER_SIZE])
{
	memset(out, 0, VERITY_SUPER_SIZE);
	memcpy(out + SUPER_SIGNATURE, signature, sizeof(signature));
	put_le32(out + SUPER_VERSION, 1);
	put_le32(out + SUPER_HASH_TYPE, 1);
	memcpy(out + SUPER_UUID, v->uuid, sizeof(v->uuid));
	memcpy(out + SUPER_ALGORITHM, algorithm, sizeof(algorithm));
	put_le32(out + SUPER_DATA_BLOCK, VERITY_BLOCK_SIZE);
	put_le32(out + SUPER_HASH_BLOCK, VERITY_BLOCK_SIZE);
	put_le64(out + SUPER_DATA_BLOCKS, v->data_blocks);
	put_le16(out + SUPER_SALT_SIZE, (uint16_t)v->salt_size);
	memcpy(out + SUPER_SALT, v->salt, v->salt_size);
}

static int refuse(struct error *err, const char *what)
{
	return error_set_kind(err, ERROR_INPUT, EUCLEAN, "the verity superblock %s", what);
}

static bool is_block_size(uint32_t n)
{
	return n >= 512 && n <= 65536 && (n & (n - 1)) == 0;
}

static bool is_algorithm(const uint8_t name[SUPER_ALGORITHM_SIZE])
{
	size_t n = strnlen((const char *)name, SUPER_ALGORITHM_SIZE);

	for (size_t i = 0; i < n; i++)
		if (!islower(name[i]) && !isdigit(name[i]) && name[i] != '-')
			return false;
	return n > 0;
}

int verity_super_read(const uint8_t *data, size_t size, struct verity_super *out, struct error *err)
{
	*out = (struct verity_super){.data_blocks = 0};
	if (size < VERITY_SUPER_SIZE)
		return refuse(err, "is cut short");
	if (memcmp(data + SUPER_SIGNATURE, signature, sizeof(signature)) != 0)
		return refuse(err, "is not there");
	if (get_le32(data + SUPER_VERSION) != 1 || get_le32(data + SUPER_HASH_TYPE) != 1)
		return refuse(err, "is of a version that is not known (1 is)");
	if (!is_algorithm(data + SUPER_ALGORITHM))
		return refuse(err, "names no hash");
	memcpy(out->algorithm, data + SUPER_ALGORITHM, SUPER_ALGORITHM_SIZE);
	out->data_block_size = get_le32(data + SUPER_DATA_BLOCK);
	out->hash_block_size = get_le32(data + SUPER_HASH_BLOCK);
	if (!is_block_size(out->data_block_size) || !is_block_size(out->hash_block_size))
		return refuse(err, "has blocks of a size that cannot be");
	out->data_blocks = get_le64(data + SUPER_DATA_BLOCKS);
	if (out->data_blocks == 0 || out->data_blocks > INT64_MAX / out->data_block_size)
		return refuse(err, "has no or too many data blocks");
	out->salt_size = get_le16(data + SUPER_SALT_SIZE);
	if (out->salt_size > sizeof(out->salt))
		return refuse(err, "has a salt longer than 256 bytes");
	memcpy(out->uuid, data + SUPER_UUID, sizeof(out->uuid));
	memcpy(out->salt, data + SUPER_SALT, out->salt_size);
	return 0;
}

int verity_super_parse(const uint8_t *data, size_t size, struct verity *v, struct error *err)
{
	struct verity_super super;
	struct shape shape;
	int r = verity_super_read(data, size, &super, err);

	*v = (struct verity){0};
	if (r < 0)
		return r;
	if (strcmp(super.algorithm, (const char *)algorithm) != 0)
		return refuse(err, "names a hash that is not known (sha256 is)");
	if (super.data_block_size != VERITY_BLOCK_SIZE ||
	    super.hash_block_size != VERITY_BLOCK_SIZE)
		return refuse(err, "has blocks of other than 4096 bytes");
	if (shape_of(super.data_blocks, &shape, NULL) < 0)
		return refuse(err, "has no or too many data blocks");
	v->data_blocks = super.data_blocks;
	v->salt_size = super.salt_size;
	memcpy(v->uuid, super.uuid, sizeof(v->uuid));
	memcpy(v->salt, super.salt, super.salt_size);
	return 0;
}

void verity_hex(const uint8_t *bytes, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * n] = 0;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int verity_unhex(const char *hex, uint8_t *out, size_t n)
{
	if (strlen(hex) != 2 * n)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

/* The value is cut at ',' and ';' by dm-init, at '"' and blanks by the kernel's parser. */
static bool plain_word(const char *s, const char *also)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr(also, *s))
			return false;
	return true;
}

int verity_kernel_words(const struct verity *v, const struct verity_device *dev, struct buffer *out,
                        struct error *err)
{
	char root[2 * VERITY_DIGEST_SIZE + 1], salt[2 * VERITY_SALT_MAX + 1] = "-";
	uint64_t start = dev->hash_offset / VERITY_BLOCK_SIZE + dev->superblock;

	if (!plain_word(dev->name, "-_.") || !plain_word(dev->data_dev, "-_./=:") ||
	    !plain_word(dev->hash_dev, "-_./=:"))
		return error_set(err, EINVAL,
		                 "the name of a verity device has other characters than letters, "
		                 "digits, '-', '_', '.' and '/'");
	if (dev->hash_offset % VERITY_BLOCK_SIZE || v->salt_size > sizeof(v->salt))
		return error_set(err, EINVAL, "a hash tree needs an offset of whole blocks");
	verity_hex(v->root, sizeof(v->root), root);
	if (v->salt_size > 0)
		verity_hex(v->salt, v->salt_size, salt);
	buffer_printf(out,
	              "dm-mod.create=\"%s,,,ro,0 %" PRIu64 " verity 1 %s %s %u %u %" PRIu64
	              " %" PRIu64 " sha256 %s %s 1 panic_on_corruption\"",
	              dev->name, v->data_blocks * (VERITY_BLOCK_SIZE / 512), dev->data_dev,
	              dev->hash_dev, VERITY_BLOCK_SIZE, VERITY_BLOCK_SIZE, v->data_blocks, start,
	              root, salt);
	return out->failed ? error_set(err, ENOMEM, "no memory for kernel words") : 0;
}
