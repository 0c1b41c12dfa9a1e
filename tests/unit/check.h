/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: the unit test harness. Every TEST() runs in its own process with a time
 * limit; a crash, a failed check, a leaked descriptor or (under ASAN=1) leaked
 * memory fails that test and no other. Output is TAP.
 *
 *	TEST(digest_of_nothing)
 *	{
 *		check(sha256_matches("", "e3b0..."));
 *	}
 *	TEST_MAIN()
 */
#pragma once

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct check_test {
	const char *name;
	void (*fn)(void);
	struct check_test *next;
};

void check_register(struct check_test *t);
int check_main(int argc, char **argv);
void check_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), noreturn));
void check_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* A fresh empty folder for this test, removed after it. Valid until the test ends. */
const char *check_tmpdir(void);

#define TEST(id)                                                                                   \
	static void test_##id(void);                                                               \
	static struct check_test reg_##id = {#id, test_##id, NULL};                                \
	__attribute__((constructor)) static void add_##id(void)                                    \
	{                                                                                          \
		check_register(&reg_##id);                                                         \
	}                                                                                          \
	static void test_##id(void)

#define TEST_MAIN()                                                                                \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		return check_main(argc, argv);                                                     \
	}

#define check(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			check_fail(__FILE__, __LINE__, "%s", #cond);                               \
	} while (0)

#define check_int(got, want)                                                                       \
	do {                                                                                       \
		long long g_ = (long long)(got), w_ = (long long)(want);                           \
		if (g_ != w_)                                                                      \
			check_fail(__FILE__, __LINE__, "%s is %lld, not %lld", #got, g_, w_);      \
	} while (0)

#define check_str(got, want)                                                                       \
	do {                                                                                       \
		const char *g_ = (got), *w_ = (want);                                              \
		if (!g_ || strcmp(g_, w_) != 0)                                                    \
			check_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #got,           \
			           g_ ? g_ : "(null)", w_);                                        \
	} while (0)

#define check_mem(got, want, n)                                                                    \
	do {                                                                                       \
		if (memcmp((got), (want), (n)) != 0)                                               \
			check_fail(__FILE__, __LINE__, "%s differs from %s", #got, #want);         \
	} while (0)

/* r must be 0; shows the error's text otherwise. */
#define check_ok(r, err)                                                                           \
	do {                                                                                       \
		int r_ = (r);                                                                      \
		if (r_ != 0)                                                                       \
			check_fail(__FILE__, __LINE__, "%s: %d: %s", #r, r_, (err)->text);         \
	} while (0)
