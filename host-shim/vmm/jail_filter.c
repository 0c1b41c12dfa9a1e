/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jail_filter: the system calls of each kind of thread. The lists hold what the code calls, and
 * what glibc and musl call for it. No thread opens a file, makes a thread or a process, maps memory
 * that can be executed, or makes a machine: all that is done before.
 *
 * A program of the build: it prints the filters as C, which jail_thread.c loads. To make them anew
 * in each thread of each guest took milliseconds and some hundred KiB.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
	UNIX_SOCKET,    /* argument 0 is AF_UNIX, argument 1 a stream */
	FILE_FLAGS,     /* argument 1 is F_GETFL or F_SETFL: no owner, lock or copy */
	OURSELVES,      /* argument 0 is this process */
	SANITIZER,      /* only in programs built with AddressSanitizer, which calls it */
};

/* Where the number of this process goes, which is not known yet. */
#define PID_MARK 0x5e1f0001u

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
    /* musl's pthread_kill() of processors, by thread: jail_fork()'s namespace and Landlock bound it
     */
    {"tkill", DEVICES},
    {"getrandom", ALL},
    {"exit", ALL},
    {"exit_group", ALL},
    /* descriptors that are open */
    {"read", ALL},
    {"readv", ALL},
    {"write", ALL},
    {"writev", ALL},
    {"close", ALL},
    {"fcntl", LOOPS, FILE_FLAGS},
    {"fstat", LOOPS},
    {"newfstatat", LOOPS}, /* what glibc's fstat() is; Landlock cannot deny a stat */
    /* event loops */
    {"epoll_ctl", LOOPS},
    {"epoll_wait", LOOPS},
    {"epoll_pwait", LOOPS},
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
    {"getsockopt", DEVICES}, /* a stream to passt that comes while the guest runs */
    /* disks, and guest memory that is given back or saved */
    {"pread64", DEVICES},
    {"preadv", DEVICES | STORAGE},
    {"preadv2", DEVICES}, /* reads that do not wait */
    {"pwrite64", DEVICES | STORAGE},
    {"pwritev", DEVICES | STORAGE},
    {"lseek", DEVICES},
    {"fsync", DEVICES},
    {"fdatasync", DEVICES | STORAGE},
    {"ftruncate", DEVICES},
    {"fallocate", DEVICES | STORAGE},
    {"getuid", ALL, SANITIZER},
    {"readlink", ALL, SANITIZER},
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
    {KVM_SET_USER_MEMORY_REGION, DEVICES},
    {KVM_IRQFD, DEVICES},
    {KVM_IOEVENTFD, DEVICES},
    {TUNSETOFFLOAD, DEVICES}, /* what the driver of a network device took */
    {TUNGETIFF, DEVICES},     /* of a tap that comes while the guest runs, and the next */
    {TUNSETVNETHDRSZ, DEVICES},
    {KVM_KVMCLOCK_CTRL, VCPU}, /* after a pause */
};

/* The kernel looks at the lower half of arguments that are int; musl extends ioctl(2)'s sign. */
#define LOW         0xffffffffu
#define SOCKET_TYPE 0xfu /* beside SOCK_CLOEXEC and SOCK_NONBLOCK */

static int add_file_flags(scmp_filter_ctx ctx, int nr)
{
	int r =
	    seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1, SCMP_A1(SCMP_CMP_MASKED_EQ, LOW, F_GETFL));

	return r < 0 ? r
	             : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1,
	                                SCMP_A1(SCMP_CMP_MASKED_EQ, LOW, F_SETFL));
}

static int add_call(scmp_filter_ctx ctx, int nr, enum check check)
{
	switch (check) {
	case NOT_EXECUTABLE:
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1,
		                        SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	case UNIX_SOCKET:
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 2,
		                        SCMP_A0(SCMP_CMP_MASKED_EQ, LOW, AF_UNIX),
		                        SCMP_A1(SCMP_CMP_MASKED_EQ, SOCKET_TYPE, SOCK_STREAM));
	case FILE_FLAGS:
		return add_file_flags(ctx, nr);
	case OURSELVES:
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1,
		                        SCMP_A0(SCMP_CMP_MASKED_EQ, LOW, PID_MARK));
	case SANITIZER:
	case ANY:
		break;
	}
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
}

static int add_calls(scmp_filter_ctx ctx, unsigned int thread, bool sanitizer)
{
	int r = 0;

	for (size_t i = 0; i < COUNT(calls) && r == 0; i++) {
		int nr = seccomp_syscall_resolve_name(calls[i].name);

		if ((calls[i].threads & thread) && nr != __NR_SCMP_ERROR &&
		    (sanitizer || calls[i].check != SANITIZER))
			r = add_call(ctx, nr, calls[i].check);
	}
	for (size_t i = 0; i < COUNT(requests) && r == 0; i++)
		if (requests[i].threads & thread)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			                     SCMP_A1(SCMP_CMP_MASKED_EQ, LOW, requests[i].request));
	return r;
}

static int print(int fd, const char *name)
{
	struct sock_filter line;

	printf("static const struct sock_filter filter_%s[] = {\n", name);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	while (read(fd, &line, sizeof(line)) == sizeof(line))
		printf("\t{0x%02x, %u, %u, 0x%08" PRIx32 "},\n", line.code, line.jt, line.jf,
		       line.k);
	printf("};\n");
	return 0;
}

static int make(unsigned int kind, const char *name, bool sanitizer)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	FILE *file = tmpfile();
	int r = ctx && file ? 0 : -ENOMEM;

	/* Binary search: a vCPU's thread makes its one call often. */
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = add_calls(ctx, 1u << kind, sanitizer);
	if (r == 0)
		r = seccomp_export_bpf(ctx, fileno(file));
	if (r == 0)
		r = print(fileno(file), name);
	if (ctx)
		seccomp_release(ctx);
	if (file)
		fclose(file);
	return r;
}

int main(void)
{
	static const char *const names[JAIL_THREADS] = {
	    [JAIL_THREAD_DEVICES] = "devices",
	    [JAIL_THREAD_VCPU] = "vcpu",
	    [JAIL_THREAD_STORAGE] = "storage",
	    [JAIL_THREAD_VSOCK] = "vsock",
	};
	int r = 0;

	printf("/* Made by host-shim/vmm/jail_filter.c. */\n#define FILTER_PID_MARK 0x%xu\n",
	       PID_MARK);
	for (int sanitizer = 1; sanitizer >= 0; sanitizer--) {
		printf(sanitizer ? "#ifdef __SANITIZE_ADDRESS__\n" : "#else\n");
		for (unsigned int i = 0; i < JAIL_THREADS && r == 0; i++)
			r = make(i, names[i], sanitizer);
	}
	printf("#endif\n");
	if (r < 0 || fflush(stdout) != 0) {
		fprintf(stderr, "jail_filter: %s\n", strerror(r < 0 ? -r : errno));
		return 1;
	}
	return 0;
}
