/* SPDX-License-Identifier: Apache-2.0 */
/* qemu: the back end that runs a guest in a QEMU process. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host-shim/hypervisor/backend.h"
#include "host-shim/hypervisor/child.h"
#include "host-shim/hypervisor/kernel_file.h"
#include "host-shim/hypervisor/qemu_args.h"
#include "host-shim/hypervisor/tsc.h"
#include "host-shim/hypervisor/vsock_process.h"
#include "host-shim/vmm/devices/vsock_listen.h"
#include "lib/base/fs.h"
#include "lib/base/process.h"
#include "lib/base/str.h"

#define QEMU_PROGRAM  "qemu-system-x86_64"
#define STDERR_KEPT   (8u << 10)
#define EXIT_LINE_MAX 64
#define DRAIN_MAX     (4u << 20)

struct qemu {
	struct hypervisor hv;
	char *vsock_path;
	bool debug_exit; /* the kernel is a bare-metal one, with a port to end by */
	struct vsock_process vsock;
	int vsock_pidfd;
	struct loop_source *vsock_src;
	pid_t pid;
	int pidfd, console, exit_port, errors; /* our ends */
	int net;                               /* a tap interface, or -1 */
	struct loop_source *pid_src, *console_src, *exit_src, *errors_src;
	struct buffer stderr_text, exit_text;
	struct tsc_sample tsc; /* taken early, so that the second one need not wait */
};

static struct qemu *qemu_of(struct hypervisor *hv)
{
	return (struct qemu *)hv;
}

/* ---- before the start */

static int check_confidential(const struct hypervisor_config *c, struct error *err)
{
	int r = c->describe ? 0 : confidential_check_host(c->confidential, "", err);

	if (r == 0 && c->accel != ACCEL_KVM)
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOTSUP,
		                      "a confidential guest cannot be emulated: it takes KVM");
	return r < 0 ? r : confidential_check_files(c->confidential, c->kernel, err);
}

static int check(struct hypervisor *hv, struct error *err)
{
	struct qemu *q = qemu_of(hv);
	bool cgs = hv->config.confidential;
	int r;

	tsc_sample(&q->tsc);
	q->vsock.fd = q->vsock.errors = q->vsock_pidfd = -1;
	q->pidfd = q->console = q->exit_port = q->errors = q->net = -1;
	if (hv->config.cpu_model || hv->config.no_jail)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--cpu and --no-jail are for the built-in monitor: use --vmm "
		                      "builtin");
	if (!hv->config.describe && child_find_program(QEMU_PROGRAM) < 0)
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
		                      "%s is not in PATH: install it (Debian: apt-get install "
		                      "qemu-system-x86)",
		                      QEMU_PROGRAM);
	r = qemu_machine_check(hv->config.machine, cgs, err);
	if (r == 0)
		r = cgs ? check_confidential(&hv->config, err)
		        : child_check_file("kernel", hv->config.kernel, err);
	/* A firmware starts that of a confidential guest: its business. */
	if (r == 0 && !cgs)
		r = kernel_file_check(hv->config.kernel, &q->debug_exit, err);
	if (r == 0)
		r = child_check_file("initrd", hv->config.initrd, err);
	return r < 0 ? r : child_check_file("root file system", hv->config.rootfs, err);
}

/* ---- the vsock device's process */

/* Why it failed, in fresh memory. */
static char *vsock_failure(struct qemu *q, int status)
{
	char text[ERROR_TEXT_MAX];
	ssize_t n = read(q->vsock.errors, text, sizeof(text) - 1);

	if (n > 0) {
		text[n] = '\0';
		return str_printf("the vsock device failed: %s", text);
	}
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return str_printf("the vsock device was killed by its system-call filter");
	return str_printf("the vsock device failed");
}

static void vsock_ended(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct qemu *q = data;
	_cleanup_free_ char *text = NULL;
	int status = 0;

	loop_source_free(q->vsock_src);
	q->vsock_src = NULL;
	waitpid(q->vsock.pid, &status, 0);
	q->vsock.pid = 0;
	/* QEMU goes on without a device that its guest relies on: that is the end of it. When
	 * QEMU ended first its own end is the news. */
	if (q->pid > 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
		text = vsock_failure(q, status);
		hypervisor_take_end(&q->hv, true, text ? text : "the vsock device failed");
		process_pidfd_send(q->pidfd, SIGKILL);
	}
}

static int prepare(struct hypervisor *hv, struct error *err)
{
	struct qemu *q = qemu_of(hv);
	_cleanup_close_ int listen_fd = -1;
	int r = guest_net_open(&hv->config.net, &q->net, err);

	if (r < 0 || hv->config.no_vsock)
		return r;
	q->vsock_path = str_printf("%s/vsock", hv->config.runtime_dir);
	if (!q->vsock_path)
		return error_set(err, ENOMEM, "no memory for the vsock device");
	listen_fd = vsock_bind(q->vsock_path, err);
	if (listen_fd < 0)
		return listen_fd;
	r = vsock_process_start(&q->vsock, hv->config.guest_cid, q->vsock_path, listen_fd, err);
	if (r < 0)
		return r;
	return child_watch(hv->loop, q->vsock.pid, vsock_ended, hv, &q->vsock_pidfd, &q->vsock_src,
	                   err);
}

static int vsock_connect(struct hypervisor *hv, uint32_t port, struct error *err)
{
	return child_vsock_connect(qemu_of(hv)->vsock_path, port, err);
}

/* ---- while it runs */

static void on_console(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct qemu *q = data;

	if (!child_read_console(fd, &q->hv))
		child_drop(&q->console_src, &q->console);
}

static void on_errors(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct qemu *q = data;

	if (!child_read(fd, &q->stderr_text, STDERR_KEPT)) {
		child_drop(&q->errors_src, &q->errors);
		return;
	}
	/* It would boot on with a guest that nobody can talk to. */
	if (strstr(buffer_cstr(&q->stderr_text), "Error starting vhost"))
		process_pidfd_send(q->pidfd, SIGKILL);
}

/* "exit N\n", the first whole line counts. */
static void on_exit_port(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct qemu *q = data;
	bool more = child_read(fd, &q->exit_text, EXIT_LINE_MAX);
	const char *text = buffer_cstr(&q->exit_text), *end = strchr(text, '\n');
	_cleanup_free_ char *number = NULL;
	uint32_t status;

	if (end && str_starts(text, "exit ") && q->hv.exit_status < 0) {
		number = strndup(text + 5, (size_t)(end - text) - 5);
		if (number && parse_u32(number, &status) == 0 && status <= 255)
			q->hv.exit_status = (int)status;
	}
	if (!more)
		child_drop(&q->exit_src, &q->exit_port);
}

/* Drains what the pipes still hold after the process ended. */
static void drain(struct qemu *q)
{
	/* No more than a socket holds. */
	for (size_t taken = 0; q->console_src && taken < DRAIN_MAX; taken += 4096)
		on_console(q->console_src, q->console, EPOLLIN, q);
	if (q->exit_src)
		on_exit_port(q->exit_src, q->exit_port, EPOLLIN, q);
	if (q->errors_src)
		child_read(q->errors, &q->stderr_text, STDERR_KEPT);
}

/* QEMU's own last word, without its name. */
static const char *last_error(struct qemu *q)
{
	char *text = (char *)q->stderr_text.data, *line;

	while (text && q->stderr_text.size > 0 && text[q->stderr_text.size - 1] == '\n')
		text[--q->stderr_text.size] = '\0';
	if (!text || !*text)
		return NULL;
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	return str_starts(line, QEMU_PROGRAM ": ") ? line + sizeof(QEMU_PROGRAM) + 1 : line;
}

static void qemu_ended(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct qemu *q = data;
	_cleanup_free_ char *text = NULL;
	const char *word;
	int status = 0;

	loop_source_free(q->pid_src);
	q->pid_src = NULL;
	if (waitpid(q->pid, &status, 0) < 0)
		status = 0;
	q->pid = 0;
	drain(q);
	word = last_error(q);
	/* isa-debug-exit has QEMU end with (N << 1) | 1, which says nothing of its own. */
	if (q->debug_exit && !word && WIFEXITED(status) && WEXITSTATUS(status) & 1) {
		q->hv.exit_status = WEXITSTATUS(status) >> 1;
		status = 0;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		hypervisor_take_end(&q->hv, false, "");
		return;
	}
	if (word)
		/* Of a kernel it says what is wrong, not which it is. */
		text = str_printf(strstr(word, "kernel") ? "QEMU: %s (%s)" : "QEMU: %s", word,
		                  q->hv.config.kernel);
	else if (WIFSIGNALED(status))
		text = str_printf("QEMU was killed by signal %d (%s)", WTERMSIG(status),
		                  strsignal(WTERMSIG(status)));
	else
		text = str_printf("QEMU ended with status %d", WEXITSTATUS(status));
	hypervisor_take_end(&q->hv, true, text ? text : "QEMU failed");
}

/* ---- start and stop */

/* The child's ends of what connects us with QEMU. */
struct ends {
	int console, exit_port, errors;
};

static void close_ends(struct ends *e)
{
	close_fd(&e->console);
	close_fd(&e->exit_port);
	close_fd(&e->errors);
}

static int make_ends(struct qemu *q, struct ends *e, struct error *err)
{
	int pipe_fds[2], r;

	r = child_make_pair(&q->console, &e->console, err);
	if (r == 0 && q->hv.config.exit_port)
		r = child_make_pair(&q->exit_port, &e->exit_port, err);
	if (r < 0)
		return r;
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_errno(err, errno, "making a pipe");
	q->errors = pipe_fds[0];
	e->errors = pipe_fds[1];
	return 0;
}

static int watch_ends(struct qemu *q, struct error *err)
{
	struct loop *loop = q->hv.loop;
	int r = loop_add_fd(loop, q->console, EPOLLIN, on_console, q, &q->console_src, err);

	if (r == 0)
		r = loop_add_fd(loop, q->errors, EPOLLIN, on_errors, q, &q->errors_src, err);
	if (r == 0 && q->exit_port >= 0)
		r = loop_add_fd(loop, q->exit_port, EPOLLIN, on_exit_port, q, &q->exit_src, err);
	return r;
}

/* Which descriptors QEMU is handed, under which numbers. */
static void number(struct qemu *q, const struct ends *e, struct process_opts *o,
                   struct qemu_start *s)
{
	const struct hypervisor_config *c = &q->hv.config;

	o->fds[o->n_fds++] = -1;
	o->fds[o->n_fds++] = e->errors;
	o->fds[o->n_fds++] = e->errors;
	s->console = (int)o->n_fds;
	o->fds[o->n_fds++] = e->console;
	s->vsock = s->exit_port = s->net = -1;
	if (!c->no_vsock) {
		s->vsock = (int)o->n_fds;
		o->fds[o->n_fds++] = q->vsock.fd;
	}
	if (c->exit_port) {
		s->exit_port = (int)o->n_fds;
		o->fds[o->n_fds++] = e->exit_port;
	}
	if (c->net.kind == GUEST_NET_TAP) {
		s->net = (int)o->n_fds;
		o->fds[o->n_fds++] = q->net;
	}
	s->shares = (int)o->n_fds;
	for (unsigned int i = 0; i < c->n_shares; i++)
		o->fds[o->n_fds++] = q->hv.shares[i].stream;
	s->debug_exit = q->debug_exit;
	s->disks = (int)o->n_fds;
	for (unsigned int i = 0; i < c->n_disks && o->n_fds < PROCESS_MAX_FDS; i++)
		if (!c->disks[i].path)
			o->fds[o->n_fds++] = c->disks[i].fd;
	if (c->accel == ACCEL_TCG)
		s->tsc_khz = tsc_khz(&q->tsc);
}

static int command(struct hypervisor *hv, struct strv *out, struct error *err)
{
	struct ends none = {-1, -1, -1};
	struct process_opts o = {.path = QEMU_PROGRAM};
	struct qemu_start s = {0};

	number(qemu_of(hv), &none, &o, &s);
	return qemu_args(out, &hv->config, &s, err);
}

static int spawn(struct qemu *q, const struct ends *e, struct error *err)
{
	struct process_opts o = {.path = QEMU_PROGRAM, .new_group = true, .die_with_parent = true};
	struct qemu_start s = {0};
	_cleanup_strv_ struct strv args = STRV_INIT;
	int r;

	number(q, e, &o, &s);
	r = qemu_args(&args, &q->hv.config, &s, err);
	if (r < 0)
		return r;
	o.argv = args.v;
	r = process_spawn(&o, &q->pid, err);
	return r < 0 ? error_prefix(err, r, "starting QEMU") : 0;
}

static int start(struct hypervisor *hv, struct error *err)
{
	struct qemu *q = qemu_of(hv);
	__attribute__((cleanup(close_ends))) struct ends e = {-1, -1, -1};
	int r = make_ends(q, &e, err);

	if (r == 0)
		r = spawn(q, &e, err);
	/* Ours no more: when QEMU ends, the device must see its socket close. */
	close_fd(&q->vsock.fd);
	close_fd(&q->net);
	for (unsigned int i = 0; i < hv->n_shares; i++)
		close_fd(&hv->shares[i].stream);
	if (r == 0)
		r = child_watch(hv->loop, q->pid, qemu_ended, hv, &q->pidfd, &q->pid_src, err);
	return r < 0 ? r : watch_ends(q, err);
}

static void stop(struct hypervisor *hv)
{
	struct qemu *q = qemu_of(hv);

	if (q->pid > 0)
		process_pidfd_send(q->pidfd, SIGKILL);
}

static void release(struct hypervisor *hv)
{
	struct qemu *q = qemu_of(hv);

	child_drop(&q->pid_src, &q->pidfd);
	child_drop(&q->vsock_src, &q->vsock_pidfd);
	child_kill(&q->pid);
	child_kill(&q->vsock.pid);
	child_drop(&q->console_src, &q->console);
	child_drop(&q->exit_src, &q->exit_port);
	child_drop(&q->errors_src, &q->errors);
	close_fd(&q->vsock.fd);
	close_fd(&q->vsock.errors);
	close_fd(&q->net);
	if (q->vsock_path)
		unlink(q->vsock_path);
	free(q->vsock_path);
	buffer_free(&q->stderr_text);
	buffer_free(&q->exit_text);
}

const struct hypervisor_ops qemu_backend = {
    .name = "qemu",
    .size = sizeof(struct qemu),
    .takes_confidential = true,
    .check = check,
    .command = command,
    .prepare = prepare,
    .start = start,
    .stop = stop,
    .release = release,
    .vsock_connect = vsock_connect,
};
