/* SPDX-License-Identifier: Apache-2.0 */
/* check: runs each test in a process of its own, watches time and descriptors, speaks TAP. */
#include "tests/unit/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define TIME_LIMIT_S 250
#define EXIT_SKIP    77

#if defined(__SANITIZE_ADDRESS__)
int __lsan_do_recoverable_leak_check(void);
#define memory_leaked() __lsan_do_recoverable_leak_check()
#else
#define memory_leaked() 0
#endif

static struct check_test *first, **last = &first;
static char tmpdir[64];
static int report_fd; /* why a test failed or was skipped, to the parent */

void check_register(struct check_test *t)
{
	*last = t;
	last = &t->next;
}

static void report(const char *text)
{
	if (write(report_fd, text, strlen(text)) < 0)
		abort();
}

void check_fail(const char *file, int line, const char *fmt, ...)
{
	char what[1024], text[1280];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(text, sizeof(text), "%s:%d: %s", file, line, what);
	report(text);
	_exit(1);
}

void check_skip(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	report(text);
	_exit(EXIT_SKIP);
}

const char *check_tmpdir(void)
{
	return tmpdir;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void __attribute__((noreturn)) run_in_child(const struct check_test *t)
{
	int before = count_fds(), after;

	t->fn();
	after = count_fds();
	if (after != before)
		check_fail(t->name, 0, "%d descriptors leaked", after - before);
	if (memory_leaked())
		check_fail(t->name, 0, "memory leaked");
	_exit(0);
}

/* Prints the TAP line; 0 when the test passed or was skipped. */
static int run_one(const struct check_test *t, int number)
{
	char why[1400] = "";
	int fds[2], status;
	pid_t pid;

	fflush(stdout);
	snprintf(tmpdir, sizeof(tmpdir), "/tmp/kihon-test-XXXXXX");
	if (!mkdtemp(tmpdir) || pipe(fds) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		report_fd = fds[1];
		close(fds[0]);
		dup2(2, 1); /* what the tested code prints is not TAP */
		alarm(TIME_LIMIT_S);
		run_in_child(t);
	}
	close(fds[1]);
	for (size_t n = 0; n < sizeof(why) - 1;) {
		ssize_t r = read(fds[0], why + n, sizeof(why) - 1 - n);

		if (r <= 0)
			break;
		n += (size_t)r;
	}
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	nftw(tmpdir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		printf("ok %d %s\n", number, t->name);
		return 0;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP) {
		printf("ok %d %s # skip %s\n", number, t->name, why);
		return 0;
	}
	printf("not ok %d %s\n", number, t->name);
	if (WIFSIGNALED(status))
		printf("# killed by signal %d%s\n", WTERMSIG(status),
		       WTERMSIG(status) == SIGALRM ? " (time limit)" : "");
	printf("# %s\n", why);
	return 1;
}

/* Arguments choose tests by name; none runs all. */
int check_main(int argc, char **argv)
{
	int n = 0, failed = 0;

	for (struct check_test *t = first; t; t = t->next) {
		int wanted = argc < 2;

		for (int i = 1; i < argc; i++)
			wanted = wanted || strcmp(argv[i], t->name) == 0;
		if (wanted)
			failed += run_one(t, ++n);
	}
	printf("1..%d\n", n);
	return failed ? 1 : 0;
}
