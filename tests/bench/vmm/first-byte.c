/* SPDX-License-Identifier: Apache-2.0 */
/*
 * first-byte: first-byte N PROGRAM ARGUMENT... runs the program N times, each time until the first
 * byte comes out of its standard output, and ends it then. Prints the least and the middle of the
 * times from its start (fork) to that byte, in microseconds.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RUNS_MAX = 99 };

static long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* -1: the program ended without a byte. */
static long run(char **argv)
{
	long start = now_us(), took = -1;
	int pipes[2];
	pid_t pid;
	char c;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		setpgid(0, 0);
		dup2(null, 0);
		dup2(pipes[1], 1);
		execv(argv[0], argv);
		_exit(127);
	}
	close(pipes[1]);
	if (pid > 0 && read(pipes[0], &c, 1) == 1)
		took = now_us() - start;
	close(pipes[0]);
	if (pid > 0) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return took;
}

static int compare(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	long times[RUNS_MAX];
	int n = argc > 2 ? atoi(argv[1]) : 0;

	if (n < 1 || n > RUNS_MAX)
		return 2;
	for (int i = 0; i < n; i++)
		if ((times[i] = run(argv + 2)) < 0)
			return 1;
	qsort(times, (size_t)n, sizeof(times[0]), compare);
	printf("%ld %ld\n", times[0], times[n / 2]);
	return 0;
}
