/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_listen: "hybrid vsock", the unix-socket side of a guest's vsock. */
#include "vsock_listen.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/str.h"

/* "connect 4294967295\n" */
#define LINE_MAX_BYTES 32
#define PORT_DIGITS    10

struct client {
	struct vsock_listener *listener;
	struct client *next;
	struct loop_source *src;
	int fd;
	uint64_t deadline;
};

struct vsock_listener {
	struct loop *loop;
	struct loop_source *src, *timer; /* timer: NULL while there are no clients */
	vsock_open_fn open;
	void *data;
	struct client *clients;
	unsigned int n_clients;
};

int vsock_parse_connect(const char *line, size_t size, uint32_t *port)
{
	static const char verb[] = "CONNECT ";
	char digits[PORT_DIGITS + 1];
	size_t skip = sizeof(verb) - 1;

	if (size <= skip || strncasecmp(line, verb, skip) != 0 || size - skip > PORT_DIGITS)
		return -EINVAL;
	memcpy(digits, line + skip, size - skip);
	digits[size - skip] = '\0';
	return strlen(digits) == size - skip && parse_u32(digits, port) == 0 ? 0 : -EINVAL;
}

/* Closes the client's socket unless it was handed on (fd -1). */
static void client_free(struct client *c)
{
	struct client **p = &c->listener->clients;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	c->listener->n_clients--;
	loop_source_free(c->src);
	close_fd(&c->fd);
	free(c);
}

/* Looks at the line without taking it, so that not a byte after it is taken: what follows
 * belongs to the guest. 1: a whole line, taken; 0: not yet; negative: wrong or gone. */
static int take_line(int fd, uint32_t *port)
{
	char line[LINE_MAX_BYTES];
	ssize_t n = recv(fd, line, sizeof(line), MSG_PEEK | MSG_DONTWAIT);
	const char *end;
	size_t size;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	end = memchr(line, '\n', (size_t)n);
	if (!end)
		return n == 0 || n == (ssize_t)sizeof(line) ? -EINVAL : 0;
	size = (size_t)(end - line);
	if (recv(fd, line, size + 1, MSG_DONTWAIT) != (ssize_t)size + 1)
		return -EIO;
	if (size > 0 && line[size - 1] == '\r')
		size--;
	return vsock_parse_connect(line, size, port) < 0 ? -EINVAL : 1;
}

static void client_event(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct client *c = data;
	uint32_t port = 0;
	int r = take_line(fd, &port);

	if (r == 0 && !(events & (EPOLLHUP | EPOLLERR)))
		return;
	if (r == 1) {
		struct vsock_listener *l = c->listener;
		int taken = steal_fd(&c->fd);

		loop_source_free(c->src);
		c->src = NULL;
		client_free(c);
		if (l->open(l->data, taken, port) < 0)
			close(taken);
		return;
	}
	client_free(c);
}

static void sweep(struct loop_source *src, void *data)
{
	struct vsock_listener *l = data;
	uint64_t now = loop_now_ms();

	for (struct client *c = l->clients, *next; c; c = next) {
		next = c->next;
		if (c->deadline <= now)
			client_free(c);
	}
	if (l->clients) {
		loop_set_timer(src, 1000);
	} else {
		loop_source_free(l->timer);
		l->timer = NULL;
	}
}

static void add_client(struct vsock_listener *l, int fd)
{
	struct client *c = l->n_clients < VSOCK_CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;

	if (!c) {
		close(fd);
		return;
	}
	c->listener = l;
	c->fd = fd;
	c->deadline = loop_now_ms() + VSOCK_CLIENT_TIMEOUT;
	c->next = l->clients;
	l->clients = c;
	l->n_clients++;
	if (loop_add_fd(l->loop, fd, EPOLLIN, client_event, c, &c->src, NULL) < 0) {
		client_free(c);
		return;
	}
	if (!l->timer)
		loop_add_timer(l->loop, 1000, sweep, l, &l->timer, NULL);
}

static void listen_event(struct loop_source *src, int fd, uint32_t events, void *data)
{
	int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (client >= 0)
		add_client(data, client);
}

int vsock_listener_new(struct vsock_listener **out, struct loop *loop, int listen_fd,
                       vsock_open_fn open, void *data, struct error *err)
{
	struct vsock_listener *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return error_set(err, ENOMEM, "no memory for the vsock listener");
	l->loop = loop;
	l->open = open;
	l->data = data;
	r = loop_add_fd(loop, listen_fd, EPOLLIN, listen_event, l, &l->src, err);
	if (r < 0) {
		free(l);
		return r;
	}
	*out = l;
	return 0;
}

void vsock_listener_free(struct vsock_listener *l)
{
	if (!l)
		return;
	while (l->clients)
		client_free(l->clients);
	loop_source_free(l->timer);
	loop_source_free(l->src);
	free(l);
}

/* ---- socket addresses */

static int fill_address(struct sockaddr_un *a, const char *path, const char *suffix)
{
	int n;

	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(a->sun_path, sizeof(a->sun_path), "%s%s", path, suffix);
	return n < 0 || (size_t)n >= sizeof(a->sun_path) ? -ENAMETOOLONG : 0;
}

int vsock_bind(const char *path, struct error *err)
{
	struct sockaddr_un a;
	_cleanup_close_ int fd = -1;
	mode_t old;
	int r;

	if (fill_address(&a, path, "_4294967295") < 0)
		return error_set_kind(err, ERROR_ENVIRONMENT, ENAMETOOLONG,
		                      "the socket path %s is too long (at most %zu bytes): choose "
		                      "a shorter runtime folder",
		                      path, sizeof(a.sun_path) - PORT_DIGITS - 2);
	fill_address(&a, path, "");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(err, errno, "making a unix socket");
	old = umask(0177);
	r = bind(fd, (struct sockaddr *)&a, sizeof(a));
	umask(old);
	if (r < 0 || listen(fd, 128) < 0)
		return error_errno(err, errno, "listening on %s", path);
	return steal_fd(&fd);
}

int vsock_connect_path(const char *path, uint32_t port)
{
	struct sockaddr_un a;
	_cleanup_close_ int fd = -1;
	char suffix[PORT_DIGITS + 2];

	snprintf(suffix, sizeof(suffix), "_%" PRIu32, port);
	if (fill_address(&a, path, suffix) < 0)
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* A unix socket connects at once or not at all; EAGAIN is a full backlog. */
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	return steal_fd(&fd);
}
