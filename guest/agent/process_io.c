/* SPDX-License-Identifier: Apache-2.0 */
/* process_io: up to three relays and how they end. */
#include "guest/agent/process_io.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/relay.h"

struct process_io {
	struct loop *loop;
	int sockets[3]; /* -1: that stream goes nowhere */
	int ends[3];    /* of pipes; a pty master is ends[1] */
	bool terminal;
	struct relay *relays[3];
	struct loop_source *timer;
	bool ended, finishing;
	void (*drained)(void *data);
	void *data;
};

static void tell_drained(struct process_io *io)
{
	void (*fn)(void *) = io->drained;

	loop_source_free(io->timer);
	io->timer = NULL;
	io->drained = NULL;
	if (fn)
		fn(io->data);
}

static void check_drained(struct process_io *io)
{
	if (io->ended && !io->relays[1] && !io->relays[2])
		tell_drained(io);
}

/* One stream is over: both ends are closed, so that both sides learn of it. */
static void on_relay_end(struct relay *relay, void *data)
{
	struct process_io *io = data;

	for (int i = 0; i < 3; i++) {
		if (io->relays[i] != relay)
			continue;
		relay_free(relay);
		io->relays[i] = NULL;
		if (io->sockets[i] >= 0)
			shutdown(io->sockets[i], i == 0 ? SHUT_RD : SHUT_WR);
		close_fd(&io->sockets[i]);
		if (!io->terminal)
			close_fd(&io->ends[i]);
	}
	check_drained(io);
}

static void on_timer(struct loop_source *src, void *data)
{
	struct process_io *io = data;

	if (io->finishing) { /* the host does not read */
		tell_drained(io);
		return;
	}
	io->finishing = true;
	if (loop_set_timer(io->timer, PROCESS_IO_WAIT_MS) < 0) {
		tell_drained(io);
		return;
	}
	for (int i = 1; i < 3; i++)
		if (io->relays[i])
			relay_finish(io->relays[i]);
}

void process_io_ended(struct process_io *io, void (*drained)(void *data), void *data)
{
	io->ended = true;
	io->drained = drained;
	io->data = data;
	if (loop_add_timer(io->loop, PROCESS_IO_DRAIN_MS, on_timer, io, &io->timer, NULL) < 0)
		tell_drained(io);
	else
		check_drained(io);
}

int process_io_new(struct loop *loop, struct passfd *passfd, const uint32_t ports[3],
                   struct process_io **out, struct error *err)
{
	struct process_io *io;

	*out = NULL;
	if (!ports[0] && !ports[1] && !ports[2])
		return 0;
	io = calloc(1, sizeof(*io));
	if (!io)
		return error_set(err, ENOMEM, "out of memory for streams");
	io->loop = loop;
	for (int i = 0; i < 3; i++)
		io->sockets[i] = io->ends[i] = -1;
	for (int i = 0; i < 3; i++) {
		if (!ports[i])
			continue;
		io->sockets[i] = passfd_take(passfd, ports[i], err);
		if (io->sockets[i] < 0) {
			int r = io->sockets[i];

			process_io_free(io);
			return r;
		}
	}
	*out = io;
	return 0;
}

static int add_relay(struct process_io *io, int i, int from, int to, struct error *err)
{
	return relay_new(io->loop, from, to, on_relay_end, io, &io->relays[i], err);
}

int process_io_pipes(struct process_io *io, int ends[3], struct error *err)
{
	int r = 0;

	for (int i = 0; i < 3 && r == 0; i++) {
		io->ends[i] = ends[i];
		ends[i] = -1;
		if (io->sockets[i] < 0)
			close_fd(&io->ends[i]); /* reads end of file; writes fail */
		else
			r = i == 0 ? add_relay(io, i, io->sockets[i], io->ends[i], err)
			           : add_relay(io, i, io->ends[i], io->sockets[i], err);
	}
	return r;
}

int process_io_console(struct process_io *io, int master, struct error *err)
{
	int r = 0;

	io->terminal = true;
	io->ends[1] = master;
	if (io->sockets[1] >= 0)
		r = add_relay(io, 1, master, io->sockets[1], err);
	if (r == 0 && io->sockets[0] >= 0)
		r = add_relay(io, 0, io->sockets[0], master, err);
	return r;
}

int process_io_console_fd(const struct process_io *io)
{
	return io->terminal ? io->ends[1] : -1;
}

void process_io_free(struct process_io *io)
{
	if (!io)
		return;
	loop_source_free(io->timer);
	for (int i = 0; i < 3; i++) {
		relay_free(io->relays[i]);
		close_fd(&io->sockets[i]);
		close_fd(&io->ends[i]);
	}
	free(io);
}
