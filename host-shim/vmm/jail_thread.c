/* SPDX-License-Identifier: Apache-2.0 */
/* jail_thread: loads the system-call filter of a thread, which the build has made. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "host-shim/vmm/jail.h"
#include "host-shim/vmm/jail_filters.h"
#include "lib/base/cleanup.h"

#define FILTER(name)                                                                               \
	{                                                                                          \
		filter_##name, sizeof(filter_##name) / sizeof(filter_##name[0])                    \
	}

static const struct {
	const struct sock_filter *code;
	size_t n;
} filters[JAIL_THREADS] = {
    [JAIL_THREAD_DEVICES] = FILTER(devices),
    [JAIL_THREAD_VCPU] = FILTER(vcpu),
    [JAIL_THREAD_STORAGE] = FILTER(storage),
    [JAIL_THREAD_VSOCK] = FILTER(vsock),
};

int jail_thread(enum jail_thread kind, struct error *err)
{
	/* Not on the stack: each thread would keep a page of it for good. */
	_cleanup_free_ struct sock_filter *code = calloc(filters[kind].n, sizeof(*code));
	struct sock_fprog program = {(unsigned short)filters[kind].n, code};

	if (!code)
		return error_set(err, ENOMEM, "jail: no memory for the system-call filter");
	memcpy(code, filters[kind].code, filters[kind].n * sizeof(code[0]));
	for (size_t i = 0; i < filters[kind].n; i++)
		if (code[i].k == FILTER_PID_MARK)
			code[i].k = (uint32_t)getpid();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return error_errno(err, errno, "jail: loading the system-call filter");
	return 0;
}
