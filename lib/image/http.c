/* SPDX-License-Identifier: Apache-2.0 */
/* http: see the header. */
#include "lib/image/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/ssl.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"

#define CONNECT_SECONDS 30L
#define STALL_SECONDS   60L   /* without a byte */
#define HEADER_MAX      16384 /* of one that is kept */

#define TRUST_HINT                                                                                 \
	"no certificate authority is trusted: give one with --ca, or in the configuration"

struct http {
	CURL *curl;
	struct http_config config;
	const struct http_source *sending; /* of the request at hand */
	char problem[CURL_ERROR_SIZE];
};

/* What the callbacks of one transfer share. */
struct transfer {
	struct http *http;
	const struct http_request *req;
	struct http_response *resp;
	struct error *err;
	int result;    /* the body function's error, or of reading what is sent */
	bool begun;    /* a byte of the body has come */
	uint64_t skip; /* bytes that were not asked for */
	uint64_t sent; /* of what is sent: where to go on */
};

int http_init(struct error *err)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) ? error_set(err, EIO, "cannot start libcurl")
	                                             : 0;
}

/* Where the answer begins, by its status and "Content-Range: bytes 100-199/200". */
static int begin_body(struct transfer *t, long status)
{
	struct curl_header *h;
	char want[40];

	snprintf(want, sizeof(want), "bytes %llu-", (unsigned long long)t->req->offset);
	if (status == 200)
		t->skip = t->req->offset;
	else if (!t->req->offset ||
	         curl_easy_header(t->http->curl, "Content-Range", 0, CURLH_HEADER, -1, &h) ||
	         !str_starts(h->value, want))
		return error_set_kind(t->err, ERROR_INPUT, EPROTO,
		                      "%.200s: the server sends a range that was not asked for",
		                      t->req->url);
	return 0;
}

static int give_body(struct transfer *t, const uint8_t *p, size_t n, long status)
{
	size_t again;
	int r = 0;

	if (!t->begun) {
		t->begun = true;
		r = begin_body(t, status);
	}
	again = n < t->skip ? n : (size_t)t->skip;
	t->skip -= again;
	return r || n == again ? r : t->req->body(t->req->data, p + again, n - again, t->err);
}

static size_t on_body(char *p, size_t size, size_t n, void *data)
{
	struct transfer *t = data;
	long status = 0;

	n *= size;
	curl_easy_getinfo(t->http->curl, CURLINFO_RESPONSE_CODE, &status);
	if (!t->req->body && status < 300)
		return n;
	if (status == 200 || status == 206) {
		t->result = give_body(t, (const uint8_t *)p, n, status);
		return t->result ? 0 : n;
	}
	if (t->resp->error_body.size + n <= HTTP_ERROR_BODY)
		buffer_append(&t->resp->error_body, p, n);
	else
		return 0; /* enough of it: the transfer may end */
	return n;
}

/* ---- what is sent */

static size_t on_read(char *to, size_t size, size_t n, void *data)
{
	struct transfer *t = data;
	const struct http_source *s = t->req->send;
	uint64_t left = s ? s->size - t->sent : 0;
	int r = 0;

	n *= size;
	n = n < left ? n : (size_t)left;
	if (n == 0)
		return 0;
	if (s->data)
		memcpy(to, (const uint8_t *)s->data + t->sent, n);
	else
		r = fs_pread_all(s->fd, to, n, s->offset + t->sent);
	if (r < 0) {
		t->result = error_errno(t->err, -r, "cannot read what is to be sent");
		return CURL_READFUNC_ABORT;
	}
	t->sent += n;
	return n;
}

/* A connection that was kept has gone, say: from the beginning. */
static int on_seek(void *data, curl_off_t offset, int origin)
{
	struct transfer *t = data;

	const struct http_source *s = t->req->send;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > (s ? s->size : 0))
		return CURL_SEEKFUNC_FAIL;
	t->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static int on_progress(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct http *h = data;

	if (h->config.uploaded && h->sending)
		atomic_store(h->config.uploaded, h->sending->offset + (uint64_t)d);
	return h->config.cancel && atomic_load(h->config.cancel);
}

/* Before each handshake, with a registry or a proxy. */
static CURLcode on_ssl_ctx(CURL *e, void *ctx, void *data)
{
	return trust_install(data, SSL_CTX_get_cert_store(ctx)) ? CURLE_OUT_OF_MEMORY : CURLE_OK;
}

/* What every request has in common. */
static int set_up(struct http *h)
{
	const struct http_config *c = &h->config;
	CURL *e = h->curl;
	bool ok = true;

#define SET(option, value) ok = ok && curl_easy_setopt(e, option, value) == CURLE_OK
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_ERRORBUFFER, h->problem);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	/* Instead of libcurl's built-in file and folder. */
	SET(CURLOPT_CAINFO, NULL);
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_PROXY_CAINFO, NULL);
	SET(CURLOPT_PROXY_CAPATH, NULL);
	SET(CURLOPT_CA_CACHE_TIMEOUT, 0L);
	SET(CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
	SET(CURLOPT_SSL_CTX_DATA, (void *)c->trust);
	SET(CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_BUFFERSIZE, 128L * 1024);
	SET(CURLOPT_USERAGENT, "kihon/" KIHON_VERSION);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_READFUNCTION, on_read);
	SET(CURLOPT_SEEKFUNCTION, on_seek);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, h);
	if (c->no_proxy)
		SET(CURLOPT_NOPROXY, c->no_proxy);
	return ok ? 0 : -EIO;
}

int http_new(const struct http_config *config, struct http **out, struct error *err)
{
	_cleanup_http_ struct http *h = calloc(1, sizeof(*h));

	if (!h)
		return error_set(err, ENOMEM, "out of memory");
	h->config = *config;
	h->curl = curl_easy_init();
	if (!h->curl || set_up(h))
		return error_set(err, EIO, "cannot set libcurl up");
	*out = steal_ptr(&h);
	return 0;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->curl);
	free(h);
}

void http_response_clear(struct http_response *r)
{
	free(r->content_type);
	free(r->digest);
	free(r->location);
	free(r->range);
	free(r->subject);
	buffer_free(&r->challenge);
	buffer_free(&r->error_body);
	*r = (struct http_response){0};
}

/* ---- addresses */

int http_origin(const char *url, char *buf, size_t size, struct error *err)
{
	char *scheme = NULL, *host = NULL, *port = NULL;
	CURLU *u = curl_url();
	int r = 0;

	if (!u || curl_url_set(u, CURLUPART_URL, url, 0) ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) ||
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT))
		r = error_set_kind(err, ERROR_INPUT, EINVAL, "\"%.200s\" is not an address", url);
	else if ((size_t)snprintf(buf, size, "%s://%s:%s", scheme, host, port) >= size)
		r = error_set_kind(err, ERROR_INPUT, EINVAL, "\"%.200s\" is too long", url);
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return r;
}

void http_escape(struct buffer *out, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("-._~", c))
			buffer_append(out, s, 1);
		else
			buffer_printf(out, "%%%02X", c);
	}
}

int http_add_query(const char *url, const char *name, const char *value, char **out,
                   struct error *err)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	size_t end = strcspn(url, "#");

	buffer_append(&b, url, end);
	buffer_printf(&b, "%s%s=", memchr(url, '?', end) ? "&" : "?", name);
	http_escape(&b, value);
	*out = buffer_steal(&b);
	return *out ? 0 : error_set(err, ENOMEM, "out of memory");
}

/* A Location is relative to the address that it came from (RFC 9110 section 10.2.2). */
static char *absolute(const char *base, const char *location)
{
	char *text = NULL, *copy = NULL;
	CURLU *u = curl_url();

	if (u && !curl_url_set(u, CURLUPART_URL, base, 0) &&
	    !curl_url_set(u, CURLUPART_URL, location, 0) &&
	    !curl_url_get(u, CURLUPART_URL, &text, 0))
		copy = strdup(text);
	curl_free(text);
	curl_url_cleanup(u);
	return copy;
}

/* ---- one transfer */

struct curl_slist_owner {
	struct curl_slist *list;
};

static void slist_free(struct curl_slist_owner *o)
{
	curl_slist_free_all(o->list);
}

static int add_header(struct curl_slist_owner *o, const char *name, const char *value,
                      struct error *err)
{
	_cleanup_buffer_ struct buffer line = BUFFER_INIT;
	struct curl_slist *longer;

	if (strpbrk(value, "\r\n"))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "a line break in the %s header",
		                      name);
	buffer_printf(&line, "%s: %s", name, value);
	longer = line.failed ? NULL : curl_slist_append(o->list, buffer_cstr(&line));
	if (line.data)
		explicit_bzero(line.data, line.size);
	if (!longer)
		return error_set(err, ENOMEM, "out of memory");
	o->list = longer;
	return 0;
}

static char *keep_header(CURL *e, const char *name)
{
	struct curl_header *h;

	if (curl_easy_header(e, name, 0, CURLH_HEADER, -1, &h) || strlen(h->value) > HEADER_MAX)
		return NULL;
	return strdup(h->value);
}

static uint64_t number_header(CURL *e, const char *name)
{
	_cleanup_free_ char *text = keep_header(e, name);
	uint64_t n = 0;

	return text && !parse_u64(text, &n) ? n : 0;
}

static void read_headers(struct http *h, const char *url, struct http_response *resp)
{
	_cleanup_free_ char *location = keep_header(h->curl, "Location");
	struct curl_header *c;

	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &resp->status);
	resp->content_type = keep_header(h->curl, "Content-Type");
	resp->digest = keep_header(h->curl, "Docker-Content-Digest");
	resp->location = location ? absolute(url, location) : NULL;
	resp->range = keep_header(h->curl, "Range");
	resp->subject = keep_header(h->curl, "OCI-Subject");
	resp->chunk_min = number_header(h->curl, "OCI-Chunk-Min-Length");
	resp->retry_after = number_header(h->curl, "Retry-After");
	for (size_t i = 0;
	     i < 8 && !curl_easy_header(h->curl, "WWW-Authenticate", i, CURLH_HEADER, -1, &c); i++)
		if (resp->challenge.size + strlen(c->value) <= HEADER_MAX)
			buffer_printf(&resp->challenge, "%s%s", i ? ", " : "", c->value);
}

static const struct {
	CURLcode code;
	int errnum;
	enum error_kind kind;
	bool resumable;
	const char *hint;
} problems[] = {
    {CURLE_PEER_FAILED_VERIFICATION, EBADMSG, ERROR_VERIFICATION, false,
     "give the certificate of the registry's authority with --ca, or in the configuration"},
    {CURLE_SSL_CONNECT_ERROR, EPROTO, ERROR_INPUT, false,
     "is it a registry without TLS? then name it with --plain-http"},
    {CURLE_COULDNT_CONNECT, ECONNREFUSED, ERROR_ENVIRONMENT, true, NULL},
    {CURLE_COULDNT_RESOLVE_HOST, ENOENT, ERROR_ENVIRONMENT, true, NULL},
    {CURLE_COULDNT_RESOLVE_PROXY, ENOENT, ERROR_ENVIRONMENT, false, NULL},
    {CURLE_UNSUPPORTED_PROTOCOL, EPROTONOSUPPORT, ERROR_INPUT, false,
     "only https is spoken, unless the registry is named with --plain-http"},
    {CURLE_OPERATION_TIMEDOUT, ETIMEDOUT, ERROR_ENVIRONMENT, true, NULL},
    {CURLE_PARTIAL_FILE, EIO, ERROR_ENVIRONMENT, true, NULL},
    {CURLE_RECV_ERROR, EIO, ERROR_ENVIRONMENT, true, NULL},
    {CURLE_SEND_ERROR, EIO, ERROR_ENVIRONMENT, true, NULL},
    {CURLE_GOT_NOTHING, EIO, ERROR_ENVIRONMENT, true, NULL},
};

static int explain(struct http *h, const char *origin, CURLcode code, struct http_response *resp,
                   struct error *err)
{
	const char *text = h->problem[0] ? h->problem : curl_easy_strerror(code);

	for (size_t i = 0; i < sizeof(problems) / sizeof(problems[0]); i++) {
		if (problems[i].code != code)
			continue;
		resp->resumable = problems[i].resumable;
		error_set_kind(err, problems[i].kind, problems[i].errnum, "%s: %.300s", origin,
		               text);
		if (code == CURLE_PEER_FAILED_VERIFICATION && trust_empty(h->config.trust))
			error_hint(err, 0, "%s", TRUST_HINT);
		else if (problems[i].hint)
			error_hint(err, 0, "%s", problems[i].hint);
		return -problems[i].errnum;
	}
	return error_set_kind(err, ERROR_ENVIRONMENT, EIO, "%s: %.300s", origin, text);
}

/* The handle is used again and again: all of a method's options, each time. */
static bool set_method(CURL *e, const struct http_request *req, struct transfer *t)
{
	bool ok = true;

	SET(CURLOPT_HTTPGET, 1L); /* takes the traces of others away */
	SET(CURLOPT_CUSTOMREQUEST, NULL);
	if (!req->method)
		return ok;
	if (!strcmp(req->method, "HEAD")) {
		SET(CURLOPT_NOBODY, 1L);
		return ok;
	}
	SET(CURLOPT_UPLOAD, 1L);
	SET(CURLOPT_CUSTOMREQUEST, req->method);
	SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)(req->send ? req->send->size : 0));
	SET(CURLOPT_READDATA, t);
	SET(CURLOPT_SEEKDATA, t);
	return ok;
}

static int add_headers(struct curl_slist_owner *o, const struct http_request *req,
                       const char *authorization, struct error *err)
{
	const struct {
		const char *name, *value;
	} all[] = {
	    {"Accept", req->accept},
	    {"Authorization", authorization},
	    {"Content-Type", req->content_type},
	    {"Content-Range", req->content_range},
	};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].value)
			r = add_header(o, all[i].name, all[i].value, err);
	return r;
}

static int perform(struct http *h, const char *url, const char *origin, const char *authorization,
                   struct transfer *t, struct error *err)
{
	_cleanup_(slist_free) struct curl_slist_owner headers = {NULL};
	const struct http_request *req = t->req;
	bool plain = !strncmp(url, "http://", 7);
	const char *proxy = plain ? h->config.http_proxy : h->config.https_proxy;
	CURL *e = h->curl;
	char range[32];
	CURLcode code;
	bool ok;
	int r = add_headers(&headers, req, authorization, err);

	if (r)
		return r;
	snprintf(range, sizeof(range), "%llu-", (unsigned long long)req->offset);

	h->problem[0] = '\0';
	h->sending = req->send;
	ok = set_method(e, req, t);
	SET(CURLOPT_URL, url);
	SET(CURLOPT_PROTOCOLS_STR, req->allow_http ? "http,https" : "https");
	SET(CURLOPT_HTTPHEADER, headers.list);
	SET(CURLOPT_RANGE, req->offset ? range : NULL);
	SET(CURLOPT_WRITEDATA, t);
	if (proxy)
		SET(CURLOPT_PROXY, proxy);
	if (!ok)
		return error_set(err, EIO, "cannot set libcurl up for %s", origin);
	code = curl_easy_perform(e);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, NULL);
	read_headers(h, url, t->resp);
	if (t->result)
		return t->result;
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return error_set(err, ECANCELED, "interrupted");
	/* An error's text that is longer than we care for ends the transfer: no error. */
	if (code == CURLE_WRITE_ERROR && t->resp->status >= 300)
		return 0;
	return code ? explain(h, origin, code, t->resp, err) : 0;
}

static bool is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Only these mean the same request once more (RFC 9110 section 15.4). */
static bool may_follow(const struct http_request *req, long status)
{
	return !req->method || !strcmp(req->method, "HEAD") || status == 307 || status == 308;
}

static int one_hop(struct http *h, char **url, const char *first_origin, struct transfer *t,
                   struct error *err)
{
	char origin[512];
	char *next = NULL;
	int r = http_origin(*url, origin, sizeof(origin), err);

	if (r)
		return r;
	r = perform(h, *url, origin, strcmp(origin, first_origin) ? NULL : t->req->authorization, t,
	            err);
	if (r)
		return r;
	if (!is_redirect(t->resp->status) || !may_follow(t->req, t->resp->status))
		return 0;
	curl_easy_getinfo(h->curl, CURLINFO_REDIRECT_URL, &next); /* absolute */
	if (!next)
		return error_set_kind(err, ERROR_INPUT, EPROTO,
		                      "%s: a redirection to nowhere (HTTP %ld)", origin,
		                      t->resp->status);
	if (!strncmp(*url, "https:", 6) && strncasecmp(next, "https:", 6))
		return error_set_kind(err, ERROR_VERIFICATION, EPROTO,
		                      "%s: a redirection from https to \"%.100s\" is refused",
		                      origin, next);
	next = strdup(next);
	if (!next)
		return error_set(err, ENOMEM, "out of memory");
	free(*url);
	*url = next;
	return 1;
}

int http_send(struct http *h, const struct http_request *req, struct http_response *resp,
              struct error *err)
{
	_cleanup_free_ char *url = strdup(req->url);
	char first[512];
	int r;

	*resp = (struct http_response){0};
	if (!url)
		return error_set(err, ENOMEM, "out of memory");
	r = http_origin(req->authorized_origin ?: url, first, sizeof(first), err);
	if (r)
		return r;
	for (int hop = 0; hop <= HTTP_REDIRECTS; hop++) {
		struct transfer t = {.http = h, .req = req, .resp = resp, .err = err};

		http_response_clear(resp);
		r = one_hop(h, &url, first, &t, err);
		if (r <= 0)
			return r;
	}
	return error_set_kind(err, ERROR_INPUT, ELOOP, "%s: more than %d redirections", first,
	                      HTTP_REDIRECTS);
}
