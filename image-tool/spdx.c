/* SPDX-License-Identifier: Apache-2.0 */
/* spdx: see the header. */
#include "image-tool/spdx.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "lib/base/str.h"
#include "lib/base/version.h"
#include "lib/image/hash.h"
#include "lib/image/http.h"

#define NO_UUID "00000000-0000-0000-0000-000000000000"
#define IMAGE   "SPDXRef-Image"
#define ROOT    "SPDXRef-Root"
#define KIHON   "SPDXRef-Kihon"

void spdx_time(uint64_t seconds, char out[SPDX_TIME_MAX])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (seconds > UINT32_MAX || !gmtime_r(&t, &tm) ||
	    !strftime(out, SPDX_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, SPDX_TIME_MAX, "1970-01-01T00:00:00Z");
}

/* ---- licence expressions */

static bool is_idstring(const char *s, size_t n)
{
	if (n > 0 && s[n - 1] == '+')
		n--;
	for (size_t i = 0; i < n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:",
		            s[i]))
			return false;
	return n > 0;
}

static bool is_word(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && memcmp(s, word, n) == 0;
}

/* Identifiers and operators take turns; WITH stands between two plain identifiers. */
bool spdx_is_expression(const char *text)
{
	unsigned int depth = 0;
	bool operand = true; /* what comes next */
	bool exception = false, simple = false;

	for (const char *p = text + strspn(text, " "); *p; p += strspn(p, " ")) {
		size_t n = *p == '(' || *p == ')' ? 1 : strcspn(p, " ()");
		bool joins = is_word(p, n, "AND") || is_word(p, n, "OR") || is_word(p, n, "WITH");

		if (*p == '(') {
			if (!operand || exception)
				return false;
			depth++;
		} else if (*p == ')') {
			if (operand || depth == 0)
				return false;
			depth--;
			simple = false;
		} else if (operand) {
			if (joins || !is_idstring(p, n))
				return false;
			operand = false;
			simple = !exception;
			exception = false;
		} else {
			if (!joins || (*p == 'W' && !simple))
				return false;
			operand = true;
			exception = *p == 'W';
		}
		p += n;
	}
	return !operand && depth == 0;
}

/* ---- pieces */

static void member(struct buffer *out, const char *key, const char *value)
{
	buffer_printf(out, ",\"%s\":", key);
	buffer_json_string(out, value);
}

/* Its id says the number, which is unique, and the name, for people. */
static void package_id(struct buffer *out, size_t i, const char *name)
{
	buffer_printf(out, "SPDXRef-Package-%zu-", i + 1);
	for (; *name; name++)
		buffer_append(out,
		              strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		                     "0123456789.-",
		                     *name)
		                  ? name
		                  : "-",
		              1);
}

static void relation(struct buffer *out, const char *from, const char *how)
{
	buffer_printf(out,
	              "%s\n  {\"spdxElementId\":\"%s\",\"relationshipType\":\"%s\","
	              "\"relatedSpdxElement\":\"",
	              out->size > 0 && out->data[out->size - 1] == '}' ? "," : "", from, how);
}

static void end_relation(struct buffer *out)
{
	buffer_str(out, "\"}");
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* SPDX 2.3 section 7.9: SHA-1 of the files' SHA-1 digests, sorted, one after the other. */
static int verification_code(const struct content_file *files, size_t n, struct buffer *out,
                             struct error *err)
{
	_cleanup_free_ const char **sorted = calloc(n + 1, sizeof(*sorted));
	_cleanup_buffer_ struct buffer all = BUFFER_INIT;
	uint8_t raw[EVP_MAX_MD_SIZE];
	unsigned int size = 0;

	if (!sorted)
		return error_set(err, ENOMEM, "no memory for the list of files");
	for (size_t i = 0; i < n; i++)
		sorted[i] = files[i].sha1;
	qsort(sorted, n, sizeof(*sorted), by_text);
	for (size_t i = 0; i < n; i++)
		buffer_str(&all, sorted[i]);
	if (all.failed || !EVP_Digest(all.data, all.size, raw, &size, EVP_sha1(), NULL))
		return error_set(err, ENOMEM, "cannot compute SHA-1");
	buffer_str(out, ",\"filesAnalyzed\":true,\"packageVerificationCode\":"
	                "{\"packageVerificationCodeValue\":\"");
	for (unsigned int i = 0; i < size; i++)
		buffer_printf(out, "%02x", raw[i]);
	buffer_str(out, "\"}");
	return 0;
}

/* ---- packages */

void spdx_purl(const struct guestimg_package *p, struct buffer *out)
{
	bool binary = str_starts(p->source, "linux-source-"); /* Debian's kernel as an archive */

	buffer_str(out, "pkg:deb/debian/");
	http_escape(out, p->source);
	buffer_str(out, "@");
	http_escape(out, p->version);
	buffer_printf(out, "?arch=%s", binary ? "all" : "source");
}

static void licence(struct buffer *out, const char *text)
{
	bool ok = spdx_is_expression(text);

	member(out, "licenseConcluded", "NOASSERTION");
	member(out, "licenseDeclared", ok ? text : "NOASSERTION");
	if (!ok)
		member(out, "licenseComments", text);
	member(out, "copyrightText", "NOASSERTION");
}

static void source_package(struct buffer *out, size_t i, const struct guestimg_package *p)
{
	_cleanup_buffer_ struct buffer purl = BUFFER_INIT, info = BUFFER_INIT;

	spdx_purl(p, &purl);
	buffer_printf(&info, "built from Debian's package %s, version %s", p->source, p->version);
	buffer_str(out, ",\n  {\"SPDXID\":\"");
	package_id(out, i, p->name);
	buffer_str(out, "\"");
	member(out, "name", p->name);
	member(out, "versionInfo", p->version);
	member(out, "downloadLocation", "NOASSERTION");
	buffer_str(out, ",\"filesAnalyzed\":false");
	member(out, "sourceInfo", buffer_cstr(&info));
	if (p->sha256)
		buffer_printf(
		    out, ",\"checksums\":[{\"algorithm\":\"SHA256\",\"checksumValue\":\"%s\"}]",
		    p->sha256);
	licence(out, p->licence);
	member(out, "primaryPackagePurpose", "SOURCE");
	buffer_str(out, ",\"externalRefs\":[{\"referenceCategory\":\"PACKAGE-MANAGER\","
	                "\"referenceType\":\"purl\",\"referenceLocator\":");
	buffer_json_string(out, buffer_cstr(&purl));
	buffer_str(out, "}]}");
}

static int own_packages(const struct guestimg *img, const struct contents *c, struct buffer *out,
                        struct error *err)
{
	int r;

	buffer_str(out, "\n  {\"SPDXID\":\"" IMAGE "\"");
	member(out, "name", img->name);
	member(out, "versionInfo", img->version);
	member(out, "downloadLocation", "NOASSERTION");
	r = verification_code(c->files, c->n_files, out, err);
	if (r < 0)
		return r;
	licence(out, "NOASSERTION");
	member(out, "primaryPackagePurpose", "OPERATING-SYSTEM");
	buffer_str(out, "},\n  {\"SPDXID\":\"" ROOT "\"");
	member(out, "name", img->rootfs.file);
	member(out, "versionInfo", img->version);
	member(out, "downloadLocation", "NOASSERTION");
	if (c->root_listed)
		r = verification_code(c->root, c->n_root, out, err);
	else
		buffer_str(out, ",\"filesAnalyzed\":false");
	licence(out, "NOASSERTION");
	member(out, "primaryPackagePurpose", "ARCHIVE");
	member(out, "comment",
	       c->root_listed ? "the root file system; names of its files are paths in it"
	                      : "the root file system; its files are not listed: its format "
	                        "is not known");
	buffer_str(out, "},\n  {\"SPDXID\":\"" KIHON "\"");
	member(out, "name", "kihon");
	member(out, "versionInfo", img->version);
	member(out, "downloadLocation", "NOASSERTION");
	buffer_str(out, ",\"filesAnalyzed\":false");
	licence(out, "Apache-2.0");
	member(out, "primaryPackagePurpose", "SOURCE");
	buffer_str(out, "}");
	return r;
}

/* ---- files and relationships */

static void file(struct buffer *out, const char *kind, size_t i, const struct content_file *f)
{
	_cleanup_buffer_ struct buffer name = BUFFER_INIT;

	buffer_printf(&name, "./%s", f->name);
	buffer_printf(out, "%s\n  {\"SPDXID\":\"SPDXRef-%s-%zu\",\"fileName\":",
	              out->data[out->size - 1] == '}' ? "," : "", kind, i + 1);
	buffer_json_string(out, buffer_cstr(&name));
	buffer_printf(out,
	              ",\"checksums\":[{\"algorithm\":\"SHA1\",\"checksumValue\":\"%s\"},"
	              "{\"algorithm\":\"SHA256\",\"checksumValue\":\"%s\"}]",
	              f->sha1, f->sha256);
	buffer_str(out, ",\"licenseConcluded\":\"NOASSERTION\",\"copyrightText\":\"NOASSERTION\"}");
}

static bool is_kernel(const struct guestimg *img, const char *name)
{
	return strcmp(name, img->kernel.vmlinux) == 0 ||
	       (img->kernel.bzimage && strcmp(name, img->kernel.bzimage) == 0);
}

/* The kernel is the first package and called linux (packages.h); the rest is in the root. */
static void origin(struct buffer *out, const struct guestimg *img, const struct contents *c,
                   size_t i)
{
	const struct guestimg_package *p = &img->packages[i];
	bool linux_package = strcmp(p->name, "linux") == 0;

	if (!linux_package) {
		relation(out, ROOT, "GENERATED_FROM");
		package_id(out, i, p->name);
		end_relation(out);
	}
	for (size_t k = 0; linux_package && k < c->n_files; k++) {
		char id[48];

		if (!is_kernel(img, c->files[k].name))
			continue;
		snprintf(id, sizeof(id), "SPDXRef-File-%zu", k + 1);
		relation(out, id, "GENERATED_FROM");
		package_id(out, i, p->name);
		end_relation(out);
	}
}

static void relationships(const struct guestimg *img, const struct contents *c, struct buffer *out)
{
	static const char *const fixed[][3] = {
	    {"SPDXRef-DOCUMENT", "DESCRIBES", IMAGE},
	    {IMAGE, "CONTAINS", ROOT},
	    {ROOT, "GENERATED_FROM", KIHON},
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		relation(out, fixed[i][0], fixed[i][1]);
		buffer_str(out, fixed[i][2]);
		end_relation(out);
	}
	for (size_t i = 0; i < c->n_files; i++) {
		relation(out, IMAGE, "CONTAINS");
		buffer_printf(out, "SPDXRef-File-%zu", i + 1);
		end_relation(out);
	}
	for (size_t i = 0; i < c->n_root; i++) {
		relation(out, ROOT, "CONTAINS");
		buffer_printf(out, "SPDXRef-RootFile-%zu", i + 1);
		end_relation(out);
	}
	for (size_t i = 0; i < img->n_packages; i++)
		origin(out, img, c, i);
}

/* ---- the document */

/* A UUID of version 8 (RFC 9562 section 5.8) in the place at `offset`, made from what is there. */
static int put_namespace(struct buffer *out, size_t offset, struct error *err)
{
	static const unsigned int groups[] = {8, 4, 4, 4, 12};
	struct digest d;
	const char *hex = d.text + strlen("sha256:");
	uint8_t *to;
	int r = out->failed ? error_set(err, ENOMEM, "no memory for the document")
	                    : hash_bytes(DIGEST_SHA256, out->data, out->size, &d, err);

	if (r < 0)
		return r;
	to = out->data + offset;
	for (size_t g = 0; g < sizeof(groups) / sizeof(*groups); g++) {
		memcpy(to, hex, groups[g]);
		to += groups[g] + 1;
		hex += groups[g];
	}
	out->data[offset + 14] = '8';
	out->data[offset + 19] = "89ab"[out->data[offset + 19] & 3];
	return 0;
}

int spdx_format(const struct guestimg *img, const struct contents *c, struct buffer *out,
                struct error *err)
{
	char created[SPDX_TIME_MAX];
	size_t uuid;
	int r;

	spdx_time(img->timestamp, created);
	buffer_str(out, "{\n \"spdxVersion\":\"SPDX-2.3\",\"dataLicense\":\"CC0-1.0\","
	                "\"SPDXID\":\"SPDXRef-DOCUMENT\",\"name\":");
	buffer_json_string(out, img->name);
	buffer_str(out, ",\n \"documentNamespace\":\"urn:uuid:");
	uuid = out->size;
	buffer_printf(out,
	              NO_UUID "\",\n \"creationInfo\":{\"created\":\"%s\",\"creators\":"
	                      "[\"Tool: kata-image-tool-" KIHON_VERSION "\"]},\n \"packages\":[",
	              created);
	r = own_packages(img, c, out, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < img->n_packages; i++)
		source_package(out, i, &img->packages[i]);
	buffer_str(out, "],\n \"files\":[");
	for (size_t i = 0; i < c->n_files && !out->failed; i++)
		file(out, "File", i, &c->files[i]);
	for (size_t i = 0; i < c->n_root && !out->failed; i++)
		file(out, "RootFile", i, &c->root[i]);
	buffer_str(out, "],\n \"relationships\":[");
	relationships(img, c, out);
	buffer_str(out, "]\n}\n");
	return put_namespace(out, uuid, err);
}
