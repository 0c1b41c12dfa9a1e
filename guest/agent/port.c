/* SPDX-License-Identifier: Apache-2.0 */
/* port: listening beside the agent's own address. */
#include "guest/agent/port.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "lib/base/cleanup.h"
#include "lib/rpc/address.h"

#define MAX_WAITING 64 /* accepted in one turn */

struct agent_port {
	int fd;
	struct loop_source *source;
	agent_port_fn fn;
	void *data;
};

static uint32_t port_of(const struct sockaddr_storage *ss, socklen_t len)
{
	const struct sockaddr_vm *vm = (const void *)ss;
	const struct sockaddr_un *un = (const void *)ss;
	size_t n, i;

	if (ss->ss_family == AF_VSOCK)
		return vm->svm_port;
	n = len > offsetof(struct sockaddr_un, sun_path)
	        ? len - offsetof(struct sockaddr_un, sun_path)
	        : 0;
	for (i = n; i > 0 && un->sun_path[i - 1] >= '0' && un->sun_path[i - 1] <= '9'; i--)
		;
	return (uint32_t)strtoul(n ? un->sun_path + i : "0", NULL, 10);
}

void agent_port_accept(struct agent_port *port)
{
	for (int i = 0; i < MAX_WAITING; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss) - 1;
		int fd;

		memset(&ss, 0, sizeof(ss)); /* a unix name need not end in NUL */
		fd = accept4(port->fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		port->fn(fd, port_of(&ss, len), port->data);
	}
}

static void on_connection(struct loop_source *src, int fd, uint32_t events, void *data)
{
	agent_port_accept(data);
}

static int make_address(const char *server_addr, uint32_t port, struct rpc_address *out,
                        struct error *err)
{
	char text[300];
	int r = rpc_address_parse(server_addr, out, err);

	if (r < 0)
		return r;
	if (out->kind == RPC_ADDRESS_VSOCK)
		snprintf(text, sizeof(text), "vsock://-1:%u", port);
	else
		snprintf(text, sizeof(text), "unix://%s.%u", out->path, port);
	return rpc_address_parse(text, out, err);
}

int agent_port_open(struct loop *loop, const char *server_addr, uint32_t port, agent_port_fn fn,
                    void *data, struct agent_port **out, struct error *err)
{
	struct agent_port *p = calloc(1, sizeof(*p));
	struct rpc_address address;
	int r;

	if (!p)
		return error_set(err, ENOMEM, "out of memory for port %u", port);
	p->fn = fn;
	p->data = data;
	r = make_address(server_addr, port, &address, err);
	if (r == 0) {
		p->fd = r = rpc_listen(&address, err);
		if (r >= 0)
			r = loop_add_fd(loop, p->fd, EPOLLIN, on_connection, p, &p->source, err);
		if (r < 0)
			close_fd(&p->fd);
	}
	if (r < 0) {
		free(p);
		return r;
	}
	*out = p;
	return 0;
}

void agent_port_close(struct agent_port *port)
{
	if (!port)
		return;
	loop_source_free(port->source);
	close_fd(&port->fd);
	free(port);
}
