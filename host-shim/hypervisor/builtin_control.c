/* SPDX-License-Identifier: Apache-2.0 */
/* builtin_control: answers the requests of control.h, in the monitor's process. */
#include "host-shim/hypervisor/builtin_control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-shim/hypervisor/builtin_volumes.h"
#include "host-shim/hypervisor/control.h"
#include "host-shim/vmm/devices/balloon.h"

/* Connections without a request so far; the oldest makes room for one more. */
#define CLIENTS_MAX 8

struct client {
	struct control *control;
	int fd; /* -1: the place is free */
	struct loop_source *src;
};

struct control {
	struct monitor *m;
	struct builtin_volumes *volumes;
	struct loop_source *src;
	struct client clients[CLIENTS_MAX];
	unsigned int next; /* the place of the oldest */
};

/* ---- requests */

static uint64_t memory_now(const struct monitor *m)
{
	uint64_t size = vm_memory_size(m->vm), taken = 0;

	if (m->balloon)
		taken = balloon_device_actual(m->balloon);
	return taken < size ? size - taken : 0; /* the guest says what it took */
}

static int attach(struct control *c, const struct control_request *req, int *fd,
                  struct control_answer *a, struct error *err)
{
	return builtin_volumes_attach(c->volumes, req, fd, &a->value, err);
}

static int detach(struct control *c, const struct control_request *req, int *fd,
                  struct control_answer *a, struct error *err)
{
	return builtin_volumes_detach(c->volumes, req, err);
}

static int find(struct control *c, const struct control_request *req, int *fd,
                struct control_answer *a, struct error *err)
{
	return builtin_volumes_find(c->volumes, req, &a->value, err);
}

static int list(struct control *c, const struct control_request *req, int *fd,
                struct control_answer *a, struct error *err)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	builtin_volumes_list(c->volumes, req, &b);
	snprintf(a->text, sizeof(a->text), "%s", b.size ? buffer_cstr(&b) : "");
	return 0;
}

/* Less than it began with is the balloon's, more is the memory device's. */
static int resize(struct control *c, const struct control_request *req, int *fd,
                  struct control_answer *a, struct error *err)
{
	const struct hypervisor_config *config = c->m->config;
	uint64_t size = req->size, least = HYPERVISOR_MEMORY_MIN, balloon = 0;
	int r;

	if (config->memory_min)
		least = config->memory_min;
	if (size % (1u << 20) || size < least)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "a guest has whole MiB of memory, this one at least %llu",
		                      (unsigned long long)(least >> 20));
	if (size < config->memory) {
		if (!c->m->balloon)
			return error_set_kind(err, ERROR_USAGE, ENOTSUP,
			                      "less than the %llu MiB that the guest began with "
			                      "takes a balloon: it was started without --balloon",
			                      (unsigned long long)(config->memory >> 20));
		balloon = config->memory - size;
		size = config->memory;
	}
	r = vm_resize(c->m->vm, size, err);
	if (r < 0)
		return r;
	if (c->m->balloon)
		balloon_device_set_target(c->m->balloon, balloon);
	a->value = memory_now(c->m);
	return 0;
}

static int tell_memory(struct control *c, const struct control_request *req, int *fd,
                       struct control_answer *a, struct error *err)
{
	a->value = memory_now(c->m);
	return 0;
}

static int (*const verbs[CONTROL_VERBS])(struct control *c, const struct control_request *req,
                                         int *fd, struct control_answer *a, struct error *err) = {
    [CONTROL_ATTACH] = attach, [CONTROL_DETACH] = detach, [CONTROL_FIND] = find,
    [CONTROL_LIST] = list,     [CONTROL_RESIZE] = resize, [CONTROL_MEMORY] = tell_memory,
};

static void serve(struct control *c, struct control_request *req, size_t size, int *fd,
                  struct control_answer *a)
{
	struct error err = ERROR_INIT;
	int r;

	req->id[sizeof(req->id) - 1] = '\0';
	if (size != sizeof(*req) || req->version != CONTROL_VERSION || req->verb >= CONTROL_VERBS)
		r = error_set(&err, EPROTO, "the guest's monitor is of another version");
	else
		r = verbs[req->verb](c, req, fd, a, &err);
	if (r == 0)
		return;
	a->result = r;
	a->kind = err.kind;
	snprintf(a->text, sizeof(a->text), "%s", err.text);
}

/* ---- connections */

static void drop(struct client *client)
{
	loop_source_free(client->src);
	client->src = NULL;
	close_fd(&client->fd);
}

/* A message and the last descriptor that came with it, or -1. */
static ssize_t receive(int s, struct control_request *req, int *fd)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {req, sizeof(*req)};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = &control,
	                     .msg_controllen = CMSG_LEN(sizeof(int))};
	ssize_t n = recvmsg(s, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	*fd = -1;
	for (size_t i = 0;
	     c && c->cmsg_type == SCM_RIGHTS && CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len;
	     i++) {
		/* The kernel closes what there is no room for, and we any but the last. */
		close_fd(fd);
		memcpy(fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
	return n;
}

/* Who no longer waits has told a person that it failed. */
static bool is_there(int s)
{
	char none;

	return recv(s, &none, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void on_request(struct loop_source *src, int s, uint32_t events, void *data)
{
	static struct control_answer answer; /* larger than is good for a stack */
	struct client *client = data;
	struct control_request req = {0};
	_cleanup_close_ int fd = -1;
	ssize_t n = receive(s, &req, &fd);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && is_there(s)) {
		memset(&answer, 0, sizeof(answer));
		serve(client->control, &req, (size_t)n, &fd, &answer);
		/* Who asked may have gone. */
		n = send(s, &answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	drop(client);
}

static void on_connection(struct loop_source *src, int listener, uint32_t events, void *data)
{
	struct control *c = data;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client = &c->clients[c->next];

	if (fd < 0)
		return;
	c->next = (c->next + 1) % CLIENTS_MAX;
	drop(client);
	client->fd = fd;
	if (loop_add_fd(c->m->loop, fd, EPOLLIN, on_request, client, &client->src, NULL) < 0)
		drop(client);
}

int builtin_control_start(struct monitor *m, struct error *err)
{
	struct control *c;
	int r;

	if (m->fds->requests < 0)
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return error_set(err, ENOMEM, "no memory for requests");
	c->m = m;
	for (unsigned int i = 0; i < CLIENTS_MAX; i++)
		c->clients[i] = (struct client){.control = c, .fd = -1};
	r = builtin_volumes_new(&c->volumes, m, err);
	return r < 0 ? r
	             : loop_add_fd(m->loop, m->fds->requests, EPOLLIN, on_connection, c, &c->src,
	                           err);
}
