/* SPDX-License-Identifier: Apache-2.0 */
/* test-jail-calls: what the threads in the jail need works, and all other system calls end the
 * process. */
#include <fcntl.h>
#include <linux/fs.h> /* RWF_NOWAIT, not in sys/uio.h of musl */
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "host-shim/vmm/jail.h"
#include "tests/unit/check.h"
#include "tests/unit/in-child.h"

/* ---- system calls: one attempt in a thread of its kind, which must work or end the process by
 * SIGSYS */

static void *mapping_base;

static void try_read(void)
{
	char c;

	if (read(0, &c, 0) < 0)
		_exit(3);
}

static void try_lock(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	free(malloc(1 << 20));
}

static void try_self_signal(void)
{
	syscall(SYS_tgkill, getpid(), gettid(), 0);
}

static void try_kill_parent(void)
{
	syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static void try_open(void)
{
	syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static void try_exec(void)
{
	execl("/bin/true", "true", NULL);
}

static void try_fork(void)
{
	syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void try_ptrace(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static void try_prctl(void)
{
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static void try_map(void)
{
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	    MAP_FAILED)
		_exit(3);
}

static void try_map_code(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void try_protect_code(void)
{
	mprotect(mapping_base, 4096, PROT_READ | PROT_EXEC);
}

static void try_protect(void)
{
	if (mprotect(mapping_base, 4096, PROT_READ) < 0)
		_exit(3);
}

static void try_unix_socket(void)
{
	if (socket(AF_UNIX, SOCK_STREAM, 0) < 0)
		_exit(3);
}

static void try_inet_socket(void)
{
	socket(AF_INET, SOCK_STREAM, 0);
}

static void try_netlink_socket(void)
{
	socket(AF_NETLINK, SOCK_RAW, 0);
}

static void try_mount(void)
{
	mount("x", "/", "tmpfs", 0, NULL);
}

static void try_unshare(void)
{
	unshare(CLONE_NEWUSER);
}

static void try_seccomp_again(void)
{
	prctl(PR_SET_SECCOMP, 0, 0, 0, 0);
}

static void try_readv_process(void)
{
	syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}

static void try_uring(void)
{
	syscall(SYS_io_uring_setup, 1, NULL);
}

static void try_bpf(void)
{
	syscall(SYS_bpf, 0, NULL, 0);
}

static void try_memfd(void)
{
	memfd_create("x", 0);
}

static void try_pwrite(void)
{
	char c = 0;

	if (pwrite(0, &c, 0, 0) > 0)
		_exit(3);
}

static void try_read_now(void)
{
	char c;
	struct iovec v = {&c, 0};

	if (syscall(SYS_preadv2, 0, &v, 1, 0, 0, RWF_NOWAIT) > 0)
		_exit(3);
}

static void try_tap(void)
{
	ioctl(-1, TUNSETOFFLOAD, 0);
}

static void try_datagram_socket(void)
{
	socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static void try_set_flags(void)
{
	fcntl(0, F_SETFL, fcntl(0, F_GETFL));
}

/* With O_ASYNC its signals would go to any process of the same user. */
static void try_set_owner(void)
{
	fcntl(0, F_SETOWN, 1);
}

static void try_duplicate(void)
{
	fcntl(0, F_DUPFD_CLOEXEC, 0);
}

static void try_thread_signal(void)
{
	syscall(SYS_tkill, gettid(), 0);
}

static void try_fstat(void)
{
	struct stat st;

	fstat(0, &st);
}

static void try_seek(void)
{
	lseek(-1, 0, SEEK_SET);
}

static void try_new_epoll(void)
{
	epoll_create1(EPOLL_CLOEXEC);
}

static void try_signal_msi(void)
{
	ioctl(-1, KVM_SIGNAL_MSI, NULL);
}

static void try_dirty_log(void)
{
	ioctl(-1, KVM_GET_DIRTY_LOG, NULL);
}

static void try_epoll(void)
{
	struct epoll_event e;

	epoll_wait(-1, &e, 1, 0);
}

static void try_timer(void)
{
	close(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
	close(eventfd(0, EFD_CLOEXEC));
}

static void try_run(void)
{
	ioctl(-1, KVM_RUN, 0);
}

static void try_get_sregs(void)
{
	ioctl(-1, (int)KVM_GET_SREGS, NULL); /* with bit 31, which some libraries extend */
}

static void try_irqfd(void)
{
	ioctl(-1, KVM_IRQFD, NULL);
}

static void try_create_vm(void)
{
	ioctl(-1, KVM_CREATE_VM, 0);
}

static void try_create_vcpu(void)
{
	ioctl(-1, KVM_CREATE_VCPU, 0);
}

static void try_terminal(void)
{
	ioctl(0, 0x5412 /* TIOCSTI */, "x");
}

#define C (1u << JAIL_THREAD_VCPU)
#define D (1u << JAIL_THREAD_DEVICES)
#define S (1u << JAIL_THREAD_STORAGE)
#define V (1u << JAIL_THREAD_VSOCK)

/* Which threads may: all others end the process. */
static const struct {
	const char *name;
	void (*fn)(void);
	unsigned int threads;
} attempts[] = {
    {"read", try_read, C | D | S | V},
    {"locks and memory", try_lock, C | D | S | V},
    {"a signal to itself", try_self_signal, C | D | S | V},
    {"anonymous memory", try_map, C | D | S | V},
    {"protecting memory", try_protect, C | D | S | V},
    {"a Unix socket", try_unix_socket, D | V},
    {"a Unix datagram socket", try_datagram_socket, 0},
    {"flags of a descriptor", try_set_flags, D | V},
    {"the owner of a descriptor", try_set_owner, 0},
    {"a copy of a descriptor", try_duplicate, 0},
    {"a signal to a processor by thread", try_thread_signal, D},
    {"a status of a file", try_fstat, D | V},
    {"seeking", try_seek, D},
    {"another event loop", try_new_epoll, 0},
    {"KVM_SIGNAL_MSI", try_signal_msi, 0},
    {"KVM_GET_DIRTY_LOG", try_dirty_log, 0},
    {"an event loop", try_epoll, D | V},
    {"timers and events", try_timer, D | V},
    {"writing to a disk", try_pwrite, D | S},
    {"reading without waiting", try_read_now, D},
    {"offloads of a tap interface", try_tap, D},
    {"KVM_RUN", try_run, C | D},
    {"KVM_GET_SREGS", try_get_sregs, D},
    {"KVM_IRQFD", try_irqfd, D},
    {"KVM_CREATE_VM", try_create_vm, 0},
    {"KVM_CREATE_VCPU", try_create_vcpu, 0},
    {"TIOCSTI", try_terminal, 0},
    {"a signal to another process", try_kill_parent, 0},
    {"opening a file", try_open, 0},
    {"execve", try_exec, 0},
    {"fork", try_fork, 0},
    {"ptrace", try_ptrace, 0},
    {"prctl", try_prctl, 0},
    {"memory to execute", try_map_code, 0},
    {"making memory executable", try_protect_code, 0},
    {"an IP socket", try_inet_socket, 0},
    {"a netlink socket", try_netlink_socket, 0},
    {"mount", try_mount, 0},
    {"unshare", try_unshare, 0},
    {"seccomp", try_seccomp_again, 0},
    {"reading another process", try_readv_process, 0},
    {"io_uring", try_uring, 0},
    {"bpf", try_bpf, 0},
    {"memfd_create", try_memfd, 0},
};

struct attempt {
	enum jail_thread kind;
	void (*fn)(void);
};

static void *in_thread(void *data)
{
	struct attempt *a = data;
	struct error err = ERROR_INIT;

	if (jail_thread(a->kind, &err) < 0)
		_exit(4);
	a->fn();
	return NULL;
}

static int attempt(void *data)
{
	struct attempt *a = data;
	pthread_t thread;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	mapping_base = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* In a thread: what is refused must end all of the process, what works must let the thread
	 * end. */
	if (pthread_create(&thread, NULL, in_thread, a) || pthread_join(thread, NULL))
		return 5;
	return 0;
}

static void check_attempts(enum jail_thread kind)
{
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		struct attempt a = {kind, attempts[i].fn};
		int status = run_child(attempt, &a);

		if (attempts[i].threads & 1u << kind) {
			if (status != 0)
				check_fail(__FILE__, __LINE__, "%s: wait status 0x%x, wanted 0",
				           attempts[i].name, status);
		} else if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) {
			check_fail(__FILE__, __LINE__, "%s: wait status 0x%x, wanted SIGSYS",
			           attempts[i].name, status);
		}
	}
}

TEST(system_calls_of_a_vcpu)
{
	check_attempts(JAIL_THREAD_VCPU);
}

TEST(system_calls_of_the_devices)
{
	check_attempts(JAIL_THREAD_DEVICES);
}

TEST(system_calls_of_storage)
{
	check_attempts(JAIL_THREAD_STORAGE);
}

TEST(system_calls_of_vsock)
{
	check_attempts(JAIL_THREAD_VSOCK);
}

TEST_MAIN()
