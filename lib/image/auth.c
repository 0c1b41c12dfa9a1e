/* SPDX-License-Identifier: Apache-2.0 */
/* auth: see the header. */
#include "lib/image/auth.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/str.h"
#include "lib/image/base64.h"
#include "lib/image/http.h"

struct auth_file {
	cJSON *root;
	const cJSON *auths;
};

void auth_wipe(struct buffer *secret)
{
	if (secret->data)
		explicit_bzero(secret->data, secret->room);
	buffer_free(secret);
}

int auth_file_parse(const char *json, size_t size, struct auth_file **out, struct error *err)
{
	_cleanup_auth_file_ struct auth_file *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return error_set(err, ENOMEM, "out of memory");
	r = json_parse(json, size, AUTH_MAX_FILE, "the credentials (auth.json)", &f->root, err);
	if (!r)
		r = json_object(f->root, "auths", true, &f->auths, "the credentials (auth.json)",
		                err);
	if (r)
		return r;
	*out = steal_ptr(&f);
	return 0;
}

void auth_file_free(struct auth_file *f)
{
	if (!f)
		return;
	cJSON_Delete(f->root);
	free(f);
}

static const char *without_scheme(const char *key)
{
	if (str_starts(key, "https://"))
		return key + 8;
	return str_starts(key, "http://") ? key + 7 : key;
}

/* Whether a key names host/path, where path is the first n bytes of the repository. */
static bool key_is(const char *key, const char *host, const char *path, size_t n)
{
	char key_host[256];
	size_t host_len = strcspn(key, "/");

	if (host_len >= sizeof(key_host))
		return false;
	memcpy(key_host, key, host_len);
	key_host[host_len] = '\0';
	if (strcmp(reference_canonical_host(key_host), host))
		return false;
	key += host_len;
	if (!n)
		return !*key || !strcmp(key, "/");
	return *key == '/' && strlen(key + 1) == n && !memcmp(key + 1, path, n);
}

static const cJSON *best_entry(const cJSON *auths, const struct reference *ref)
{
	size_t n = strlen(ref->repository);
	const cJSON *e;

	for (;;) {
		const char *slash;

		cJSON_ArrayForEach(e, auths)
		{
			if (key_is(without_scheme(e->string), ref->host, ref->repository, n))
				return e;
		}
		if (!n)
			break;
		slash = memrchr(ref->repository, '/', n);
		n = slash ? (size_t)(slash - ref->repository) : 0;
	}
	/* Keys of old tools: any path behind the host, when there is a scheme before it. */
	cJSON_ArrayForEach(e, auths)
	{
		const char *key = without_scheme(e->string);
		char host[256];

		if (key == e->string)
			continue;
		snprintf(host, sizeof(host), "%.*s", (int)strcspn(key, "/"), key);
		if (!strcmp(reference_canonical_host(host), ref->host))
			return e;
	}
	return NULL;
}

/* "user:password" of an entry. */
static int read_entry(const cJSON *e, struct buffer *plain, struct error *err)
{
	static const char what[] = "the credentials (auth.json)";
	const char *auth = NULL, *user = NULL, *password = NULL;

	if (json_string(e, "auth", false, &auth, what, err) < 0 ||
	    json_string(e, "username", false, &user, what, err) < 0 ||
	    json_string(e, "password", false, &password, what, err) < 0)
		return -EINVAL;
	if (!str_empty(auth)) {
		if (base64_decode(plain, auth, strlen(auth)) || !plain->size ||
		    !memchr(plain->data, ':', plain->size))
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "%s: \"auth\" of \"%.100s\" is not base64 of "
			                      "user:password",
			                      what, e->string);
	} else if (user && password) {
		buffer_printf(plain, "%s:%s", user, password);
	} else {
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s: \"%.100s\" has no \"auth\" (credential helpers and "
		                      "identity tokens are not supported)",
		                      what, e->string);
	}
	while (plain->size && strchr("\r\n", plain->data[plain->size - 1]))
		plain->size--;
	return plain->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

int auth_file_find(const struct auth_file *f, const struct reference *ref, struct buffer *out,
                   struct error *err)
{
	_cleanup_secret_ struct buffer plain = BUFFER_INIT;
	const cJSON *e = f ? best_entry(f->auths, ref) : NULL;
	int r;

	if (!e)
		return 1;
	r = read_entry(e, &plain, err);
	if (r)
		return r;
	buffer_str(out, "Basic ");
	base64_encode(out, plain.data, plain.size);
	return out->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

/* ---- challenges */

#define TOKEN_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~"

/* A token or a quoted string, into out (cut when it does not fit: then *fits is false). */
static const char *read_word(const char *p, char *out, size_t room, bool *fits)
{
	size_t n = 0;
	bool quoted = *p == '"';

	*fits = true;
	for (p += quoted; *p && (quoted ? *p != '"' : !strchr(" \t,", *p)); p++) {
		if (quoted && *p == '\\' && p[1])
			p++;
		if (n + 1 < room)
			out[n++] = *p;
		else
			*fits = false;
	}
	out[n] = '\0';
	return p + (quoted && *p == '"');
}

static void keep_param(struct auth_challenge *c, const char *scheme, const char *name,
                       const char *value)
{
	const struct {
		const char *name;
		char *to;
		size_t room;
	} params[] = {
	    {"realm", c->realm, sizeof(c->realm)},
	    {"service", c->service, sizeof(c->service)},
	    {"scope", c->scope, sizeof(c->scope)},
	};

	if (strcasecmp(scheme, "bearer"))
		return;
	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++)
		if (!strcasecmp(name, params[i].name) && strlen(value) < params[i].room)
			memcpy(params[i].to, value, strlen(value) + 1);
}

int auth_challenge_parse(const char *headers, struct auth_challenge *out, struct error *err)
{
	char scheme[64] = "", name[64], value[1024];
	const char *p = headers;

	*out = (struct auth_challenge){0};
	while (*(p += strspn(p, " \t,"))) {
		size_t n = strspn(p, TOKEN_CHARS);
		const char *after = p + n + strspn(p + n, " \t");
		bool fits;

		if (!n) {
			p++;
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", (int)n, p);
		if (*after == '=') {
			after++;
			after += strspn(after, " \t");
			p = read_word(after, value, sizeof(value), &fits);
			if (fits)
				keep_param(out, scheme, name, value);
			continue;
		}
		snprintf(scheme, sizeof(scheme), "%s", name);
		out->basic |= !strcasecmp(scheme, "basic");
		out->bearer |= !strcasecmp(scheme, "bearer");
		p += n;
	}
	if (!out->realm[0])
		out->bearer = false;
	if (!out->basic && !out->bearer)
		return error_set_kind(err, ERROR_INPUT, EPROTO,
		                      "the registry wants a login of a kind that is not supported "
		                      "(\"%.60s\")",
		                      headers);
	return 0;
}

int auth_token_url(const struct auth_challenge *c, const char *repository, struct buffer *out,
                   struct error *err)
{
	buffer_printf(out, "%s%cscope=", c->realm, strchr(c->realm, '?') ? '&' : '?');
	if (c->scope[0]) {
		http_escape(out, c->scope);
	} else {
		buffer_str(out, "repository%3A");
		http_escape(out, repository);
		buffer_str(out, "%3Apull");
	}
	if (c->service[0]) {
		buffer_str(out, "&service=");
		http_escape(out, c->service);
	}
	return out->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

int auth_token_parse(const char *json, size_t size, struct buffer *out, struct error *err)
{
	_cleanup_cjson_ cJSON *root = NULL;
	const char *token = NULL;
	int r = json_parse(json, size, 4 * AUTH_MAX_TOKEN, "the token server's answer", &root, err);

	if (r)
		return r;
	r = json_string(root, "token", false, &token, "the token server's answer", err);
	if (r >= 0 && str_empty(token))
		r = json_string(root, "access_token", true, &token, "the token server's answer",
		                err);
	if (r < 0)
		return r;
	for (const char *p = token; *p; p++)
		if (*p <= ' ' || *p > '~' || p - token > AUTH_MAX_TOKEN)
			token = "";
	if (!*token)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the token server's answer holds no token");
	buffer_printf(out, "Bearer %s", token);
	return out->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}
