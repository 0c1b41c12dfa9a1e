/* SPDX-License-Identifier: Apache-2.0 */
/* test-killed: messages of the kernel's log as Linux 6.1 and 6.12 have written them. */
#include "check.h"
#include "guest/init/killed.h"
#include "lib/base/fs.h"

static bool found(const char *text, pid_t pid)
{
	struct error err = ERROR_INIT;
	char path[400];

	snprintf(path, sizeof(path), "%s/kmsg", check_tmpdir());
	check_ok(fs_write_file_atomic(path, text, strlen(text), 0644, &err), &err);
	return killed_out_of_memory(path, pid);
}

TEST(the_process_that_the_kernel_names)
{
	static const char global[] = "3,512,9312,-;Out of memory: Killed process 42 (tail) "
	                             "total-vm:71234kB, anon-rss:60000kB\n";
	static const char group[] = "3,99,1,-;Memory cgroup out of memory: Killed process 7 (sh) "
	                            "total-vm:1kB\n";

	check(found(global, 42));
	check(!found(global, 4));
	check(!found(global, 2));
	check(!found(global, 420));
	check(found(group, 7));
}

TEST(a_log_that_says_nothing)
{
	check(!found("", 42));
	check(!found("6,1,0,-;Linux version 6.12\n", 42));
	check(!killed_out_of_memory("/nowhere/kmsg", 42));
}

TEST_MAIN()
