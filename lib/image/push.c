/* SPDX-License-Identifier: Apache-2.0 */
/* push: see the header. */
#include "lib/image/push.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/str.h"
#include "lib/image/hash.h"

#define INDEX_TYPE "application/vnd.oci.image.index.v1+json"
#define ENTRIES    5 /* tries to be entered in an index that others write to as well */

/* One request to an address that is not kept; tried again when it may be. */
static int ask(struct registry *r, struct http *http, const char *method, const char *url,
               const char *accept, struct http_response *resp, struct error *err)
{
	struct http_request req = {.url = url, .method = method, .accept = accept};

	return url ? registry_send(r, http, &req, resp, err)
	           : error_set(err, ENOMEM, "out of memory");
}

/* ---- blobs */

struct upload {
	struct registry *r;
	struct http *http;
	const struct http_source *bytes;
	char *location; /* of the upload, for the next request; owned */
	uint64_t at;    /* bytes that the registry has */
	uint64_t piece; /* bytes a request */
	const char *digest;
};

static void upload_clear(struct upload *u)
{
	free(u->location);
}

/* To the upload's location, which may change with each answer. */
static int to_upload(struct upload *u, struct http_request *req, struct http_response *resp,
                     struct error *err)
{
	int r;

	req->url = u->location;
	r = registry_request(u->r, u->http, req, resp, err);
	if (r == 0 && resp->status < 300 && resp->location) {
		free(u->location);
		u->location = steal_ptr(&resp->location);
	}
	return r;
}

static int refuse_blob(const struct upload *u, const struct http_response *resp, struct error *err)
{
	if (resp->status == 400 && strstr(buffer_cstr(&resp->error_body), "DIGEST_INVALID"))
		return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
		                      "the registry did not get bytes with the digest %s",
		                      u->digest);
	if (resp->status == 404 || resp->status == 405)
		return error_set_kind(err, ERROR_ENVIRONMENT, EROFS,
		                      "the registry takes no uploads here (HTTP %ld)",
		                      resp->status);
	return registry_refuse(resp, "writing", "blob", err);
}

/* A new upload: where to, and in what pieces. */
static int begin(struct upload *u, struct error *err)
{
	_cleanup_http_response_ struct http_response resp = {0};
	_cleanup_free_ char *url = str_printf("%s/blobs/uploads/", registry_base(u->r));
	int r = ask(u->r, u->http, "POST", url, NULL, &resp, err);

	if (r)
		return r;
	if (resp.status != 202)
		return refuse_blob(u, &resp, err);
	if (!resp.location)
		return error_set_kind(err, ERROR_INPUT, EPROTO,
		                      "the registry does not say where to send the blob");
	free(u->location);
	u->location = steal_ptr(&resp.location);
	u->piece = PUSH_CHUNK > resp.chunk_min ? PUSH_CHUNK : resp.chunk_min;
	u->at = 0;
	return 0;
}

/* The last request of an upload, with all bytes or with none that are left. */
static int finish(struct upload *u, const struct http_source *bytes, struct http_response *resp,
                  struct error *err)
{
	struct http_request req = {
	    .method = "PUT", .send = bytes, .content_type = "application/octet-stream"};
	char *url = NULL;
	int r = http_add_query(u->location, "digest", u->digest, &url, err);

	if (r)
		return r;
	free(u->location);
	u->location = url;
	return to_upload(u, &req, resp, err);
}

static int send_whole(struct upload *u, struct error *err)
{
	for (unsigned int tries = 0;; tries++) {
		_cleanup_http_response_ struct http_response resp = {0};
		int e, failed = finish(u, u->bytes, &resp, err);

		if (!failed && resp.status == 201)
			return 0;
		e = registry_before_retry(u->r, failed, &resp, tries, err);
		if (e)
			return failed || e == -ECANCELED ? e : refuse_blob(u, &resp, err);
		e = begin(u, err);
		if (e)
			return e;
	}
}

/* "0-1023": the registry has 1024 bytes. Without the header it is left as it is. */
static int take_range(struct upload *u, const struct http_response *resp, uint64_t at,
                      struct error *err)
{
	const char *last = resp->range ? strchr(resp->range, '-') : NULL;

	u->at = at;
	if (!last)
		return 0;
	if (parse_u64(last + 1, &u->at) || u->at >= u->bytes->size)
		return error_set_kind(err, ERROR_INPUT, EPROTO,
		                      "the registry says that it has bytes %.50s of %" PRIu64,
		                      resp->range, u->bytes->size);
	u->at++;
	return 0;
}

static int send_piece(struct upload *u, struct http_response *resp, struct error *err)
{
	uint64_t left = u->bytes->size - u->at, n = left < u->piece ? left : u->piece;
	const struct http_source piece = {
	    .data = u->bytes->data ? (const uint8_t *)u->bytes->data + u->at : NULL,
	    .fd = u->bytes->fd,
	    .offset = u->bytes->offset + u->at,
	    .size = n,
	};
	char range[48];
	struct http_request req = {.method = "PATCH",
	                           .send = &piece,
	                           .content_type = "application/octet-stream",
	                           .content_range = range};
	int r;

	snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, u->at, u->at + n - 1);
	r = to_upload(u, &req, resp, err);
	return r || resp->status != 202 ? r : take_range(u, resp, u->at + n, err);
}

/* Where a broken upload is to go on. 1: the registry does not know it any more. */
static int look_where(struct upload *u, struct error *err)
{
	_cleanup_http_response_ struct http_response resp = {0};
	struct http_request req = {0};
	int r = to_upload(u, &req, &resp, err);

	if (r)
		return r;
	return resp.status == 204 && resp.range ? take_range(u, &resp, u->at, err) : 1;
}

static int send_pieces(struct upload *u, struct error *err)
{
	unsigned int tries = 0, breaks = 0;

	while (u->at < u->bytes->size) {
		_cleanup_http_response_ struct http_response resp = {0};
		uint64_t before = u->at;
		int e, failed = send_piece(u, &resp, err);

		if (!failed && resp.status == 202 && u->at > before) {
			tries = 0;
			continue;
		}
		e = breaks++ < REGISTRY_BREAKS
		        ? registry_before_retry(u->r, failed, &resp, tries++, err)
		        : (failed ? failed : -EIO);
		if (e)
			return failed || e == -ECANCELED ? e : refuse_blob(u, &resp, err);
		e = look_where(u, err);
		if (e > 0)
			e = begin(u, err);
		if (e)
			return e;
	}
	return 0;
}

static int send_large(struct upload *u, struct error *err)
{
	_cleanup_http_response_ struct http_response resp = {0};
	int r = send_pieces(u, err);

	if (!r)
		r = finish(u, NULL, &resp, err);
	return r || resp.status == 201 ? r : refuse_blob(u, &resp, err);
}

static int has_blob(struct registry *r, struct http *http, const struct digest *digest,
                    struct error *err)
{
	_cleanup_http_response_ struct http_response resp = {0};
	_cleanup_free_ char *url = str_printf("%s/blobs/%s", registry_base(r), digest->text);
	int e = ask(r, http, "HEAD", url, NULL, &resp, err);

	return e ? e : resp.status == 200;
}

int push_blob(struct registry *r, struct http *http, const struct digest *digest,
              const struct http_source *bytes, struct error *err)
{
	_cleanup_(upload_clear) struct upload u = {
	    .r = r, .http = http, .bytes = bytes, .digest = digest->text};
	int e = has_blob(r, http, digest, err);

	if (e)
		return e;
	e = begin(&u, err);
	if (e)
		return e;
	return bytes->size <= u.piece ? send_whole(&u, err) : send_large(&u, err);
}

/* ---- manifests */

static int has_manifest(struct registry *r, struct http *http, const char *url,
                        const char *media_type, const struct digest *digest, struct error *err)
{
	_cleanup_http_response_ struct http_response resp = {0};
	int e = ask(r, http, "HEAD", url, media_type, &resp, err);

	return e ? e : resp.status == 200 && resp.digest && !strcmp(resp.digest, digest->text);
}

/* *known: the registry has understood the manifest's subject. */
static int put_manifest(struct registry *r, struct http *http, const char *version,
                        const char *media_type, const void *json, size_t size,
                        struct digest *digest, bool *known, struct error *err)
{
	const struct http_source bytes = {.data = json, .size = size};
	_cleanup_http_response_ struct http_response resp = {0};
	_cleanup_free_ char *url = NULL;
	struct http_request req = {.method = "PUT", .send = &bytes, .content_type = media_type};
	int e = hash_bytes(DIGEST_SHA256, json, size, digest, err);

	if (e)
		return e;
	req.url = url = str_printf("%s/manifests/%s", registry_base(r), version ?: digest->text);
	if (!url)
		return error_set(err, ENOMEM, "out of memory");
	e = has_manifest(r, http, url, media_type, digest, err);
	if (!e)
		e = registry_send(r, http, &req, &resp, err);
	if (e)
		return e;
	if (resp.status != 201)
		return registry_refuse(&resp, "writing", "manifest", err);
	*known = resp.subject != NULL;
	if (resp.digest && strcmp(resp.digest, digest->text) != 0)
		return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
		                      "the registry keeps the manifest as %.100s instead of %s",
		                      resp.digest, digest->text);
	return 0;
}

int push_manifest(struct registry *r, struct http *http, const char *version,
                  const char *media_type, const void *json, size_t size, struct digest *digest,
                  struct error *err)
{
	struct digest own;
	bool known;

	return put_manifest(r, http, version, media_type, json, size, digest ?: &own, &known, err);
}

/* ---- referrers */

static int empty_index(struct buffer *out, struct error *err)
{
	buffer_clear(out);
	buffer_str(out, "{\"schemaVersion\":2,\"mediaType\":\"" INDEX_TYPE "\",\"manifests\":[]}");
	return out->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

/* 1: the registry has no referrers API (it must answer 200 with an index, also to what it does
 * not have). */
static int from_api(struct registry *r, struct http *http, const struct digest *subject,
                    struct buffer *out, struct error *err)
{
	_cleanup_http_response_ struct http_response resp = {0};
	_cleanup_free_ char *path = str_printf("/referrers/%s", subject->text);
	int e = path ? registry_get(r, http, path, INDEX_TYPE, out, &resp, err)
	             : error_set(err, ENOMEM, "out of memory");

	if (e)
		return e;
	return resp.status == 200 && resp.content_type && str_starts(resp.content_type, INDEX_TYPE)
	           ? 0
	           : 1;
}

static int from_tag(struct registry *r, struct http *http, const char *tag, struct buffer *out,
                    struct error *err)
{
	_cleanup_http_response_ struct http_response resp = {0};
	_cleanup_free_ char *path = str_printf("/manifests/%s", tag);
	int e = path ? registry_get(r, http, path, INDEX_TYPE, out, &resp, err)
	             : error_set(err, ENOMEM, "out of memory");

	if (!e && resp.status == 404)
		return empty_index(out, err);
	return e || resp.status == 200
	           ? e
	           : registry_refuse(&resp, "reading", "index of referrers", err);
}

static int parse_index(const struct buffer *text, cJSON **doc, cJSON **manifests, struct error *err)
{
	static const char what[] = "the index of referrers";
	const cJSON *list = NULL;
	int e = json_parse(buffer_cstr(text), text->size, IMAGE_MAX_MANIFEST, what, doc, err);

	if (!e)
		e = json_array(*doc, "manifests", true, &list, what, err);
	*manifests = (cJSON *)list; /* of a document that is ours to change */
	return e;
}

static bool lists(const cJSON *manifests, const struct digest *digest)
{
	const cJSON *m;

	cJSON_ArrayForEach(m, manifests)
	{
		const char *text = NULL;

		if (!json_string(m, "digest", true, &text, "", NULL) && !strcmp(text, digest->text))
			return true;
	}
	return false;
}

/* 1: it is there already. */
static int enter(struct registry *r, struct http *http, const char *tag,
                 const struct digest *digest, const cJSON *descriptor, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_cjson_ cJSON *doc = NULL, *copy = NULL;
	_cleanup_free_ char *json = NULL;
	cJSON *manifests;
	int e = from_tag(r, http, tag, &text, err);

	if (!e)
		e = parse_index(&text, &doc, &manifests, err);
	if (e || lists(manifests, digest))
		return e ? error_prefix(err, e, "tag %s", tag) : 1;
	copy = cJSON_Duplicate(descriptor, true);
	if (!copy || !cJSON_AddItemToArray(manifests, copy))
		return error_set(err, ENOMEM, "out of memory");
	copy = NULL;
	json = cJSON_PrintUnformatted(doc);
	if (!json)
		return error_set(err, ENOMEM, "out of memory");
	e = push_manifest(r, http, tag, INDEX_TYPE, json, strlen(json), NULL, err);
	return e < 0 ? error_prefix(err, e, "the index of referrers") : 0;
}

/* Nothing keeps two writers of a tag apart, so look whether the entry has stayed. */
static int enter_by_tag(struct registry *r, struct http *http, const struct digest *subject,
                        const struct digest *digest, const cJSON *descriptor, struct error *err)
{
	char tag[DIGEST_FILE_MAX];
	int first = -1;

	digest_file_name(subject, tag);
	for (int i = 0; i < ENTRIES; i++) {
		int e = enter(r, http, tag, digest, descriptor, err);

		if (e < 0)
			return e;
		first = first < 0 ? e : first;
		if (e > 0)
			return first;
	}
	return error_set_kind(
	    err, ERROR_ENVIRONMENT, EBUSY,
	    "the index of referrers (tag %s) is changed by others again and again", tag);
}

/* A manifest's descriptor as referrers are listed: with its artifact type and annotations. */
static int describe(const cJSON *manifest, size_t size, const struct digest *digest,
                    const char *media_type, cJSON **out, struct error *err)
{
	static const char what[] = "the referrer";
	const cJSON *config = NULL, *annotations = NULL;
	_cleanup_cjson_ cJSON *d = cJSON_CreateObject(), *copy = NULL;
	const char *type = NULL;
	bool ok = d && cJSON_AddStringToObject(d, "mediaType", media_type) &&
	          cJSON_AddStringToObject(d, "digest", digest->text) &&
	          cJSON_AddNumberToObject(d, "size", (double)size);
	int e = json_string(manifest, "artifactType", false, &type, what, err);

	if (e > 0)
		e = json_object(manifest, "config", false, &config, what, err);
	if (e == 0 && config)
		e = json_string(config, "mediaType", false, &type, what, err);
	if (e >= 0)
		e = json_object(manifest, "annotations", false, &annotations, what, err);
	if (e < 0)
		return e;
	ok = ok && (!type || cJSON_AddStringToObject(d, "artifactType", type));
	if (ok && annotations) {
		copy = cJSON_Duplicate(annotations, true);
		ok = copy && cJSON_AddItemToObject(d, "annotations", copy);
		copy = ok ? NULL : copy;
	}
	*out = steal_ptr(&d);
	return ok ? 0 : error_set(err, ENOMEM, "out of memory");
}

/* Whether the registry's own list has it. */
static int listed_by_api(struct registry *r, struct http *http, const struct digest *subject,
                         const struct digest *digest, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_cjson_ cJSON *doc = NULL;
	cJSON *manifests;
	int e = from_api(r, http, subject, &text, err);

	if (e)
		return e > 0 ? 0 : e;
	e = parse_index(&text, &doc, &manifests, err);
	return e ? e : lists(manifests, digest);
}

int push_referrer(struct registry *r, struct http *http, const void *json, size_t size,
                  struct digest *digest, struct error *err)
{
	static const char what[] = "the referrer";
	_cleanup_cjson_ cJSON *doc = NULL, *descriptor = NULL;
	const cJSON *subject_object = NULL;
	const char *text = NULL, *type = NULL;
	struct digest subject, own;
	bool known = false;
	int there, e = json_parse(json, size, IMAGE_MAX_MANIFEST, what, &doc, err);

	digest = digest ?: &own;
	if (!e)
		e = json_object(doc, "subject", true, &subject_object, what, err);
	if (!e)
		e = json_string(subject_object, "digest", true, &text, what, err);
	if (!e)
		e = digest_parse(text, "the referrer's subject", &subject, err);
	if (!e)
		e = json_string(doc, "mediaType", true, &type, what, err);
	if (e)
		return e;
	there = put_manifest(r, http, NULL, type, json, size, digest, &known, err);
	if (there < 0 || known)
		return there;
	e = listed_by_api(r, http, &subject, digest, err);
	if (e)
		return e < 0 ? e : there;
	e = describe(doc, size, digest, type, &descriptor, err);
	if (!e)
		e = enter_by_tag(r, http, &subject, digest, descriptor, err);
	return e < 0 ? e : there && e;
}
