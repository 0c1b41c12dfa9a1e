/* SPDX-License-Identifier: Apache-2.0 */
/* sha: digests through libcrypto. */
#include "lib/measure/sha.h"

#include <errno.h>
#include <openssl/evp.h>

static const struct {
	const char *name;
	size_t size;
	const EVP_MD *(*md)(void);
} algs[] = {
    [SHA_ALG_256] = {"sha256", 32, EVP_sha256},
    [SHA_ALG_384] = {"sha384", 48, EVP_sha384},
    [SHA_ALG_512] = {"sha512", 64, EVP_sha512},
};

const char *sha_name(enum sha_alg alg)
{
	return algs[alg].name;
}

size_t sha_size(enum sha_alg alg)
{
	return algs[alg].size;
}

static int failed(struct error *err)
{
	return error_set(err, EIO, "libcrypto cannot compute a digest");
}

int sha_open(struct sha_stream *s, enum sha_alg alg, struct error *err)
{
	s->ctx = EVP_MD_CTX_new();
	if (!s->ctx || EVP_DigestInit_ex(s->ctx, algs[alg].md(), NULL) != 1) {
		sha_free(s);
		return failed(err);
	}
	return 0;
}

int sha_add(struct sha_stream *s, const void *data, size_t size, struct error *err)
{
	return EVP_DigestUpdate(s->ctx, data, size) == 1 ? 0 : failed(err);
}

int sha_close(struct sha_stream *s, uint8_t *out, struct error *err)
{
	int ok = EVP_DigestFinal_ex(s->ctx, out, NULL);

	sha_free(s);
	return ok == 1 ? 0 : failed(err);
}

void sha_free(struct sha_stream *s)
{
	EVP_MD_CTX_free(s->ctx);
	s->ctx = NULL;
}

int sha_of(enum sha_alg alg, const struct blob *parts, size_t n, uint8_t *out, struct error *err)
{
	_cleanup_sha_ struct sha_stream s = {0};
	int r = sha_open(&s, alg, err);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (parts[i].size > 0)
			r = sha_add(&s, parts[i].data, parts[i].size, err);
	return r < 0 ? r : sha_close(&s, out, err);
}
