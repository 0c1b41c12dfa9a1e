/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/base/process. */
#include "lib/base/process.h"

#include "tests/unit/check.h"

#include <fcntl.h>
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

TEST_MAIN()
