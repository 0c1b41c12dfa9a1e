/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device-peer: device-peer ADDRESS VERB [N]: the host's side of bench-guest.c, and
 *the only clock of what goes through a connection. ADDRESS is tcp:IP or an address of
 *lib/rpc/address.h.
 *
 *	rtt N    one byte there and back, N times: the middle, in microseconds
 *	send N   N MiB to the guest, until it says that it has them: KiB a second
 *	receive N  the other way
 *	disk N   has the guest measure its disks with N reads; its lines
 *	off      ends the guest
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/rpc/address.h"

#define PORT      5000
#define PATIENCE  400u /* tries, a tenth of a second apart: the guest boots meanwhile */
#define RTT_MAX   10000u
#define LIMIT_S   100u /* of the whole program */
#define WARM_UP   20u
#define MIB_LIMIT 2048u

static uint8_t block[65536];

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int dial_tcp(const char *ip)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, saved;

	if (fd < 0 || inet_pton(AF_INET, ip, &a.sin_addr) != 1)
		return -EINVAL;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		return fd;
	}
	saved = errno;
	close(fd);
	return -saved;
}

static int dial(const char *text, struct error *err)
{
	struct rpc_address address;
	int fd = -EINVAL;

	if (!str_starts(text, "tcp:") && rpc_address_parse(text, &address, err) < 0)
		return -EINVAL;
	for (unsigned int try = 0; try < PATIENCE; try++) {
		struct timespec tenth = {.tv_nsec = 100000000};

		error_clear(err);
		fd = str_starts(text, "tcp:") ? dial_tcp(text + 4) : rpc_dial(&address, 2000, err);
		if (fd >= 0)
			break;
		nanosleep(&tenth, NULL);
	}
	if (fd < 0)
		return error_errno(err, -fd, "connecting to %s", text);
	return fs_set_nonblock(fd, false) < 0 ? -EINVAL : fd;
}

static int say(int fd, char letter, uint32_t number)
{
	uint8_t head[5] = {(uint8_t)letter};

	put_le32(head + 1, number);
	return fs_write_all(fd, head, sizeof(head));
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int round_trips(int fd, uint32_t n)
{
	static uint64_t times[RTT_MAX];

	if (n == 0 || n > RTT_MAX || say(fd, 'e', 0) < 0)
		return -1;
	for (uint32_t i = 0; i < n + WARM_UP; i++) {
		uint64_t start = now_us();

		if (write(fd, block, 1) != 1 || read(fd, block, 1) != 1)
			return -1;
		if (i >= WARM_UP)
			times[i - WARM_UP] = now_us() - start;
	}
	qsort(times, n, sizeof(times[0]), compare);
	printf("%llu\n", (unsigned long long)times[n / 2]);
	return 0;
}

static int send_bytes(int fd, size_t left)
{
	while (left > 0) {
		size_t n = left < sizeof(block) ? left : sizeof(block);

		if (fs_write_all(fd, block, n) < 0)
			return -1;
		left -= n;
	}
	return read(fd, block, 1) == 1 ? 0 : -1;
}

static int receive_bytes(int fd, size_t left)
{
	while (left > 0) {
		ssize_t n = read(fd, block, left < sizeof(block) ? left : sizeof(block));

		if (n <= 0)
			return -1;
		left -= (size_t)n;
	}
	return 0;
}

static int bulk(int fd, uint32_t mib, char letter, int (*move)(int fd, size_t left))
{
	uint64_t start = now_us();

	if (mib == 0 || mib > MIB_LIMIT || say(fd, letter, mib << 20) < 0 ||
	    move(fd, (size_t)mib << 20) < 0)
		return -1;
	printf("%llu\n", (unsigned long long)mib * 1024 * 1000000 / (now_us() - start));
	return 0;
}

static int receive(int fd, uint32_t mib)
{
	return bulk(fd, mib, 'g', receive_bytes);
}

static int send_all(int fd, uint32_t mib)
{
	return bulk(fd, mib, 's', send_bytes);
}

static int disk(int fd, uint32_t n)
{
	ssize_t got;

	if (say(fd, 'd', n) < 0)
		return -1;
	while ((got = read(fd, block, sizeof(block))) > 0)
		if (fs_write_all(STDOUT_FILENO, block, (size_t)got) < 0)
			return -1;
	return got < 0 ? -1 : 0;
}

static int off(int fd, uint32_t n)
{
	return say(fd, 'o', n);
}

static const struct {
	const char *name;
	int (*run)(int fd, uint32_t number);
} verbs[] = {
    {"rtt", round_trips}, {"send", send_all}, {"receive", receive}, {"disk", disk}, {"off", off},
};

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	uint32_t n = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
	int fd;

	if (argc < 3)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	alarm(LIMIT_S);
	fd = dial(argv[1], &err);
	if (fd < 0) {
		fprintf(stderr, "device-peer: %s\n", err.text);
		return 1;
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[2], verbs[i].name) != 0)
			continue;
		if (verbs[i].run(fd, n) == 0)
			return 0;
		fprintf(stderr, "device-peer: %s: the connection ended\n", argv[2]);
		return 1;
	}
	return 2;
}
