/* SPDX-License-Identifier: Apache-2.0 */
/* test-jail: each thing that the jail takes away is refused inside, and what its threads need
 * works. */
#include <fcntl.h>
#include <linux/fs.h> /* RWF_NOWAIT, not in sys/uio.h of musl */
#include <linux/if_tun.h>
#include <linux/capability.h>
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
#include <sys/wait.h>

#include "host-shim/vmm/jail.h"
#include "tests/unit/check.h"

/* What happens inside: 0 is right. */
typedef int (*inside_fn)(void *data);

/* The wait status of a child that ran fn. */
static int run_child(inside_fn fn, void *data)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(data));
	check(pid > 0 && waitpid(pid, &status, 0) == pid);
	return status;
}

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

/* ---- the process. The child leaves the number of the line that went wrong. */

static int *wrong_line; /* shared with the child */

#define want(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond))                                                                       \
			return *wrong_line = __LINE__, 1;                                          \
	} while (0)

struct place {
	const char *folder; /* of the test */
	const char *show;   /* of these, what the jail shows */
	bool fork;          /* jail_fork() before */
	uid_t uid;          /* who we are before */
};

static bool no_capabilities(void)
{
	struct {
		uint32_t version;
		int pid;
	} header = {0x20080522, 0};
	uint32_t data[6] = {1, 1, 1, 1, 1, 1};

	return syscall(SYS_capget, &header, data) == 0 && !data[0] && !data[1] && !data[2] &&
	       !data[3] && !data[4] && !data[5];
}

static int check_identity(const struct jail *j, uid_t before)
{
	want(no_capabilities());
	want(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	want(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	want(prctl(PR_CAPBSET_READ, 21 /* CAP_SYS_ADMIN */, 0, 0, 0) == 0 || before != 0);
	if (j->held & JAIL_HAS_UID)
		want(geteuid() == JAIL_NOBODY && getegid() == JAIL_NOBODY && setuid(0) < 0);
	want(mount("x", "/", "tmpfs", 0, NULL) < 0);
	want(chroot("/") < 0);
	return 0;
}

static int check_files(const struct jail *j, const struct place *p)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct stat st;
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	want(open("/etc/passwd", O_RDONLY) < 0);
	want(open("/dev/null", O_RDWR) < 0);
	want(open("/new", O_CREAT | O_WRONLY, 0600) < 0);
	want(open(".", O_TMPFILE | O_WRONLY, 0600) < 0);
	if (j->held & JAIL_HAS_EMPTY_ROOT) {
		want(stat("/etc", &st) < 0 && errno == ENOENT);
		want(stat("/proc/self", &st) < 0 && errno == ENOENT);
		want(mkdir("/new", 0700) < 0);
		/* What was shown is there under its name, a socket in it can be reached. */
		snprintf(a.sun_path, sizeof(a.sun_path), "%s/socket", p->folder);
		want((connect(s, (struct sockaddr *)&a, sizeof(a)) == 0) == (p->show != NULL));
	}
	close(s);
	return 0;
}

static int check_process(const struct jail *j, int kept)
{
	struct rlimit l;
	char name[16];

	want(write(kept, "x", 1) == 1);
	want(fcntl(0, F_GETFD) < 0 && fcntl(1, F_GETFD) < 0);
	want(fcntl(kept + 1, F_GETFD) < 0);
	want(getrlimit(RLIMIT_CORE, &l) == 0 && l.rlim_max == 0);
	want(getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_max == (rlim_t)kept + 4);
	if (j->held & JAIL_HAS_PID)
		want(getpid() == 1 && kill(2, 0) < 0);
	if (j->held & JAIL_HAS_NET) {
		/* Nothing but a loopback that is down. */
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
		int s = socket(AF_INET, SOCK_DGRAM, 0);

		to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		want(s >= 0 && connect(s, (struct sockaddr *)&to, sizeof(to)) < 0);
		close(s);
	}
	want(gethostname(name, sizeof(name)) == 0 || errno == ENAMETOOLONG);
	return 0;
}

/* What a kernel of ours gives root and an ordinary user (tests/nested sets KIHON_JAIL_WHOLE). */
#define WHOLE                                                                                      \
	(JAIL_HAS_MOUNT | JAIL_HAS_NET | JAIL_HAS_PID | JAIL_HAS_UTS | JAIL_HAS_EMPTY_ROOT |       \
	 JAIL_HAS_LANDLOCK)

static int inside(struct jail *j, const struct place *p)
{
	struct error err = ERROR_INIT;
	uid_t before = geteuid();
	int pipes[2], r;

	want(pipe(pipes) == 0 && dup2(pipes[1], 9) == 9 && dup2(pipes[0], 5) == 5 &&
	     dup2(1, 10) == 10);
	j->keep = (const int[]){9, 5, -1};
	j->n_keep = 3;
	j->max_files = 13;
	j->folder = p->show;
	r = jail_enter(j, &err);
	if (r < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	want(!p->fork || !getenv("KIHON_JAIL_WHOLE") || (j->held & WHOLE) == WHOLE);
	r = check_identity(j, before);
	if (r == 0)
		r = check_files(j, p);
	return r ? r : check_process(j, 9);
}

static int in_place(void *data)
{
	const struct place *p = data;
	struct jail j = {0};
	struct error err = ERROR_INIT;
	pid_t pid = -1;
	int r, status = 0;

	if (p->uid && (setgid(p->uid) < 0 || setuid(p->uid) < 0))
		return 2;
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (!p->fork)
		return inside(&j, p);
	r = jail_fork(&j, &pid, &err);
	if (r == 1)
		_exit(inside(&j, p));
	if (r < 0 || waitpid(pid, &status, 0) != pid)
		return 3;
	/* Nobody else was left to us. */
	if (waitpid(-1, NULL, 0) >= 0 || errno != ECHILD)
		return 4;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 5;
}

static int listen_in(const char *folder)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/socket", folder);
	check(chmod(folder, 0755) == 0);
	check(bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s, 4) == 0);
	check(chmod(a.sun_path, 0777) == 0);
	return s;
}

static void check_place(struct place p)
{
	int s, status;

	p.folder = check_tmpdir();
	wrong_line =
	    mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(wrong_line != MAP_FAILED);
	s = listen_in(p.folder);
	if (p.show)
		p.show = p.folder;
	status = run_child(in_place, &p);
	close(s);
	if (status != 0)
		check_fail(__FILE__, *wrong_line, "inside the jail: wait status 0x%x", status);
}

TEST(process_without_namespaces)
{
	check_place((struct place){.fork = false});
}

TEST(process_with_namespaces)
{
	check_place((struct place){.fork = true});
}

TEST(process_that_keeps_a_folder)
{
	check_place((struct place){.fork = true, .show = "yes"});
}

TEST(process_of_an_ordinary_user)
{
	if (geteuid() != 0)
		check_skip("needs root to become somebody else");
	check_place((struct place){.fork = true, .uid = 12345});
}

TEST(process_of_an_ordinary_user_that_keeps_a_folder)
{
	if (geteuid() != 0)
		check_skip("needs root to become somebody else");
	check_place((struct place){.fork = true, .show = "yes", .uid = 12345});
}

/* ---- the ties between caller and child */

struct tie {
	int fd, from; /* a pipe */
	bool enter;
};

static int caller_dies(void *data)
{
	struct tie *tie = data;
	struct jail j = {.keep = &tie->fd, .n_keep = 1};
	pid_t pid = -1;
	char c;
	int r = jail_fork(&j, &pid, NULL);

	if (r == 1) {
		if (tie->enter && jail_enter(&j, NULL) < 0)
			_exit(1);
		if (write(tie->fd, "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	/* Not before the child is where it shall be. */
	return r == 0 && read(tie->from, &c, 1) == 1 ? 0 : 1;
}

/* The child holds the write end: its end is the end of the file. */
static void check_tie(bool enter)
{
	struct tie tie = {.enter = enter};
	int pipes[2];
	char c;

	check(pipe(pipes) == 0);
	tie.fd = pipes[1];
	tie.from = pipes[0];
	check_int(run_child(caller_dies, &tie), 0);
	close(pipes[1]);
	while (read(pipes[0], &c, 1) > 0)
		;
	close(pipes[0]);
}

TEST(the_child_dies_with_its_caller)
{
	check_tie(false);
}

TEST(the_jailed_child_dies_with_its_caller)
{
	check_tie(true);
}

TEST(a_subreaper_stays_one)
{
	struct jail j = {0};
	pid_t pid = -1;
	int is = 0, status = 0, r;

	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	r = jail_fork(&j, &pid, NULL);
	if (r == 1)
		_exit(7);
	check_int(r, 0);
	prctl(PR_GET_CHILD_SUBREAPER, &is, 0, 0, 0);
	check_int(is, 1);
	check(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static int enter_with(void *data)
{
	struct jail j = {.held = JAIL_HAS_MOUNT, .folder = data};
	struct error err = ERROR_INIT;

	if (unshare(CLONE_NEWNS) < 0)
		return 9;
	return jail_enter(&j, &err) < 0 && err.text[0] ? 0 : 1;
}

/* Whether the entry of a page that is there names its place in the host's memory. */
static bool names_place(int pagemap)
{
	static volatile uint8_t page[8192];
	uint64_t entry = 0;

	page[4096] = 1;
	check(pread(pagemap, &entry, 8, (off_t)((uintptr_t)&page[4096] / 4096 * 8)) == 8);
	check(entry >> 63 & 1);
	close(pagemap);
	return entry & ((1ull << 55) - 1);
}

TEST(files_opened_without_capabilities)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct before[2], after[2];

	check(syscall(SYS_capget, &header, before) == 0);
	check_int(jail_open_plain("/nonexistent"), -ENOENT);
	check(!names_place(jail_open_plain("/proc/self/pagemap")));
	check(syscall(SYS_capget, &header, after) == 0);
	check_mem(after, before, sizeof(before));
	if (!(before[0].effective & 1u << CAP_SYS_ADMIN))
		check_skip("without CAP_SYS_ADMIN all see the same");
	check(names_place(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)));
}

TEST(a_folder_that_is_not_there_is_an_error)
{
	int status;

	if (geteuid() != 0)
		check_skip("needs root for a mount namespace");
	status = run_child(enter_with, "/does/not/exist");
	if (status == 9 << 8)
		check_skip("this machine gives no mount namespace");
	check_int(status, 0);
	check_int(run_child(enter_with, "relative"), 0);
}

TEST_MAIN()
