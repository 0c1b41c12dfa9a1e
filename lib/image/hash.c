/* SPDX-License-Identifier: Apache-2.0 */
/* hash: see the header. */
#include "lib/image/hash.h"

#include <errno.h>
#include <openssl/evp.h>

struct hash {
	EVP_MD_CTX *ctx;
	enum digest_algorithm alg;
};

static int broken(struct error *err)
{
	return error_set(err, EIO, "the hash function failed (OpenSSL)");
}

int hash_new(enum digest_algorithm alg, struct hash **out, struct error *err)
{
	const EVP_MD *md = alg == DIGEST_SHA256   ? EVP_sha256()
	                   : alg == DIGEST_SHA384 ? EVP_sha384()
	                                          : EVP_sha512();
	_cleanup_hash_ struct hash *h = calloc(1, sizeof(*h));

	if (!h)
		return error_set(err, ENOMEM, "out of memory");
	h->alg = alg;
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx)
		return error_set(err, ENOMEM, "out of memory");
	if (!EVP_DigestInit_ex(h->ctx, md, NULL))
		return broken(err);
	*out = steal_ptr(&h);
	return 0;
}

void hash_free(struct hash *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

int hash_update(struct hash *h, const void *data, size_t size, struct error *err)
{
	return EVP_DigestUpdate(h->ctx, data, size) ? 0 : broken(err);
}

int hash_final(struct hash *h, struct digest *out, struct error *err)
{
	uint8_t bytes[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	if (!EVP_DigestFinal_ex(h->ctx, bytes, &n) || n != digest_algorithm_size(h->alg))
		return broken(err);
	digest_from_bytes(h->alg, bytes, out);
	return 0;
}

int hash_bytes(enum digest_algorithm alg, const void *data, size_t size, struct digest *out,
               struct error *err)
{
	_cleanup_hash_ struct hash *h = NULL;
	int r = hash_new(alg, &h, err);

	if (!r)
		r = hash_update(h, data, size, err);
	return r ? r : hash_final(h, out, err);
}

int hash_mismatch(const struct digest *want, const struct digest *got, const char *what,
                  struct error *err)
{
	return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
	                      "%s does not have its digest: it should be %s and is %s", what,
	                      want->text, got->text);
}

int hash_check(const struct digest *want, const void *data, size_t size, const char *what,
               struct error *err)
{
	struct digest got;
	int r = hash_bytes(digest_algorithm(want), data, size, &got, err);

	if (r)
		return r;
	return digest_equal(want, &got) ? 0 : hash_mismatch(want, &got, what, err);
}
