/* SPDX-License-Identifier: Apache-2.0 */
/* exit_port: finds the virtio console port by its name and writes one line. */
#include "exit_port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"

#define RETRY_MS 10

static bool port_has_name(int ports, const char *port, const char *name)
{
	char path[300], text[64] = "";
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (snprintf(path, sizeof(path), "%s/name", port) >= (int)sizeof(path))
		return false;
	fd = openat(ports, path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (n < 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return strcmp(text, name) == 0;
}

/* 0 and the folder's name, which is the device's too; 1 when there are no ports at all; -ENOENT
 * when none (yet) has the name. */
static int find_port(const char *sysfs, char *out, size_t room)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[300];
	struct dirent *e;
	bool any = false;

	if (snprintf(path, sizeof(path), "%s/class/virtio-ports", sysfs) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	dir = opendir(path);
	if (!dir)
		return 1;
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		any = true;
		if (strlen(e->d_name) < room &&
		    port_has_name(dirfd(dir), e->d_name, EXIT_PORT_NAME)) {
			strcpy(out, e->d_name);
			return 0;
		}
	}
	return any ? -ENOENT : 1;
}

static void nap(void)
{
	struct timespec ts = {.tv_nsec = RETRY_MS * 1000000L};

	(void)nanosleep(&ts, NULL);
}

/* POLLHUP is what a port shows until the host has opened its end. */
static int wait_for_host(int fd, uint64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		int r = poll(&p, 1, RETRY_MS);

		if (r > 0 && p.revents & POLLOUT && !(p.revents & (POLLHUP | POLLERR)))
			return 0;
		if (loop_now_ms() >= deadline)
			return -ETIMEDOUT;
		if (r != 0)
			nap();
	}
}

int exit_port_report(const char *sysfs, const char *dev, int status, uint64_t ms, struct error *err)
{
	uint64_t deadline = loop_now_ms() + ms;
	_cleanup_close_ int fd = -1;
	char name[64], path[300], line[32];
	int r;

	/* The name comes in a control message after the port itself, so it may be a moment late. */
	while ((r = find_port(sysfs, name, sizeof(name))) == -ENOENT && loop_now_ms() < deadline)
		nap();
	if (r == 1 || r == -ENOENT)
		return 1;
	if (r < 0)
		return error_set(err, -r, "find the port " EXIT_PORT_NAME);
	if (snprintf(path, sizeof(path), "%s/%s", dev, name) >= (int)sizeof(path))
		return error_set(err, ENAMETOOLONG, "find the port " EXIT_PORT_NAME);
	/* One process at a time has a port open; a killed one lets go of it a moment later. */
	while ((fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) < 0 &&
	       errno == EBUSY && loop_now_ms() < deadline)
		nap();
	if (fd < 0)
		return error_errno(err, errno, "open %s (" EXIT_PORT_NAME ")", path);
	r = wait_for_host(fd, deadline);
	if (r < 0)
		return error_errno(err, -r, "wait for the host to open " EXIT_PORT_NAME);
	/* A blocking write to a port returns when the host has taken the bytes; with O_NONBLOCK
	 * they might still lie in the queue when the machine ends. */
	if (fs_set_nonblock(fd, false) < 0)
		return error_errno(err, errno, "write to " EXIT_PORT_NAME);
	r = snprintf(line, sizeof(line), "exit %d\n", status & 0xff);
	r = fs_write_all(fd, line, (size_t)r);
	return r < 0 ? error_errno(err, -r, "write to " EXIT_PORT_NAME) : 0;
}
