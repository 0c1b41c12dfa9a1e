/* SPDX-License-Identifier: Apache-2.0 */
/* spawn: clone3, directly or by way of a joiner. */
#include "guest/agent/container/spawn.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/agent/container/calls.h"
#include "guest/agent/container/sync.h"
#include "lib/base/cleanup.h"

/* clone(2)'s unshare-like flags that take effect for the child at once. A cgroup namespace
 * takes the cgroup of its maker for root, so the child makes that one itself when it is in
 * its cgroup; a time namespace is only for children. */
#define AT_CLONE (~(uint64_t)(CLONE_NEWCGROUP | CLONE_NEWTIME))

static bool needs_joiner(const struct spawn_args *a)
{
	const struct namespace_plan *p = a->namespaces;

	if (a->target_pidfd >= 0)
		return a->target_flags & (CLONE_NEWPID | CLONE_NEWTIME);
	if ((p->create | p->join) & CLONE_NEWTIME || p->join & (CLONE_NEWPID | CLONE_NEWUSER))
		return true;
	return p->create & CLONE_NEWUSER && p->join;
}

static int join_all(const struct spawn_args *a, struct error *err)
{
	if (a->target_pidfd < 0)
		return namespace_join(a->namespaces, err);
	if (a->target_flags && setns(a->target_pidfd, (int)a->target_flags) < 0)
		return error_errno(err, errno, "joining the namespaces of the container");
	return 0;
}

static pid_t clone_process(uint64_t flags, int cgroup_fd, int *pidfd)
{
	struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};

	if (flags & CLONE_PARENT)
		args.exit_signal = 0; /* the kernel takes the joiner's */
	if (pidfd) {
		args.flags |= CLONE_PIDFD;
		args.pidfd = (uint64_t)(uintptr_t)pidfd;
	}
	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup_fd;
	}
	return call_clone3(&args);
}

static int clone_failed(int errnum, struct error *err)
{
	error_errno(err, errnum, "making a process of the container");
	if (errnum == EBUSY)
		error_hint(err, -errnum, " (its cgroup has children that hold controllers)");
	return -errnum;
}

/* ---- the joiner ---- */

static int join_and_clone(const struct spawn_args *a, pid_t *pid, struct error *err)
{
	uint64_t create = a->namespaces ? a->namespaces->create : 0;
	int r = a->before ? a->before(a->data, err) : 0;

	if (r == 0)
		r = join_all(a, err);
	if (r < 0)
		return r;
	if (create & CLONE_NEWTIME) {
		if (unshare(CLONE_NEWTIME) < 0)
			return error_errno(err, errno, "making a time namespace");
		r = namespace_set_time_offsets(a->time_offsets, err);
		if (r < 0)
			return r;
	}
	*pid = clone_process((create & AT_CLONE) | CLONE_PARENT, -1, NULL);
	if (*pid < 0)
		return clone_failed(errno, err);
	if (*pid == 0)
		a->run(a);
	return 0;
}

static void __attribute__((noreturn)) run_joiner(const struct spawn_args *a, int fd)
{
	struct error err = ERROR_INIT;
	pid_t pid = 0;
	int r = join_and_clone(a, &pid, &err);

	if (r < 0)
		sync_send_error(fd, &err);
	else
		sync_send(fd, SYNC_PID, pid, -1);
	_exit(0);
}

static int take_pid(int fd, pid_t *pid, struct error *err)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct sync_message m;
	int passed, r;

	do
		r = poll(&p, 1, SPAWN_DEADLINE_MS);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return error_set(err, ETIMEDOUT,
		                 "joining the container's namespaces takes too long");
	r = sync_recv(fd, &m, &passed, MSG_DONTWAIT);
	close_fd(&passed);
	if (r > 0 && m.type == SYNC_ERROR)
		return sync_take_error(&m, err);
	if (r <= 0 || m.type != SYNC_PID)
		return error_set(err, EPIPE, "the process that joins namespaces ended");
	*pid = m.code;
	return 0;
}

static int spawn_by_joiner(const struct spawn_args *a, pid_t *pid, int *pidfd, struct error *err)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	int fds[2], r = sync_pair(fds, err);
	pid_t joiner;

	if (r < 0)
		return r;
	ours = fds[0];
	theirs = fds[1];
	joiner = clone_process(0, a->cgroup_fd, NULL);
	if (joiner < 0)
		return clone_failed(errno, err);
	if (joiner == 0)
		run_joiner(a, theirs);
	close_fd(&theirs);
	r = take_pid(ours, pid, err);
	if (r < 0)
		kill(joiner, SIGKILL);
	while (waitpid(joiner, NULL, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return r;
	*pidfd = call_pidfd_open(*pid);
	return 0;
}

/* ---- directly ---- */

int spawn_enter(const struct spawn_args *a, struct error *err)
{
	int r;

	if (needs_joiner(a))
		return 0;
	r = a->before ? a->before(a->data, err) : 0;
	return r < 0 ? r : join_all(a, err);
}

int spawn(const struct spawn_args *a, pid_t *pid, int *pidfd, struct error *err)
{
	uint64_t create = a->namespaces ? a->namespaces->create : 0;
	sigset_t all, old;
	int r = 0;

	*pidfd = -1;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	if (needs_joiner(a)) {
		r = spawn_by_joiner(a, pid, pidfd, err);
	} else {
		*pid = clone_process(create & AT_CLONE, a->cgroup_fd, pidfd);
		if (*pid == 0)
			a->run(a);
		if (*pid < 0)
			r = clone_failed(errno, err);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}
