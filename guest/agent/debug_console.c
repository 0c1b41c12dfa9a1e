/* SPDX-License-Identifier: Apache-2.0 */
/* debug_console: a pty and a shell for each connection, two relays between them. */
#include "guest/agent/debug_console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest/agent/port.h"
#include "guest/init/init.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/base/process.h"
#include "lib/base/relay.h"

#define MAX_SHELLS      8u
#define CONSOLE_WAIT_MS 1000u /* before a console shell that ended is started again */

struct shell {
	struct shell *next;
	struct debug_console *console;
	int socket, master;
	pid_t pid;
	struct loop_source *child;
	struct relay *in, *out;
};

struct debug_console {
	struct loop *loop;
	struct agent_port *port;
	const char *program;
	struct shell *shells;
	unsigned int n_shells;
	struct loop_source *child, *again; /* of the shell on /dev/console */
	pid_t pid;
};

static const char *find_shell(void)
{
	static const char *const places[] = {
	    "/run/kata-extensions/devkit/bin/devkit-sh",
	    "/bin/bash",
	    "/bin/sh",
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

/* In the child: descriptor 0 becomes its controlling terminal. */
static int take_terminal(void *unused)
{
	if (setsid() < 0 || ioctl(0, TIOCSCTTY, 1) < 0)
		return errno;
	return getppid() == 1 ? init_child_reset(NULL) : 0;
}

static int spawn_shell(const char *program, int terminal, pid_t *pid, struct error *err)
{
	char *const argv[] = {(char *)program, (char *)"-i", NULL};
	struct process_opts o = {
	    .path = program,
	    .argv = argv,
	    .fds = {terminal, terminal, terminal},
	    .n_fds = 3,
	    .child = take_terminal,
	};

	return process_spawn(&o, pid, err);
}

/* ---- shells on connections */

static void shell_free(struct shell *s)
{
	struct debug_console *c = s->console;
	struct shell **at;

	for (at = &c->shells; *at; at = &(*at)->next) {
		if (*at == s) {
			*at = s->next;
			c->n_shells--;
			break;
		}
	}
	if (s->child)
		kill(-s->pid, SIGKILL); /* a session of its own, and whatever it started there */
	loop_source_free(s->child);
	relay_free(s->in);
	relay_free(s->out);
	close_fd(&s->socket);
	close_fd(&s->master);
	free(s);
}

/* Its last output is out, or the host takes none. */
static void on_output_end(struct relay *relay, void *data)
{
	shell_free(data);
}

/* The host went away, or it has only said all that it has to say: then the shell is told so, by
 * the terminal's end-of-file character. */
static void on_input_end(struct relay *relay, void *data)
{
	static const char end_of_file = 4;
	struct shell *s = data;
	struct pollfd p = {s->socket, 0, 0};

	relay_free(s->in);
	s->in = NULL;
	if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
		shell_free(s);
	else if (write(s->master, &end_of_file, 1) != 1)
		log_debug("debug console: its terminal takes no input");
}

static void on_shell_exit(struct loop_source *src, pid_t pid, int status, void *data)
{
	struct shell *s = data;

	loop_source_free(s->child);
	s->child = NULL;
	relay_finish(s->out); /* ends in on_output_end() */
}

static int open_pty(int *master, int *slave, struct error *err)
{
	int unlock = 0;

	*slave = -1;
	*master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*master < 0)
		return error_errno(err, errno, "/dev/ptmx");
	if (ioctl(*master, TIOCSPTLCK, &unlock) == 0)
		*slave = ioctl(*master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return *slave < 0 ? error_errno(err, errno, "a pseudo-terminal") : 0;
}

static int start_shell(struct shell *s, struct error *err)
{
	struct loop *loop = s->console->loop;
	_cleanup_close_ int slave = -1;
	int r = open_pty(&s->master, &slave, err);

	if (r == 0)
		r = spawn_shell(s->console->program, slave, &s->pid, err);
	if (r == 0)
		r = loop_add_child(loop, s->pid, on_shell_exit, s, &s->child, err);
	if (r == 0)
		r = relay_new(loop, s->master, s->socket, on_output_end, s, &s->out, err);
	if (r == 0)
		r = relay_new(loop, s->socket, s->master, on_input_end, s, &s->in, err);
	return r;
}

static void on_connection(int fd, uint32_t peer_port, void *data)
{
	struct debug_console *c = data;
	struct error err = ERROR_INIT;
	struct shell *s = c->n_shells < MAX_SHELLS ? calloc(1, sizeof(*s)) : NULL;

	if (!s) {
		close(fd);
		return;
	}
	s->console = c;
	s->socket = fd;
	s->master = -1;
	s->next = c->shells;
	c->shells = s;
	c->n_shells++;
	log_warn("a debug console was opened");
	if (start_shell(s, &err) < 0) {
		log_error("debug console: %s", err.text);
		shell_free(s);
	}
}

/* ---- the shell on /dev/console */

static void start_on_console(struct debug_console *c);

static void on_again(struct loop_source *src, void *data)
{
	start_on_console(data);
}

static void on_console_exit(struct loop_source *src, pid_t pid, int status, void *data)
{
	struct debug_console *c = data;

	loop_source_free(c->child);
	c->child = NULL;
	loop_set_timer(c->again, CONSOLE_WAIT_MS);
}

static void start_on_console(struct debug_console *c)
{
	_cleanup_close_ int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct error err = ERROR_INIT;
	int r = fd < 0 ? error_errno(&err, errno, "/dev/console")
	               : spawn_shell(c->program, fd, &c->pid, &err);

	if (r == 0)
		r = loop_add_child(c->loop, c->pid, on_console_exit, c, &c->child, &err);
	if (r < 0)
		log_error("debug console: %s", err.text);
}

/* ---- */

int debug_console_open(struct loop *loop, const char *server_addr, uint32_t port,
                       struct debug_console **out, struct error *err)
{
	struct debug_console *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_set(err, ENOMEM, "out of memory for the debug console");
	c->loop = loop;
	c->program = find_shell();
	if (!c->program)
		r = error_set(err, ENOENT, "the image has no shell; the debug profile has one");
	else if (port)
		r = agent_port_open(loop, server_addr, port, on_connection, c, &c->port, err);
	else
		r = loop_add_timer(loop, 0, on_again, c, &c->again, err);
	if (r < 0) {
		free(c);
		return r;
	}
	*out = c;
	return 0;
}

void debug_console_close(struct debug_console *c)
{
	if (!c)
		return;
	while (c->shells)
		shell_free(c->shells);
	if (c->child)
		kill(-c->pid, SIGKILL);
	loop_source_free(c->child);
	loop_source_free(c->again);
	agent_port_close(c->port);
	free(c);
}
