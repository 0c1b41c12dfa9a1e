/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_process: the vsock device in a process of its own. */
#include "vsock_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-shim/hypervisor/vhost_user.h"
#include "host-shim/vmm/devices/vsock.h"
#include "host-shim/vmm/jail.h"
#include "lib/base/cleanup.h"

/* Descriptors of the child. */
enum { CHILD_STDERR = 2, CHILD_FRONT_END = 3, CHILD_LISTEN = 4 };
enum { CHILD_FILES_MAX = 2048 }; /* twice VSOCK_CONNS_MAX */

struct serving {
	struct loop *loop;
	struct error err;
};

static void ended(void *data, const struct error *err)
{
	struct serving *s = data;

	s->err = *err;
	loop_exit(s->loop, 0);
}

static int serve(uint64_t guest_cid, const char *path, struct error *err)
{
	struct vsock_config config = {
	    .guest_cid = guest_cid, .listen_fd = CHILD_LISTEN, .path = path};
	_cleanup_loop_ struct loop *loop = NULL;
	_cleanup_virtio_device_ struct virtio_device *dev = NULL;
	_cleanup_vhost_user_ struct vhost_user *vu = NULL;
	struct serving s = {NULL, ERROR_INIT};
	/* The sockets of guest-initiated connections are in a folder that may be root's alone. */
	struct jail jail = {.keep = (const int[]){CHILD_STDERR, CHILD_FRONT_END, CHILD_LISTEN},
	                    .n_keep = 3,
	                    .uid = JAIL_STAY,
	                    .max_files = CHILD_FILES_MAX};
	int r = jail_enter(&jail, err);

	if (r == 0)
		r = loop_new(&loop, err);
	if (r == 0)
		r = vsock_device_new(&dev, loop, &config, err);
	if (r == 0)
		r = vhost_user_new(&vu, loop, CHILD_FRONT_END, dev, ended, &s, err);
	if (r == 0)
		r = jail_thread(JAIL_THREAD_VSOCK, err);
	if (r < 0)
		return r;
	s.loop = loop;
	r = loop_run(loop, err);
	if (r == 0 && s.err.code)
		*err = s.err;
	return r < 0 ? r : s.err.code;
}

/* Puts what the child may have at its numbers; the jail closes all else. */
static int arrange_fds(int errors, int front_end, int listen_fd)
{
	/* Out of the way first: one may be where another has to go. */
	int e = fcntl(errors, F_DUPFD, CHILD_LISTEN + 1);
	int f = fcntl(front_end, F_DUPFD, CHILD_LISTEN + 1);
	int l = fcntl(listen_fd, F_DUPFD, CHILD_LISTEN + 1);

	if (e < 0 || f < 0 || l < 0 || dup2(e, CHILD_STDERR) < 0 || dup2(f, CHILD_FRONT_END) < 0 ||
	    dup2(l, CHILD_LISTEN) < 0)
		return -errno;
	return 0;
}

static void child(pid_t parent, const int fds[3], uint64_t guest_cid, const char *path)
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
	r = arrange_fds(fds[0], fds[1], fds[2]);
	if (r < 0)
		_exit(1);
	r = serve(guest_cid, path, &err);
	if (r < 0 && write(CHILD_STDERR, err.text, strlen(err.text)) < 0)
		_exit(2);
	_exit(r == 0 ? 0 : 1);
}

int vsock_process_start(struct vsock_process *out, uint64_t guest_cid, const char *path,
                        int listen_fd, struct error *err)
{
	pid_t parent = getpid(), pid;
	int pair[2] = {-1, -1}, errors[2] = {-1, -1};
	_cleanup_close_ int theirs = -1, their_errors = -1, ours = -1, our_errors = -1;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
	    pipe2(errors, O_CLOEXEC | O_NONBLOCK) < 0) {
		int r = error_errno(err, errno, "making the vhost-user socket");

		close_fd(&pair[0]);
		close_fd(&pair[1]);
		return r;
	}
	ours = pair[0];
	theirs = pair[1];
	our_errors = errors[0];
	their_errors = errors[1];
	pid = fork();
	if (pid < 0)
		return error_errno(err, errno, "starting the vsock device");
	if (pid == 0)
		child(parent, (int[]){their_errors, theirs, listen_fd}, guest_cid, path);
	out->pid = pid;
	out->fd = steal_fd(&ours);
	out->errors = steal_fd(&our_errors);
	return 0;
}
