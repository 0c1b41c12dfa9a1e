/* SPDX-License-Identifier: Apache-2.0 */
/* test-jail: each thing that the jail takes away is gone inside, and ends with it. */
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "host-shim/vmm/jail.h"
#include "tests/unit/check.h"
#include "tests/unit/in-child.h"

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
