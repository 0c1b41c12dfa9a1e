/* SPDX-License-Identifier: Apache-2.0 */
/* jail: see the header. */
#include "jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/process.h"

/* ---- namespaces */

static const struct {
	int flag;
	enum jail_part part;
} namespaces[] = {
    {CLONE_NEWNS, JAIL_HAS_MOUNT}, {CLONE_NEWNET, JAIL_HAS_NET}, {CLONE_NEWPID, JAIL_HAS_PID},
    {CLONE_NEWIPC, JAIL_HAS_IPC},  {CLONE_NEWUTS, JAIL_HAS_UTS},
};

static bool put_text(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* One user and one group, under the numbers they have outside. */
static bool map_ids(uid_t uid, gid_t gid)
{
	char line[64];

	if (!put_text("/proc/self/setgroups", "deny"))
		return false;
	snprintf(line, sizeof(line), "%u %u 1\n", gid, gid);
	if (!put_text("/proc/self/gid_map", line))
		return false;
	snprintf(line, sizeof(line), "%u %u 1\n", uid, uid);
	return put_text("/proc/self/uid_map", line);
}

/* As many as the kernel gives: with its user namespace an ordinary user may have the others. had:
 * those that the process was born into. */
static unsigned int leave_namespaces(unsigned int had)
{
	unsigned int held = had;
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (uid != 0 && unshare(CLONE_NEWUSER) == 0 && map_ids(uid, gid))
		held |= JAIL_HAS_USER;
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
		if (!(had & namespaces[i].part) && unshare(namespaces[i].flag) == 0)
			held |= namespaces[i].part;
	return held;
}

/* ---- the process
 *
 * A new PID namespace is for the next child, so there is a process between the caller and the
 * jailed one, which ends at once; the caller adopts the orphan, as a child subreaper. The new
 * process tells of itself, and the kernel adds the number it has for the caller: whoever is killed
 * on the way, the others see the end of the wire.
 *
 * A caller who may make a PID namespace as he is, root, has no process between: his thread makes it
 * for its next child, and then takes back the one that it had. */

struct birth {
	int error; /* errno of fork(2), of the process between; 0: it is the new one that speaks */
	unsigned int held;
};

static bool send_all(int wire, const void *data, size_t size)
{
	return send(wire, data, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* Asks for a signal at the end of the caller (of the thread that called, in fact), who may have
 * gone before. Process 1 of a namespace cannot see that by getppid(2). */
static int die_with(int caller)
{
	struct pollfd p = {.fd = caller, .events = POLLIN};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	return poll(&p, 1, 0) == 0 ? 0 : -ESRCH;
}

/* In the process between, and then in the new one, which returns. */
static int be_born(struct jail *j, int wire, int caller)
{
	struct birth b = {.held = leave_namespaces(0)};
	pid_t pid = fork();
	char byte = 0;

	if (pid < 0) {
		b.error = errno;
		_exit(send_all(wire, &b, sizeof(b)) ? 0 : 1);
	}
	if (pid > 0)
		_exit(0);
	/* Adopted first: the signal must not be for the end of the process between. */
	if (!send_all(wire, &b, sizeof(b)) || recv(wire, &byte, 1, 0) != 1)
		_exit(1);
	if (die_with(caller) < 0 || !send_all(wire, &byte, 1))
		_exit(1);
	j->held = b.held;
	j->caller = caller + 1;
	return 1;
}

/* As the first process of a PID namespace. */
static int be_first(struct jail *j, int wire, int caller)
{
	struct birth b = {.held = leave_namespaces(JAIL_HAS_PID)};

	if (die_with(caller) < 0 || !send_all(wire, &b, sizeof(b)))
		_exit(1);
	j->held = b.held;
	j->caller = caller + 1;
	return 1;
}

/* A message, and who sent it; false at the end of the wire. */
static bool receive(int wire, void *data, size_t size, pid_t *from)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec iov = {data, size};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = &control,
	                     .msg_controllen = sizeof(control)};
	struct ucred who = {0};
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(wire, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)size)
		return false;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_CREDENTIALS || c->cmsg_len != CMSG_LEN(sizeof(who)))
		return false;
	memcpy(&who, CMSG_DATA(c), sizeof(who));
	*from = who.pid;
	return true;
}

static void wait_for(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* In the caller: takes the new process over. */
static int adopt(struct jail *j, pid_t between, int wire, pid_t *pid, struct error *err)
{
	struct birth b = {.error = 0};
	pid_t born = 0;
	bool there = receive(wire, &b, sizeof(b), &born);
	char byte = 0;

	wait_for(between);
	if (there && b.error)
		return error_errno(err, b.error, "making the jailed process");
	if (!there || !send_all(wire, &byte, 1) || !receive(wire, &byte, 1, &born)) {
		if (born > 0)
			wait_for(born);
		return error_set(err, ECHILD, "the jailed process ended at its start");
	}
	j->held = b.held;
	*pid = born;
	return 0;
}

/* 1: not for us to do; 0 in the caller, with *pid; in the child, *pid is 0. */
static int fork_first(pid_t *pid, struct error *err)
{
	_cleanup_close_ int own =
	    open("/proc/thread-self/ns/pid_for_children", O_RDONLY | O_CLOEXEC);
	int r = 0;

	if (geteuid() != 0 || own < 0 || unshare(CLONE_NEWPID) < 0)
		return 1;
	*pid = fork();
	if (*pid < 0)
		r = error_errno(err, errno, "making the jailed process");
	if (*pid != 0 && setns(own, CLONE_NEWPID) < 0 && r == 0) {
		r = error_errno(err, errno, "going back to the PID namespace");
		kill(*pid, SIGKILL);
		wait_for(*pid);
	}
	return r;
}

/* In the caller: hears that it lives. */
static int meet(struct jail *j, int wire, pid_t pid, struct error *err)
{
	struct birth b = {.error = 0};
	pid_t from;

	if (!receive(wire, &b, sizeof(b), &from)) {
		wait_for(pid);
		return error_set(err, ECHILD, "the jailed process ended at its start");
	}
	j->held = b.held;
	return 0;
}

/* By way of a process between. */
static int fork_twice(struct jail *j, int *ours, int *theirs, int *self, pid_t *pid,
                      struct error *err)
{
	int was = 0, r;
	pid_t between;

	prctl(PR_GET_CHILD_SUBREAPER, &was, 0, 0, 0);
	if (!was && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return error_errno(err, errno, "adopting the jailed process");
	between = fork();
	if (between == 0) {
		close_fd(ours);
		return be_born(j, *theirs, steal_fd(self));
	}
	close_fd(theirs);
	r = between < 0 ? error_errno(err, errno, "making the jailed process")
	                : adopt(j, between, *ours, pid, err);
	if (!was)
		prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
	return r;
}

int jail_fork(struct jail *j, pid_t *pid, struct error *err)
{
	_cleanup_close_ int ours = -1, theirs = -1, self = -1;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, errno, "making the jailed process");
	ours = pair[0];
	theirs = pair[1];
	if (setsockopt(ours, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)) < 0)
		return error_errno(err, errno, "making the jailed process");
	self = process_pidfd_open(getpid());
	if (self < 0)
		return error_errno(err, -self, "making the jailed process");
	r = fork_first(pid, err);
	if (r == 1)
		return fork_twice(j, &ours, &theirs, &self, pid, err);
	if (r < 0)
		return r;
	if (*pid == 0) {
		close_fd(&ours);
		return be_first(j, theirs, steal_fd(&self));
	}
	close_fd(&theirs);
	return meet(j, ours, *pid, err);
}

/* ---- the root directory */

/* Makes `folder` below `root` with all that is above it, and shows the real one there. */
static int show_folder(const char *root, const char *folder, struct error *err)
{
	char path[PATH_MAX];
	size_t base = strlen(root);

	if (folder[0] != '/' ||
	    (size_t)snprintf(path, sizeof(path), "%s%s", root, folder) >= sizeof(path))
		return error_set(err, EINVAL, "%s: the folder of a jail has an absolute name",
		                 folder);
	for (char *at = path + base + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		if (mkdir(path, 0555) < 0 && errno != EEXIST)
			return error_errno(err, errno, "jail: making %s", path + base);
		*at = '/';
	}
	if (mkdir(path, 0555) < 0 && errno != EEXIST)
		return error_errno(err, errno, "jail: making %s", folder);
	if (mount(folder, path, NULL, MS_BIND | MS_REC, NULL) < 0)
		return error_errno(err, errno, "jail: showing %s", folder);
	return 0;
}

/* An empty file system as the root. -EPERM: not ours to do here. */
static int empty_root(const char *folder, struct error *err)
{
	static const char place[] = "/proc"; /* a folder that is there */
	int r = 0;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("jail", place, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
	          "size=64k,nr_inodes=64,mode=0755") < 0)
		return errno == EPERM || errno == EACCES
		           ? -EPERM
		           : error_errno(err, errno, "jail: mounting an empty root");
	if (folder)
		r = show_folder(place, folder, err);
	if (r < 0)
		return r;
	if (chdir(place) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0 ||
	    mount(NULL, "/", NULL,
	          MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return error_errno(err, errno, "jail: changing to an empty root");
	return 0;
}

/* ---- Landlock */

/* Of newer headers than some that this is compiled with. */
struct landlock_attr {
	uint64_t fs, net, scoped;
};

/* What each version of the interface can deny: linux/landlock.h and landlock(7). */
static const struct {
	size_t size;
	struct landlock_attr attr;
} landlock_versions[] = {
    {8, {.fs = 0x1fff}},                         /* 1: files and folders */
    {8, {.fs = 0x3fff}},                         /* 2: links between folders */
    {8, {.fs = 0x7fff}},                         /* 3: truncation */
    {16, {.fs = 0x7fff, .net = 3}},              /* 4: TCP */
    {16, {.fs = 0xffff, .net = 3}},              /* 5: ioctl of devices opened from now on */
    {24, {.fs = 0xffff, .net = 3, .scoped = 3}}, /* 6: abstract sockets, signals */
};

/* Everything that the kernel's version of Landlock can deny is denied. */
static int deny_files(struct jail *j, struct error *err)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	size_t n = sizeof(landlock_versions) / sizeof(landlock_versions[0]);
	_cleanup_close_ int fd = -1;
	size_t v;

	if (abi < 1)
		return 0;
	v = (size_t)abi < n ? (size_t)abi - 1 : n - 1;
	fd = (int)syscall(SYS_landlock_create_ruleset, &landlock_versions[v].attr,
	                  landlock_versions[v].size, 0);
	if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return error_errno(err, errno, "jail: Landlock");
	j->held |= JAIL_HAS_LANDLOCK;
	return 0;
}

/* ---- who we are, and what we may use up */

/* Root becomes somebody else; where he may not (a container's root, with no other user to become),
 * he goes on without his capabilities. */
static int leave_root(struct jail *j, struct error *err)
{
	uid_t uid = j->uid ? j->uid : JAIL_NOBODY;
	gid_t gid = j->gid ? j->gid : JAIL_NOBODY;

	/* Without CAP_SETPCAP the bounding set stays, but no_new_privs keeps it from giving any. */
	for (unsigned long cap = 0; cap <= 63; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno == EINVAL)
			break; /* there are no more */
	if (geteuid() != 0 || j->uid == JAIL_STAY || (j->held & JAIL_HAS_USER))
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return errno == EPERM || errno == EINVAL
		           ? 0
		           : error_errno(err, errno, "jail: becoming user %u", uid);
	j->held |= JAIL_HAS_UID;
	return 0;
}

int jail_open_plain(const char *path)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct had[2] = {0}, none[2];
	int fd;

	if (syscall(SYS_capget, &header, had) < 0)
		return -errno;
	memcpy(none, had, sizeof(none));
	none[0].effective = none[1].effective = 0;
	if (syscall(SYS_capset, &header, none) < 0)
		return -errno;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	fd = fd < 0 ? -errno : fd;
	/* They are permitted still: this cannot fail. */
	return syscall(SYS_capset, &header, had) < 0 ? -errno : fd;
}

static int drop_privileges(struct error *err)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, errno, "jail: no_new_privs");
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &header, none) < 0)
		return error_errno(err, errno, "jail: dropping capabilities");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_errno(err, errno, "jail: shutting out debuggers");
	return 0;
}

static int set_limit(int what, uint64_t value, struct error *err)
{
	struct rlimit old, l;

	if (getrlimit(what, &old) < 0)
		return error_errno(err, errno, "jail: reading limits");
	l.rlim_cur = l.rlim_max = value < old.rlim_max ? value : old.rlim_max;
	if (setrlimit(what, &l) < 0)
		return error_errno(err, errno, "jail: setting limits");
	return 0;
}

/* ---- descriptors */

/* Closes all but the list, in gaps. Returns the number after the highest that stays. */
static int close_others(const struct jail *j, unsigned int *end, struct error *err)
{
	unsigned int from = 0;

	for (;;) {
		unsigned int next = ~0u;

		for (size_t i = 0; i <= j->n_keep; i++) {
			int fd = i < j->n_keep ? j->keep[i] : j->caller - 1;

			if (fd >= 0 && (unsigned int)fd >= from && (unsigned int)fd < next)
				next = (unsigned int)fd;
		}
		if (from < next &&
		    syscall(SYS_close_range, from, next == ~0u ? ~0u : next - 1, 0) < 0)
			return error_errno(err, errno, "jail: closing descriptors");
		if (next == ~0u)
			break;
		from = next + 1;
	}
	*end = from;
	return 0;
}

/* The kernel forgets the signal at the caller's end when a process changes who it is. */
static int stay_tied(struct jail *j, struct error *err)
{
	_cleanup_close_ int caller = j->caller - 1;

	if (caller < 0)
		return 0;
	j->caller = 0;
	if (die_with(caller) < 0)
		return error_set(err, ESRCH, "jail: the caller has gone");
	return 0;
}

int jail_enter(struct jail *j, struct error *err)
{
	unsigned int end = 0;
	int r = close_others(j, &end, err);

	if (r == 0 && (j->held & JAIL_HAS_MOUNT)) {
		r = empty_root(j->folder, err);
		if (r == 0)
			j->held |= JAIL_HAS_EMPTY_ROOT;
		else if (r == -EPERM)
			r = 0;
	}
	if (r == 0)
		r = set_limit(RLIMIT_CORE, 0, err);
	if (r == 0)
		r = set_limit(RLIMIT_NOFILE, j->max_files ? j->max_files : end, err);
	if (r == 0 && j->max_file_size)
		r = set_limit(RLIMIT_FSIZE, j->max_file_size, err);
	if (r == 0)
		r = leave_root(j, err);
	if (r == 0)
		r = drop_privileges(err);
	if (r == 0)
		r = stay_tied(j, err);
	if (r == 0)
		r = deny_files(j, err);
	return r;
}
