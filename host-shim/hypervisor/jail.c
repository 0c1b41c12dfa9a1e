/* SPDX-License-Identifier: Apache-2.0 */
/* jail: what a process gives up before it reads bytes of the guest. */
#include "jail.h"

#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int jail_drop_privileges(struct error *err)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, errno, "setting no_new_privs");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return error_errno(err, errno, "clearing ambient capabilities");
	if (syscall(SYS_capset, &header, none) < 0)
		return error_errno(err, errno, "dropping capabilities");
	return 0;
}

static void release_filter(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

int jail_allow(const char *const *syscalls, size_t n, struct error *err)
{
	__attribute__((cleanup(release_filter))) scmp_filter_ctx ctx =
	    seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && r == 0; i++) {
		int nr = seccomp_syscall_resolve_name(syscalls[i]);

		if (nr == __NR_SCMP_ERROR)
			continue; /* not on this architecture */
		if (strcmp(syscalls[i], "socket") == 0)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1,
			                     SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
		else
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	if (r == 0)
		r = seccomp_load(ctx);
	if (r < 0)
		return error_errno(err, -r, "loading the system-call filter");
	return 0;
}
