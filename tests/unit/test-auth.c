/* SPDX-License-Identifier: Apache-2.0 */
/* auth: which key of auth.json fits, what a 401 may say, and what a token is. */
#include "check.h"

#include "lib/image/auth.h"
#include "lib/image/base64.h"

/* The user that auth.json has for a reference; "" for none, or the error. */
static void user_for(const char *json, const char *reference, const char *want)
{
	_cleanup_buffer_ struct buffer header = BUFFER_INIT, plain = BUFFER_INIT;
	_cleanup_auth_file_ struct auth_file *f = NULL;
	struct error err = ERROR_INIT;
	struct reference ref;
	int r;

	check_ok(reference_parse(reference, &ref, &err), &err);
	check_ok(auth_file_parse(json, strlen(json), &f, &err), &err);
	r = auth_file_find(f, &ref, &header, &err);
	if (r == 0) {
		check_mem(header.data, "Basic ", 6);
		check_int(base64_decode(&plain, (char *)header.data + 6, header.size - 6), 0);
	}
	check_str(r < 0 ? err.text : buffer_cstr(&plain), want);
}

TEST(the_best_key)
{
	/* base64 of a:1, b:2, c:3, d:4 */
	static const char json[] = "{\"auths\":{\"quay.io\":{\"auth\":\"YTox\"},\"quay.io/x\":{"
	                           "\"auth\":\"Yjoy\"},\"quay.io/x/y\":{\"auth\":\"Yzoz\"},"
	                           "\"https://index.docker.io/v1/\":{\"auth\":\"ZDo0\"}}}";

	user_for(json, "quay.io/z", "a:1");
	user_for(json, "quay.io/x", "b:2");
	user_for(json, "quay.io/x/z", "b:2");
	user_for(json, "quay.io/x/y:tag", "c:3");
	user_for(json, "quay.io/x/y/deep/er", "c:3");
	user_for(json, "quay.io/xx", "a:1");
	user_for(json, "quay.io:5000/x", "");
	user_for(json, "busybox", "d:4");
	user_for(json, "docker.io/me/thing", "d:4");
	user_for(json, "other.io/x", "");
}

TEST(forms_of_a_key)
{
	user_for("{\"auths\":{\"https://h.io\":{\"auth\":\"YTox\"}}}", "h.io/x", "a:1");
	user_for("{\"auths\":{\"http://h.io/v2/\":{\"auth\":\"YTox\"}}}", "h.io/x", "a:1");
	user_for("{\"auths\":{\"h.io/other\":{\"auth\":\"YTox\"}}}", "h.io/x", "");
	user_for("{\"auths\":{\"docker.io\":{\"auth\":\"YTox\"}}}", "busybox", "a:1");
	user_for("{\"auths\":{\"registry-1.docker.io\":{\"auth\":\"YTox\"}}}", "busybox", "a:1");
	user_for("{\"auths\":{\"h.io\":{\"username\":\"u\",\"password\":\"p\"}}}", "h.io/x", "u:p");
	/* echo, not printf, made it */
	user_for("{\"auths\":{\"h.io\":{\"auth\":\"YToxCg==\"}}}", "h.io/x", "a:1");
	user_for("{\"auths\":{\"h.io\":{\"auth\":\"YTpiOmM=\"}}}", "h.io/x", "a:b:c");
	user_for("{\"auths\":{}}", "h.io/x", "");
}

TEST(bad_files)
{
	static const char *const bad[] = {"", "[]", "{}", "{\"auths\":[]}", "{\"auths\":"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct auth_file *f = NULL;
		struct error err = ERROR_INIT;

		check(auth_file_parse(bad[i], strlen(bad[i]), &f, &err) < 0);
		check(!f);
	}
	user_for("{\"auths\":{\"h.io\":{}}}", "h.io/x",
	         "the credentials (auth.json): \"h.io\" has no \"auth\" (credential helpers and "
	         "identity tokens are not supported)");
	user_for(
	    "{\"auths\":{\"h.io\":{\"auth\":\"!\"}}}", "h.io/x",
	    "the credentials (auth.json): \"auth\" of \"h.io\" is not base64 of user:password");
	user_for(
	    "{\"auths\":{\"h.io\":{\"auth\":\"YQ==\"}}}", "h.io/x",
	    "the credentials (auth.json): \"auth\" of \"h.io\" is not base64 of user:password");
}

static void challenge(const char *header, bool basic, const char *realm, const char *service,
                      const char *scope)
{
	struct error err = ERROR_INIT;
	struct auth_challenge c;

	check_ok(auth_challenge_parse(header, &c, &err), &err);
	check_int(c.basic, basic);
	check_int(c.bearer, realm[0] != 0);
	check_str(c.realm, realm);
	check_str(c.service, service);
	check_str(c.scope, scope);
}

TEST(challenges)
{
	struct error err = ERROR_INIT;
	struct auth_challenge c;

	challenge("Basic realm=\"x, y\"", true, "", "", "");
	challenge("basic", true, "", "", "");
	challenge("Bearer realm=\"https://a/token\",service=\"s\"", false, "https://a/token", "s",
	          "");
	challenge(
	    "BEARER service=s , realm = \"https://a/t?x=1\" ,scope=\"repository:a/b:pull,push\","
	    "error=\"insufficient_scope\"",
	    false, "https://a/t?x=1", "s", "repository:a/b:pull,push");
	challenge("Basic realm=\"r\", Bearer realm=\"https://a\"", true, "https://a", "", "");
	challenge("Bearer realm=\"https://a\", Basic realm=\"r\"", true, "https://a", "", "");
	challenge("Negotiate abc==, Basic realm=\"r\"", true, "", "", "");
	challenge("Bearer realm=\"a\\\"b\"", false, "a\"b", "", "");
	challenge("Bearer realm=\"https://a\",service=\"unfinished", false, "https://a",
	          "unfinished", "");
	check_int(auth_challenge_parse("", &c, &err), -EPROTO);
	check_int(auth_challenge_parse("Digest realm=\"x\"", &c, &err), -EPROTO);
	check_int(auth_challenge_parse("Bearer service=\"x\"", &c, &err), -EPROTO);
	check_int(auth_challenge_parse(",,, =, \"", &c, &err), -EPROTO);
}

TEST(token_url)
{
	struct auth_challenge c = {.bearer = true, .realm = "https://a/t", .service = "x y&z"};
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct error err = ERROR_INIT;

	check_ok(auth_token_url(&c, "a/b", &b, &err), &err);
	check_str(buffer_cstr(&b), "https://a/t?scope=repository%3Aa%2Fb%3Apull&service=x%20y%26z");
	buffer_clear(&b);
	snprintf(c.realm, sizeof(c.realm), "https://a/t?k=v");
	snprintf(c.scope, sizeof(c.scope), "repository:q:pull");
	check_ok(auth_token_url(&c, "a/b", &b, &err), &err);
	check_str(buffer_cstr(&b), "https://a/t?k=v&scope=repository%3Aq%3Apull&service=x%20y%26z");
}

static void token(const char *json, const char *want)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct error err = ERROR_INIT;

	if (auth_token_parse(json, strlen(json), &b, &err))
		check(!want);
	else
		check_str(buffer_cstr(&b), want);
}

TEST(tokens)
{
	token("{\"token\":\"abc\",\"expires_in\":60}", "Bearer abc");
	token("{\"access_token\":\"abc\"}", "Bearer abc");
	token("{\"token\":\"\",\"access_token\":\"abc\"}", "Bearer abc");
	token("{\"token\":\"a\",\"access_token\":\"b\"}", "Bearer a");
	token("{}", NULL);
	token("{\"token\":7}", NULL);
	token("{\"token\":\"a\\r\\nX-Evil: 1\"}", NULL);
	token("{\"token\":\"\"}", NULL);
	token("not json", NULL);
}

TEST(base64)
{
	/* RFC 4648 section 10 */
	static const char *const vectors[][2] = {{"", ""},
	                                         {"f", "Zg=="},
	                                         {"fo", "Zm8="},
	                                         {"foo", "Zm9v"},
	                                         {"foob", "Zm9vYg=="},
	                                         {"fooba", "Zm9vYmE="},
	                                         {"foobar", "Zm9vYmFy"}};

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		_cleanup_buffer_ struct buffer b = BUFFER_INIT, back = BUFFER_INIT;

		base64_encode(&b, vectors[i][0], strlen(vectors[i][0]));
		check_str(buffer_cstr(&b), vectors[i][1]);
		check_int(base64_decode(&back, buffer_cstr(&b), b.size), 0);
		check_str(buffer_cstr(&back), vectors[i][0]);
	}
	for (const char *const *bad = (const char *const[]){"Z", "Zg=x", "Z-8=", "Zg===", NULL};
	     *bad; bad++) {
		_cleanup_buffer_ struct buffer b = BUFFER_INIT;

		check_int(base64_decode(&b, *bad, strlen(*bad)), -EINVAL);
		check_int(b.size, 0);
	}
}

TEST_MAIN()
