/* SPDX-License-Identifier: Apache-2.0 */
/* log_port: one connection, the latest. */
#include "guest/agent/log_port.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest/agent/port.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"

struct log_port {
	struct loop *loop;
	struct agent_port *port;
	int fd; /* -1: nobody is connected */
	struct loop_source *source;
};

static void disconnect(struct log_port *p)
{
	log_set_fd(2);
	loop_source_free(p->source);
	p->source = NULL;
	close_fd(&p->fd);
}

/* The host says nothing here: what arrives is its end. */
static void on_input(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct log_port *p = data;
	char drop[256];
	ssize_t n = read(fd, drop, sizeof(drop));

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		disconnect(p);
}

static void on_connection(int fd, uint32_t peer_port, void *data)
{
	struct log_port *p = data;

	disconnect(p);
	if (loop_add_fd(p->loop, fd, EPOLLIN, on_input, p, &p->source, NULL) < 0) {
		close(fd);
		return;
	}
	p->fd = fd;
	log_set_fd(fd);
}

int log_port_open(struct loop *loop, const char *server_addr, uint32_t port, struct log_port **out,
                  struct error *err)
{
	struct log_port *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return error_set(err, ENOMEM, "out of memory for the log port");
	p->loop = loop;
	p->fd = -1;
	r = agent_port_open(loop, server_addr, port, on_connection, p, &p->port, err);
	if (r < 0) {
		free(p);
		return r;
	}
	*out = p;
	return 0;
}

void log_port_close(struct log_port *p)
{
	if (!p)
		return;
	disconnect(p);
	agent_port_close(p->port);
	free(p);
}
