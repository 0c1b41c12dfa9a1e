/* SPDX-License-Identifier: Apache-2.0 */
/* sign: makes and checks the signature of an image (OpenSSL). */
#include "image-tool/sign.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"

#define KEY_MAX 65536u /* bytes of a PEM file */

DEFINE_CLEANUP(BIO, bio, BIO_free)
DEFINE_CLEANUP(EVP_PKEY, pkey, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_MD_CTX, md, EVP_MD_CTX_free)

static int no_passphrase(char *buf, int size, int rwflag, void *data)
{
	return -1;
}

/* Errors name the file, never what is in it. */
static int read_key(const char *path, bool private, EVP_PKEY **out, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_(cleanup_bio) BIO *bio = NULL;
	int r = fs_read_file(AT_FDCWD, path, KEY_MAX, &text, err);

	if (r < 0)
		return r;
	bio = BIO_new_mem_buf(buffer_cstr(&text), (int)text.size);
	if (!bio)
		return error_set(err, ENOMEM, "no memory to read the key %s", path);
	*out = private ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL)
	               : PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
	OPENSSL_cleanse(text.data, text.size);
	ERR_clear_error();
	if (!*out)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is not a %s key in PEM form%s",
		                      path, private ? "private" : "public",
		                      private ? " without a passphrase" : "");
	return 0;
}

/* The digest that goes with the key: none of its own for Ed25519. */
static int find_digest(const EVP_PKEY *key, const char *path, const EVP_MD **out, struct error *err)
{
	char curve[32] = "";

	*out = NULL;
	if (EVP_PKEY_is_a(key, "ED25519"))
		return 0;
	if (EVP_PKEY_is_a(key, "EC"))
		EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, curve,
		                               sizeof(curve), NULL);
	if (strcmp(curve, "prime256v1") == 0)
		*out = EVP_sha256();
	else if (strcmp(curve, "secp384r1") == 0)
		*out = EVP_sha384();
	ERR_clear_error();
	return *out ? 0
	            : error_set_kind(err, ERROR_INPUT, EINVAL,
	                             "the key %s is of another kind than Ed25519, EC P-256 and EC "
	                             "P-384",
	                             path);
}

static int sign_with(const char *key, bool sha256, const void *data, size_t size,
                     struct buffer *signature, struct error *err)
{
	_cleanup_(cleanup_pkey) EVP_PKEY *pkey = NULL;
	_cleanup_(cleanup_md) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const EVP_MD *md = NULL;
	size_t n = SIGNATURE_MAX;
	uint8_t *to;
	int r = read_key(key, true, &pkey, err);

	if (r == 0)
		r = find_digest(pkey, key, &md, err);
	if (r < 0)
		return r;
	if (md && sha256)
		md = EVP_sha256();
	to = buffer_reserve(signature, n);
	if (!ctx || !to)
		return error_set(err, ENOMEM, "no memory to sign");
	if (EVP_DigestSignInit(ctx, NULL, md, NULL, pkey) != 1 ||
	    EVP_DigestSign(ctx, to, &n, data, size) != 1) {
		ERR_clear_error();
		return error_set_kind(err, ERROR_INPUT, EINVAL, "the key %s does not sign", key);
	}
	signature->size += n;
	return 0;
}

int sign_bytes(const char *key, const void *data, size_t size, struct buffer *signature,
               struct error *err)
{
	return sign_with(key, false, data, size, signature, err);
}

int sign_sigstore(const char *key, const void *data, size_t size, struct buffer *signature,
                  struct error *err)
{
	return sign_with(key, true, data, size, signature, err);
}

int sign_ready(const char *key, struct error *err)
{
	_cleanup_buffer_ struct buffer signature = BUFFER_INIT;
	struct stat st;

	/* A pipe (/dev/fd/63) would be empty by then. */
	if (stat(key, &st) == 0 && !S_ISREG(st.st_mode))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the key %s is no regular file, which it must be: it is read "
		                      "more than once",
		                      key);
	return sign_bytes(key, "", 0, &signature, err);
}

int sign_check(const char *public_key, const void *data, size_t size, const void *signature,
               size_t signature_size, const char *what, struct error *err)
{
	_cleanup_(cleanup_pkey) EVP_PKEY *pkey = NULL;
	_cleanup_(cleanup_md) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const EVP_MD *md = NULL;
	int r = read_key(public_key, false, &pkey, err);

	if (r == 0)
		r = find_digest(pkey, public_key, &md, err);
	if (r < 0)
		return r;
	if (!ctx)
		return error_set(err, ENOMEM, "no memory to check a signature");
	if (EVP_DigestVerifyInit(ctx, NULL, md, NULL, pkey) == 1 &&
	    EVP_DigestVerify(ctx, signature, signature_size, data, size) == 1)
		return 0;
	ERR_clear_error();
	return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
	                      "%s does not carry a signature of the owner of %s", what, public_key);
}

int sign_image(struct stage *stage, const struct guestimg *img, const char *key, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT, signature = BUFFER_INIT;
	_cleanup_close_ int fd = -1;
	int r;

	guestimg_format(img, &text);
	if (text.failed)
		return error_set(err, ENOMEM, "no memory to sign " GUESTIMG_FILE);
	r = sign_bytes(key, text.data, text.size, &signature, err);
	if (r == 0)
		r = stage_create(stage, GUESTIMG_SIGNATURE, &fd, err);
	if (r < 0)
		return r;
	r = fs_write_all(fd, signature.data, signature.size);
	return r < 0 ? error_errno(err, -r, "cannot write " GUESTIMG_SIGNATURE) : 0;
}
