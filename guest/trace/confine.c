/* SPDX-License-Identifier: Apache-2.0 */
/* confine: see the header. */
#include "guest/trace/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Waiting, the ring's wake-ups, the control group's state, output, memory, time, the end. */
static const char *const allowed[] = {
    "poll",          "ppoll",  "epoll_wait", "epoll_pwait", "pread64",         "write",
    "writev",        "brk",    "mmap",       "mremap",      "munmap",          "madvise",
    "clock_gettime", "futex",  "exit",       "exit_group",  "restart_syscall", "close",
    "rt_sigreturn",  "gettid", "fstat",      "newfstatat",  "lseek",           "getpid",
};

static int drop_privileges(struct error *err)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_errno(err, errno, "giving up privileges");
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (unsigned long cap = 0; cap <= 63; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (syscall(SYS_capset, &head, none) < 0)
		return error_errno(err, errno, "giving up capabilities");
	return 0;
}

#ifdef __SANITIZE_ADDRESS__
/* The leak check at exit is a process of its own that traces this one. */
static int filter(struct error *err)
{
	(void)allowed;
	return 0;
}
#else
static int filter(struct error *err)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = c ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		int nr = seccomp_syscall_resolve_name(allowed[i]);

		if (nr != __NR_SCMP_ERROR)
			r = seccomp_rule_add(c, SCMP_ACT_ALLOW, nr, 0);
	}
	if (r == 0)
		r = seccomp_load(c);
	seccomp_release(c);
	return r < 0 ? error_errno(err, -r, "the filter of system calls") : 0;
}
#endif

int confine(struct error *err)
{
	int r = drop_privileges(err);

	return r < 0 ? r : filter(err);
}
