/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject: the C library's functions that make something, in front of the C library's: each counts,
 * and fails when the driver says so (inject.h). Linked into a host build of the agent for tests.
 */
#include "tests/agent/inject.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* glibc's own, which need no looking up. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);
/* What <fcntl.h> makes of open(2) with _FORTIFY_SOURCE. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

static struct inject_page *page;
static _Atomic int64_t live;
static bool in_child;

__attribute__((constructor)) static void inject_setup(void)
{
	const char *path = getenv("KIHON_INJECT");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	void *p;

	if (fd < 0)
		return;
	p = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		page = p;
}

static int errno_of(uint32_t kind)
{
	return kind == INJECT_MEMORY  ? ENOMEM
	       : kind == INJECT_FILES ? EMFILE
	       : kind == INJECT_FORK  ? EAGAIN
	                              : ENOSPC;
}

/* Does this call, which belongs to `kinds`, fail? Then errno says why. */
static bool hit(uint32_t kinds)
{
	uint64_t n, at;
	uint32_t armed;

	if (!page || in_child != (atomic_load(&page->children) != 0))
		return false;
	armed = atomic_load(&page->classes) & (kinds | (in_child ? INJECT_KILL : 0));
	if (!armed)
		return false;
	at = atomic_load(&page->at);
	n = atomic_fetch_add(&page->counter, 1) + 1;
	if (n < at || (n > at && !atomic_load(&page->on)))
		return false;
	atomic_fetch_add(&page->fired, 1);
	if (armed & INJECT_KILL) {
		kill((pid_t)syscall(SYS_getpid), SIGKILL);
		/* The first process of a pid namespace cannot kill itself. */
		syscall(SYS_exit_group, 137);
	}
	errno = errno_of(armed & -armed);
	return true;
}

#define REAL(name)                                                                                 \
	static __typeof__(&name) real;                                                             \
	if (!real)                                                                                 \
	real = (__typeof__(real))dlsym(RTLD_NEXT, #name)

/* A function with fixed arguments that fails with `failure`. */
#define WRAP(kinds, failure, type, name, params, args)                                             \
	type name params                                                                           \
	{                                                                                          \
		REAL(name);                                                                        \
		return hit(kinds) ? (failure) : real args;                                         \
	}

/* ---- the heap */

static void count(int64_t by)
{
	if (in_child)
		return;
	atomic_fetch_add(&live, by);
	if (page)
		atomic_store(&page->live, atomic_load(&live));
}

void *malloc(size_t size)
{
	void *p = hit(INJECT_MEMORY) ? NULL : __libc_malloc(size);

	count(p != NULL);
	return p;
}

void *calloc(size_t n, size_t size)
{
	void *p = hit(INJECT_MEMORY) ? NULL : __libc_calloc(n, size);

	count(p != NULL);
	return p;
}

void *realloc(void *old, size_t size)
{
	void *p = hit(INJECT_MEMORY) ? NULL : __libc_realloc(old, size);

	count(p && !old ? 1 : !p && old && !size ? -1 : 0);
	return p;
}

void free(void *p)
{
	int kept = errno;

	count(p ? -1 : 0);
	__libc_free(p);
	errno = kept;
}

/* ---- descriptors and files */

static uint32_t open_kinds(int flags)
{
	return INJECT_FILES | (flags & O_CREAT ? (uint32_t)INJECT_DISK : 0u);
}

static mode_t open_mode(int flags, va_list ap)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

#define WRAP_OPEN(name, params, args)                                                              \
	int name params                                                                            \
	{                                                                                          \
		REAL(name);                                                                        \
		va_list ap;                                                                        \
		mode_t mode;                                                                       \
                                                                                                   \
		va_start(ap, flags);                                                               \
		mode = open_mode(flags, ap);                                                       \
		va_end(ap);                                                                        \
		return hit(open_kinds(flags)) ? -1 : real args;                                    \
	}

WRAP_OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
WRAP_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
WRAP_OPEN(openat, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
WRAP_OPEN(openat64, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
WRAP(INJECT_FILES, -1, int, __open_2, (const char *path, int flags), (path, flags))
WRAP(INJECT_FILES, -1, int, __open64_2, (const char *path, int flags), (path, flags))
WRAP(INJECT_FILES, -1, int, __openat_2, (int dir, const char *path, int flags), (dir, path, flags))
WRAP(INJECT_FILES, -1, int, __openat64_2, (int dir, const char *path, int flags),
     (dir, path, flags))
WRAP(INJECT_FILES | INJECT_MEMORY, NULL, DIR *, opendir, (const char *path), (path))
WRAP(INJECT_FILES | INJECT_MEMORY, -1, int, pipe2, (int fds[2], int flags), (fds, flags))
WRAP(INJECT_FILES, -1, int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(INJECT_FILES, -1, int, socketpair, (int domain, int type, int protocol, int fds[2]),
     (domain, type, protocol, fds))
WRAP(INJECT_FILES, -1, int, accept4,
     (int fd, struct sockaddr *restrict address, socklen_t *restrict size, int flags),
     (fd, address, size, flags))
WRAP(INJECT_FILES, -1, int, epoll_create1, (int flags), (flags))
WRAP(INJECT_FILES, -1, int, timerfd_create, (int clock, int flags), (clock, flags))
WRAP(INJECT_FILES, -1, int, eventfd, (unsigned int value, int flags), (value, flags))
WRAP(INJECT_FILES, -1, int, inotify_init1, (int flags), (flags))
WRAP(INJECT_FILES, -1, int, memfd_create, (const char *name, unsigned int flags), (name, flags))
WRAP(INJECT_FILES, -1, int, dup, (int fd), (fd))
WRAP(INJECT_DISK | INJECT_MEMORY, -1, int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(INJECT_DISK | INJECT_MEMORY, -1, int, mkdirat, (int dir, const char *path, mode_t mode),
     (dir, path, mode))
WRAP(INJECT_DISK, -1, int, symlink, (const char *target, const char *path), (target, path))
WRAP(INJECT_DISK, -1, int, symlinkat, (const char *target, int dir, const char *path),
     (target, dir, path))
WRAP(INJECT_DISK, -1, int, mknodat, (int dir, const char *path, mode_t mode, dev_t dev),
     (dir, path, mode, dev))
WRAP(INJECT_MEMORY, -1, int, mount,
     (const char *source, const char *target, const char *type, unsigned long flags,
      const void *data),
     (source, target, type, flags, data))
/* Only for being killed there: taking down does not fail for want of anything. */
WRAP(0, -1, int, umount2, (const char *target, int flags), (target, flags))
WRAP(0, -1, int, rmdir, (const char *path), (path))
WRAP(0, -1, int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
WRAP(0, -1, int, chdir, (const char *path), (path))
WRAP(0, -1, ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags),
     (fd, message, flags))

int signalfd(int fd, const sigset_t *mask, int flags)
{
	REAL(signalfd);
	return fd < 0 && hit(INJECT_FILES) ? -1 : real(fd, mask, flags);
}

/* EPOLL_CTL_ADD allocates, and counts against fs.epoll.max_user_watches. */
int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	REAL(epoll_ctl);
	return op == EPOLL_CTL_ADD && hit(INJECT_MEMORY) ? -1 : real(epoll, op, fd, event);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	struct stat st;

	REAL(write);
	if (page && atomic_load(&page->classes) & (INJECT_DISK | INJECT_KILL) && fd > 2 &&
	    (in_child || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))) && hit(INJECT_DISK))
		return -1;
	return real(fd, bytes, size);
}

static int dup_kinds(int op)
{
	return op == F_DUPFD_CLOEXEC || op == F_DUPFD ? INJECT_FILES : 0;
}

int fcntl(int fd, int op, ...)
{
	va_list ap;
	void *arg;

	REAL(fcntl);
	va_start(ap, op);
	arg = va_arg(ap, void *);
	va_end(ap);
	return dup_kinds(op) && hit(INJECT_FILES) ? -1 : real(fd, op, arg);
}

int fcntl64(int fd, int op, ...)
{
	va_list ap;
	void *arg;

	REAL(fcntl64);
	va_start(ap, op);
	arg = va_arg(ap, void *);
	va_end(ap);
	return dup_kinds(op) && hit(INJECT_FILES) ? -1 : real(fd, op, arg);
}

/* ---- processes */

pid_t fork(void)
{
	pid_t pid;

	REAL(fork);
	if (hit(INJECT_FORK | INJECT_MEMORY))
		return -1;
	pid = real();
	if (pid == 0) {
		in_child = true;
		hit(0);
	}
	return pid;
}

static uint32_t call_kinds(long number)
{
	static const struct {
		long number;
		uint32_t kinds;
	} calls[] = {
	    {SYS_clone3, INJECT_FORK | INJECT_MEMORY},
	    {SYS_openat2, INJECT_FILES},
	    {SYS_pidfd_open, INJECT_FILES},
	    {SYS_fsopen, INJECT_FILES | INJECT_MEMORY},
	    {SYS_fsmount, INJECT_FILES | INJECT_MEMORY},
	    {SYS_open_tree, INJECT_FILES | INJECT_MEMORY},
	    {SYS_move_mount, INJECT_MEMORY},
	    {SYS_bpf, INJECT_FILES | INJECT_MEMORY},
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].number == number)
			return calls[i].kinds;
	return 0;
}

long syscall(long number, ...)
{
	va_list ap;
	long a[6], r;

	REAL(syscall);
	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (page && number != SYS_exit_group && number != SYS_getpid && hit(call_kinds(number)))
		return -1;
	r = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (number == SYS_clone3 && r == 0)
		in_child = true;
	return r;
}
