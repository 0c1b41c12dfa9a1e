/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices-init: PID 1 of a guest of tests/vmm-devices/vm-devices: does what the line on the virtio
 * console says and answers with a line: size, net, quit; anything else is echoed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define BYTES (8u << 20) /* sent through the network device */

static int console;

static void answer(const char *text)
{
	if (write(console, text, strlen(text)) < 0)
		perror("devices-init: hvc0");
}

static int interface_up(void)
{
	struct ifreq ifr = {.ifr_name = "eth0"};
	struct sockaddr_in *a = (struct sockaddr_in *)&ifr.ifr_addr;
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	a->sin_family = AF_INET;
	a->sin_addr.s_addr = inet_addr("10.9.0.2");
	if (s < 0 || ioctl(s, SIOCSIFADDR, &ifr) < 0)
		return -1;
	a->sin_addr.s_addr = inet_addr("255.255.255.0");
	if (ioctl(s, SIOCSIFNETMASK, &ifr) < 0)
		return -1;
	ifr.ifr_flags = IFF_UP;
	return ioctl(s, SIOCSIFFLAGS, &ifr);
}

/* Sends bytes and reads their sum: as the other side has it in the first 8, and as many back. */
static void use_network(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9)};
	static uint8_t block[65536];
	uint64_t sum = 0, theirs = 0, got = 0;
	char text[200];
	int s = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = inet_addr("10.9.0.1");
	if (interface_up() < 0 || s < 0 || connect(s, (struct sockaddr *)&a, sizeof(a)) < 0) {
		snprintf(text, sizeof(text), "net failed: %s\n", strerror(errno));
		answer(text);
		return;
	}
	for (uint32_t sent = 0; sent < BYTES; sent += sizeof(block)) {
		for (size_t i = 0; i < sizeof(block); i++) {
			block[i] = (uint8_t)(i * 31 + sent / sizeof(block));
			sum += block[i];
		}
		for (size_t at = 0; at < sizeof(block);) {
			ssize_t n = write(s, block + at, sizeof(block) - at);

			if (n <= 0) {
				answer("net failed: write\n");
				return;
			}
			at += (size_t)n;
		}
	}
	shutdown(s, SHUT_WR);
	if (recv(s, &theirs, sizeof(theirs), MSG_WAITALL) != sizeof(theirs) || theirs != sum) {
		answer("net failed: another sum\n");
		return;
	}
	for (ssize_t n; (n = read(s, block, sizeof(block))) > 0;)
		got += (uint64_t)n;
	snprintf(text, sizeof(text), "net ok %llu\n", (unsigned long long)got);
	answer(text);
}

/* A MiB of a pattern to the device at `offset`, and a flush. */
static int write_pattern(int fd, off_t offset)
{
	static uint8_t block[1 << 20];

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i * 13 + i / 4096);
	if (fd < 0 || pwrite(fd, block, sizeof(block), offset) != sizeof(block))
		return -1;
	return fsync(fd);
}

/* Writes, discards the third MiB, zeroes the fifth. */
static void use_disk(void)
{
	uint64_t discard[2] = {2 << 20, 1 << 20}, zero[2] = {4 << 20, 1 << 20};
	char text[200] = "disk failed\n", serial[32] = "";
	int fd = open("/dev/vda", O_RDWR), s = open("/sys/block/vda/serial", O_RDONLY);

	if (write_pattern(fd, 0) == 0 && ioctl(fd, BLKDISCARD, discard) == 0 &&
	    ioctl(fd, BLKZEROOUT, zero) == 0 && fsync(fd) == 0 && s >= 0 &&
	    read(s, serial, sizeof(serial) - 1) > 0)
		snprintf(text, sizeof(text), "disk ok %s\n", serial);
	answer(text);
}

static void use_pmem(void)
{
	int fd = open("/dev/pmem0", O_RDWR);

	answer(write_pattern(fd, 4096) == 0 && close(fd) == 0 ? "pmem ok\n" : "pmem failed\n");
}

static void act(const char *line)
{
	struct winsize w = {0};
	char text[300];

	if (strcmp(line, "net") == 0) {
		use_network();
	} else if (strcmp(line, "disk") == 0) {
		use_disk();
	} else if (strcmp(line, "pmem") == 0) {
		use_pmem();
	} else if (strcmp(line, "size") == 0) {
		ioctl(console, TIOCGWINSZ, &w);
		snprintf(text, sizeof(text), "size %ux%u\n", w.ws_col, w.ws_row);
		answer(text);
	} else if (strcmp(line, "quit") == 0) {
		reboot(RB_POWER_OFF);
	} else {
		snprintf(text, sizeof(text), "echo %s\n", line);
		answer(text);
	}
}

int main(void)
{
	struct termios t;
	char line[200];
	size_t n = 0;

	mount("dev", "/dev", "devtmpfs", 0, "");
	mkdir("/sys", 0755);
	mount("sys", "/sys", "sysfs", 0, "");
	console = open("/dev/hvc0", O_RDWR);
	if (console < 0) {
		perror("devices-init: /dev/hvc0");
		reboot(RB_POWER_OFF);
	}
	tcgetattr(console, &t);
	cfmakeraw(&t);
	tcsetattr(console, TCSANOW, &t);
	answer("ready\n");
	for (;;) {
		if (read(console, line + n, 1) != 1) {
			sleep(1);
			continue;
		}
		if (line[n] == '\n' || n == sizeof(line) - 2) {
			line[n] = '\0';
			n = 0;
			act(line);
		} else {
			n++;
		}
	}
}
