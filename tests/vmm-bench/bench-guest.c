/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-guest: PID 1 of a guest whose devices are measured (tests/nested/steps/long-devices).
 *
 * It listens on port 5000 of vsock and of TCP (10.9.0.2). A connection begins with a letter and a
 * number (32 bits, little-endian): e echoes; s takes that many bytes and answers one; g sends that
 * many; d measures its disks and answers with lines of text; o powers off. Then it is closed.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT   5000
#define BLOCK  4096u
#define MIB    (1u << 20)
#define REGION (32u * MIB) /* of each disk */

static uint8_t chunk[MIB] __attribute__((aligned(4096)));

static int send_all(int fd, const void *data, size_t size)
{
	for (const uint8_t *at = data; size > 0;) {
		ssize_t n = write(fd, at, size);

		if (n <= 0)
			return -1;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

static void echo(int fd, uint32_t number)
{
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		if (send_all(fd, chunk, (size_t)n) < 0)
			return;
}

static void sink(int fd, uint32_t left)
{
	while (left > 0) {
		ssize_t n = read(fd, chunk, left < 65536 ? left : 65536);

		if (n <= 0)
			return;
		left -= (uint32_t)n;
	}
	send_all(fd, "!", 1);
}

static void source(int fd, uint32_t left)
{
	while (left > 0) {
		uint32_t n = left < 65536 ? left : 65536;

		if (send_all(fd, chunk, n) < 0)
			return;
		left -= n;
	}
}

static void power_off(int fd, uint32_t number)
{
	sync();
	reboot(RB_POWER_OFF);
	reboot(RB_AUTOBOOT);
}

/* ---- disks */

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The disk that may be written, or the one that may not: monitors number them as they like. */
static int open_disk(int writable)
{
	for (char name = 'a'; name <= 'c'; name++) {
		char path[32], ro = '?';
		int fd;

		snprintf(path, sizeof(path), "/sys/block/vd%c/ro", name);
		fd = open(path, O_RDONLY);
		if (fd < 0 || read(fd, &ro, 1) != 1 || (ro == '0') != writable) {
			close(fd);
			continue;
		}
		close(fd);
		snprintf(path, sizeof(path), "/dev/vd%c", name);
		return open(path, (writable ? O_RDWR : O_RDONLY) | O_DIRECT);
	}
	return -1;
}

static void random_reads(int fd, uint32_t n, uint32_t seed)
{
	while (n-- > 0) {
		seed = seed * 1664525 + 1013904223;
		if (pread(fd, chunk, BLOCK, (off_t)(seed >> 8) % (REGION / BLOCK) * BLOCK) != BLOCK)
			_exit(1);
	}
}

/* `depth` processes, which begin together; microseconds until the last has ended, 0: one failed. */
static uint64_t random_reads_at_once(int fd, uint32_t depth, uint32_t n)
{
	int gate[2], status, failed = 0;
	uint64_t start;
	char c;

	if (pipe(gate) < 0)
		return 0;
	for (uint32_t i = 0; i < depth; i++) {
		if (fork() != 0)
			continue;
		close(gate[1]);
		if (read(gate[0], &c, 1) == 0)
			random_reads(fd, n, i + 1);
		_exit(0);
	}
	close(gate[0]);
	usleep(200000);
	start = now_us();
	close(gate[1]);
	for (uint32_t i = 0; i < depth; i++)
		if (wait(&status) < 0 || status != 0)
			failed = 1;
	return failed ? 0 : now_us() - start;
}

static uint64_t in_order(int fd, int writing)
{
	uint64_t start = now_us();

	for (uint32_t at = 0; at < REGION; at += MIB) {
		ssize_t n = writing ? pwrite(fd, chunk, MIB, at) : pread(fd, chunk, MIB, at);

		if (n != MIB)
			return 0;
	}
	if (writing && fsync(fd) < 0)
		return 0;
	return now_us() - start;
}

static void disks(int fd, uint32_t n)
{
	static const struct {
		const char *name;
		uint32_t depth;
	} reads[] = {{"blk-rand-1", 1}, {"blk-rand-8", 8}};
	int ro = open_disk(0), rw = open_disk(1);

	signal(SIGCHLD, SIG_DFL);
	random_reads_at_once(ro, 1, n / 10);
	for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
		uint64_t us = random_reads_at_once(ro, reads[i].depth, n / reads[i].depth);

		dprintf(fd, "%s %llu\n", reads[i].name,
		        us ? (unsigned long long)n * 1000000 / us : 0);
	}
	for (int writing = 0; writing < 2; writing++) {
		uint64_t first = in_order(writing ? rw : ro, writing); /* pages are made */
		uint64_t us = first ? in_order(writing ? rw : ro, writing) : 0;

		dprintf(fd, "blk-%s %llu\n", writing ? "write" : "read",
		        us ? (REGION / 1024) * 1000000ull / us : 0);
	}
	close(ro);
	close(rw);
}

/* ---- connections */

static const struct {
	char letter;
	void (*serve)(int fd, uint32_t number);
} services[] = {{'e', echo}, {'s', sink}, {'g', source}, {'d', disks}, {'o', power_off}};

static void serve(int fd)
{
	uint8_t head[5];
	uint32_t n;

	if (recv(fd, head, sizeof(head), MSG_WAITALL) != sizeof(head))
		return;
	memcpy(&n, head + 1, sizeof(n));
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (services[i].letter == head[0])
			services[i].serve(fd, le32toh(n));
}

static void listen_on(int fd, const void *address, socklen_t size)
{
	int one = 1;

	if (fd < 0 || bind(fd, address, size) < 0 || listen(fd, 16) < 0) {
		perror("bench-guest");
		return;
	}
	for (;;) {
		int client = accept(fd, NULL, NULL);

		if (client < 0)
			continue;
		if (fork() == 0) {
			setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			serve(client);
			_exit(0);
		}
		close(client);
	}
}

/* Without such a device there is no eth0, and nobody to answer. */
static void interface_up(void)
{
	struct ifreq ifr = {.ifr_name = "eth0"};
	struct sockaddr_in *a = (struct sockaddr_in *)&ifr.ifr_addr;
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	a->sin_family = AF_INET;
	a->sin_addr.s_addr = inet_addr("10.9.0.2");
	ioctl(s, SIOCSIFADDR, &ifr);
	a->sin_addr.s_addr = inet_addr("255.255.255.0");
	ioctl(s, SIOCSIFNETMASK, &ifr);
	ifr.ifr_flags = IFF_UP;
	ioctl(s, SIOCSIFFLAGS, &ifr);
	close(s);
}

int main(void)
{
	struct sockaddr_vm v = {
	    .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = PORT};
	struct sockaddr_in t = {.sin_family = AF_INET, .sin_port = htons(PORT)};

	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mkdir("/sys", 0755);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	interface_up();
	if (fork() == 0)
		listen_on(socket(AF_VSOCK, SOCK_STREAM, 0), &v, sizeof(v));
	listen_on(socket(AF_INET, SOCK_STREAM, 0), &t, sizeof(t));
	for (;;)
		pause();
}
