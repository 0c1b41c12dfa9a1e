/* SPDX-License-Identifier: Apache-2.0 */
/* control: asking the built-in monitor of a guest that runs to change its machine. */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

#define BACKLOG   8
#define TIMEOUT_S 30

static int fill_address(struct sockaddr_un *a, const char *path, struct error *err)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	if ((size_t)snprintf(a->sun_path, sizeof(a->sun_path), "%s", path) >= sizeof(a->sun_path))
		return error_set_kind(err, ERROR_ENVIRONMENT, ENAMETOOLONG,
		                      "the socket path %s is too long", path);
	return 0;
}

int control_bind(const char *path, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un a;
	mode_t old;
	int r = fill_address(&a, path, err);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(err, errno, "making a unix socket");
	old = umask(0177);
	r = bind(fd, (struct sockaddr *)&a, sizeof(a));
	umask(old);
	if (r < 0 || listen(fd, BACKLOG) < 0)
		return error_errno(err, errno, "listening on %s", path);
	return steal_fd(&fd);
}

static int dial(const char *runtime_dir, struct error *err)
{
	const struct timeval limit = {.tv_sec = TIMEOUT_S};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;
	char path[sizeof(a.sun_path) + 1];
	int r;

	if (fd < 0)
		return error_errno(err, errno, "making a unix socket");
	snprintf(path, sizeof(path), "%s/" CONTROL_SOCKET, runtime_dir);
	r = fill_address(&a, path, err);
	if (r < 0)
		return r;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return error_set_kind(err, ERROR_INPUT, ENOTSUP,
		                      "this guest cannot be changed while it runs: only the "
		                      "built-in monitor's can");
	return steal_fd(&fd);
}

static int send_request(int s, const struct control_request *request, int fd, struct error *err)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)request, sizeof(*request)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *c = &control.align;

		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	if (sendmsg(s, &msg, MSG_NOSIGNAL) < 0)
		return error_errno(err, errno, "asking the guest's monitor");
	return 0;
}

int control_ask(const char *runtime_dir, const struct control_request *request, int fd,
                struct control_answer *answer, struct error *err)
{
	_cleanup_close_ int s = dial(runtime_dir, err);
	ssize_t n;
	int r;

	if (s < 0)
		return s;
	r = send_request(s, request, fd, err);
	if (r < 0)
		return r;
	n = recv(s, answer, sizeof(*answer), 0);
	if (n < 0 && errno == EAGAIN)
		return error_set(err, ETIMEDOUT, "the guest's monitor did not answer in %d s",
		                 TIMEOUT_S);
	if (n < 0)
		return error_errno(err, errno, "waiting for the guest's monitor");
	if (n != (ssize_t)sizeof(*answer))
		return error_set(err, EPROTO,
		                 "the guest's monitor ended, or is of another version");
	answer->text[sizeof(answer->text) - 1] = '\0';
	if (answer->result < 0)
		return error_set_kind(err, answer->kind == ERROR_USAGE ? ERROR_USAGE : ERROR_INPUT,
		                      -answer->result, "%s", answer->text);
	return 0;
}

int control_check_id(const char *id, struct error *err)
{
	size_t n = strnlen(id, CONTROL_ID_MAX + 1);

	if (n == 0 || n > CONTROL_ID_MAX || *id == '.' ||
	    id[strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")])
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "an id has 1 to %d letters, digits, '-', '_' and '.'",
		                      CONTROL_ID_MAX);
	return 0;
}

const char *control_kind_name(enum control_kind kind)
{
	static const char *const names[CONTROL_KINDS] = {"disk", "pmem", "fs", "user", "tap"};

	return names[kind];
}
