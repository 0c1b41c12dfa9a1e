/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox: see the header. */
#include "guest/pull/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/pull/syscalls.h"
#include "lib/base/cleanup.h"

/* Of Linux 6.2 (Landlock ABI 3); older headers lack it. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

/* The leak check of a sanitized build is a process of its own, which looks at this one. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED true
#else
#define SANITIZED false
#endif

#define FILE_READ LANDLOCK_ACCESS_FS_READ_FILE
#define DIR_READ  (FILE_READ | LANDLOCK_ACCESS_FS_READ_DIR)
#define DIR_WRITE                                                                                  \
	(DIR_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |               \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_TRUNCATE)

/* What name resolution, TLS and the C library look at; absent ones are skipped. */
static const char *const system_paths[] = {
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/ssl",
    "/etc/pki",
    "/etc/services",
    "/etc/localtime",
    "/run/systemd",
    "/etc/ld.so.cache",
    "/usr/lib",
    "/usr/share/ca-certificates",
    "/lib",
    "/lib64",
    "/proc/sys",
    "/sys/devices/system/cpu",
    "/dev/null",
    "/dev/urandom",
    "/run/resolv.conf",
};

static int set_limit(int what, uint64_t value, struct error *err)
{
	struct rlimit old, l = {value, value};

	if (getrlimit(what, &old))
		return error_errno(err, errno, "sandbox: getrlimit");
	if (old.rlim_max < value)
		l.rlim_cur = l.rlim_max = old.rlim_max;
	if (setrlimit(what, &l))
		return error_errno(err, errno, "sandbox: setrlimit");
	return 0;
}

static int set_limits(const struct sandbox *s, struct error *err)
{
	int r = set_limit(RLIMIT_CORE, 0, err);

	signal(SIGXFSZ, SIG_IGN); /* a file too large is an error, not the end */
	signal(SIGPIPE, SIG_IGN);
	if (!r)
		r = set_limit(RLIMIT_FSIZE, s->max_file, err);
	if (!r)
		r = set_limit(RLIMIT_NOFILE, 1024, err);
	/* DATA counts what is used; AS reservations too, of which glibc makes many. */
	if (!r && !SANITIZED)
		r = set_limit(RLIMIT_DATA, s->max_memory, err);
	if (!r && !SANITIZED)
		r = set_limit(RLIMIT_AS, 4 * s->max_memory, err);
	return r;
}

static int drop_privileges(struct error *err)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, SANITIZED, 0, 0, 0))
		return error_errno(err, errno, "sandbox: prctl");
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* Without CAP_SETPCAP the bounding set stays, but can give nothing any more. */
	for (unsigned long cap = 0; cap <= 63; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (syscall(SYS_capset, &head, none))
		return error_errno(err, errno, "sandbox: cannot drop the capabilities");
	return 0;
}

/* ---- Landlock */

static int allow_path(int ruleset, const char *path, uint64_t access, uint64_t handled,
                      struct error *err)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = {.parent_fd = fd};
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return 0; /* what cannot be opened needs no rule */
	rule.allowed_access = access & handled;
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &=
		    FILE_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
		return error_errno(err, errno, "sandbox: Landlock rule for %s", path);
	return 0;
}

static int restrict_files(const struct sandbox *s, struct error *err)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	/* All rights of ABI 1 are bits 0 to 12; truncation came with 3. */
	struct landlock_ruleset_attr attr = {
	    .handled_access_fs = 0x1fff | (abi >= 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0)};
	_cleanup_close_ int fd = -1;
	int r = 0;

	if (abi < 1)
		return 0; /* this kernel has no Landlock */
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd < 0)
		return error_errno(err, errno, "sandbox: Landlock");
	if (s->write_dir)
		r = allow_path(fd, s->write_dir, DIR_WRITE, attr.handled_access_fs, err);
	for (size_t i = 0; !r && i < SANDBOX_PATHS; i++)
		if (s->read[i])
			r = allow_path(fd, s->read[i], DIR_READ, attr.handled_access_fs, err);
	for (size_t i = 0; !r && i < sizeof(system_paths) / sizeof(system_paths[0]); i++)
		r = allow_path(fd, system_paths[i], DIR_READ, attr.handled_access_fs, err);
	if (!r && SANITIZED)
		r = allow_path(fd, "/proc", DIR_READ, attr.handled_access_fs, err);
	if (!r && syscall(SYS_landlock_restrict_self, fd, 0))
		r = error_errno(err, errno, "sandbox: Landlock");
	return r;
}

int sandbox_enter(const struct sandbox *s, struct error *err)
{
	int r = set_limits(s, err);

	if (!r)
		r = drop_privileges(err);
	if (!r)
		r = restrict_files(s, err);
	return r ? r : syscalls_restrict(s->network, err);
}
