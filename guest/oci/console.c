/* SPDX-License-Identifier: Apache-2.0 */
/* console: SCM_RIGHTS to a console socket; a small relay for the foreground. */
#include "guest/oci/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/process.h"

int console_send(const char *path, int master, struct error *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), owned = master;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	static char name[] = "/dev/ptmx";
	struct iovec iov = {name, sizeof(name) - 1};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = control.space,
	                     .msg_controllen = sizeof(control.space)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	if (strlen(path) >= sizeof(sa.sun_path))
		return error_set_kind(err, ERROR_USAGE, ENAMETOOLONG,
		                      "the console socket's path is too long: %s", path);
	strcpy(sa.sun_path, path);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &owned, sizeof(int));
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return error_errno(err, errno, "connecting to the console socket %s", path);
	if (sendmsg(fd, &msg, MSG_NOSIGNAL) < 0)
		return error_errno(err, errno, "sending the terminal to %s", path);
	return 0;
}

/* ---- the foreground ---- */

struct relay {
	struct container_process *p;
	int signals;
	int master;
	struct termios saved;
	bool raw;
	bool input; /* stdin has not ended */
};

static void set_raw(struct relay *r)
{
	struct termios t;

	if (tcgetattr(0, &r->saved) < 0)
		return;
	t = r->saved;
	cfmakeraw(&t);
	r->raw = tcsetattr(0, TCSANOW, &t) == 0;
}

static void copy_size(const struct relay *r)
{
	struct winsize ws;

	if (ioctl(0, TIOCGWINSZ, &ws) == 0)
		ioctl(r->master, TIOCSWINSZ, &ws);
}

static bool copy(int from, int to)
{
	char chunk[8192];
	ssize_t n = read(from, chunk, sizeof(chunk));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	return n > 0 && fs_write_all(to, chunk, (size_t)n) == 0;
}

/* True when our process has ended. */
static bool take_signal(struct relay *r)
{
	struct signalfd_siginfo si;
	int status;

	if (read(r->signals, &si, sizeof(si)) != sizeof(si))
		return false;
	if (si.ssi_signo == SIGWINCH && r->master >= 0) {
		copy_size(r);
	} else if (si.ssi_signo != SIGCHLD) {
		container_process_signal(r->p, (int)si.ssi_signo, NULL);
	} else {
		pid_t pid;

		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) /* helpers too */
			if (pid == container_process_pid(r->p))
				container_process_exited(r->p, status);
	}
	return container_process_has_exited(r->p);
}

static int open_signals(void)
{
	sigset_t set;

	/* What a person or a manager sends to us is meant for the container. */
	sigfillset(&set);
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGFPE);
	sigdelset(&set, SIGILL);
	sigdelset(&set, SIGABRT);
	sigdelset(&set, SIGTTOU);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void relay(struct relay *r)
{
	bool ended = container_process_has_exited(r->p), output = r->master >= 0;

	while (!ended || output) {
		struct pollfd fds[3] = {{.fd = r->signals, .events = POLLIN},
		                        {.fd = output ? r->master : -1, .events = POLLIN},
		                        {.fd = r->input ? 0 : -1, .events = POLLIN}};

		/* The last output of a process that ended is there at once. */
		if (poll(fds, 3, ended ? 0 : -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents && !ended)
			ended = take_signal(r);
		if (fds[1].revents)
			output = copy(r->master, 1);
		else if (ended)
			output = false;
		if (fds[2].revents)
			r->input = copy(0, r->master);
	}
}

int console_attend(struct container_process *p, int master, struct error *err)
{
	struct relay r = {.p = p, .master = master, .input = master >= 0};
	int status;

	r.signals = open_signals();
	if (r.signals < 0)
		return error_errno(err, errno, "watching the container");
	/* It may have ended before its signal was blocked. */
	if (waitpid(container_process_pid(p), &status, WNOHANG) == container_process_pid(p))
		container_process_exited(p, status);
	if (master >= 0) {
		copy_size(&r);
		set_raw(&r);
	}
	if (!container_process_has_exited(p) || master >= 0)
		relay(&r);
	if (r.raw)
		tcsetattr(0, TCSANOW, &r.saved);
	close_fd(&r.signals);
	return container_process_exit_code(p);
}
