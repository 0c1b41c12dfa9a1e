/* SPDX-License-Identifier: Apache-2.0 */
/* encrypt_jwe: see the header. */
#include "lib/image/encrypt_jwe.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/image/auth.h"
#include "lib/image/base64.h"

#define CEK_SIZE  32u
#define IV_SIZE   12u
#define TAG_SIZE  16u
#define ALG_RSA   "RSA-OAEP"
#define ALG_EC    "ECDH-ES+A256KW"
#define FIELD_MAX 66 /* bytes of a coordinate of P-521 */

DEFINE_CLEANUP(EVP_CIPHER_CTX, cipher, EVP_CIPHER_CTX_free)
DEFINE_CLEANUP(EVP_PKEY_CTX, pkey_ctx, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(EVP_PKEY, pkey, EVP_PKEY_free)
DEFINE_CLEANUP(BIGNUM, bignum, BN_free)

static const struct {
	const char *group; /* OpenSSL's name */
	const char *crv;   /* RFC 7518 section 6.2.1.1 */
	size_t field;      /* bytes of a coordinate */
} curves[] = {
    {"prime256v1", "P-256", 32},
    {"secp384r1", "P-384", 48},
    {"secp521r1", "P-521", 66},
};

static int broken(const char *what, struct error *err)
{
	return error_set(err, EIO, "%s failed (OpenSSL)", what);
}

int random_bytes(void *out, size_t n, struct error *err)
{
	return RAND_bytes(out, (int)n) == 1 ? 0 : broken("the random number generator", err);
}

/* base64url without padding (RFC 7515 section 2). */
static void base64url(struct buffer *out, const void *data, size_t size)
{
	size_t from = out->size;

	base64_encode(out, data, size);
	if (out->failed)
		return;
	while (out->size > from && out->data[out->size - 1] == '=')
		out->data[--out->size] = '\0';
	for (size_t i = from; i < out->size; i++)
		if (out->data[i] == '+')
			out->data[i] = '-';
		else if (out->data[i] == '/')
			out->data[i] = '_';
}

int gcm_encrypt(const uint8_t key[32], const uint8_t iv[12], const char *aad, const void *plain,
                size_t size, struct buffer *out, struct error *err)
{
	_cleanup_(cleanup_cipher) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t *p = buffer_reserve(out, size + TAG_SIZE);
	int n = 0;

	if (!c || !p)
		return error_set(err, ENOMEM, "out of memory");
	if (!EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, iv) ||
	    (aad && !EVP_EncryptUpdate(c, NULL, &n, (const uint8_t *)aad, (int)strlen(aad))) ||
	    !EVP_EncryptUpdate(c, p, &n, plain, (int)size) || (size_t)n != size ||
	    !EVP_EncryptFinal_ex(c, p + size, &n) ||
	    !EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, p + size))
		return broken("AES-GCM", err);
	out->size += size + TAG_SIZE;
	return 0;
}

/* ---- RSA-OAEP: SHA-1 and MGF1 with SHA-1 (RFC 7518 section 4.3), OpenSSL's default */

static int wrap_rsa(EVP_PKEY *recipient, const uint8_t *cek, struct buffer *header,
                    struct buffer *wrapped, struct error *err)
{
	_cleanup_(cleanup_pkey_ctx) EVP_PKEY_CTX *c =
	    EVP_PKEY_CTX_new_from_pkey(NULL, recipient, NULL);
	size_t n = (size_t)EVP_PKEY_get_size(recipient);
	uint8_t *p = buffer_reserve(wrapped, n);

	if (!c || !p)
		return error_set(err, ENOMEM, "out of memory");
	if (EVP_PKEY_encrypt_init(c) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) <= 0 ||
	    EVP_PKEY_encrypt(c, p, &n, cek, CEK_SIZE) <= 0)
		return broken("RSA-OAEP", err);
	wrapped->size += n;
	buffer_str(header, "{\"alg\":\"" ALG_RSA "\",\"enc\":\"A256GCM\"}");
	return 0;
}

/* ---- ECDH-ES+A256KW */

/* The key of a fresh pair's owner and the recipient: the Concat KDF of NIST SP 800-56A with the
 * parameters of RFC 7518 section 4.6.2, one round of it. */
static int derive_kek(EVP_PKEY *own, EVP_PKEY *recipient, uint8_t kek[32], struct error *err)
{
	static const uint8_t round[] = {0, 0, 0, 1};
	static const uint8_t rest[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0};
	static const uint8_t alg_size[] = {0, 0, 0, sizeof(ALG_EC) - 1};
	_cleanup_(cleanup_pkey_ctx) EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
	_cleanup_secret_ struct buffer text = BUFFER_INIT;
	uint8_t z[FIELD_MAX];
	size_t n = sizeof(z);

	if (!c || EVP_PKEY_derive_init(c) <= 0 || EVP_PKEY_derive_set_peer(c, recipient) <= 0 ||
	    EVP_PKEY_derive(c, z, &n) <= 0)
		return broken("ECDH", err);
	buffer_append(&text, round, sizeof(round));
	buffer_append(&text, z, n);
	OPENSSL_cleanse(z, sizeof(z));
	buffer_append(&text, alg_size, sizeof(alg_size));
	buffer_str(&text, ALG_EC);
	buffer_append(&text, rest, sizeof(rest));
	if (text.failed)
		return error_set(err, ENOMEM, "out of memory");
	return EVP_Digest(text.data, text.size, kek, NULL, EVP_sha256(), NULL)
	           ? 0
	           : broken("the hash function", err);
}

/* RFC 3394. */
static int wrap_key(const uint8_t kek[32], const uint8_t *cek, struct buffer *wrapped,
                    struct error *err)
{
	_cleanup_(cleanup_cipher) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t *p = buffer_reserve(wrapped, CEK_SIZE + 16);
	int n = 0;

	if (!c || !p)
		return error_set(err, ENOMEM, "out of memory");
	EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (!EVP_EncryptInit_ex(c, EVP_aes_256_wrap(), NULL, kek, NULL) ||
	    !EVP_EncryptUpdate(c, p, &n, cek, CEK_SIZE))
		return broken("AES key wrap", err);
	wrapped->size += (size_t)n;
	return 0;
}

static int print_coordinate(struct buffer *out, EVP_PKEY *key, const char *param, size_t field,
                            struct error *err)
{
	BIGNUM *read = NULL;
	uint8_t bytes[FIELD_MAX];

	if (!EVP_PKEY_get_bn_param(key, param, &read))
		return broken("reading a key", err);
	_cleanup_(cleanup_bignum) BIGNUM *v = read;
	if (BN_bn2binpad(v, bytes, (int)field) < 0)
		return broken("reading a key", err);
	base64url(out, bytes, field);
	return 0;
}

/* The place in `curves`, or -1. */
static int find_curve(EVP_PKEY *key)
{
	char group[64];

	if (EVP_PKEY_get_group_name(key, group, sizeof(group), NULL))
		for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
			if (!strcmp(group, curves[i].group))
				return (int)i;
	return -1;
}

static int wrap_ec(EVP_PKEY *recipient, const uint8_t *cek, struct buffer *header,
                   struct buffer *wrapped, struct error *err)
{
	int curve = find_curve(recipient), r;
	_cleanup_(cleanup_pkey) EVP_PKEY *own = EVP_EC_gen(curves[curve].group);
	uint8_t kek[32];

	if (!own)
		return broken("making a key", err);
	buffer_printf(header,
	              "{\"alg\":\"" ALG_EC
	              "\",\"enc\":\"A256GCM\",\"epk\":{\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"",
	              curves[curve].crv);
	r = print_coordinate(header, own, OSSL_PKEY_PARAM_EC_PUB_X, curves[curve].field, err);
	buffer_str(header, "\",\"y\":\"");
	if (!r)
		r = print_coordinate(header, own, OSSL_PKEY_PARAM_EC_PUB_Y, curves[curve].field,
		                     err);
	buffer_str(header, "\"}}");
	if (!r)
		r = derive_kek(own, recipient, kek, err);
	if (!r)
		r = wrap_key(kek, cek, wrapped, err);
	OPENSSL_cleanse(kek, sizeof(kek));
	return r;
}

/* ---- the whole */

int jwe_check_key(EVP_PKEY *key, struct error *err)
{
	if (EVP_PKEY_is_a(key, "RSA"))
		return EVP_PKEY_get_bits(key) >= 2048
		           ? 0
		           : error_set_kind(err, ERROR_INPUT, EINVAL,
		                            "an RSA key of %d bits: 2048 is the least",
		                            EVP_PKEY_get_bits(key));
	if (EVP_PKEY_is_a(key, "EC") && find_curve(key) >= 0)
		return 0;
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "not a key to encrypt with: RSA, or EC on P-256, P-384 or P-521");
}

static int seal(const uint8_t *cek, const struct buffer *header, const struct buffer *wrapped,
                const void *plain, size_t size, struct buffer *out, struct error *err)
{
	_cleanup_buffer_ struct buffer aad = BUFFER_INIT, sealed = BUFFER_INIT;
	uint8_t iv[IV_SIZE];
	int r = random_bytes(iv, sizeof(iv), err);

	base64url(&aad, header->data, header->size);
	if (!r && aad.failed)
		r = error_set(err, ENOMEM, "out of memory");
	if (!r)
		r = gcm_encrypt(cek, iv, buffer_cstr(&aad), plain, size, &sealed, err);
	if (r)
		return r;
	buffer_printf(out, "{\"protected\":\"%s\",\"encrypted_key\":\"", buffer_cstr(&aad));
	base64url(out, wrapped->data, wrapped->size);
	buffer_str(out, "\",\"iv\":\"");
	base64url(out, iv, sizeof(iv));
	buffer_str(out, "\",\"ciphertext\":\"");
	base64url(out, sealed.data, size);
	buffer_str(out, "\",\"tag\":\"");
	base64url(out, sealed.data + size, TAG_SIZE);
	buffer_str(out, "\"}");
	return out->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

int jwe_encrypt(EVP_PKEY *recipient, const void *plain, size_t size, struct buffer *out,
                struct error *err)
{
	_cleanup_buffer_ struct buffer header = BUFFER_INIT, wrapped = BUFFER_INIT;
	uint8_t cek[CEK_SIZE];
	int r = jwe_check_key(recipient, err);

	if (!r)
		r = random_bytes(cek, sizeof(cek), err);
	if (!r)
		r = EVP_PKEY_is_a(recipient, "RSA")
		        ? wrap_rsa(recipient, cek, &header, &wrapped, err)
		        : wrap_ec(recipient, cek, &header, &wrapped, err);
	if (!r)
		r = seal(cek, &header, &wrapped, plain, size, out, err);
	OPENSSL_cleanse(cek, sizeof(cek));
	return r;
}
