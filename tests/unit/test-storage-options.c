/* SPDX-License-Identifier: Apache-2.0 */
/* storage_options: where several words are in one string, and where a comma is part of one. */
#include "guest/agent/storage/storage_options.h"

#include "tests/unit/check.h"

/* The options, each in brackets. */
static const char *split(size_t n, ...)
{
	static char text[512];
	struct arena arena = ARENA_INIT;
	Grpc__Storage s = GRPC__STORAGE__INIT, *list = &s;
	char *options[8];
	struct error err = ERROR_INIT;
	va_list ap;

	va_start(ap, n);
	for (size_t i = 0; i < n; i++)
		options[i] = va_arg(ap, char *);
	va_end(ap);
	s.options = options;
	s.n_options = n;
	check_ok(storage_options_split(&list, 1, &arena, &err), &err);
	text[0] = 0;
	for (size_t i = 0; i < s.n_options; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "[%s]", s.options[i]);
	arena_free(&arena);
	return text;
}

TEST(nothing_to_split)
{
	check_str(split(0), "");
	check_str(split(1, "ro"), "[ro]");
	check_str(split(3, "ro", "", "mode=700"), "[ro][][mode=700]");
}

TEST(words_with_commas_between)
{
	check_str(split(1, "pagesize=2097152,size=524288000"),
	          "[pagesize=2097152][size=524288000]");
	check_str(split(3, "a,b", "c", "d,e,f"), "[a][b][c][d][e][f]");
	check_str(split(2, ",a,,b,", ","), "[a][b]");
}

TEST(commas_of_words)
{
	check_str(split(1, "lowerdir=/a\\,b:/c,ro"), "[lowerdir=/a\\,b:/c][ro]");
	check_str(split(1, "context=\"u:r:t:s0:c1,c2\",ro"), "[context=\"u:r:t:s0:c1,c2\"][ro]");
	check_str(split(1, "a=\"b\\\"c,d\",e"), "[a=\"b\\\"c,d\"][e]");
	check_str(split(1, "a=\"b,c"), "[a=\"b,c]"); /* never closed */
	check_str(split(1, "a,b\\"), "[a][b\\]");
	check_str(split(1, "\\,"), "[\\,]");
}

TEST(options_for_the_agent)
{
	check_str(split(2, "X-kata.mkdir.path=a,b:0755", "x-other=c,d"),
	          "[X-kata.mkdir.path=a,b:0755][x-other=c,d]");
	check_str(split(1, "ro,X-kata.overlay-lower"), "[ro][X-kata.overlay-lower]");
}

TEST(slashes_of_mount_points)
{
	static const struct {
		const char *given, *kept;
	} cases[] = {
	    {"/run/shared/containers/", "/run/shared/containers"},
	    {"//run///shared//", "/run/shared"},
	    {"/", "/"},
	    {"///", "/"},
	    {"a/", "a"},
	    {"", ""},
	};
	Grpc__Storage none = GRPC__STORAGE__INIT, *list = &none;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		Grpc__Storage s = GRPC__STORAGE__INIT, *one = &s;
		char path[64];

		snprintf(path, sizeof(path), "%s", cases[i].given);
		s.mount_point = path;
		check_int(storage_options_split(&one, 1, NULL, NULL), 0);
		check_str(s.mount_point, cases[i].kept);
	}
	check_int(storage_options_split(&list, 1, NULL, NULL), 0);
	check_str(none.mount_point, "");
}

TEST_MAIN()
