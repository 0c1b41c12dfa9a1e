/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dax-guest: PID 1 that tells whether its root is mapped without a copy.
 *
 * Touches every page of /big (32 MiB) and prints how much the page cache and the page
 * tables grew, in KiB: "dax-guest: mount M statx S cached C pagetables P".
 */
#include <fcntl.h>
#include <linux/stat.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#define BIG_SIZE (32u << 20)
#define HUGE     (2u << 20)

static char text[16384];

static const char *slurp(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	close(fd);
	return text;
}

static long meminfo(const char *key)
{
	const char *at = strstr(slurp("/proc/meminfo"), key);

	return at ? atol(at + strlen(key)) : -1;
}

static int statx_says_dax(const char *path)
{
	struct statx st = {0};

	if (syscall(SYS_statx, AT_FDCWD, path, 0, STATX_BASIC_STATS, &st) < 0)
		return -1;
	return (st.stx_attributes & STATX_ATTR_DAX) != 0;
}

/* A mapping whose address is aligned as the file's place is, so that huge pages can be used. */
static const volatile uint8_t *map_big(int fd)
{
	uint8_t *room = mmap(NULL, BIG_SIZE + HUGE, PROT_NONE,
	                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *at = (uint8_t *)(((uintptr_t)room + HUGE - 1) & ~(uintptr_t)(HUGE - 1));

	return mmap(at, BIG_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
}

int main(void)
{
	const volatile uint8_t *p;
	long cached, tables;
	unsigned int sum = 0;
	int fd, mounted;

	mount("proc", "/proc", "proc", 0, NULL);
	mounted = strstr(slurp("/proc/mounts"), "dax=always") != NULL;
	fd = open("/big", O_RDONLY);
	p = map_big(fd);
	if (fd < 0 || p == MAP_FAILED) {
		printf("dax-guest: cannot map /big\n");
	} else {
		cached = meminfo("\nCached:");
		tables = meminfo("\nPageTables:");
		for (size_t i = 0; i < BIG_SIZE; i += 4096)
			sum += p[i];
		printf("dax-guest: mount %d statx %d cached %ld pagetables %ld sum %u\n", mounted,
		       statx_says_dax("/big"), meminfo("\nCached:") - cached,
		       meminfo("\nPageTables:") - tables, sum);
	}
	fflush(stdout);
	tcdrain(1);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
