/* SPDX-License-Identifier: Apache-2.0 */
/* trust: OpenSSL finds who signed a certificate, and nobody that is not in the list. */
#include "check.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "lib/base/bytes.h"
#include "lib/image/trust.h"

struct identity {
	X509 *cert;
	EVP_PKEY *key;
};

static void name_it(X509_NAME *n, const char *cn)
{
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0);
}

static void extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *e;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	X509_add_ext(cert, e, -1);
	X509_EXTENSION_free(e);
}

/* A certificate for cn with a new key, signed by `by`, or by itself. */
static struct identity make(const char *cn, const struct identity *by, bool ca)
{
	struct identity id = {X509_new(), EVP_EC_gen("P-256")};

	X509_set_version(id.cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(id.cert), (long)cn[0]);
	name_it(X509_get_subject_name(id.cert), cn);
	X509_set_issuer_name(id.cert, X509_get_subject_name(by ? by->cert : id.cert));
	X509_gmtime_adj(X509_getm_notBefore(id.cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(id.cert), 3600);
	X509_set_pubkey(id.cert, id.key);
	extend(id.cert, by ? by->cert : id.cert, NID_basic_constraints,
	       ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	extend(id.cert, id.cert, NID_subject_key_identifier, "hash");
	extend(id.cert, by ? by->cert : id.cert, NID_authority_key_identifier, "keyid");
	check(X509_sign(id.cert, by ? by->key : id.key, EVP_sha256()) > 0);
	return id;
}

static void drop(struct identity *id)
{
	X509_free(id->cert);
	EVP_PKEY_free(id->key);
}

static void add_pem(struct buffer *b, const X509 *cert)
{
	BIO *out = BIO_new(BIO_s_mem());
	char *text;
	long n;

	PEM_write_bio_X509(out, (X509 *)cert);
	n = BIO_get_mem_data(out, &text);
	buffer_append(b, text, (size_t)n);
	BIO_free(out);
}

/* What X509_verify_cert() says of a certificate, when pem is trusted. Twice: the second
 * time the store has it already. */
static int verify(const struct buffer *pem, const struct identity *leaf,
                  const struct identity *between, unsigned long flags)
{
	_cleanup_trust_ struct trust *t = NULL;
	STACK_OF(X509) *chain = sk_X509_new_null();
	X509_STORE *store = X509_STORE_new();
	struct error err = ERROR_INIT;
	int result[2] = {0};

	check_ok(trust_new((char *)pem->data, pem->size, &t, &err), &err);
	check_int(trust_install(t, store), 0);
	X509_STORE_set_flags(store, flags);
	if (between)
		sk_X509_push(chain, between->cert);
	for (int i = 0; i < 2; i++) {
		X509_STORE_CTX *ctx = X509_STORE_CTX_new();

		X509_STORE_CTX_init(ctx, store, leaf->cert, chain);
		X509_verify_cert(ctx);
		result[i] = X509_STORE_CTX_get_error(ctx);
		X509_STORE_CTX_free(ctx);
	}
	check_int(result[0], result[1]);
	X509_STORE_free(store);
	sk_X509_free(chain);
	return result[0];
}

TEST(the_signer_is_found)
{
	struct identity root = make("root", NULL, true), other = make("other", NULL, true);
	struct identity between = make("between", &root, true),
	                leaf = make("leaf", &between, false);
	_cleanup_buffer_ struct buffer pem = BUFFER_INIT, wrong = BUFFER_INIT;

	add_pem(&wrong, other.cert);
	add_pem(&pem, other.cert);
	buffer_str(&pem, "some words, as bundles have them\n");
	add_pem(&pem, root.cert);
	check_int(verify(&pem, &leaf, &between, 0), X509_V_OK);
	check_int(verify(&pem, &leaf, NULL, 0), X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
	check_int(verify(&wrong, &leaf, &between, 0), X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
	drop(&root);
	drop(&other);
	drop(&between);
	drop(&leaf);
}

TEST(an_authority_that_changed_its_key)
{
	struct identity old = make("root", NULL, true), new = make("root", NULL, true);
	struct identity leaf = make("leaf", &new, false);
	_cleanup_buffer_ struct buffer both = BUFFER_INIT, one = BUFFER_INIT;

	add_pem(&both, old.cert);
	add_pem(&both, new.cert);
	add_pem(&both, new.cert);
	add_pem(&one, old.cert);
	check_int(verify(&both, &leaf, NULL, 0), X509_V_OK);
	check(verify(&one, &leaf, NULL, 0) != X509_V_OK);
	drop(&old);
	drop(&new);
	drop(&leaf);
}

TEST(a_server_that_is_trusted_itself)
{
	struct identity root = make("root", NULL, true), leaf = make("leaf", &root, false);
	_cleanup_buffer_ struct buffer pem = BUFFER_INIT;

	add_pem(&pem, leaf.cert);
	check_int(verify(&pem, &leaf, NULL, X509_V_FLAG_PARTIAL_CHAIN), X509_V_OK);
	check(verify(&pem, &leaf, NULL, 0) != X509_V_OK);
	drop(&root);
	drop(&leaf);
}

TEST(nobody_and_damage)
{
	static const char *const bad[] = {
	    /* a NULL, a sequence that is longer than it is, one of indefinite length, not base64 */
	    "-----BEGIN CERTIFICATE-----\nBQA=\n-----END CERTIFICATE-----\n",
	    "-----BEGIN CERTIFICATE-----\nMIIBAA==\n-----END CERTIFICATE-----\n",
	    "-----BEGIN CERTIFICATE-----\nMIAwgAAAAAA=\n-----END CERTIFICATE-----\n",
	    "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
	    "-----BEGIN CERTIFICATE-----\nMIIBAA==\n",
	};
	struct trust *t = NULL;
	struct error err = ERROR_INIT;

	check_ok(trust_new("", 0, &t, &err), &err);
	check(trust_empty(t));
	trust_free(t);
	t = NULL;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		check_int(trust_new(bad[i], strlen(bad[i]), &t, &err), -EBADMSG);
		check(strstr(err.text, "certificate 1 of those to trust is damaged") != NULL);
		check(!t);
		error_clear(&err);
	}
}

TEST_MAIN()
