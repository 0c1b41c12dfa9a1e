/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_process: the vsock device in a process of its own. */
#include "vsock_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host-shim/hypervisor/jail.h"
#include "host-shim/hypervisor/vhost_user.h"
#include "host-shim/vmm/devices/vsock.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"

/* Descriptors of the child. */
enum { CHILD_STDERR = 2, CHILD_FRONT_END = 3, CHILD_LISTEN = 4 };

/* What the loop, the device and malloc use once all is set up. */
static const char *const allowed[] = {
    "accept4",         "brk",          "clock_gettime",  "close",        "connect",
    "epoll_ctl",       "epoll_wait",   "epoll_pwait",    "exit",         "exit_group",
    "fcntl",           "fstat",        "newfstatat",     "futex",        "getpid",
    "getrandom",       "gettid",       "madvise",        "mmap",         "mprotect",
    "mremap",          "munmap",       "read",           "recvfrom",     "recvmsg",
    "restart_syscall", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sendmsg",
    "sendto",          "shutdown",     "socket",         "tgkill",       "timerfd_settime",
    "write",           "writev",
#ifdef __SANITIZE_ADDRESS__
    "sigaltstack",     "sched_yield", /* the sanitizer's own */
#endif
};

struct serving {
	struct loop *loop;
	int status;
};

static void ended(void *data, const struct error *err)
{
	struct serving *s = data;

	if (err->code) {
		log_error("vsock device: %s", err->text);
		s->status = 1;
	}
	loop_exit(s->loop, 0);
}

static int serve(uint64_t guest_cid, const char *path, struct error *err)
{
	struct vsock_config config = {
	    .guest_cid = guest_cid, .listen_fd = CHILD_LISTEN, .path = path};
	_cleanup_loop_ struct loop *loop = NULL;
	_cleanup_virtio_device_ struct virtio_device *dev = NULL;
	_cleanup_vhost_user_ struct vhost_user *vu = NULL;
	struct serving s = {NULL, 0};
	int r = loop_new(&loop, err);

	if (r == 0)
		r = vsock_device_new(&dev, loop, &config, err);
	if (r == 0)
		r = vhost_user_new(&vu, loop, CHILD_FRONT_END, dev, ended, &s, err);
	if (r == 0)
		r = jail_drop_privileges(err);
	if (r == 0)
		r = jail_allow(allowed, sizeof(allowed) / sizeof(allowed[0]), err);
	if (r < 0)
		return r;
	s.loop = loop;
	r = loop_run(loop, err);
	return r < 0 ? r : s.status;
}

/* Puts the two sockets at their numbers and closes all else. */
static int arrange_fds(int front_end, int listen_fd)
{
	/* Out of the way first: one may be where the other has to go. */
	int a = fcntl(front_end, F_DUPFD, CHILD_LISTEN + 1);
	int b = fcntl(listen_fd, F_DUPFD, CHILD_LISTEN + 1);

	if (a < 0 || b < 0 || dup2(a, CHILD_FRONT_END) < 0 || dup2(b, CHILD_LISTEN) < 0)
		return -errno;
	close(0);
	close(1);
	return syscall(SYS_close_range, CHILD_LISTEN + 1, ~0u, 0) < 0 ? -errno : 0;
}

static void child(pid_t parent, int front_end, int listen_fd, uint64_t guest_cid, const char *path)
{
	struct error err = ERROR_INIT;
	sigset_t none;
	int r;

	prctl(PR_SET_NAME, "kihon-vsock");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	/* Not in the terminal's foreground group: Ctrl-C is for kihon to act on. */
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int s = 1; s < NSIG; s++)
		if (s != SIGKILL && s != SIGSTOP)
			signal(s, SIG_DFL);
	r = arrange_fds(front_end, listen_fd);
	if (r < 0)
		_exit(1);
	r = serve(guest_cid, path, &err);
	if (r < 0)
		log_error("vsock device: %s", err.text);
	_exit(r == 0 ? 0 : 1);
}

int vsock_process_start(struct vsock_process *out, uint64_t guest_cid, const char *path,
                        int listen_fd, struct error *err)
{
	pid_t parent = getpid(), pid;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, errno, "making the vhost-user socket");
	pid = fork();
	if (pid < 0) {
		int saved = errno;

		close(pair[0]);
		close(pair[1]);
		return error_errno(err, saved, "starting the vsock device");
	}
	if (pid == 0)
		child(parent, pair[1], listen_fd, guest_cid, path);
	close(pair[1]);
	out->pid = pid;
	out->fd = pair[0];
	return 0;
}
