/* SPDX-License-Identifier: Apache-2.0 */
/* passfd: a short list, oldest first. */
#include "guest/agent/passfd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/agent/port.h"
#include "lib/base/log.h"

struct waiting {
	struct waiting *next;
	uint32_t port;
	int fd;
};

struct passfd {
	struct agent_port *listener;
	struct waiting *first;
	unsigned int n;
};

static int unlink_at(struct passfd *p, struct waiting **at)
{
	struct waiting *w = *at;
	int fd = w->fd;

	*at = w->next;
	p->n--;
	free(w);
	return fd;
}

static void on_connection(int fd, uint32_t peer_port, void *data)
{
	struct waiting *w = calloc(1, sizeof(*w)), **at;
	struct passfd *p = data;

	if (!w) {
		close(fd);
		return;
	}
	if (p->n >= PASSFD_MAX_WAITING)
		close(unlink_at(p, &p->first));
	log_debug("a stream connection from port %u", peer_port);
	w->port = peer_port;
	w->fd = fd;
	for (at = &p->first; *at; at = &(*at)->next)
		;
	*at = w;
	p->n++;
}

int passfd_take(struct passfd *p, uint32_t peer_port, struct error *err)
{
	if (!p)
		return error_set(err, EOPNOTSUPP,
		                 "stream ports need the kernel word agent.passfd_listener_port");
	/* The host connects before it asks, but we may hear of both in one turn. */
	agent_port_accept(p->listener);
	for (struct waiting **at = &p->first; *at; at = &(*at)->next)
		if ((*at)->port == peer_port)
			return unlink_at(p, at);
	return error_set(err, ENOENT, "no stream connection from port %u", peer_port);
}

int passfd_open(struct loop *loop, const char *server_addr, uint32_t port, struct passfd **out,
                struct error *err)
{
	struct passfd *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return error_set(err, ENOMEM, "out of memory for stream connections");
	r = agent_port_open(loop, server_addr, port, on_connection, p, &p->listener, err);
	if (r < 0) {
		free(p);
		return r;
	}
	*out = p;
	return 0;
}

void passfd_close(struct passfd *p)
{
	if (!p)
		return;
	while (p->first)
		close(unlink_at(p, &p->first));
	agent_port_close(p->listener);
	free(p);
}
