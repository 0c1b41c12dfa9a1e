/* SPDX-License-Identifier: Apache-2.0 */
/* address: parsing, listening and dialling, the hybrid handshake included. */
#include "lib/rpc/address.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "lib/base/cleanup.h"
#include "lib/base/loop.h"
#include "lib/base/str.h"

#define BACKLOG        128
#define HANDSHAKE_LINE 64u

/* ---- text */

static int parse_vsock(const char *rest, struct rpc_address *out)
{
	const char *colon = strrchr(rest, ':');
	char cid[16];

	if (!colon || (size_t)(colon - rest) >= sizeof(cid))
		return -EINVAL;
	memcpy(cid, rest, (size_t)(colon - rest));
	cid[colon - rest] = '\0';
	if (strcmp(cid, "-1") == 0)
		out->cid = VMADDR_CID_ANY;
	else if (parse_u32(cid, &out->cid) < 0)
		return -EINVAL;
	return parse_u32(colon + 1, &out->port);
}

static int copy_path(const char *path, size_t size, struct rpc_address *out)
{
	if (size < 2 || size >= sizeof(out->path) || (*path != '/' && *path != '@'))
		return -EINVAL;
	memcpy(out->path, path, size);
	out->path[size] = '\0';
	return 0;
}

static int parse_unix(const char *rest, struct rpc_address *out)
{
	return copy_path(rest, strlen(rest), out);
}

static int parse_hybrid(const char *rest, struct rpc_address *out)
{
	const char *colon = strrchr(rest, ':');

	if (!colon || parse_u32(colon + 1, &out->port) < 0)
		return -EINVAL;
	return copy_path(rest, (size_t)(colon - rest), out);
}

static const struct {
	const char *scheme;
	enum rpc_address_kind kind;
	int (*parse)(const char *rest, struct rpc_address *out);
} schemes[] = {
    {"vsock://", RPC_ADDRESS_VSOCK, parse_vsock},
    {"unix://", RPC_ADDRESS_UNIX, parse_unix},
    {"hvsock://", RPC_ADDRESS_HYBRID, parse_hybrid},
};

int rpc_address_parse(const char *text, struct rpc_address *out, struct error *err)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (!str_starts(text, schemes[i].scheme))
			continue;
		*out = (struct rpc_address){.kind = schemes[i].kind};
		if (schemes[i].parse(text + strlen(schemes[i].scheme), out) == 0)
			return 0;
		break;
	}
	return error_set_kind(
	    err, ERROR_INPUT, EINVAL,
	    "address \"%s\": expected vsock://CID:PORT, unix:///PATH (at most 107 "
	    "bytes), unix://@NAME or hvsock:///PATH:PORT",
	    text);
}

/* ---- sockets */

union any_sockaddr {
	struct sockaddr any;
	struct sockaddr_un un;
	struct sockaddr_vm vm;
};

static socklen_t to_sockaddr(const struct rpc_address *a, union any_sockaddr *sa)
{
	size_t n = strlen(a->path);

	memset(sa, 0, sizeof(*sa));
	if (a->kind == RPC_ADDRESS_VSOCK) {
		sa->vm.svm_family = AF_VSOCK;
		sa->vm.svm_cid = a->cid;
		sa->vm.svm_port = a->port;
		return sizeof(sa->vm);
	}
	sa->un.sun_family = AF_UNIX;
	memcpy(sa->un.sun_path, a->path, n);
	if (a->path[0] == '@') {
		sa->un.sun_path[0] = '\0';
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	}
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
}

static int open_socket(const struct rpc_address *a, struct error *err)
{
	int fd = socket(a->kind == RPC_ADDRESS_VSOCK ? AF_VSOCK : AF_UNIX,
	                SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return error_errno(err, errno, "a %s socket",
		                   a->kind == RPC_ADDRESS_VSOCK ? "vsock" : "unix");
	return fd;
}

/* For error messages. */
static void describe(const struct rpc_address *a, char *out, size_t size)
{
	if (a->kind == RPC_ADDRESS_VSOCK)
		snprintf(out, size, "vsock port %u", a->port);
	else
		snprintf(out, size, "%s", a->path);
}

/* A socket file that nobody listens on any more stands in the way: take it out. */
static void remove_stale(const struct rpc_address *a)
{
	_cleanup_close_ int fd = -1;

	if (a->kind != RPC_ADDRESS_UNIX || a->path[0] != '/')
		return;
	fd = rpc_dial(a, 1000, NULL);
	if (fd == -ECONNREFUSED)
		unlink(a->path);
}

int rpc_listen(const struct rpc_address *address, struct error *err)
{
	_cleanup_close_ int fd = -1;
	union any_sockaddr sa;
	socklen_t len = to_sockaddr(address, &sa);
	char where[128];

	describe(address, where, sizeof(where));
	if (address->kind == RPC_ADDRESS_HYBRID)
		return error_set(err, EINVAL, "%s: hvsock:// is for dialling", where);
	remove_stale(address);
	fd = open_socket(address, err);
	if (fd < 0)
		return fd;
	if (bind(fd, &sa.any, len) < 0 || listen(fd, BACKLOG) < 0)
		return error_errno(err, errno, "listening at %s", where);
	return steal_fd(&fd);
}

static int wait_for(int fd, short events, uint64_t end)
{
	struct pollfd p = {fd, events, 0};
	uint64_t now = loop_now_ms();
	int n;

	if (now >= end)
		return -ETIMEDOUT;
	n = poll(&p, 1, end - now > 60000 ? 60000 : (int)(end - now));
	if (n < 0 && errno != EINTR)
		return -errno;
	return 0;
}

static int finish_connect(int fd, uint64_t end)
{
	for (;;) {
		struct pollfd p = {fd, POLLOUT, 0};
		int r = wait_for(fd, POLLOUT, end), soerr = 0;
		socklen_t len = sizeof(soerr);

		if (r < 0)
			return r;
		if (poll(&p, 1, 0) == 0)
			continue;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &soerr, &len) < 0)
			return -errno;
		return -soerr;
	}
}

/* "CONNECT PORT\n", answered "OK ...\n"; read byte by byte, what follows is not ours. */
static int handshake(int fd, uint32_t port, uint64_t end)
{
	char line[HANDSHAKE_LINE];
	size_t n = 0;
	int len = snprintf(line, sizeof(line), "CONNECT %u\n", port), r;

	if (send(fd, line, (size_t)len, MSG_NOSIGNAL) != len)
		return -EPIPE;
	while (n < sizeof(line) - 1) {
		ssize_t got = recv(fd, line + n, 1, MSG_DONTWAIT);

		if (got == 0)
			return -ECONNREFUSED;
		if (got < 0) {
			if (errno != EAGAIN && errno != EINTR)
				return -errno;
			r = wait_for(fd, POLLIN, end);
			if (r < 0)
				return r;
			continue;
		}
		if (line[n++] == '\n')
			break;
	}
	line[n] = '\0';
	return strstr(line, "OK") ? 0 : -ECONNREFUSED;
}

int rpc_dial(const struct rpc_address *address, uint64_t timeout_ms, struct error *err)
{
	uint64_t end = loop_now_ms() + timeout_ms;
	_cleanup_close_ int fd = open_socket(address, err);
	union any_sockaddr sa;
	socklen_t len = to_sockaddr(address, &sa);
	char where[128];
	int r = 0;

	if (fd < 0)
		return fd;
	describe(address, where, sizeof(where));
	if (connect(fd, &sa.any, len) < 0)
		/* EAGAIN: a unix socket whose backlog is full */
		r = errno == EINPROGRESS ? finish_connect(fd, end) : -errno;
	if (r == 0 && address->kind == RPC_ADDRESS_HYBRID)
		r = handshake(fd, address->port, end);
	if (r < 0)
		return error_errno(err, -r, "connecting to %s", where);
	return steal_fd(&fd);
}
