/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of image.lock: its bytes, what is refused, and how differences are told. */
#include "image-tool/lock.h"

#include "lib/base/str.h"
#include "tests/unit/check.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void add(struct lock *l, const char *kind, const char *name, const char *version,
                const char *sha256)
{
	struct error err = ERROR_INIT;

	if (lock_add(l, kind, name, version, sha256, &err) < 0)
		check_fail(__FILE__, __LINE__, "%s", err.text);
}

static int keep(const char *line, void *data)
{
	return strv_add(data, line);
}

/* The lines of a comparison, joined. */
static char *diff(const struct lock *a, const struct lock *b, enum lock_part part)
{
	_cleanup_strv_ struct strv lines = STRV_INIT;
	struct buffer out = BUFFER_INIT;

	check(lock_diff(a, b, part, keep, &lines) == 0);
	buffer_str(&out, "");
	for (size_t i = 0; i < lines.n; i++)
		buffer_printf(&out, "%s%s", i > 0 ? "; " : "", lines.v[i]);
	return buffer_steal(&out);
}

static void check_diff(const struct lock *a, const struct lock *b, enum lock_part part,
                       const char *want)
{
	_cleanup_free_ char *got = diff(a, b, part);

	if (!got || strcmp(got, want) != 0)
		check_fail(__FILE__, __LINE__, "got \"%s\", want \"%s\"", got ? got : "", want);
}

TEST(bytes_and_back)
{
	static const char want[] =
	    "{\"schema\": 1, \"pins\": [\n"
	    "  {\"kind\": \"package\", \"name\": \"musl\", \"version\": \"1.2\"},\n"
	    "  {\"kind\": \"file\", \"name\": \"a\\\"b\", \"sha256\": \"" SHA_A "\"}\n"
	    "]}\n";
	_cleanup_lock_ struct lock lock = {0}, again = {0};
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct error err = ERROR_INIT;

	add(&lock, "package", "musl", "1.2", NULL);
	add(&lock, "file", "a\"b", NULL, SHA_A);
	lock_format(&lock, &text);
	check(strcmp(buffer_cstr(&text), want) == 0);
	check(lock_parse(&again, buffer_cstr(&text), text.size, "x", &err) == 0);
	check_diff(&lock, &again, LOCK_ALL, "");
}

TEST(an_empty_lock)
{
	_cleanup_lock_ struct lock lock = {0}, again = {0};
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;

	lock_format(&lock, &text);
	check(lock_parse(&again, buffer_cstr(&text), text.size, "x", NULL) == 0);
	check(again.n == 0);
}

TEST(what_is_no_lock_is_refused)
{
	static const char *const bad[] = {
	    "",
	    "1",
	    "[]",
	    "{}",
	    "{\"schema\":0,\"pins\":[]}",
	    "{\"schema\":1,\"pins\":{}}",
	    "{\"schema\":1,\"pins\":[[]]}",
	    "{\"schema\":1,\"pins\":[{\"kind\":\"a\",\"name\":\"\\u0001\"}]}",
	    "{\"schema\":1,\"pins\":[{\"kind\":\"a\",\"name\":\"b\",\"sha256\":\"" SHA_A "0\"}]}",
	    "{\"schema\":1,\"pins\":[{\"kind\":\"a\",\"name\":\"b\",\"version\":1}]}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_lock_ struct lock lock = {0};
		struct error err = ERROR_INIT;

		if (lock_parse(&lock, bad[i], strlen(bad[i]), "the lock", &err) != -EINVAL ||
		    err.kind != ERROR_INPUT || !strstr(err.text, "the lock"))
			check_fail(__FILE__, __LINE__, "case %zu: %s", i, err.text);
	}
}

TEST(differences_are_told_one_by_one)
{
	_cleanup_lock_ struct lock a = {0}, b = {0};

	add(&a, "kernel-source", "linux", "6.1", SHA_A);
	add(&a, "package", "musl", "1", NULL);
	add(&a, "file", "f", NULL, SHA_A);
	add(&a, "file", "gone", NULL, SHA_A);
	add(&b, "file", "f", NULL, SHA_B);
	add(&b, "extra", "new", NULL, SHA_B);
	add(&b, "kernel-source", "linux", "6.1", SHA_B);
	add(&b, "package", "musl", "2", NULL);
	check_diff(&a, &b, LOCK_SOURCES,
	           "file f: sha256 aaaaaaaaaaaaaaaa... became bbbbbbbbbbbbbbbb...; "
	           "file gone: is not used any more; extra new: is new");
	check_diff(&a, &b, LOCK_ALL,
	           "kernel-source linux 6.1: sha256 aaaaaaaaaaaaaaaa... became "
	           "bbbbbbbbbbbbbbbb...; package musl: version 1 became 2; "
	           "file f: sha256 aaaaaaaaaaaaaaaa... became bbbbbbbbbbbbbbbb...; "
	           "file gone: is not used any more; extra new: is new");
	check_diff(&a, &a, LOCK_ALL, "");
}

TEST(two_of_one_name_are_told_apart_by_their_order)
{
	_cleanup_lock_ struct lock a = {0}, b = {0};

	add(&a, "extra", "t", NULL, SHA_A);
	add(&a, "extra", "t", NULL, SHA_B);
	add(&b, "extra", "t", NULL, SHA_A);
	check_diff(&a, &b, LOCK_ALL, "extra t: is not used any more");
	add(&b, "extra", "t", NULL, SHA_A);
	check_diff(&a, &b, LOCK_ALL,
	           "extra t: sha256 bbbbbbbbbbbbbbbb... became aaaaaaaaaaaaaaaa...");
}

TEST_MAIN()
