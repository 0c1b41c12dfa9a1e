/* SPDX-License-Identifier: Apache-2.0 */
/* encrypt: see the header. */
#include "lib/image/encrypt.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/image/auth.h"
#include "lib/image/base64.h"
#include "lib/image/encrypt_jwe.h"
#include "lib/image/hash.h"

#define KEY_FILE_MAX   65536u
#define KEY_SIZE       32u
#define NONCE_SIZE     16u
#define PIECE          (256u * 1024)
#define RECIPIENTS_MAX 64

DEFINE_CLEANUP(BIO, bio, BIO_free)
DEFINE_CLEANUP(EVP_CIPHER_CTX, cipher, EVP_CIPHER_CTX_free)
DEFINE_CLEANUP(EVP_MAC, mac, EVP_MAC_free)
DEFINE_CLEANUP(EVP_MAC_CTX, mac_ctx, EVP_MAC_CTX_free)

struct recipient {
	EVP_PKEY *public_key;  /* NULL: a key broker's */
	char *kid;             /* of that, owned */
	uint8_t kek[KEY_SIZE]; /* of that */
};

struct recipients {
	struct recipient v[RECIPIENTS_MAX];
	size_t n;
};

static int broken(const char *what, struct error *err)
{
	return error_set(err, EIO, "%s failed (OpenSSL)", what);
}

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

/* ---- recipients */

int recipients_new(struct recipients **out, struct error *err)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : no_memory(err);
}

void recipients_free(struct recipients *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++) {
		EVP_PKEY_free(r->v[i].public_key);
		free(r->v[i].kid);
	}
	OPENSSL_cleanse(r, sizeof(*r));
	free(r);
}

static int read_key_file(const char *path, struct buffer *out, struct error *err)
{
	int r = fs_read_file(AT_FDCWD, path, KEY_FILE_MAX, out, err);

	if (r && err)
		err->kind = r == -EFBIG ? ERROR_INPUT : ERROR_ENVIRONMENT;
	return r;
}

static int add_public(struct recipient *r, const char *path, struct error *err)
{
	_cleanup_secret_ struct buffer pem = BUFFER_INIT;
	_cleanup_(cleanup_bio) BIO *bio = NULL;
	int e = read_key_file(path, &pem, err);

	if (e)
		return e;
	bio = BIO_new_mem_buf(pem.data, (int)pem.size);
	r->public_key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	if (!r->public_key)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is no public key in PEM%s",
		                      path,
		                      strstr(buffer_cstr(&pem), "PRIVATE KEY")
		                          ? ": it is the private one, which only who decrypts needs"
		                          : "");
	e = jwe_check_key(r->public_key, err);
	return e ? error_prefix(err, e, "%s", path) : 0;
}

static int add_broker(struct recipient *r, const char *spec, const char *path, struct error *err)
{
	_cleanup_secret_ struct buffer key = BUFFER_INIT;
	int e = read_key_file(path, &key, err);

	if (e)
		return e;
	if (key.size != KEY_SIZE)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s has %zu bytes: a key for a key broker has %u", path,
		                      key.size, KEY_SIZE);
	memcpy(r->kek, key.data, KEY_SIZE);
	r->kid = strndup(spec, (size_t)(path - 1 - spec));
	return r->kid ? 0 : no_memory(err);
}

/* kbs://[HOST]/REPO/TYPE/TAG, as a key broker names what it has. */
static bool is_broker_name(const char *name, size_t n)
{
	size_t slashes = 0, begin = strlen("kbs://");

	for (size_t i = begin; i < n; i++) {
		if (name[i] != '/')
			continue;
		if (slashes++ && name[i - 1] == '/')
			return false;
	}
	return slashes == 3 && name[n - 1] != '/';
}

int recipients_add(struct recipients *list, const char *spec, struct error *err)
{
	struct recipient *r = &list->v[list->n];
	const char *equals;
	int e;

	if (list->n == RECIPIENTS_MAX)
		return error_set_kind(err, ERROR_INPUT, E2BIG, "more than %d keys to encrypt for",
		                      RECIPIENTS_MAX);
	if (str_starts(spec, "provider:attestation-agent:"))
		spec += strlen("provider:attestation-agent:");
	equals = strchr(spec, '=');
	if (str_starts(spec, "kbs://") && !equals)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "\"%.100s\": the key itself is missing: give %.100s=FILE",
		                      spec, spec);
	if (str_starts(spec, "kbs://") && !is_broker_name(spec, (size_t)(equals - spec)))
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "\"%.100s\" names no key: give kbs:///REPO/TYPE/TAG=FILE",
		                      spec);
	if (str_starts(spec, "kbs://"))
		e = add_broker(r, spec, equals + 1, err);
	else if (str_starts(spec, "pkcs7:") || str_starts(spec, "pgp:") ||
	         str_starts(spec, "provider:") || str_starts(spec, "pkcs11:"))
		e = error_set_kind(err, ERROR_USAGE, EINVAL,
		                   "\"%.100s\": only jwe:FILE and kbs:///REPO/TYPE/TAG=FILE are "
		                   "keys to encrypt for",
		                   spec);
	else
		e = add_public(r, str_starts(spec, "jwe:") ? spec + 4 : spec, err);
	if (e) {
		EVP_PKEY_free(r->public_key);
		*r = (struct recipient){0};
		return e;
	}
	list->n++;
	return 0;
}

/* ---- wrapping */

void encrypted_clear(struct encrypted *e)
{
	buffer_free(&e->pubopts);
	buffer_free(&e->jwe);
	buffer_free(&e->provider);
	*e = (struct encrypted){0};
}

static void json_base64(struct buffer *out, const char *before, const void *data, size_t size)
{
	buffer_str(out, before);
	base64_encode(out, data, size);
	buffer_str(out, "\"");
}

/* An item of an annotation: base64, several joined by commas. */
static void add_item(struct buffer *annotation, const struct buffer *item)
{
	buffer_str(annotation, annotation->size ? "," : "");
	base64_encode(annotation, item->data, item->size);
}

/* What the guest's attestation agent gets, to ask the key broker for the key named kid. */
static int wrap_for_broker(const struct recipient *r, const struct buffer *plain,
                           struct buffer *out, struct error *err)
{
	_cleanup_buffer_ struct buffer sealed = BUFFER_INIT;
	uint8_t iv[12];
	int e = random_bytes(iv, sizeof(iv), err);

	if (!e)
		e = gcm_encrypt(r->kek, iv, NULL, plain->data, plain->size, &sealed, err);
	if (e)
		return e;
	buffer_str(out, "{\"kid\":");
	buffer_json_string(out, r->kid);
	json_base64(out, ",\"wrapped_data\":\"", sealed.data, sealed.size);
	json_base64(out, ",\"iv\":\"", iv, sizeof(iv));
	buffer_str(out, ",\"wrap_type\":\"A256GCM\"}");
	return 0;
}

static int wrap_for_all(const struct recipients *list, const struct buffer *plain,
                        struct encrypted *out, struct error *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct recipient *r = &list->v[i];
		_cleanup_buffer_ struct buffer item = BUFFER_INIT;
		int e = r->public_key
		            ? jwe_encrypt(r->public_key, plain->data, plain->size, &item, err)
		            : wrap_for_broker(r, plain, &item, err);

		if (e)
			return e;
		add_item(r->public_key ? &out->jwe : &out->provider, &item);
		if (item.failed)
			return no_memory(err);
	}
	return out->jwe.failed || out->provider.failed ? no_memory(err) : 0;
}

/* ---- the bytes */

struct secret {
	uint8_t key[KEY_SIZE], nonce[NONCE_SIZE];
};

struct cipher {
	EVP_CIPHER_CTX *ctr;
	EVP_MAC_CTX *hmac;
	struct hash *hash;
	uint8_t *buf;
};

static int encrypt_pieces(const struct cipher *c, int fd, uint64_t size, struct error *err)
{
	for (uint64_t at = 0; at < size;) {
		size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
		int got, r = fs_pread_all(fd, c->buf, n, at);

		if (r)
			return error_errno(err, -r, "cannot read the layer to encrypt");
		if (!EVP_EncryptUpdate(c->ctr, c->buf, &got, c->buf, (int)n) || (size_t)got != n ||
		    !EVP_MAC_update(c->hmac, c->buf, n))
			return broken("AES-CTR", err);
		r = hash_update(c->hash, c->buf, n, err);
		if (r)
			return r;
		r = fs_pwrite_all(fd, c->buf, n, at);
		if (r)
			return error_errno(err, -r, "cannot write the encrypted layer");
		at += n;
	}
	return 0;
}

/* The HMAC, with the key that encrypts, is of the ciphertext alone. */
static int encrypt_bytes(const struct secret *s, int fd, uint64_t size, uint8_t hmac[32],
                         struct digest *digest, struct error *err)
{
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
	    OSSL_PARAM_construct_end()};
	_cleanup_(cleanup_cipher) EVP_CIPHER_CTX *ctr = EVP_CIPHER_CTX_new();
	_cleanup_(cleanup_mac) EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	_cleanup_(cleanup_mac_ctx) EVP_MAC_CTX *mctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	_cleanup_hash_ struct hash *hash = NULL;
	_cleanup_free_ uint8_t *buf = malloc(PIECE);
	struct cipher c = {ctr, mctx, NULL, buf};
	int r = hash_new(DIGEST_SHA256, &hash, err);

	if (r)
		return r;
	c.hash = hash;
	if (!ctr || !mctx || !buf)
		return no_memory(err);
	if (!EVP_EncryptInit_ex(ctr, EVP_aes_256_ctr(), NULL, s->key, s->nonce) ||
	    !EVP_MAC_init(mctx, s->key, sizeof(s->key), params))
		return broken("AES-CTR", err);
	r = encrypt_pieces(&c, fd, size, err);
	if (!r && !EVP_MAC_final(mctx, hmac, NULL, 32))
		r = broken("HMAC", err);
	return r ? r : hash_final(hash, digest, err);
}

static int finish(const struct recipients *list, const struct secret *s, const uint8_t hmac[32],
                  const struct digest *plain, struct encrypted *out, struct error *err)
{
	_cleanup_secret_ struct buffer secret = BUFFER_INIT;
	_cleanup_buffer_ struct buffer public = BUFFER_INIT;

	json_base64(&secret, "{\"symkey\":\"", s->key, sizeof(s->key));
	buffer_printf(&secret, ",\"digest\":\"%s\"", plain->text);
	json_base64(&secret, ",\"cipheroptions\":{\"nonce\":\"", s->nonce, sizeof(s->nonce));
	buffer_str(&secret, "}}");
	json_base64(&public, "{\"cipher\":\"AES_256_CTR_HMAC_SHA256\",\"hmac\":\"", hmac, 32);
	buffer_str(&public, ",\"cipheroptions\":{}}");
	base64_encode(&out->pubopts, public.data, public.size);
	if (secret.failed || public.failed || out->pubopts.failed)
		return no_memory(err);
	return wrap_for_all(list, &secret, out, err);
}

int encrypt_file(const struct recipients *list, int fd, uint64_t size, const struct digest *plain,
                 struct encrypted *out, struct error *err)
{
	struct secret s;
	uint8_t hmac[32];
	int r = random_bytes(&s, sizeof(s), err);

	*out = (struct encrypted){0};
	if (!r)
		r = encrypt_bytes(&s, fd, size, hmac, &out->digest, err);
	if (!r)
		r = finish(list, &s, hmac, plain, out, err);
	OPENSSL_cleanse(&s, sizeof(s));
	if (r)
		encrypted_clear(out);
	return r;
}
