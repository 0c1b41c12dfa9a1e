/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-look: what busybox does not show of a guest, for tests/agent-guest*.bats.
 *
 *	guest-look dax FILE	1 when the kernel says that the file is used where it lies, else 0
 *	guest-look eat MIB	touches so much memory, then waits
 *	guest-look await	waits for SIGTERM in sigwait(3), as small inits do, and ends with 7
 *	guest-look watch DIR	prints what inotify(7) tells of names that come, until it is killed
 */
#include <fcntl.h>
#include <linux/stat.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int dax(const char *path)
{
	struct statx st = {0};

	if (syscall(SYS_statx, AT_FDCWD, path, 0, STATX_BASIC_STATS, &st) < 0) {
		perror(path);
		return 1;
	}
	printf("%d\n", (st.stx_attributes & STATX_ATTR_DAX) != 0);
	return 0;
}

static int eat(const char *mib)
{
	size_t size = strtoul(mib, NULL, 10) << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
	printf("eaten\n");
	fflush(stdout);
	for (;;)
		pause();
}

static int await_term(void)
{
	sigset_t set;
	int signo;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	printf("waiting\n");
	fflush(stdout);
	return sigwait(&set, &signo) == 0 && signo == SIGTERM ? 7 : 1;
}

static int watch(const char *path)
{
	char buf[4096] __attribute__((aligned(8)));
	int fd = inotify_init1(IN_CLOEXEC);
	ssize_t n;

	if (fd < 0 || inotify_add_watch(fd, path, IN_CREATE | IN_MOVED_TO) < 0) {
		perror(path);
		return 1;
	}
	printf("watching\n");
	fflush(stdout);
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const void *)(buf + at);

			printf("came %s\n", e->len ? e->name : "");
			at += (ssize_t)(sizeof(*e) + e->len);
		}
		fflush(stdout);
	}
	return 1;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "dax") == 0)
		return dax(argv[2]);
	if (argc == 3 && strcmp(argv[1], "eat") == 0)
		return eat(argv[2]);
	if (argc == 2 && strcmp(argv[1], "await") == 0)
		return await_term();
	if (argc == 3 && strcmp(argv[1], "watch") == 0)
		return watch(argv[2]);
	fprintf(stderr, "usage: guest-look dax FILE | eat MIB | await | watch DIR\n");
	return 2;
}
