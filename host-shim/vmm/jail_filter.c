/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jail_filter: the system calls of each kind of thread. The lists hold what the code calls, and
 * what glibc and musl call for it. No thread opens a file, makes a thread or a process, maps memory
 * that can be executed, or makes a machine: all that is done before.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-shim/vmm/jail.h"

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define BIT(kind) (1u << JAIL_THREAD_##kind)

enum {
	VCPU = BIT(VCPU),
	DEVICES = BIT(DEVICES),
	STORAGE = BIT(STORAGE),
	VSOCK = BIT(VSOCK),
	ALL = VCPU | DEVICES | STORAGE | VSOCK,
	LOOPS = DEVICES | VSOCK, /* threads with an event loop */
};

/* What the arguments must be. */
enum check {
	ANY,
	NOT_EXECUTABLE, /* argument 2 has no PROT_EXEC */
	UNIX_SOCKET,    /* argument 0 is AF_UNIX */
	OURSELVES,      /* argument 0 is this process */
};

static const struct {
	const char *name;
	unsigned int threads;
	enum check check;
} calls[] = {
    /* memory, locks, time, signals: the C library's */
    {"brk", ALL},
    {"mmap", ALL, NOT_EXECUTABLE},
    {"mprotect", ALL, NOT_EXECUTABLE},
    {"mremap", ALL},
    {"munmap", ALL},
    {"madvise", ALL},
    {"futex", ALL},
    {"set_robust_list", ALL},
    {"rseq", ALL},
    {"sched_yield", ALL},
    {"clock_gettime", ALL},
    {"clock_nanosleep", ALL},
    {"nanosleep", ALL},
    {"getpid", ALL},
    {"gettid", ALL},
    {"rt_sigaction", ALL},
    {"rt_sigprocmask", ALL},
    {"rt_sigreturn", ALL},
    {"sigaltstack", ALL},
    {"restart_syscall", ALL},
    {"tgkill", ALL, OURSELVES},
    {"tkill",
     ALL}, /* musl's pthread_kill(), by thread; jail_fork()'s namespace and Landlock bound it */
    {"getrandom", ALL},
    {"exit", ALL},
    {"exit_group", ALL},
    /* descriptors that are open */
    {"read", ALL},
    {"readv", ALL},
    {"write", ALL},
    {"writev", ALL},
    {"close", ALL},
    {"fcntl", LOOPS | STORAGE},
    {"fstat", LOOPS | STORAGE},
    {"newfstatat", LOOPS | STORAGE}, /* what glibc's fstat() is; Landlock cannot deny a stat */
    /* event loops */
    {"epoll_ctl", LOOPS},
    {"epoll_wait", LOOPS},
    {"epoll_pwait", LOOPS},
    {"epoll_create1", DEVICES},
    {"poll", LOOPS},
    {"ppoll", LOOPS},
    {"eventfd2", LOOPS},
    {"timerfd_create", LOOPS},
    {"timerfd_settime", LOOPS},
    /* sockets: the vsock device's on the host's side, vhost-user, passt */
    {"socket", DEVICES | VSOCK, UNIX_SOCKET},
    {"connect", DEVICES | VSOCK},
    {"accept4", LOOPS},
    {"recvfrom", LOOPS},
    {"recvmsg", LOOPS},
    {"sendto", LOOPS},
    {"sendmsg", LOOPS},
    {"shutdown", LOOPS},
    /* disks, and guest memory that is given back or saved */
    {"pread64", DEVICES | STORAGE},
    {"preadv", DEVICES | STORAGE},
    {"pwrite64", DEVICES | STORAGE},
    {"pwritev", DEVICES | STORAGE},
    {"lseek", DEVICES | STORAGE},
    {"fsync", DEVICES | STORAGE},
    {"fdatasync", DEVICES | STORAGE},
    {"ftruncate", DEVICES},
    {"fallocate", DEVICES | STORAGE},
    {"sync_file_range", DEVICES | STORAGE},
#ifdef __SANITIZE_ADDRESS__
    {"getuid", ALL}, /* the sanitizer's own */
    {"readlink", ALL},
#endif
};

/* Requests of ioctl(2). The devices' thread reads the registers of processors that stand still, for
 * a snapshot; interrupts, doorbells and memory slots change when a device is reset or plugged. */
static const struct {
	unsigned long request;
	unsigned int threads;
} requests[] = {
    {KVM_RUN, VCPU | DEVICES},
    {KVM_CHECK_EXTENSION, DEVICES},
    {KVM_GET_MSR_INDEX_LIST, DEVICES},
    {KVM_GET_REGS, DEVICES},
    {KVM_GET_SREGS, DEVICES},
    {KVM_GET_MSRS, DEVICES},
    {KVM_GET_LAPIC, DEVICES},
    {KVM_GET_MP_STATE, DEVICES},
    {KVM_GET_VCPU_EVENTS, DEVICES},
    {KVM_GET_DEBUGREGS, DEVICES},
    {KVM_GET_XSAVE, DEVICES},
    {KVM_GET_XSAVE2, DEVICES},
    {KVM_GET_XCRS, DEVICES},
    {KVM_GET_CPUID2, DEVICES},
    {KVM_GET_TSC_KHZ, DEVICES},
    {KVM_GET_CLOCK, DEVICES},
    {KVM_GET_IRQCHIP, DEVICES},
    {KVM_GET_PIT2, DEVICES},
    {KVM_GET_DIRTY_LOG, DEVICES},
    {KVM_KVMCLOCK_CTRL, DEVICES},
    {KVM_SET_USER_MEMORY_REGION, DEVICES},
    {KVM_IRQFD, DEVICES},
    {KVM_IOEVENTFD, DEVICES},
    {KVM_IRQ_LINE, DEVICES},
    {KVM_SIGNAL_MSI, DEVICES},
    {FIONBIO, LOOPS},
};

/* The kernel looks at the lower half of arguments that are int; musl extends ioctl(2)'s sign. */
#define LOW 0xffffffffu

static int add_call(scmp_filter_ctx ctx, int nr, enum check check)
{
	switch (check) {
	case NOT_EXECUTABLE:
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1,
		                        SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	case UNIX_SOCKET:
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1,
		                        SCMP_A0(SCMP_CMP_MASKED_EQ, LOW, AF_UNIX));
	case OURSELVES:
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1,
		                        SCMP_A0(SCMP_CMP_MASKED_EQ, LOW, (unsigned int)getpid()));
	case ANY:
		break;
	}
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
}

static int add_calls(scmp_filter_ctx ctx, unsigned int thread)
{
	int r = 0;

	for (size_t i = 0; i < COUNT(calls) && r == 0; i++) {
		int nr = seccomp_syscall_resolve_name(calls[i].name);

		if ((calls[i].threads & thread) && nr != __NR_SCMP_ERROR)
			r = add_call(ctx, nr, calls[i].check);
	}
	for (size_t i = 0; i < COUNT(requests) && r == 0; i++)
		if (requests[i].threads & thread)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			                     SCMP_A1(SCMP_CMP_MASKED_EQ, LOW, requests[i].request));
	return r;
}

static void release_filter(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

int jail_thread(enum jail_thread kind, struct error *err)
{
	__attribute__((cleanup(release_filter))) scmp_filter_ctx ctx =
	    seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? 0 : -ENOMEM;

	/* Binary search: a vCPU's thread makes its one call often. */
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = add_calls(ctx, 1u << kind);
	if (r == 0)
		r = seccomp_load(ctx);
	if (r < 0)
		return error_errno(err, -r, "jail: loading the system-call filter");
	return 0;
}
