/* SPDX-License-Identifier: Apache-2.0 */
/* policy: which scope counts, and that everything that is not understood refuses. */
#include "check.h"

#include "lib/image/policy.h"

#define ANY            "[{\"type\":\"insecureAcceptAnything\"}]"
#define REJECT         "[{\"type\":\"reject\"}]"
#define SCOPES(scopes) "{\"default\":" REJECT ",\"transports\":{\"docker\":{" scopes "}}}"

/* 1: taken, 0: refused; -1: the policy itself is wrong. */
static int takes(const char *json, const char *reference)
{
	_cleanup_policy_ struct policy *p = NULL;
	struct error err = ERROR_INIT;
	struct reference ref;
	int r;

	check_ok(reference_parse(reference, &ref, &err), &err);
	if (policy_parse(json, strlen(json), &p, &err)) {
		check(err.text[0]);
		return -1;
	}
	r = policy_check(p, &ref, &err);
	if (r) {
		check_int(r, -EACCES);
		check_int(err.kind, ERROR_VERIFICATION);
	}
	return r == 0;
}

#define DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

TEST(scopes)
{
	check_int(takes("{\"default\":" ANY "}", "h.io/a"), 1);
	check_int(takes("{\"default\":" REJECT "}", "h.io/a"), 0);
	check_int(takes(SCOPES("\"h.io/a:1\":" ANY), "h.io/a:1"), 1);
	check_int(takes(SCOPES("\"h.io/a:1\":" ANY), "h.io/a:2"), 0);
	check_int(takes(SCOPES("\"h.io/a@" DIGEST "\":" ANY), "h.io/a@" DIGEST), 1);
	check_int(takes(SCOPES("\"h.io/a\":" ANY), "h.io/a@" DIGEST), 1);
	check_int(takes(SCOPES("\"h.io/a\":" ANY), "h.io/a:2"), 1);
	check_int(takes(SCOPES("\"h.io/a\":" ANY), "h.io/ab:2"), 0);
	check_int(takes(SCOPES("\"h.io/a\":" ANY), "h.io/a/b/c:2"), 1);
	check_int(takes(SCOPES("\"h.io\":" ANY), "h.io/a/b:2"), 1);
	check_int(takes(SCOPES("\"h.io\":" ANY), "h.io:5000/a/b:2"), 0);
	check_int(takes(SCOPES("\"h.io:5000\":" ANY), "h.io:5000/a/b:2"), 1);
	check_int(takes(SCOPES("\"*.io\":" ANY), "h.io/a"), 1);
	check_int(takes(SCOPES("\"*.h.io\":" ANY), "x.y.h.io/a"), 1);
	check_int(takes(SCOPES("\"*.h.io\":" ANY), "h.io/a"), 0);
	check_int(takes(SCOPES("\"\":" ANY), "h.io/a"), 1);
	check_int(takes(SCOPES("\"docker.io/library/busybox\":" ANY), "busybox"), 1);
	/* the narrower one counts, whichever way it decides */
	check_int(takes(SCOPES("\"h.io\":" ANY ",\"h.io/a\":" REJECT), "h.io/a"), 0);
	check_int(takes(SCOPES("\"\":" ANY ",\"*.io\":" REJECT), "h.io/a"), 0);
	check_int(takes("{\"default\":" ANY ",\"transports\":{\"docker\":{\"h.io\":" REJECT "}}}",
	                "h.io/a"),
	          0);
}

TEST(requirements)
{
	check_int(takes("{\"default\":[]}", "h.io/a"), 0);
	check_int(
	    takes("{\"default\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\"}]}", "h.io/a"), 0);
	check_int(takes("{\"default\":[{\"type\":\"sigstoreSigned\"}]}", "h.io/a"), 0);
	check_int(takes("{\"default\":[{\"type\":\"whatever\"}]}", "h.io/a"), 0);
	check_int(takes("{\"default\":[{}]}", "h.io/a"), 0);
	check_int(takes("{\"default\":[7]}", "h.io/a"), 0);
	check_int(
	    takes("{\"default\":[{\"type\":\"insecureAcceptAnything\"},{\"type\":\"reject\"}]}",
	          "h.io/a"),
	    0);
}

TEST(wrong_policies)
{
	check_int(takes("", "h.io/a"), -1);
	check_int(takes("{}", "h.io/a"), -1);
	check_int(takes("[]", "h.io/a"), -1);
	check_int(takes("{\"default\":{}}", "h.io/a"), -1);
	check_int(takes("{\"default\":" ANY ",\"transports\":[]}", "h.io/a"), -1);
	check_int(takes("{\"default\":" ANY ",\"transports\":{\"docker\":7}}", "h.io/a"), -1);
	check_int(takes("{\"default\":" ANY ",\"transports\":{\"docker\":{\"x\":{}}}}", "h.io/a"),
	          -1);
}

TEST(no_policy)
{
	struct error err = ERROR_INIT;
	struct reference ref;

	check_ok(reference_parse("a", &ref, &err), &err);
	check_ok(policy_check(NULL, &ref, &err), &err);
}

TEST_MAIN()
