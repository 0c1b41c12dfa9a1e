/* SPDX-License-Identifier: Apache-2.0 */
/* process: fork and exec with a clean slate. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "fs.h"

#define STACK_TRIMMED (256u << 10)

extern char **environ;

static int close_from(unsigned int first)
{
	if (syscall(SYS_close_range, first, ~0u, 0) == 0)
		return 0;
	for (int fd = (int)first; fd < 4096; fd++)
		close(fd);
	return 0;
}

void process_reset_signals(void)
{
	/* The kernel's own structure: handler, flags, restorer, mask. The C libraries refuse
	 * the signals that they use themselves, which may be inherited as ignored, too. */
	const uint64_t defaults[4] = {0};
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		syscall(SYS_rt_sigaction, i, defaults, NULL, (size_t)8);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Moves every wanted descriptor above the target range first, so that none is
 * overwritten before it is placed. Returns where the report pipe went, or -1. */
static int place_fds(const struct process_opts *o, int report)
{
	int high[PROCESS_MAX_FDS];
	int base = PROCESS_MAX_FDS + 2;

	for (unsigned int i = 0; i < o->n_fds; i++) {
		int fd = o->fds[i] >= 0 ? o->fds[i] : open("/dev/null", O_RDWR | O_CLOEXEC);

		high[i] = fcntl(fd, F_DUPFD_CLOEXEC, base);
		if (high[i] < 0)
			return -1;
	}
	report = fcntl(report, F_DUPFD_CLOEXEC, base);
	if (report < 0)
		return -1;
	for (unsigned int i = 0; i < o->n_fds; i++)
		if (dup2(high[i], (int)i) < 0)
			return -1;
	if (dup3(report, (int)o->n_fds, O_CLOEXEC) < 0)
		return -1;
	close_from(o->n_fds + 1);
	return (int)o->n_fds;
}

static int drop_to(uid_t uid, gid_t gid)
{
	if (geteuid() == 0 && setgroups(0, NULL) < 0)
		return errno;
	if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return errno;
	return 0;
}

static int prepare(const struct process_opts *o, pid_t parent)
{
	int r;

	process_reset_signals();
	if (o->new_group && setpgid(0, 0) < 0)
		return errno;
	if (o->before_drop && (r = o->before_drop(o->child_data)) != 0)
		return r;
	if (o->drop && (r = drop_to(o->uid, o->gid)) != 0)
		return r;
	/* After the change of uid, which clears it. */
	if (o->die_with_parent) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
			return errno;
		if (getppid() != parent)
			return ESRCH;
	}
	return o->child ? o->child(o->child_data) : 0;
}

static void __attribute__((noreturn))
run_child(const struct process_opts *o, int report, pid_t parent)
{
	int where = place_fds(o, report), r;

	if (where < 0)
		_exit(127);
	r = prepare(o, parent);
	if (r == 0) {
		if (o->envp)
			environ = (char **)o->envp;
		execvp(o->path, o->argv);
		r = errno;
	}
	if (write(where, &r, sizeof(r)) < 0)
		_exit(126);
	_exit(127);
}

int process_spawn(const struct process_opts *o, pid_t *pid, struct error *err)
{
	_cleanup_close_ int reader = -1;
	int pipefd[2], failure = 0;
	sigset_t all, old;
	pid_t parent = getpid(), child;
	ssize_t n;

	if (o->n_fds > PROCESS_MAX_FDS)
		return error_set(err, EINVAL, "too many descriptors for %s", o->path);
	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return error_errno(err, errno, "cannot start %s", o->path);
	reader = pipefd[0];
	/* No handler of ours may run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	child = fork();
	if (child == 0)
		run_child(o, pipefd[1], parent);
	n = -errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(pipefd[1]);
	if (child < 0)
		return error_errno(err, (int)-n, "cannot start %s", o->path);
	do
		n = read(reader, &failure, sizeof(failure));
	while (n < 0 && errno == EINTR);
	if (n == 0) {
		*pid = child;
		return 0;
	}
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	if (n != sizeof(failure))
		failure = EIO;
	return error_errno(err, failure, "cannot start %s", o->path);
}

struct stream {
	int fd;
	struct buffer *buf; /* NULL: read and drop */
	size_t max;
};

static int drain(struct stream *s)
{
	char chunk[16384];
	ssize_t n = read(s->fd, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	if (n == 0) {
		close_fd(&s->fd);
		return 0;
	}
	if (!s->buf)
		return 0;
	if (s->buf->size + (size_t)n > s->max)
		return -EFBIG;
	buffer_append(s->buf, chunk, (size_t)n);
	return s->buf->failed ? -ENOMEM : 0;
}

static int collect(struct stream *streams, size_t n)
{
	for (;;) {
		struct pollfd p[2];
		bool open = false;
		int r;

		for (size_t i = 0; i < n; i++) {
			p[i] = (struct pollfd){.fd = streams[i].fd, .events = POLLIN};
			open = open || streams[i].fd >= 0;
		}
		if (!open)
			return 0;
		if (poll(p, n, -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		for (size_t i = 0; i < n; i++)
			if (p[i].fd >= 0 && p[i].revents && (r = drain(&streams[i])) < 0)
				return r;
	}
}

int process_run(char *const *argv, struct buffer *out, struct buffer *err_out, size_t max_out,
                int *status, struct error *err)
{
	int out_pipe[2], err_pipe[2], r;
	pid_t pid;

	if (pipe2(out_pipe, O_CLOEXEC) < 0)
		return error_errno(err, errno, "cannot start %s", argv[0]);
	if (pipe2(err_pipe, O_CLOEXEC) < 0) {
		r = error_errno(err, errno, "cannot start %s", argv[0]);
		close(out_pipe[0]);
		close(out_pipe[1]);
		return r;
	}
	_cleanup_close_ int out_r = out_pipe[0], err_r = err_pipe[0];
	struct process_opts o = {
	    .path = argv[0],
	    .argv = argv,
	    .fds = {-1, out_pipe[1], err_out ? err_pipe[1] : 2},
	    .n_fds = 3,
	};

	r = process_spawn(&o, &pid, err);
	close(out_pipe[1]);
	close(err_pipe[1]);
	if (r < 0)
		return r;
	struct stream streams[] = {{out_r, out, max_out}, {err_r, err_out, max_out}};

	r = collect(streams, 2);
	out_r = streams[0].fd;
	err_r = streams[1].fd;
	if (r < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	return r < 0 ? error_errno(err, -r, "cannot read the output of %s", argv[0]) : 0;
}

/* What is below the stack pointer is dead. The kernel keeps other mappings far from a first
 * thread's stack (mmap_base: 128 MiB at least); where the stack was never so deep there is nothing.
 */
void process_trim_stack(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	uintptr_t end = here / page * page - page; /* a page for this function and what it calls */

	madvise((void *)(end - STACK_TRIMMED), STACK_TRIMMED, MADV_DONTNEED);
}

int process_pidfd_open(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int process_pidfd_send(int pidfd, int signo)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}

int process_exit_code(int wait_status)
{
	if (WIFEXITED(wait_status))
		return WEXITSTATUS(wait_status);
	if (WIFSIGNALED(wait_status))
		return 128 + WTERMSIG(wait_status);
	return 255;
}
