/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dax-probe: PID 1 of a test guest; tells whether the files of its root are mapped without a copy,
 * and from where EROFS can be mounted. A line a fact, then `dax-probe end`:
 *
 *	dax-probe root OPTIONS					of / in /proc/mounts
 *	dax-probe file NAME size BYTES dax 0|1 crc32 HEX	each file below /data, read by its
 *mapping dax-probe pass NAME cached N free N tables N vmpte N faults N rss N flags FLAG... what one
 *use of files changed, in KiB (free: how much less memory is free) dax-probe erofs-from PLACE ok |
 *REASON			an EROFS image in a file of PLACE
 *
 * It finds /data/big (a multiple of 2 MiB, of which the passes huge, pte and read are), other files
 * there, /fs/hello.erofs with a file `hello`, and /fs/disk.ext4 with a copy of that image.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#define PAGE      4096u
#define HUGE_PAGE ((size_t)2 << 20)

struct counters {
	long cached, free, tables, vmpte, faults;
};

/* musl 1.2.3 has no statx(): the fields asked of the kernel's structure. */
struct statx_head {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t rest[60];
};
#define ATTRIBUTE_DAX 0x00200000u

static volatile uint8_t sink;

static long field(const char *path, const char *key)
{
	FILE *f = fopen(path, "re");
	char line[256];
	long value = -1;

	while (f && value < 0 && fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtol(line + strlen(key), NULL, 10);
	}
	if (f)
		fclose(f);
	return value;
}

/* Page counters are kept a processor and folded now and then: this folds them. */
static void fold_counters(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!write(fd, "1", 1);
		close(fd);
	}
}

static struct counters count(void)
{
	struct rusage ru;
	struct counters c;

	fold_counters();
	c.cached = field("/proc/meminfo", "Cached:");
	c.free = field("/proc/meminfo", "MemFree:");
	c.tables = field("/proc/meminfo", "PageTables:");
	c.vmpte = field("/proc/self/status", "VmPTE:");
	getrusage(RUSAGE_SELF, &ru);
	c.faults = ru.ru_minflt + ru.ru_majflt;
	return c;
}

/* Rss and VmFlags of the mapping that begins at ADDRESS. */
static long mapping_rss(const void *address, char *flags, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512], start[32];
	bool inside = false;
	long rss = -1;

	flags[0] = '\0';
	snprintf(start, sizeof(start), "%lx-", (unsigned long)(uintptr_t)address);
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, start, strlen(start)) == 0)
			inside = true;
		else if (inside && strncmp(line, "Rss:", 4) == 0)
			rss = strtol(line + 4, NULL, 10);
		else if (inside && strncmp(line, "VmFlags: ", 9) == 0) {
			snprintf(flags, size, "%.*s", (int)strcspn(line + 9, "\n"), line + 9);
			break;
		}
	}
	if (f)
		fclose(f);
	return rss;
}

static void report(const char *pass, const struct counters *before, const void *mapping)
{
	struct counters now = count();
	char flags[256] = "";
	long rss = mapping ? mapping_rss(mapping, flags, sizeof(flags)) : 0;

	printf("dax-probe pass %s cached %ld free %ld tables %ld vmpte %ld faults %ld rss %ld "
	       "flags %s\n",
	       pass, now.cached - before->cached, before->free - now.free,
	       now.tables - before->tables, now.vmpte - before->vmpte, now.faults - before->faults,
	       rss, flags);
}

static void failed(const char *what)
{
	printf("dax-probe failed %s: %s\n", what, strerror(errno));
}

static void touch(const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i += PAGE)
		sink = p[i];
}

/* Maps all of FD at an address that is SHIFT above a 2 MiB boundary: a file that lies on such
 * boundaries can only be mapped by huge pages with SHIFT 0. The room round it stays reserved. */
static const uint8_t *map_shifted(int fd, size_t size, size_t shift)
{
	uint8_t *room =
	    mmap(NULL, size + 2 * HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t at = ((uintptr_t)room + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);

	if (room == MAP_FAILED)
		return MAP_FAILED;
	return mmap((uint8_t *)at + shift, size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
}

static int open_sized(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		failed(path);
		return -1;
	}
	*size = (size_t)st.st_size;
	return fd;
}

static void pass_mapped(const char *name, size_t shift)
{
	struct counters before;
	const uint8_t *p;
	size_t size;
	int fd = open_sized("/data/big", &size);

	if (fd < 0)
		return;
	p = map_shifted(fd, size, shift);
	close(fd);
	if (p == MAP_FAILED) {
		failed(name);
		return;
	}
	before = count();
	touch(p, size);
	report(name, &before, p);
}

static void pass_read(void)
{
	static uint8_t block[65536];
	struct counters before;
	ssize_t n = 0;
	size_t size;
	int fd = open_sized("/data/big", &size);

	if (fd < 0)
		return;
	before = count();
	while ((n = read(fd, block, sizeof(block))) > 0)
		sink = block[0];
	close(fd);
	if (n < 0)
		failed("read");
	report("read", &before, NULL);
}

/* CRC-32 of IEEE 802.3, as zlib and gzip have it. */
static uint32_t crc32_of(const uint8_t *p, size_t size)
{
	static uint32_t table[256];
	uint32_t crc = ~0u;

	for (uint32_t i = 0; i < 256 && !table[255]; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
		table[i] = c;
	}
	for (size_t i = 0; i < size; i++)
		crc = table[(crc ^ p[i]) & 0xff] ^ crc >> 8;
	return ~crc;
}

static bool is_dax(const char *path)
{
	struct statx_head st = {0};

	return syscall(SYS_statx, AT_FDCWD, path, 0, 0x7ff, &st) == 0 &&
	       (st.attributes & ATTRIBUTE_DAX);
}

static void one_file(const char *name)
{
	const uint8_t *p = NULL;
	char path[512];
	size_t size;
	int fd;

	snprintf(path, sizeof(path), "/data/%s", name);
	fd = open_sized(path, &size);
	if (fd < 0)
		return;
	if (size)
		p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED) {
		failed(path);
		return;
	}
	printf("dax-probe file %s size %zu dax %d crc32 %08x\n", name, size, is_dax(path),
	       crc32_of(p, size));
	if (size)
		munmap((void *)p, size);
}

static void pass_files(void)
{
	DIR *d = opendir("/data");
	struct counters before;
	struct dirent *e;

	if (!d) {
		failed("/data");
		return;
	}
	before = count();
	while ((e = readdir(d))) {
		if (e->d_type == DT_REG)
			one_file(e->d_name);
	}
	report("files", &before, NULL);
	closedir(d);
}

static void show_root(void)
{
	FILE *mounts = fopen("/proc/mounts", "re");
	char line[512], at[64], type[32], options[256];

	while (mounts && fgets(line, sizeof(line), mounts)) {
		if (sscanf(line, "%*s %63s %31s %255s", at, type, options) == 3 &&
		    strcmp(at, "/") == 0)
			printf("dax-probe root %s %s\n", type, options);
	}
	if (mounts)
		fclose(mounts);
}

/* ---- EROFS from a file */

static int copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	static char block[65536];
	ssize_t n = in < 0 || out < 0 ? -1 : 0;

	while (n >= 0 && (n = read(in, block, sizeof(block))) > 0) {
		if (write(out, block, (size_t)n) != n)
			n = -1;
	}
	close(in);
	close(out);
	return n < 0 ? -1 : 0;
}

/* A read-only loop device on a file; it goes with its last user, whose descriptor is returned. */
static int attach(const char *file, char *path, size_t size)
{
	struct loop_config config = {.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int image = open(file, O_RDONLY | O_CLOEXEC);
	int loop = -1, number = ioctl(control, LOOP_CTL_GET_FREE);

	snprintf(path, size, "/dev/loop%d", number);
	config.fd = (uint32_t)image;
	if (number >= 0 && image >= 0)
		loop = open(path, O_RDONLY | O_CLOEXEC);
	if (loop >= 0 && ioctl(loop, LOOP_CONFIGURE, &config) < 0) {
		close(loop);
		loop = -1;
	}
	close(control);
	close(image);
	return loop;
}

static void try_mount(const char *place, const char *prefix, const char *from)
{
	char text[8] = "";
	int fd;

	if (mount(from, "/tmp/at", "erofs", MS_RDONLY, NULL) < 0) {
		printf("dax-probe erofs-from %s%s %s\n", prefix, place, strerror(errno));
		return;
	}
	fd = open("/tmp/at/hello", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, 5) < 0)
		failed("hello");
	close(fd);
	printf("dax-probe erofs-from %s%s %s\n", prefix, place,
	       strcmp(text, "hello") == 0 ? "ok" : "wrong content");
	if (umount("/tmp/at") < 0)
		failed("umount");
}

static int prepare_places(void)
{
	static const char *const folders[] = {"/tmp/at",    "/tmp/ext4",   "/tmp/lower",
	                                      "/tmp/upper", "/tmp/work",   "/tmp/over",
	                                      "/tmp/over4", "/tmp/upper4", "/tmp/work4"};
	char loop[32];
	int fd;

	if (mount("tmpfs", "/tmp", "tmpfs", 0, NULL) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		mkdir(folders[i], 0755);
	fd = attach("/fs/disk.ext4", loop, sizeof(loop));
	if (fd < 0 || mount(loop, "/tmp/ext4", "ext4", MS_RDONLY, NULL) < 0)
		return -1;
	close(fd);
	if (copy("/fs/hello.erofs", "/tmp/lower/hello.erofs") < 0)
		return -1;
	if (mount("o", "/tmp/over", "overlay", 0,
	          "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work") < 0)
		return -1;
	return mount("o", "/tmp/over4", "overlay", 0,
	             "lowerdir=/tmp/ext4,upperdir=/tmp/upper4,workdir=/tmp/work4");
}

static void erofs_from_files(void)
{
	static const struct {
		const char *place, *file;
	} places[] = {
	    {"ext4", "/tmp/ext4/hello.erofs"},
	    {"tmpfs", "/tmp/lower/hello.erofs"},
	    {"overlay-tmpfs", "/tmp/over/hello.erofs"},
	    {"overlay-ext4", "/tmp/over4/hello.erofs"},
	    {"erofs", "/fs/hello.erofs"},
	};

	if (prepare_places() < 0) {
		failed("preparing files with EROFS");
		return;
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char loop[32];
		int fd;

		try_mount(places[i].place, "", places[i].file);
		fd = attach(places[i].file, loop, sizeof(loop));
		if (fd < 0)
			failed("loop");
		else
			try_mount(places[i].place, "loop-", loop);
		close(fd);
	}
}

int main(void)
{
	char words[2048] = "";
	int fd;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	(void)!read(fd, words, sizeof(words) - 1);
	close(fd);

	show_root();
	pass_mapped("huge", 0);
	pass_mapped("pte", PAGE);
	pass_read();
	pass_files();
	erofs_from_files();
	printf("dax-probe end\n");
	fflush(stdout);
	tcdrain(1);
	/* Without ACPI there is no power-off: docs/kernel.md. */
	reboot(strstr(words, "reboot=t") ? RB_AUTOBOOT : RB_POWER_OFF);
	for (;;)
		pause();
}
