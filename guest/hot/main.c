/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kihon-hot: says which files of the root a guest's start-up reads.
 *
 * Process 1 of a guest that is booted for this only. A child stays behind while process 1
 * becomes the root's own first process ($KIHON_HOT_INIT, else what the kernel would take). When
 * all processes have been at rest for a while, the child asks the kernel what of each file is in
 * memory (mincore(2): the root is on a block device, without DAX), prints
 *
 *	kihon-hot file RESIDENT PAGES PATH	for each with a page in memory
 *	kihon-hot end FILES
 *
 * and ends the machine.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define PAGE         4096u
#define CHUNK        ((size_t)64 << 20) /* of a file, looked at together */
#define POLL_MS      100
#define REST_POLLS   20  /* as many without work are rest */
#define MAX_POLLS    600 /* a guest that never rests is looked at in the end, too */
#define KTHREADD_PID 2

static void say(const char *text)
{
	(void)fs_write_all(STDOUT_FILENO, text, strlen(text));
}

/* ---------------------------------------------------------------- rest */

struct activity {
	uint64_t ticks;
	unsigned int processes;
};

/* Adds the time of one process; kernel threads are none of ours. */
static void add_process(const char *pid, struct activity *a)
{
	char path[64], text[512] = "";
	unsigned long user = 0, system = 0;
	const char *rest;
	_cleanup_close_ int fd = -1;
	int parent = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%.16s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	/* The name, in brackets, may hold anything: proc(5). */
	rest = n > 0 ? strrchr(text, ')') : NULL;
	if (!rest || sscanf(rest, ") %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &parent,
	                    &user, &system) != 3)
		return;
	if (parent == KTHREADD_PID || atoi(pid) == KTHREADD_PID || atoi(pid) == getpid())
		return;
	a->ticks += user + system;
	a->processes++;
}

static struct activity look(void)
{
	_cleanup_closedir_ DIR *d = opendir("/proc");
	struct activity a = {0};
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (isdigit((unsigned char)e->d_name[0]))
			add_process(e->d_name, &a);
	return a;
}

static void wait_for_rest(void)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
	struct activity last = {0};

	for (int polls = 0, still = 0; polls < MAX_POLLS && still < REST_POLLS; polls++) {
		struct activity now = look();

		still = now.processes && now.ticks == last.ticks && now.processes == last.processes
		            ? still + 1
		            : 0;
		last = now;
		nanosleep(&pause, NULL);
	}
}

/* ---------------------------------------------------------------- files */

struct listing {
	struct stat self;
	unsigned int files;
};

static uint64_t resident_pages(int fd, uint64_t size)
{
	static unsigned char pages[CHUNK / PAGE];
	uint64_t n = 0;

	for (uint64_t at = 0; at < size; at += CHUNK) {
		size_t len = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
		void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, (off_t)at);

		if (map == MAP_FAILED)
			return n;
		if (mincore(map, len, pages) == 0)
			for (size_t i = 0; i < (len + PAGE - 1) / PAGE; i++)
				n += pages[i] & 1;
		munmap(map, len);
	}
	return n;
}

static bool printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static int show_file(int dirfd, const char *name, const struct stat *st, void *data)
{
	struct listing *l = data;
	char link[64], path[4096], line[4096 + 64];
	_cleanup_close_ int fd = -1;
	uint64_t n;
	ssize_t len;

	if (!S_ISREG(st->st_mode) || !st->st_size ||
	    (st->st_dev == l->self.st_dev && st->st_ino == l->self.st_ino))
		return 0;
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	n = fd < 0 ? 0 : resident_pages(fd, (uint64_t)st->st_size);
	if (!n)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len <= 0)
		return 0;
	path[len] = '\0';
	/* A list has a line a path: such a name cannot be in one. */
	if (!printable(path))
		return 0;
	snprintf(line, sizeof(line), "kihon-hot file %llu %llu %s\n", (unsigned long long)n,
	         (unsigned long long)(st->st_size + PAGE - 1) / PAGE, path);
	say(line);
	l->files++;
	return 0;
}

/* ---------------------------------------------------------------- both processes */

/* The root as it is, whatever process 1 mounts over it. */
static void own_view(void)
{
	if (unshare(CLONE_NEWNS) == 0)
		(void)mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (mount("proc", "/proc", "proc", 0, NULL) < 0)
		say("kihon-hot failed: cannot mount /proc\n");
}

static void __attribute__((noreturn)) watch(void)
{
	struct listing l = {0};
	char line[64];

	own_view();
	wait_for_rest();
	(void)stat("/proc/self/exe", &l.self);
	if (fs_walk_tree(AT_FDCWD, "/", show_file, &l) < 0)
		say("kihon-hot failed: cannot list the root\n");
	snprintf(line, sizeof(line), "kihon-hot end %u\n", l.files);
	say(line);
	(void)tcdrain(STDOUT_FILENO);
	/* This folder exists only where the machine has ACPI to be powered off by. */
	(void)mount("sysfs", "/sys", "sysfs", 0, NULL);
	if (access("/sys/firmware/acpi/tables", F_OK) == 0)
		(void)reboot(RB_POWER_OFF);
	(void)reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static void start_init(void)
{
	static const char *const usual[] = {"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"};
	const char *wanted = getenv("KIHON_HOT_INIT");

	if (!str_empty(wanted)) {
		_cleanup_free_ char *path = strdup(wanted);

		unsetenv("KIHON_HOT_INIT");
		if (path)
			execv(path, (char *[]){path, NULL});
		return;
	}
	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++)
		execv(usual[i], (char *[]){(char *)usual[i], NULL});
}

int main(void)
{
	if (getpid() != 1) {
		fprintf(stderr, "kihon-hot: only the first process of a guest may be this program; "
		                "see kata-image-tool build --hot\n");
		return 2;
	}
	if (fork() == 0)
		watch();
	start_init();
	say("kihon-hot failed: the root has no first process\n");
	(void)tcdrain(STDOUT_FILENO);
	(void)reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
