/* SPDX-License-Identifier: Apache-2.0 */
/* reference: see the header; the grammar is that of the distribution project. */
#include "lib/oci/reference.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static int refuse(const char *text, const char *why, struct error *err)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "\"%.200s\" is not an image reference: %s",
	                      text, why);
}

const char *reference_canonical_host(const char *host)
{
	if (!strcmp(host, "index.docker.io") || !strcmp(host, "registry-1.docker.io"))
		return "docker.io";
	return host;
}

const char *reference_server(const struct reference *ref)
{
	return strcmp(ref->host, "docker.io") ? ref->host : "registry-1.docker.io";
}

const char *reference_version(const struct reference *ref)
{
	return ref->digest.text[0] ? ref->digest.text : ref->tag;
}

/* name[:port], an IPv4 address, or [IPv6][:port]. */
static bool host_ok(const char *h)
{
	size_t n;

	if (*h == '[') {
		n = strspn(h + 1, DIGITS "abcdefABCDEF:.");
		if (n < 2 || h[n + 1] != ']')
			return false;
		h += n + 2;
	} else {
		n = strspn(h, LOWER UPPER DIGITS ".-");
		if (!n || h[0] == '-' || h[0] == '.' || h[n - 1] == '-' || h[n - 1] == '.' ||
		    memmem(h, n, "..", 2))
			return false;
		h += n;
	}
	if (!*h)
		return true;
	n = strspn(h + 1, DIGITS);
	return *h == ':' && n >= 1 && n <= 5 && !h[n + 1];
}

/* [a-z0-9]+ joined by '.', '_', '__' or any number of '-', components joined by '/'. */
static bool repository_ok(const char *p)
{
	for (;;) {
		size_t n = strspn(p, LOWER DIGITS);

		if (!n)
			return false;
		p += n;
		if (!*p)
			return true;
		if (*p == '/' || *p == '.')
			p++;
		else if (*p == '_')
			p += p[1] == '_' ? 2 : 1;
		else if (*p == '-')
			p += strspn(p, "-");
		else
			return false;
	}
}

static bool tag_ok(const char *t)
{
	size_t n = strspn(t, LOWER UPPER DIGITS "_.-");

	return n >= 1 && n <= 128 && !t[n] && t[0] != '.' && t[0] != '-';
}

static bool is_host(const char *first, size_t n)
{
	return memchr(first, '.', n) || memchr(first, ':', n) ||
	       (n == 9 && !memcmp(first, "localhost", 9)) || strcspn(first, UPPER) < n;
}

/* Host and repository out of `name`, which has no tag and no digest any more. */
static int split_name(const char *text, const char *name, struct reference *out, struct error *err)
{
	const char *slash = strchr(name, '/'), *rest = name;
	const char *library = "", *canonical;

	if (slash && is_host(name, (size_t)(slash - name))) {
		if ((size_t)(slash - name) >= sizeof(out->host))
			return refuse(text, "its host is too long", err);
		memcpy(out->host, name, (size_t)(slash - name));
		out->host[slash - name] = '\0';
		out->host_given = true;
		rest = slash + 1;
		if (!host_ok(out->host))
			return refuse(text, "its host is not a name or an address", err);
		canonical = reference_canonical_host(out->host);
		memmove(out->host, canonical, strlen(canonical) + 1);
	} else {
		snprintf(out->host, sizeof(out->host), "docker.io");
	}
	if (!strcmp(out->host, "docker.io") && !strchr(rest, '/'))
		library = "library/";
	if (strlen(library) + strlen(rest) >= sizeof(out->repository))
		return refuse(text, "its repository is too long", err);
	memcpy(out->repository, library, strlen(library));
	memcpy(out->repository + strlen(library), rest, strlen(rest) + 1);
	if (!repository_ok(out->repository))
		return refuse(text,
		              strcspn(rest, UPPER) < strlen(rest)
		                  ? "its repository has upper-case letters"
		                  : "its repository may only have a-z, 0-9 and single . _ - / "
		                    "between them",
		              err);
	return 0;
}

int reference_parse(const char *text, struct reference *out, struct error *err)
{
	char name[REFERENCE_MAX];
	char *at, *colon, *slash;

	memset(out, 0, sizeof(*out));
	if (!*text)
		return refuse(text, "it is empty", err);
	if (strlen(text) >= sizeof(name))
		return refuse(text, "it is too long", err);
	memcpy(name, text, strlen(text) + 1);

	at = strchr(name, '@');
	if (at) {
		int r = digest_parse(at + 1, "the part after '@'", &out->digest, err);

		if (r)
			return r;
		*at = '\0';
	}
	colon = strrchr(name, ':');
	slash = strrchr(name, '/');
	if (colon && (!slash || colon > slash)) {
		if (!tag_ok(colon + 1))
			return refuse(text, "its tag is not 1 to 128 of A-Z a-z 0-9 _ . -", err);
		snprintf(out->tag, sizeof(out->tag), "%s", colon + 1);
		*colon = '\0';
	} else if (!at) {
		snprintf(out->tag, sizeof(out->tag), "latest");
	}
	return split_name(text, name, out, err);
}

const char *reference_text(const struct reference *ref, char buf[REFERENCE_TEXT_MAX])
{
	snprintf(buf, REFERENCE_TEXT_MAX, "%s/%s%c%s", ref->host, ref->repository,
	         ref->digest.text[0] ? '@' : ':', reference_version(ref));
	return buf;
}
