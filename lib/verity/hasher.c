/* SPDX-License-Identifier: Apache-2.0 */
/* hasher: digests of salted blocks, and whether data and tree fit their files. */
#include "lib/verity/hasher.h"

#include <errno.h>

int hasher_init(struct hasher *h, const struct verity *v, struct error *err)
{
	h->salted = EVP_MD_CTX_new();
	h->work = EVP_MD_CTX_new();
	if (!h->salted || !h->work)
		return error_set(err, ENOMEM, "no memory for a hash tree");
	if (!EVP_DigestInit_ex(h->salted, EVP_sha256(), NULL) ||
	    !EVP_DigestUpdate(h->salted, v->salt, v->salt_size))
		return error_set(err, EIO, "SHA-256 is not available");
	return 0;
}

void hasher_done(struct hasher *h)
{
	EVP_MD_CTX_free(h->salted);
	EVP_MD_CTX_free(h->work);
}

int hasher_block(struct hasher *h, const uint8_t *block, uint8_t out[VERITY_DIGEST_SIZE],
                 struct error *err)
{
	if (!EVP_MD_CTX_copy_ex(h->work, h->salted) ||
	    !EVP_DigestUpdate(h->work, block, VERITY_BLOCK_SIZE) ||
	    !EVP_DigestFinal_ex(h->work, out, NULL))
		return error_set(err, EIO, "SHA-256 failed");
	return 0;
}

int place_check(const struct verity *v, const struct verity_place *place, struct shape *shape,
                uint64_t *tree, struct error *err)
{
	uint64_t end;
	int r = shape_of(v->data_blocks, shape, err);

	if (r < 0)
		return r;
	if (v->salt_size > sizeof(v->salt))
		return error_set(err, EINVAL, "a salt of %zu bytes is too long", v->salt_size);
	if (place->data_offset % VERITY_BLOCK_SIZE || place->hash_offset % VERITY_BLOCK_SIZE)
		return error_set(err, EINVAL, "a hash tree needs offsets of whole blocks");
	*tree = place->superblock ? VERITY_BLOCK_SIZE : 0;
	if (__builtin_add_overflow(place->hash_offset, *tree, tree) ||
	    __builtin_add_overflow(*tree, shape->total * VERITY_BLOCK_SIZE, &end) ||
	    end > INT64_MAX || place->data_offset > INT64_MAX - v->data_blocks * VERITY_BLOCK_SIZE)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "the hash tree lies beyond what a file can hold");
	return 0;
}
