/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/base/options. */
#include "lib/base/options.h"

#include <limits.h>

#include "tests/unit/check.h"

struct data {
	bool flag, quick;
	const char *text, *choice;
	struct strv list;
	uint32_t number;
	uint64_t size, duration;
};

static const struct option options[] = {
    {"flag", 'f', OPTION_FLAG, offsetof(struct data, flag), NULL, NULL, "A flag."},
    {"quick", 'q', OPTION_FLAG, offsetof(struct data, quick), NULL, NULL, "Another."},
    {"text", 'o', OPTION_STRING, offsetof(struct data, text), "TEXT", NULL, "A text."},
    {"choice", 0, OPTION_ENUM, offsetof(struct data, choice), "WHICH", "one|two", "One of."},
    {"list", 'l', OPTION_LIST, offsetof(struct data, list), "ITEM", NULL, "Items."},
    {"number", 'n', OPTION_U32, offsetof(struct data, number), "N", NULL, "A number."},
    {"size", 0, OPTION_SIZE, offsetof(struct data, size), "SIZE", NULL, "A size."},
    {"time", 0, OPTION_DURATION, offsetof(struct data, duration), "TIME", NULL, "A time."},
    {NULL},
};

static struct data seen;
static char args_seen[256];

static int run(int argc, char **argv, void *data)
{
	seen = *(struct data *)data;
	seen.list = (struct strv)STRV_INIT;
	args_seen[0] = 0;
	for (int i = 0; i < argc; i++) {
		strcat(args_seen, argv[i]);
		strcat(args_seen, ";");
	}
	return 10 + (int)((struct data *)data)->list.n;
}

static void release(void *data)
{
	strv_free(&((struct data *)data)->list);
}

static const struct verb verbs[] = {
    {.name = "go",
     .args = "[ARG...]",
     .summary = "Goes.",
     .options = options,
     .max_args = UINT_MAX,
     .run = run,
     .release = release,
     .data_size = sizeof(struct data)},
    {.name = "run",
     .args = "IMAGE [ARG...]",
     .summary = "Runs.",
     .options = options,
     .stop_at_first = true,
     .min_args = 1,
     .max_args = UINT_MAX,
     .run = run,
     .release = release,
     .data_size = sizeof(struct data)},
    {NULL},
};
static const struct program program = {"prog", "A program.", NULL, verbs, NULL};

#define call(...)                                                                                  \
	program_main(&program, (int)(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)),            \
	             (char *[]){__VA_ARGS__, NULL})

TEST(all_forms)
{
	check_int(call("prog", "go", "-fq", "-o", "x", "--choice=two", "-la", "--list", "b", "-n5",
	               "--size", "2M", "--time=3s", "rest", "--", "-f"),
	          12);
	check(seen.flag && seen.quick);
	check_str(seen.text, "x");
	check_str(seen.choice, "two");
	check_int(seen.number, 5);
	check_int(seen.size, 2 << 20);
	check_int(seen.duration, 3000);
	check_str(args_seen, "rest;-f;");
}

TEST(stop_at_first)
{
	check_int(call("prog", "run", "-f", "image", "-q", "--nonsense"), 10);
	check(seen.flag && !seen.quick);
	check_str(args_seen, "image;-q;--nonsense;");
}

TEST(usage_errors_are_two)
{
	check_int(call("prog"), 2);
	check_int(call("prog", "no-verb"), 2);
	check_int(call("prog", "--nope"), 2);
	check_int(call("prog", "go", "--nope"), 2);
	check_int(call("prog", "go", "-z"), 2);
	check_int(call("prog", "go", "--text"), 2);
	check_int(call("prog", "go", "--flag=1"), 2);
	check_int(call("prog", "go", "--choice", "three"), 2);
	check_int(call("prog", "go", "--number", "-1"), 2);
	check_int(call("prog", "run"), 2);
}

TEST(help_version_man_completion)
{
	check_int(call("prog", "--help"), 0);
	check_int(call("prog", "go", "--help"), 0);
	check_int(call("prog", "help", "go"), 0);
	check_int(call("prog", "--version"), 0);
	check_int(call("prog", "--man"), 0);
	check_int(call("prog", "--completion-bash"), 0);
}

TEST_MAIN()
