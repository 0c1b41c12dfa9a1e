/* SPDX-License-Identifier: Apache-2.0 */
/* trust: see the header. */
#include "lib/image/trust.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#define CERTIFICATES_MAX 4096

struct certificate {
	X509_NAME *subject;
	uint8_t *der; /* OpenSSL's memory */
	long size;
};

struct trust {
	X509_LOOKUP_METHOD *method;
	struct certificate *v;
	size_t n, room;
};

/* ---- reading */

/* The element at *at, whose content it leaves in *at; NULL when there is none of that tag. */
static const uint8_t *open_element(const uint8_t **at, const uint8_t *end, int tag, long *size)
{
	const uint8_t *head = *at;
	int got, class, r;

	if (head >= end)
		return NULL;
	r = ASN1_get_object(at, size, &got, &class, end - head);
	/* 0x80: it does not fit; 1: of indefinite length, which DER has not. */
	return r & 0x81 || got != tag ? NULL : head;
}

/* Goes over an element of whatever tag. */
static bool skip_element(const uint8_t **at, const uint8_t *end)
{
	long size;
	int tag, class;

	if (*at >= end || ASN1_get_object(at, &size, &tag, &class, end - *at) & 0x81)
		return false;
	*at += size;
	return true;
}

/* TBSCertificate (RFC 5280, 4.1): [0] version, serial, algorithm, issuer, validity, subject. */
static X509_NAME *subject_of(const uint8_t *der, long size)
{
	const uint8_t *at = der, *end = der + size, *head;
	long n;

	if (!open_element(&at, end, V_ASN1_SEQUENCE, &n) ||
	    !open_element(&at, at + n, V_ASN1_SEQUENCE, &n))
		return NULL;
	end = at + n;
	if (at < end && *at == (V_ASN1_CONTEXT_SPECIFIC | V_ASN1_CONSTRUCTED) &&
	    !skip_element(&at, end))
		return NULL;
	for (int i = 0; i < 4; i++)
		if (!skip_element(&at, end))
			return NULL;
	head = open_element(&at, end, V_ASN1_SEQUENCE, &n);
	return head ? d2i_X509_NAME(NULL, &head, at + n - head) : NULL;
}

/* Takes der in any case. */
static int add(struct trust *t, uint8_t *der, long size, struct error *err)
{
	struct certificate *v = t->v;
	X509_NAME *subject = subject_of(der, size);

	if (!subject) {
		OPENSSL_free(der);
		return error_set_kind(err, ERROR_INPUT, EBADMSG,
		                      "certificate %zu of those to trust is damaged", t->n + 1);
	}
	if (t->n == t->room && t->room < CERTIFICATES_MAX) {
		v = reallocarray(v, t->room + 256, sizeof(*v));
		if (v) {
			t->v = v;
			t->room += 256;
		}
	}
	if (!v || t->n == t->room) {
		X509_NAME_free(subject);
		OPENSSL_free(der);
		return v ? error_set_kind(err, ERROR_INPUT, E2BIG,
		                          "more than %d certificates to trust", CERTIFICATES_MAX)
		         : error_set(err, ENOMEM, "out of memory");
	}
	t->v[t->n++] = (struct certificate){subject, der, size};
	return 0;
}

/* 1: added or passed over; 0: that was the last. */
static int read_one(struct trust *t, BIO *from, struct error *err)
{
	char *name = NULL, *header = NULL;
	uint8_t *der = NULL;
	long size;
	int r = 1;

	if (!PEM_read_bio(from, &name, &header, &der, &size)) {
		unsigned long e = ERR_peek_last_error();

		ERR_clear_error();
		return ERR_GET_REASON(e) == PEM_R_NO_START_LINE
		           ? 0
		           : error_set_kind(err, ERROR_INPUT, EBADMSG,
		                            "certificate %zu of those to trust is damaged",
		                            t->n + 1);
	}
	if (!strcmp(name, PEM_STRING_X509) || !strcmp(name, PEM_STRING_X509_OLD)) {
		r = add(t, der, size, err);
		der = NULL;
	}
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	return r < 0 ? r : 1;
}

/* ---- finding: OpenSSL looks into the store first, so this happens once a subject */

static void add_to_store(const struct trust *t, const X509_NAME *subject, X509_STORE *store)
{
	for (size_t i = 0; i < t->n; i++) {
		const uint8_t *p = t->v[i].der;
		X509 *x;

		if (X509_NAME_cmp(t->v[i].subject, subject))
			continue;
		x = d2i_X509(NULL, &p, t->v[i].size);
		if (x)
			X509_STORE_add_cert(store, x); /* holds it by itself */
		X509_free(x);
	}
	ERR_clear_error(); /* of what is damaged further in, and not trusted */
}

/* The answer is lent from the store: X509_OBJECT_set1_X509() counts one holder too many. */
static int get_by_subject(X509_LOOKUP *lookup, X509_LOOKUP_TYPE type, const X509_NAME *subject,
                          X509_OBJECT *out)
{
	X509_STORE *store = X509_LOOKUP_get_store(lookup);
	X509_OBJECT *found;
	X509 *x = NULL;
	int ok = 0;

	if (type != X509_LU_X509)
		return 0;
	add_to_store(X509_LOOKUP_get_method_data(lookup), subject, store);
	X509_STORE_lock(store);
	found = X509_OBJECT_retrieve_by_subject(X509_STORE_get0_objects(store), type, subject);
	if (found)
		x = X509_OBJECT_get0_X509(found);
	if (x && X509_OBJECT_set1_X509(out, x)) {
		X509_free(x);
		ok = 1;
	}
	X509_STORE_unlock(store);
	return ok;
}

/* ---- the concept */

int trust_new(const char *pem, size_t size, struct trust **out, struct error *err)
{
	_cleanup_trust_ struct trust *t = calloc(1, sizeof(*t));
	BIO *from = size <= INT32_MAX ? BIO_new_mem_buf(pem, (int)size) : NULL;
	int r = 1;

	if (t)
		t->method = X509_LOOKUP_meth_new("trust");
	if (!t || !t->method || !from ||
	    !X509_LOOKUP_meth_set_get_by_subject(t->method, get_by_subject))
		r = error_set(err, ENOMEM, "out of memory");
	while (r > 0)
		r = read_one(t, from, err);
	BIO_free(from);
	if (r == 0)
		*out = steal_ptr(&t);
	return r;
}

void trust_free(struct trust *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++) {
		X509_NAME_free(t->v[i].subject);
		OPENSSL_free(t->v[i].der);
	}
	free(t->v);
	X509_LOOKUP_meth_free(t->method);
	free(t);
}

bool trust_empty(const struct trust *t)
{
	return t->n == 0;
}

int trust_install(const struct trust *t, X509_STORE *store)
{
	X509_LOOKUP *lookup = X509_STORE_add_lookup(store, t->method);

	return lookup && X509_LOOKUP_set_method_data(lookup, (void *)t) ? 0 : -ENOMEM;
}
