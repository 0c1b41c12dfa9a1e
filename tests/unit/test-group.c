/* SPDX-License-Identifier: Apache-2.0 */
/* test-group: what a control group says of its memory, from files as the kernel writes them (Linux
 * Documentation/admin-guide/cgroup-v2.rst, memory.events). */
#include "check.h"
#include "host-shim/hypervisor/group.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define QUIET "low 0\nhigh 3\nmax 17\noom 1\noom_kill 0\noom_group_kill 0\n"
#define KILLS "low 0\nhigh 3\nmax 17\noom 1\noom_kill 2\noom_group_kill 1\n"

static void write_file(const char *name, const char *text)
{
	struct error err = ERROR_INIT;
	char path[400];

	snprintf(path, sizeof(path), "%s/%s", check_tmpdir(), name);
	check_ok(fs_write_file_atomic(path, text, strlen(text), 0644, &err), &err);
}

static bool says(const char *words)
{
	_cleanup_free_ char *text = group_out_of_memory(check_tmpdir());

	return words ? text && strstr(text, words) && !strchr(text, '\n') : !text;
}

TEST(a_group_without_the_controller_says_nothing)
{
	check(!group_out_of_memory(NULL));
	check(says(NULL));
	write_file("memory.events", "");
	check(says(NULL));
	write_file("memory.events", "oom_kill");
	check(says(NULL));
}

TEST(a_kill_names_the_limit)
{
	write_file("memory.max", "67108864\n");
	write_file("memory.events", QUIET);
	check(says(NULL));
	write_file("memory.events", KILLS);
	check(says("is 67108864)"));
	check(says(check_tmpdir()));
	write_file("memory.max", "max\n");
	check(says("has no limit"));
}

TEST_MAIN()
