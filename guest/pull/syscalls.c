/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscalls: see the header. The lists hold what strace showed of musl and of glibc, and
 * what other versions of them use for the same.
 */
#include "guest/pull/syscalls.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const always[] = {
    /* memory and threads */
    "brk",
    "mmap",
    "mremap",
    "munmap",
    "mprotect",
    "madvise",
    "futex",
    "set_robust_list",
    "rseq",
    "sched_yield",
    "sched_getaffinity",
    "membarrier",
    "exit",
    "exit_group",
    "restart_syscall",
    "set_tid_address",
    "arch_prctl",
    /* files, by descriptor and by name */
    "read",
    "readv",
    "pread64",
    "write",
    "writev",
    "pwrite64",
    "lseek",
    "close",
    "dup",
    "dup2",
    "dup3",
    "fcntl",
    "open",
    "openat",
    "openat2",
    "stat",
    "fstat",
    "lstat",
    "newfstatat",
    "statx",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "getdents64",
    "getcwd",
    "ftruncate",
    "fallocate",
    "fadvise64",
    "copy_file_range",
    "fsync",
    "fdatasync",
    "flock",
    "fchmod",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    /* time, signals, limits, identity */
    "clock_gettime",
    "clock_getres",
    "gettimeofday",
    "time",
    "nanosleep",
    "clock_nanosleep",
    "setitimer",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "tgkill",
    "getrandom",
    "getpid",
    "gettid",
    "getppid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getrlimit",
    "prlimit64",
    "getrusage",
    "uname",
    "sysinfo",
    "umask",
};

static const char *const with_network[] = {
    "connect",       "bind",      "getsockname", "getpeername", "getsockopt",   "setsockopt",
    "sendto",        "sendmsg",   "sendmmsg",    "recvfrom",    "recvmsg",      "recvmmsg",
    "shutdown",      "poll",      "ppoll",       "select",      "pselect6",     "epoll_create",
    "epoll_create1", "epoll_ctl", "epoll_wait",  "epoll_pwait", "epoll_pwait2", "eventfd2",
    "pipe",          "pipe2",
};

/* Nothing here asks for these: who does is somebody else. */
static const char *const never[] = {
    "execve",  "execveat",    "ptrace",          "process_vm_readv", "process_vm_writev",
    "mount",   "umount2",     "pivot_root",      "chroot",           "unshare",
    "setns",   "init_module", "finit_module",    "delete_module",    "bpf",
    "keyctl",  "kexec_load",  "kexec_file_load", "reboot",           "swapon",
    "swapoff", "personality", "perf_event_open", "userfaultfd",      "io_uring_setup",
};

static int add_names(scmp_filter_ctx c, uint32_t action, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]), r;

		if (nr == __NR_SCMP_ERROR)
			continue; /* not of this architecture or library */
		r = seccomp_rule_add(c, action, nr, 0);
		if (r)
			return r;
	}
	return 0;
}

/* Threads, not processes; terminals asked, not told; sockets of four families. */
static int add_conditional(scmp_filter_ctx c, bool network)
{
	static const int families[] = {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK};
	static const unsigned long requests[] = {TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO};
	const unsigned int thread = CLONE_VM | CLONE_THREAD;
	int r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
	                         SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));

	for (size_t i = 0; !r && i < COUNT(requests); i++)
		r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
		                     SCMP_A1(SCMP_CMP_EQ, requests[i]));
	for (size_t i = 0; !r && network && i < COUNT(families); i++) {
		r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
		                     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
		if (!r && families[i] == AF_UNIX)
			r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
			                     SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	}
	return r;
}

#ifdef __SANITIZE_ADDRESS__
/* The leak check at exit is a process of its own that traces this one. */
int syscalls_restrict(bool network, struct error *err)
{
	(void)network, (void)err, (void)add_names, (void)add_conditional;
	(void)always, (void)with_network, (void)never;
	return 0;
}
#else
int syscalls_restrict(bool network, struct error *err)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r;

	if (!c)
		return error_set(err, ENOMEM, "sandbox: out of memory");
	r = add_names(c, SCMP_ACT_ALLOW, always, COUNT(always));
	if (!r && network)
		r = add_names(c, SCMP_ACT_ALLOW, with_network, COUNT(with_network));
	if (!r)
		r = add_names(c, SCMP_ACT_KILL_PROCESS, never, COUNT(never));
	if (!r)
		r = add_conditional(c, network);
	if (!r)
		r = seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
	if (!r)
		r = seccomp_load(c);
	seccomp_release(c);
	return r ? error_errno(err, -r, "sandbox: seccomp") : 0;
}
#endif
