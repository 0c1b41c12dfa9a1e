/* SPDX-License-Identifier: Apache-2.0 */
/* digest: see the header. */
#include "lib/oci/digest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	size_t size;
} algorithms[] = {
    [DIGEST_SHA256] = {"sha256", 32},
    [DIGEST_SHA384] = {"sha384", 48},
    [DIGEST_SHA512] = {"sha512", 64},
};

#define N_ALGORITHMS (sizeof(algorithms) / sizeof(algorithms[0]))

size_t digest_algorithm_size(enum digest_algorithm alg)
{
	return algorithms[alg].size;
}

/* The algorithm whose name and ':' begin the text, or -1. */
static int find_algorithm(const char *text)
{
	for (size_t i = 0; i < N_ALGORITHMS; i++) {
		size_t n = strlen(algorithms[i].name);

		if (!strncmp(text, algorithms[i].name, n) && text[n] == ':')
			return (int)i;
	}
	return -1;
}

enum digest_algorithm digest_algorithm(const struct digest *d)
{
	int i = find_algorithm(d->text);

	return i < 0 ? DIGEST_SHA256 : (enum digest_algorithm)i;
}

int digest_parse(const char *text, const char *what, struct digest *out, struct error *err)
{
	int alg = find_algorithm(text);
	const char *hex;

	if (alg < 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s is not a digest that is understood (sha256, sha384, "
		                      "sha512): \"%.80s\"",
		                      what, text);
	hex = strchr(text, ':') + 1;
	if (strspn(hex, "0123456789abcdef") != 2 * algorithms[alg].size ||
	    strlen(hex) != 2 * algorithms[alg].size)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s is not %s followed by %zu lower-case hex digits: "
		                      "\"%.150s\"",
		                      what, algorithms[alg].name, 2 * algorithms[alg].size, text);
	memset(out, 0, sizeof(*out));
	memcpy(out->text, text, strlen(text));
	return 0;
}

void digest_from_bytes(enum digest_algorithm alg, const uint8_t *bytes, struct digest *out)
{
	size_t at;

	memset(out, 0, sizeof(*out));
	at = (size_t)snprintf(out->text, sizeof(out->text), "%s:", algorithms[alg].name);
	for (size_t i = 0; i < algorithms[alg].size; i++, at += 2)
		snprintf(out->text + at, sizeof(out->text) - at, "%02x", bytes[i]);
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return a->text[0] && !strcmp(a->text, b->text);
}

void digest_file_name(const struct digest *d, char out[DIGEST_FILE_MAX])
{
	char *colon;

	memcpy(out, d->text, DIGEST_FILE_MAX);
	colon = strchr(out, ':');
	if (colon)
		*colon = '-';
}
