/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox_process: from fork to the last byte read. */
#include "guest/agent/sandbox_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "guest/agent/sandbox_container.h"
#include "lib/base/log.h"
#include "lib/rpc/proto/agent.pb-c.h"

/* ---- descriptors */

/* Where no size is configured: eight answers of ReadStdout, so that a program that writes much goes
 * on while one is fetched. The pages are the container's, and there only while they are full. */
#define OUTPUT_PIPE (256 << 10)

void process_stdio_close(struct process_stdio *io)
{
	for (int i = 0; i < 3; i++) {
		close_fd(&io->child[i]);
		close_fd(&io->parent[i]);
	}
	process_io_free(io->io);
	io->io = NULL;
}

int process_stdio_open(struct process_stdio *io, struct sandbox *s, bool terminal,
                       const uint32_t ports[3], struct error *err)
{
	uint64_t size = s->config->container_pipe_size;
	int r = process_io_new(s->loop, s->passfd, ports, &io->io, err);

	for (int i = 0; i < 3 && !terminal && r == 0; i++) {
		int fds[2];

		if (pipe2(fds, O_CLOEXEC) < 0) {
			r = error_errno(err, errno, "pipes for a process");
			break;
		}
		io->child[i] = fds[i == 0 ? 0 : 1];
		io->parent[i] = fds[i == 0 ? 1 : 0];
		if (size)
			fcntl(fds[0], F_SETPIPE_SZ, (int)(size > 1 << 30 ? 1 << 30 : size));
		else if (i == 1)
			fcntl(fds[0], F_SETPIPE_SZ, OUTPUT_PIPE);
	}
	return r;
}

/* ---- end of life */

static void on_linger(struct loop_source *src, void *data)
{
	sandbox_process_free(data);
}

/* Once nobody can ask for anything more, the process is forgotten. From a stream's callback:
 * the stream must live until it returns, so a timer does it. */
static void check_linger(struct sandbox_process *p)
{
	bool read_out = stream_at_end(p->out) && (p->terminal || stream_at_end(p->err));

	if (!p->waited || !p->exited || p->freeing)
		return;
	if (p->linger) {
		if (read_out)
			loop_set_timer(p->linger, 0);
		return;
	}
	if (loop_add_timer(p->container->sandbox->loop, read_out ? 0 : PROCESS_LINGER_MS, on_linger,
	                   p, &p->linger, NULL) < 0)
		log_warn("process %s of %s is kept: out of memory", p->exec_id, p->container->id);
}

static void stream_at_end_cb(void *data)
{
	check_linger(data);
}

static void answer_waiters(struct sandbox_process *p)
{
	Grpc__WaitProcessResponse m = GRPC__WAIT_PROCESS_RESPONSE__INIT;
	struct rpc_call *call;

	m.status = p->code;
	while ((call = call_queue_pop(&p->waiters))) {
		rpc_call_reply(call, &m.base);
		p->waited = true;
	}
	check_linger(p);
}

/* The host's connections have the output; only now is the end told. */
static void on_drained(void *data)
{
	struct sandbox_process *p = data;

	p->drained = true;
	answer_waiters(p);
}

static void process_exited(struct sandbox_process *p, int status)
{
	container_process_exited(p->engine, status);
	p->exited = true;
	p->code = container_process_exit_code(p->engine);
	log_debug("process \"%s\" of %s ended: %d", p->exec_id, p->container->id, p->code);
	sandbox_container_check_oom(p->container);
	stream_ended(p->in == p->out ? NULL : p->in);
	stream_ended(p->out);
	stream_ended(p->err);
	if (p->io) {
		process_io_ended(p->io, on_drained, p);
		return;
	}
	p->drained = true;
	answer_waiters(p);
}

static void on_child(struct loop_source *src, pid_t pid, int status, void *data)
{
	struct sandbox_process *p = data;

	loop_source_free(p->child);
	p->child = NULL;
	process_exited(p, status);
}

/* Its number may be known only after a while; the process may be gone by then. */
static int watch_child(struct sandbox_process *p, struct error *err)
{
	pid_t pid = container_process_pid(p->engine);
	int status;

	if (pid <= 0 || p->child || p->exited)
		return 0;
	if (sandbox_claim_reaped(p->container->sandbox, pid, &status)) {
		process_exited(p, status);
		return 0;
	}
	return loop_add_child(p->container->sandbox->loop, pid, on_child, p, &p->child, err);
}

/* ---- getting ready */

static void stop_awaiting(struct sandbox_process *p)
{
	loop_source_free(p->ready);
	loop_source_free(p->launch);
	p->ready = p->launch = NULL;
}

static void tell_ready(struct sandbox_process *p, int result, const struct error *err)
{
	process_ready_fn fn = p->ready_fn;

	stop_awaiting(p);
	p->ready_fn = NULL;
	if (fn)
		fn(result, err, p->ready_data);
}

/* The pty master becomes input and output. */
static int take_console(struct sandbox_process *p, struct error *err)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (!p->terminal || p->out || (p->io && process_io_console_fd(p->io) >= 0))
		return 0;
	fd = container_process_take_console(p->engine);
	if (fd < 0)
		return 0;
	if (p->io)
		return process_io_console(p->io, steal_fd(&fd), err);
	r = stream_new(p->container->sandbox->loop, fd, p->container->sandbox->config->eof,
	               stream_at_end_cb, p, &p->out, err);
	if (r < 0)
		return r;
	fd = -1;
	p->in = p->out;
	return 0;
}

static void on_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct sandbox_process *p = data;
	struct error err = ERROR_INIT;
	int r = container_process_handle(p->engine, &err);

	if (r == 0)
		r = take_console(p, &err);
	if (r >= 0 && watch_child(p, &err) < 0)
		r = err.code;
	if (r != 1)
		tell_ready(p, r, &err);
}

static void on_launch_timeout(struct loop_source *src, void *data)
{
	struct sandbox_process *p = data;
	struct error err = ERROR_INIT;

	error_set(&err, ETIMEDOUT, "the process did not get ready in time");
	container_process_signal(p->engine, SIGKILL, NULL);
	tell_ready(p, -ETIMEDOUT, &err);
}

int sandbox_process_await(struct sandbox_process *p, process_ready_fn ready, void *data,
                          struct error *err)
{
	struct loop *loop = p->container->sandbox->loop;
	int fd = container_process_fd(p->engine);
	int r;

	if (p->ready_fn)
		return error_set(err, EBUSY, "the process is being prepared");
	p->ready_fn = ready;
	p->ready_data = data;
	r = loop_add_timer(loop, p->container->sandbox->config->launch_timeout_ms,
	                   on_launch_timeout, p, &p->launch, err);
	if (r == 0)
		r = loop_add_fd(loop, fd, EPOLLIN, on_ready, p, &p->ready, err);
	if (r < 0)
		sandbox_process_await_not(p);
	return r;
}

void sandbox_process_await_not(struct sandbox_process *p)
{
	stop_awaiting(p);
	p->ready_fn = NULL;
}

/* ---- the object */

static int add_streams(struct sandbox_process *p, struct process_stdio *io, struct error *err)
{
	struct stream **streams[3] = {&p->in, &p->out, &p->err};
	struct sandbox *s = p->container->sandbox;

	p->io = steal_ptr(&io->io);
	if (p->io)
		return p->terminal ? 0 : process_io_pipes(p->io, io->parent, err);
	for (int i = 0; i < 3 && !p->terminal; i++) {
		int r = stream_new(s->loop, io->parent[i], s->config->eof,
		                   i ? stream_at_end_cb : NULL, p, streams[i], err);

		if (r < 0)
			return r;
		io->parent[i] = -1;
	}
	return 0;
}

int sandbox_process_new(struct sandbox_container *c, const char *exec_id, bool is_init,
                        bool terminal, struct container_process *engine, struct process_stdio *io,
                        process_ready_fn ready, void *data, struct sandbox_process **out,
                        struct error *err)
{
	struct sandbox_process *p = calloc(1, sizeof(*p));
	int r;

	if (!p || !(p->exec_id = strdup(exec_id))) {
		free(p);
		return error_set(err, ENOMEM, "out of memory for a process");
	}
	p->container = c;
	p->is_init = is_init;
	p->terminal = terminal;
	p->engine = engine;
	p->next = c->processes;
	c->processes = p;
	r = add_streams(p, io, err);
	if (r == 0)
		r = watch_child(p, err);
	if (r == 0)
		r = sandbox_process_await(p, ready, data, err);
	if (r < 0) {
		/* The caller still has the engine's object, and is told by our return. */
		p->engine = NULL;
		p->ready_fn = NULL;
		sandbox_process_free(p);
		return r;
	}
	*out = p;
	return 0;
}

void sandbox_process_free(struct sandbox_process *p)
{
	struct sandbox_process **at;
	struct error err = ERROR_INIT;

	if (!p)
		return;
	p->freeing = true;
	error_set(&err, ECANCELED, "the process was removed");
	tell_ready(p, -ECANCELED, &err);
	for (at = &p->container->processes; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			break;
		}
	}
	stop_awaiting(p);
	loop_source_free(p->child);
	loop_source_free(p->linger);
	call_queue_fail(&p->waiters, RPC_NOT_FOUND, "the process was removed");
	if (p->in != p->out)
		stream_free(p->in);
	stream_free(p->out);
	stream_free(p->err);
	process_io_free(p->io);
	if (!p->is_init)
		container_process_free(p->engine);
	free(p->exec_id);
	free(p);
}

void sandbox_process_abandon(struct sandbox_process *p)
{
	p->waited = true;
	if (p->exited)
		check_linger(p);
	else
		container_process_signal(p->engine, SIGKILL, NULL);
}

void sandbox_process_wait(struct sandbox_process *p, struct rpc_call *call)
{
	if (p->waited) {
		rpc_call_fail(call, RPC_NOT_FOUND, "process \"%s\" of %s is gone", p->exec_id,
		              p->container->id);
		return;
	}
	if (call_queue_park(&p->waiters, call) == 0 && p->drained)
		answer_waiters(p);
}

struct stream *sandbox_process_input(struct sandbox_process *p)
{
	return p->in;
}

struct stream *sandbox_process_output(struct sandbox_process *p, bool error_output)
{
	return error_output && !p->terminal ? p->err : p->out;
}

int sandbox_process_resize(struct sandbox_process *p, uint32_t rows, uint32_t columns,
                           struct error *err)
{
	struct winsize ws = {
	    .ws_row = (unsigned short)(rows > 0xffff ? 0xffff : rows),
	    .ws_col = (unsigned short)(columns > 0xffff ? 0xffff : columns),
	};

	int fd = p->io ? process_io_console_fd(p->io) : stream_fd(p->out);

	if (!p->terminal || fd < 0)
		return error_set(err, ENOTTY, "the process has no terminal");
	if (ioctl(fd, TIOCSWINSZ, &ws) < 0)
		return error_errno(err, errno, "resizing the terminal");
	return 0;
}
