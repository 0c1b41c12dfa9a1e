/* SPDX-License-Identifier: Apache-2.0 */
/* init: the steps of pid 1, as a table in the order in which they are taken. */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "console.h"
#include "entropy.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "marks.h"
#include "mounts.h"
#include "started.h"

#define OOM_SCORE    "/proc/self/oom_score_adj"
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Files of pid 1: two a stream, and a few a container. */
#define INIT_FILES 65536
/* What the kernel gives a first process, and what programs that use select(2) can live with. */
#define CHILD_FILES_SOFT 1024
#define CHILD_FILES_HARD 524288

static const struct {
	const char *path, *value;
} sysctls[] = {
    /* A guest whose kernel went wrong must not go on serving. */
    {"/proc/sys/kernel/panic_on_oops", "1"},
    /* The kernel log and addresses are nothing a workload should read. */
    {"/proc/sys/kernel/dmesg_restrict", "1"},
    {"/proc/sys/kernel/kptr_restrict", "2"},
    {"/proc/sys/kernel/unprivileged_bpf_disabled", "2"},
    {"/proc/sys/fs/protected_hardlinks", "1"},
    {"/proc/sys/fs/protected_symlinks", "1"},
    /* Memory is compacted when somebody needs it so: the kernel's thread for doing it before would
     * wake an idle guest twice a second. */
    {"/proc/sys/vm/compaction_proactiveness", "0"},
};

static int set_environment(struct error *err)
{
	if (clearenv() != 0 || setenv("PATH", DEFAULT_PATH, 1) < 0 || setenv("HOME", "/", 1) < 0 ||
	    setenv("TERM", "linux", 1) < 0)
		return error_errno(err, errno, "set the environment");
	return 0;
}

static int protect_self(struct error *err)
{
	struct rlimit files = {INIT_FILES, CHILD_FILES_HARD};
	struct rlimit core = {0, RLIM_INFINITY};

	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return error_errno(err, errno, "set the limit of open files");
	(void)setrlimit(RLIMIT_CORE, &core);
	return fs_write_string(AT_FDCWD, OOM_SCORE, "-1000", err);
}

int init_child_reset(void *unused)
{
	struct rlimit files = {CHILD_FILES_SOFT, CHILD_FILES_HARD};

	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return errno;
	return -fs_write_string(AT_FDCWD, OOM_SCORE, "0", NULL);
}

/* The address 127.0.0.1 comes with the link being up. */
static int loopback_up(struct error *err)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	if (fd < 0)
		return errno == EAFNOSUPPORT || errno == ENOSYS
		           ? 1 /* a kernel without network */
		           : error_errno(err, errno, "open a socket");
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		return error_errno(err, errno, "bring up lo");
	return 0;
}

static int set_hostname(struct error *err)
{
	_cleanup_close_ int fd = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
	char name[65] = "";
	ssize_t n = fd >= 0 ? read(fd, name, sizeof(name) - 1) : 0;

	name[n > 0 ? n : 0] = '\0';
	name[strcspn(name, " \t\r\n")] = '\0';
	if (!*name)
		strcpy(name, "localhost");
	if (sethostname(name, strlen(name)) < 0)
		return error_errno(err, errno, "set the host name %s", name);
	return 0;
}

static int set_sysctls(struct error *err)
{
	for (size_t i = 0; i < sizeof(sysctls) / sizeof(*sysctls); i++) {
		struct error why = ERROR_INIT;
		int r = fs_write_string(AT_FDCWD, sysctls[i].path, sysctls[i].value, &why);

		/* Not every kernel has every switch. */
		if (r < 0 && r != -ENOENT)
			log_warn("%s", why.text);
	}
	return 0;
}

/* Ctrl-Alt-Del reaches pid 1 as SIGINT instead of resetting the machine unsynced. */
static int catch_reset_key(struct error *err)
{
	return reboot(RB_DISABLE_CAD) < 0 ? error_errno(err, errno, "take Ctrl-Alt-Del") : 0;
}

static const struct {
	const char *what;
	int (*fn)(struct error *err); /* negative is logged, positive means "not on this machine" */
} steps[] = {
    {"environment", set_environment},
    {"limits", protect_self},
    {"cgroup controllers", mounts_enable_controllers},
    {"loopback", loopback_up},
    {"host name", set_hostname},
    {"sysctls", set_sysctls},
    {"reset key", catch_reset_key},
    {"clock", clock_setup},
    {"entropy", entropy_setup},
};

int init_setup(struct cmdline *cmdline, struct error *err)
{
	struct boot_stamp entered = boot_stamp_now();
	bool marks = false;
	int r;

	if (getpid() != 1)
		return error_set(err, EPERM, "set up the guest: this is not pid 1");
	umask(022);
	r = mounts_setup(err);
	(void)started_tell_host("/sys");
	/* The console may only be there now that /dev is; errors above wait until it is. */
	console_setup();
	if (r < 0)
		return error_prefix(err, r, "set up the guest");
	r = cmdline_read(cmdline, err);
	if (r < 0)
		return error_prefix(err, r, "set up the guest");
	if (cmdline_bool(cmdline, "kihon.marks", &marks) == 0)
		boot_marks_enable(marks);
	boot_mark_at("init", entered);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		struct error why = ERROR_INIT;

		if (steps[i].fn(&why) < 0)
			log_warn("%s: %s", steps[i].what, why.text);
	}
	return 0;
}
