/* SPDX-License-Identifier: Apache-2.0 */
/* registry: see the header. */
#include "lib/image/registry.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/json.h"
#include "lib/base/str.h"

#define BACKOFF_MS      100
#define BACKOFF_MAX_MS  8000
#define RETRY_AFTER_MAX 60 /* seconds that a registry may make us wait */

struct registry {
	struct reference ref;
	bool plain_http;
	const struct auth_file *credentials;
	const atomic_bool *cancel;
	char base[512]; /* "https://host/v2/repository" */

	pthread_mutex_t lock;
	struct buffer authorization; /* what the last login gave; "" before */
	unsigned int logins;
	bool has_credentials; /* there were some for this image */
};

int registry_new(const struct reference *ref, bool plain_http, const struct auth_file *credentials,
                 const atomic_bool *cancel, struct registry **out, struct error *err)
{
	struct registry *r = calloc(1, sizeof(*r));

	if (!r)
		return error_set(err, ENOMEM, "out of memory");
	r->ref = *ref;
	r->plain_http = plain_http;
	r->credentials = credentials;
	r->cancel = cancel;
	/* 8 + 255 + 4 + 255 fits. */
	snprintf(r->base, sizeof(r->base), "%s://%.230s/v2/%.255s", plain_http ? "http" : "https",
	         reference_server(ref), ref->repository);
	pthread_mutex_init(&r->lock, NULL);
	*out = r;
	return 0;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	auth_wipe(&r->authorization);
	free(r);
}

/* ---- logging in */

static int take_body(void *data, const uint8_t *p, size_t n, struct error *err)
{
	struct buffer *b = data;

	buffer_append(b, p, n);
	return b->failed ? error_set_kind(err, ERROR_INPUT, EFBIG,
	                                  "an answer of more than %zu bytes", b->limit)
	                 : 0;
}

static int denied(const struct registry *r, struct error *err)
{
	return error_set_kind(err, ERROR_ENVIRONMENT, EACCES,
	                      r->has_credentials
	                          ? "the registry does not accept the user and password"
	                          : "the registry wants a login: give credentials in auth.json");
}

static int fetch_token(struct registry *r, struct http *http, const struct auth_challenge *c,
                       const char *basic, struct buffer *out, struct error *err)
{
	_cleanup_http_response_ struct http_response resp = {0};
	_cleanup_secret_ struct buffer body = {.limit = 4 * AUTH_MAX_TOKEN};
	_cleanup_buffer_ struct buffer url = BUFFER_INIT;
	struct http_request req = {
	    .allow_http = r->plain_http, .authorization = basic, .body = take_body, .data = &body};
	int e = auth_token_url(c, r->ref.repository, &url, err);

	if (e)
		return e;
	req.url = buffer_cstr(&url);
	e = http_send(http, &req, &resp, err);
	if (e)
		return error_prefix(err, e, "asking for a token");
	if (resp.status == 401 || resp.status == 403)
		return denied(r, err);
	if (resp.status != 200)
		return error_set_kind(err, ERROR_ENVIRONMENT, EIO,
		                      "asking for a token at \"%.200s\": HTTP %ld", c->realm,
		                      resp.status);
	return auth_token_parse(buffer_cstr(&body), body.size, out, err);
}

/* Answers a 401 into r->authorization; called with the lock held. */
static int log_in(struct registry *r, struct http *http, const char *headers, struct error *err)
{
	_cleanup_secret_ struct buffer basic = BUFFER_INIT, fresh = BUFFER_INIT;
	struct auth_challenge c;
	int found, e = auth_challenge_parse(headers, &c, err);

	if (e)
		return e;
	found = auth_file_find(r->credentials, &r->ref, &basic, err);
	if (found < 0)
		return found;
	r->has_credentials = !found;
	if (c.bearer)
		e = fetch_token(r, http, &c, found ? NULL : buffer_cstr(&basic), &fresh, err);
	else if (found)
		e = denied(r, err);
	else
		buffer_append(&fresh, basic.data, basic.size);
	if (e)
		return e;
	auth_wipe(&r->authorization);
	r->authorization = fresh;
	fresh = (struct buffer)BUFFER_INIT;
	r->logins++;
	return r->authorization.failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

/* A copy of what to send, and its number. */
static int authorization(struct registry *r, struct buffer *out, unsigned int *number)
{
	pthread_mutex_lock(&r->lock);
	*number = r->logins;
	buffer_append(out, r->authorization.data, r->authorization.size);
	pthread_mutex_unlock(&r->lock);
	return out->failed ? -ENOMEM : 0;
}

/* Another thread may have logged in since: then its result will do. */
static int renew(struct registry *r, struct http *http, const char *headers, unsigned int used,
                 struct error *err)
{
	int e = 0;

	pthread_mutex_lock(&r->lock);
	if (r->logins == used)
		e = log_in(r, http, headers, err);
	pthread_mutex_unlock(&r->lock);
	return e;
}

const char *registry_base(const struct registry *r)
{
	return r->base;
}

int registry_request(struct registry *r, struct http *http, struct http_request *req,
                     struct http_response *resp, struct error *err)
{
	req->allow_http = r->plain_http;
	req->authorized_origin = r->base;
	for (int round = 0;; round++) {
		_cleanup_secret_ struct buffer auth = BUFFER_INIT;
		_cleanup_free_ char *challenge = NULL;
		unsigned int number;
		int e;

		if (authorization(r, &auth, &number))
			return error_set(err, ENOMEM, "out of memory");
		req->authorization = auth.size ? buffer_cstr(&auth) : NULL;
		http_response_clear(resp);
		e = http_send(http, req, resp, err);
		if (e || resp->status != 401)
			return e;
		/* A token may have run out on the way: one renewal more. */
		if (round == 2 || !resp->challenge.size)
			return denied(r, err);
		challenge = strdup(buffer_cstr(&resp->challenge));
		if (!challenge)
			return error_set(err, ENOMEM, "out of memory");
		e = renew(r, http, challenge, number, err);
		if (e)
			return e;
	}
}

/* ---- trying again */

static bool cancelled(const struct registry *r)
{
	return r->cancel && atomic_load(r->cancel);
}

static int pause_ms(const struct registry *r, uint64_t ms, struct error *err)
{
	struct timespec ts = {.tv_nsec = 50 * 1000000};

	for (uint64_t slept = 0; slept < ms && !cancelled(r); slept += 50)
		nanosleep(&ts, NULL);
	return cancelled(r) ? error_set(err, ECANCELED, "interrupted") : 0;
}

static bool worth_retrying(long status)
{
	return status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

int registry_before_retry(struct registry *r, int failed, const struct http_response *resp,
                          unsigned int tries, struct error *err)
{
	uint64_t ms = (uint64_t)BACKOFF_MS << (tries < 5 ? tries : 5);

	if (failed ? !resp->resumable : !worth_retrying(resp->status))
		return failed ? failed : -EIO;
	if (tries + 1 >= REGISTRY_TRIES)
		return failed ? failed : -EIO;
	if (!failed && resp->retry_after)
		ms = 1000 *
		     (resp->retry_after < RETRY_AFTER_MAX ? resp->retry_after : RETRY_AFTER_MAX);
	return pause_ms(r, ms < BACKOFF_MAX_MS || !failed ? ms : BACKOFF_MAX_MS, err);
}

int registry_send(struct registry *r, struct http *http, struct http_request *req,
                  struct http_response *resp, struct error *err)
{
	for (unsigned int tries = 0;; tries++) {
		int e, failed;

		if (req->body == take_body)
			buffer_clear(req->data); /* of what a broken transfer left */
		failed = registry_request(r, http, req, resp, err);
		if (!failed && !worth_retrying(resp->status))
			return 0;
		e = registry_before_retry(r, failed, resp, tries, err);
		if (e)
			return failed || e == -ECANCELED ? e : 0;
	}
}

/* ---- answers that are none */

/* The first message of {"errors":[{"code","message"}]}, printable and short. */
static void error_text(const struct http_response *resp, char *out, size_t room)
{
	_cleanup_cjson_ cJSON *root = NULL;
	const cJSON *errors = NULL;
	const char *message = "";

	out[0] = '\0';
	if (json_parse(buffer_cstr(&resp->error_body), resp->error_body.size, HTTP_ERROR_BODY, "",
	               &root, NULL) ||
	    json_array(root, "errors", true, &errors, "", NULL))
		return;
	json_string(cJSON_GetArrayItem(errors, 0), "message", true, &message, "", NULL);
	snprintf(out, room, ": %.150s", message);
	for (char *p = out; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

int registry_refuse(const struct http_response *resp, const char *doing, const char *what,
                    struct error *err)
{
	char text[200];

	error_text(resp, text, sizeof(text));
	if (resp->status == 404)
		return error_set_kind(err, ERROR_INPUT, ENOENT, "the registry has no %s%s", what,
		                      text);
	if (resp->status == 403)
		return error_set_kind(err, ERROR_ENVIRONMENT, EACCES,
		                      "the registry forbids %s the %s%s", doing, what, text);
	return error_set_kind(err, ERROR_ENVIRONMENT, EIO, "%s the %s: HTTP %ld%s", doing, what,
	                      resp->status, text);
}

int registry_get(struct registry *r, struct http *http, const char *path, const char *accept,
                 struct buffer *body, struct http_response *resp, struct error *err)
{
	_cleanup_free_ char *url = str_printf("%s%s", r->base, path);
	struct http_request req = {.url = url, .accept = accept, .body = take_body, .data = body};

	if (!url)
		return error_set(err, ENOMEM, "out of memory");
	body->limit = IMAGE_MAX_MANIFEST;
	return registry_send(r, http, &req, resp, err);
}

int registry_manifest(struct registry *r, struct http *http, const char *version,
                      struct buffer *body, char **content_type, struct error *err)
{
	_cleanup_http_response_ struct http_response resp = {0};
	_cleanup_free_ char *path = str_printf("/manifests/%s", version);
	char what[200];
	int e;

	if (!path)
		return error_set(err, ENOMEM, "out of memory");
	e = registry_get(r, http, path, image_media_accept(), body, &resp, err);
	if (e)
		return e;
	snprintf(what, sizeof(what), "image \"%.150s\"", version);
	if (resp.status != 200)
		return registry_refuse(&resp, "reading", what, err);
	*content_type = steal_ptr(&resp.content_type);
	return 0;
}

/* ---- blobs */

struct blob {
	http_body_fn fn;
	void *data;
	uint64_t size; /* as the descriptor says */
	uint64_t at;   /* bytes handed on */
};

static int on_blob(void *data, const uint8_t *p, size_t n, struct error *err)
{
	struct blob *b = data;
	int r;

	/* One byte too many is enough to be seen as such. */
	if (n > b->size + 1 - b->at)
		n = (size_t)(b->size + 1 - b->at);
	r = b->fn(b->data, p, n, err);
	b->at += n;
	return r;
}

static int get_blob(struct registry *r, struct http *http, const char *url, struct blob *b,
                    struct http_response *resp, struct error *err)
{
	struct http_request req = {.url = url, .offset = b->at, .body = on_blob, .data = b};

	return registry_request(r, http, &req, resp, err);
}

int registry_blob(struct registry *r, struct http *http, const struct image_descriptor *desc,
                  http_body_fn fn, void *data, struct error *err)
{
	_cleanup_http_response_ struct http_response resp = {0};
	_cleanup_free_ char *url = str_printf("%s/blobs/%s", r->base, desc->digest.text);
	struct blob b = {.fn = fn, .data = data, .size = desc->size};
	unsigned int tries = 0;

	if (!url)
		return error_set(err, ENOMEM, "out of memory");
	for (int breaks = 0;; breaks++) {
		uint64_t before = b.at;
		int e, failed = get_blob(r, http, url, &b, &resp, err);
		bool ok = !failed && (resp.status == 200 || resp.status == 206);

		if (ok || (b.at >= desc->size && resp.resumable))
			return 0;
		tries = b.at > before ? 0 : tries;
		e = breaks < REGISTRY_BREAKS ? registry_before_retry(r, failed, &resp, tries++, err)
		                             : (failed ? failed : -EIO);
		if (!e)
			continue;
		return failed || e == -ECANCELED ? e
		                                 : registry_refuse(&resp, "reading", "blob", err);
	}
}
