/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock-guest: PID 1 of a guest that tests the vsock device from inside.
 *
 * Ports it listens on: 1024 echoes; 1025 counts what comes until the end and answers with
 * the count; 1026 reads "N\n" and sends N bytes; 1027 reads "P\n", connects to port P of the
 * host, and tells what came of it; 1028 powers the machine off.
 */
#include <errno.h>
#include <linux/vm_sockets.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <fcntl.h>

static char chunk[65536];

static void send_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n <= 0)
			return;
		data += n;
		size -= (size_t)n;
	}
}

static unsigned long read_number(int fd)
{
	char line[32] = "";

	for (size_t i = 0; i < sizeof(line) - 1 && read(fd, line + i, 1) == 1; i++)
		if (line[i] == '\n')
			break;
	return strtoul(line, NULL, 10);
}

static void echo(int fd)
{
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		send_all(fd, chunk, (size_t)n);
}

static void count(int fd)
{
	unsigned long long total = 0;
	char text[32];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		total += (unsigned long long)n;
	snprintf(text, sizeof(text), "%llu\n", total);
	send_all(fd, text, strlen(text));
}

static void source(int fd)
{
	unsigned long n = read_number(fd);

	memset(chunk, 'x', sizeof(chunk));
	while (n > 0) {
		size_t k = n < sizeof(chunk) ? n : sizeof(chunk);

		send_all(fd, chunk, k);
		n -= k;
	}
}

static void call_host(int fd)
{
	struct sockaddr_vm a = {.svm_family = AF_VSOCK,
	                        .svm_cid = VMADDR_CID_HOST,
	                        .svm_port = (unsigned int)read_number(fd)};
	int host = socket(AF_VSOCK, SOCK_STREAM, 0);
	char text[64];

	if (connect(host, (struct sockaddr *)&a, sizeof(a)) < 0) {
		snprintf(text, sizeof(text), "refused %d\n", errno);
	} else {
		send_all(host, "from the guest\n", 15);
		snprintf(text, sizeof(text), "connected\n");
	}
	close(host);
	send_all(fd, text, strlen(text));
}

static void power_off(int fd)
{
	tcdrain(1);
	reboot(RB_AUTOBOOT);
}

static const struct {
	unsigned int port;
	void (*serve)(int fd);
} services[] = {{1024, echo}, {1025, count}, {1026, source}, {1027, call_host}, {1028, power_off}};

static void serve(unsigned int port, void (*fn)(int fd))
{
	struct sockaddr_vm a = {
	    .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0) {
		printf("vsock-guest: port %u: %s\n", port, strerror(errno));
		_exit(1);
	}
	for (;;) {
		int client = accept(fd, NULL, NULL);

		if (client < 0)
			continue;
		if (fork() == 0) {
			fn(client);
			_exit(0);
		}
		close(client);
	}
}

int main(void)
{
	signal(SIGCHLD, SIG_IGN);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	int tty = open("/dev/console", O_RDWR);
	if (tty >= 0) {
		dup2(tty, 0);
		dup2(tty, 1);
		dup2(tty, 2);
	}
	setvbuf(stdout, NULL, _IONBF, 0);
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		if (fork() != 0)
			continue;
		signal(SIGCHLD, SIG_IGN);
		serve(services[i].port, services[i].serve);
	}
	printf("vsock-guest: ready\n");
	for (;;)
		pause();
}
