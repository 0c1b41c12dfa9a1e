/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/base/process. */
#include "lib/base/process.h"

#include "tests/unit/check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "lib/base/cleanup.h"

TEST(output_and_status)
{
	_cleanup_buffer_ struct buffer out = BUFFER_INIT, errs = BUFFER_INIT;
	char *argv[] = {"sh", "-c", "echo out; echo err >&2; exit 3", NULL};
	struct error err = ERROR_INIT;
	int status;

	check_ok(process_run(argv, &out, &errs, 1000, &status, &err), &err);
	check_int(process_exit_code(status), 3);
	check_str(buffer_cstr(&out), "out\n");
	check_str(buffer_cstr(&errs), "err\n");
}

TEST(missing_program)
{
	char *argv[] = {"/no/such/program", NULL};
	struct error err = ERROR_INIT;
	int status;

	check_int(process_run(argv, NULL, NULL, 1000, &status, &err), -ENOENT);
	check_str(err.text, "cannot start /no/such/program: No such file or directory");
}

TEST(too_much_output_kills)
{
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	char *argv[] = {"cat", "/dev/zero", NULL};
	struct error err = ERROR_INIT;
	int status;

	check_int(process_run(argv, &out, NULL, 100000, &status, &err), -EFBIG);
	check_int(process_exit_code(status), 128 + SIGKILL);
}

TEST(only_the_listed_descriptors)
{
	_cleanup_close_ int extra = open("/dev/null", O_RDWR); /* no O_CLOEXEC on purpose */
	_cleanup_close_ int reader = -1;
	int p[2], status;
	char list[256] = "";
	char *argv[] = {"sh", "-c", "for f in /proc/self/fd/*; do echo -n ${f##*/},; done >&3",
	                NULL};
	struct error err = ERROR_INIT;
	check(extra > 2);
	pid_t pid;

	check(pipe(p) == 0);
	reader = p[0];
	struct process_opts o = {.path = "sh", .argv = argv, .fds = {-1, -1, 2, p[1]}, .n_fds = 4};

	check_ok(process_spawn(&o, &pid, &err), &err);
	close(p[1]);
	check(waitpid(pid, &status, 0) == pid && process_exit_code(status) == 0);
	check(read(reader, list, sizeof(list) - 1) > 0);
	check(!strstr(list, ",5,") && !strstr(list, ",6,") && strstr(list, "3,"));
}

static int fail_with_eperm(void *data)
{
	return EPERM;
}

TEST(failure_before_exec_is_reported)
{
	char *argv[] = {"true", NULL};
	struct process_opts o = {.path = "true", .argv = argv, .child = fail_with_eperm};
	struct error err = ERROR_INIT;
	pid_t pid;

	check_int(process_spawn(&o, &pid, &err), -EPERM);
}

TEST(signal_codes)
{
	char *argv[] = {"sh", "-c", "kill -TERM $$", NULL};
	struct error err = ERROR_INIT;
	int status;

	check_ok(process_run(argv, NULL, NULL, 10, &status, &err), &err);
	check_int(process_exit_code(status), 128 + SIGTERM);
}

/* Writes to 64 KiB of stack, of which *page is one. */
static __attribute__((noinline, no_sanitize("address"))) void go_deep(uintptr_t *page)
{
	volatile uint8_t room[64 << 10];

	for (size_t i = 0; i < sizeof(room); i += 512)
		room[i] = 1;
	*page = (uintptr_t)&room[16 << 10] / 4096 * 4096;
}

static bool is_resident(uintptr_t page)
{
	unsigned char there = 0;

	check_int(mincore((void *)page, 4096, &there), 0);
	return there & 1;
}

TEST(stack_that_is_not_used_is_given_back)
{
	volatile uint64_t mine[512];
	uintptr_t page;

	for (unsigned int i = 0; i < 512; i++)
		mine[i] = i * 3;
	go_deep(&page);
	check(is_resident(page));
	process_trim_stack();
	check(!is_resident(page));
	for (unsigned int i = 0; i < 512; i++)
		check(mine[i] == i * 3);
	go_deep(&page);
	check(is_resident(page));
}

TEST_MAIN()
