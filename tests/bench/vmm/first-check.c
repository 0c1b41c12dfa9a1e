/* SPDX-License-Identifier: Apache-2.0 */
/*
 * first-check: first-check FOLDER PROGRAM ARGUMENT... starts a program that boots a guest, waits
 * until the guest's agent has answered Check, prints the microseconds since the start (fork), the
 * program's process and the guest's name in FOLDER, kihon's runtime folder, and leaves the guest
 * running. Nothing else may have a guest in that folder.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "tests/agent/wire.h"

/* Between two tries: they take the guest's time where there is one processor. */
#define RETRY_MS 20
#define LIMIT_US 200000000

static long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static pid_t start(char **argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		execvp(argv[0], argv);
		_exit(127);
	}
	return pid;
}

/* The first entry of the folder. */
static bool find_guest(const char *folder, char *name, size_t size)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	bool found = false;

	while (d && !found && (e = readdir(d)))
		if (e->d_name[0] != '.')
			found = (size_t)snprintf(name, size, "%s", e->d_name) < size;
	if (d)
		closedir(d);
	return found;
}

static bool check(const char *folder, const char *name)
{
	_cleanup_free_ char *address = str_printf("hvsock://%s/%s/vsock:1024", folder, name);
	struct wire_answer a = WIRE_ANSWER_INIT;
	struct error err = ERROR_INIT;
	struct wire w;
	bool ok;

	if (!address || wire_open(&w, address, &err) < 0)
		return false;
	ok = wire_call(&w, "grpc.Health", "Check", 60000, "", 0, &a) == 0 && a.code == 0;
	wire_answer_free(&a);
	wire_close(&w);
	return ok;
}

int main(int argc, char **argv)
{
	long begin = now_us();
	char name[64] = "";
	pid_t pid;

	if (argc < 3)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	pid = start(argv + 2);
	while (pid > 0 && now_us() - begin < LIMIT_US && waitpid(pid, NULL, WNOHANG) == 0) {
		if (find_guest(argv[1], name, sizeof(name)) && check(argv[1], name)) {
			printf("%ld %d %s\n", now_us() - begin, pid, name);
			return 0;
		}
		usleep(RETRY_MS * 1000);
	}
	if (pid > 0)
		kill(pid, SIGTERM);
	return 1;
}
