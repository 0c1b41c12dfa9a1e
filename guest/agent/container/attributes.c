/* SPDX-License-Identifier: Apache-2.0 */
/* attributes: one small function a property. */
#include "guest/agent/container/attributes.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define CPUS_MAX                    8192 /* of Linux on x86-64 */
#define IOPRIO_WHO_PROCESS          1
#define IOPRIO_CLASS_SHIFT          13
#define KEYCTL_JOIN_SESSION_KEYRING 1

struct word {
	const char *name;
	int value;
};

static const struct word *find(const struct word *table, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

#define FIND(table, name) find((table), sizeof(table) / sizeof((table)[0]), (name))

int attributes_set_rlimits(pid_t pid, const struct oci_process *p, struct error *err)
{
	static const struct word limits[] = {
	    {"RLIMIT_AS", RLIMIT_AS},
	    {"RLIMIT_CORE", RLIMIT_CORE},
	    {"RLIMIT_CPU", RLIMIT_CPU},
	    {"RLIMIT_DATA", RLIMIT_DATA},
	    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
	    {"RLIMIT_LOCKS", RLIMIT_LOCKS},
	    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
	    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
	    {"RLIMIT_NICE", RLIMIT_NICE},
	    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
	    {"RLIMIT_NPROC", RLIMIT_NPROC},
	    {"RLIMIT_RSS", RLIMIT_RSS},
	    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
	    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
	    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
	    {"RLIMIT_STACK", RLIMIT_STACK},
	};

	for (size_t i = 0; i < p->n_rlimits; i++) {
		const struct word *w = FIND(limits, p->rlimits[i].type);
		/* The kernel's 64-bit form; UINT64_MAX is its "unlimited" too. */
		uint64_t pair[2] = {p->rlimits[i].soft, p->rlimits[i].hard};

		if (!w)
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "unknown resource limit \"%s\"", p->rlimits[i].type);
		if (syscall(SYS_prlimit64, pid, w->value, pair, NULL) < 0)
			return error_errno(err, errno, "setting %s", w->name);
	}
	return 0;
}

static int set_oom_score(pid_t pid, const struct oci_process *p, struct error *err)
{
	char path[64] = "/proc/self/oom_score_adj", text[24];

	if (!p->oom_score_adj.set)
		return 0;
	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	snprintf(text, sizeof(text), "%" PRId64, p->oom_score_adj.value);
	return fs_write_string(AT_FDCWD, path, text, err);
}

/* sched_setattr(2)'s structure, version 0. */
struct scheduling {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static int set_scheduler(pid_t pid, const struct oci_process *p, struct error *err)
{
	static const struct word policies[] = {
	    {"SCHED_OTHER", 0}, {"SCHED_FIFO", 1}, {"SCHED_RR", 2},       {"SCHED_BATCH", 3},
	    {"SCHED_ISO", 4},   {"SCHED_IDLE", 5}, {"SCHED_DEADLINE", 6},
	};
	static const struct word flags[] = {
	    {"SCHED_FLAG_RESET_ON_FORK", 0x01},  {"SCHED_FLAG_RECLAIM", 0x02},
	    {"SCHED_FLAG_DL_OVERRUN", 0x04},     {"SCHED_FLAG_KEEP_POLICY", 0x08},
	    {"SCHED_FLAG_KEEP_PARAMS", 0x10},    {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
	    {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40},
	};
	const struct oci_scheduler *s = p->scheduler;
	struct scheduling a = {.size = sizeof(a)};
	const struct word *w;

	if (!s)
		return 0;
	w = FIND(policies, s->policy);
	if (!w)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "unknown scheduler policy \"%s\"",
		                      s->policy);
	a.policy = (uint32_t)w->value;
	for (size_t i = 0; i < s->flags.n; i++) {
		w = FIND(flags, s->flags.v[i]);
		if (!w)
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "unknown scheduler flag \"%s\"", s->flags.v[i]);
		a.flags |= (uint64_t)w->value;
	}
	a.nice = s->nice;
	a.priority = (uint32_t)s->priority;
	a.runtime = s->runtime;
	a.deadline = s->deadline;
	a.period = s->period;
	if (syscall(SYS_sched_setattr, pid, &a, 0) < 0)
		return error_errno(err, errno, "setting the scheduler %s", s->policy);
	return 0;
}

static int set_io_priority(pid_t pid, const struct oci_process *p, struct error *err)
{
	static const struct word classes[] = {
	    {"IOPRIO_CLASS_RT", 1},
	    {"IOPRIO_CLASS_BE", 2},
	    {"IOPRIO_CLASS_IDLE", 3},
	};
	const struct word *w;

	if (!p->io_priority)
		return 0;
	w = FIND(classes, p->io_priority->class);
	if (!w || p->io_priority->priority < 0 || p->io_priority->priority > 7)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "I/O priority class \"%s\" with priority %d is not known",
		                      p->io_priority->class, p->io_priority->priority);
	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid,
	            w->value << IOPRIO_CLASS_SHIFT | p->io_priority->priority) < 0)
		return error_errno(err, errno, "setting the I/O priority");
	return 0;
}

int attributes_set_outside(pid_t pid, const struct oci_process *p, struct error *err)
{
	int r = set_oom_score(pid, p, err);

	if (r == 0)
		r = set_scheduler(pid, p, err);
	if (r == 0)
		r = set_io_priority(pid, p, err);
	return r;
}

/* A number at *text, which is moved behind it; -1: none, or one beyond CPUS_MAX. */
static int take_cpu(const char **text)
{
	int value = 0;

	if (!isdigit((unsigned char)**text))
		return -1;
	while (isdigit((unsigned char)**text)) {
		value = value * 10 + *(*text)++ - '0';
		if (value >= CPUS_MAX)
			return -1;
	}
	return value;
}

/* "0-3,7" into bits; false when it is no such list. */
static bool parse_cpus(const char *list, unsigned long *bits)
{
	const int word = 8 * sizeof(*bits);

	for (;;) {
		int first = take_cpu(&list), last = first;

		if (first >= 0 && *list == '-') {
			list++;
			last = take_cpu(&list);
		}
		if (first < 0 || last < first)
			return false;
		for (int i = first; i <= last; i++)
			bits[i / word] |= 1ul << i % word;
		if (!*list)
			return true;
		if (*list++ != ',')
			return false;
	}
}

int attributes_set_affinity(const char *list, struct error *err)
{
	unsigned long bits[CPUS_MAX / (8 * sizeof(unsigned long))] = {0};

	if (str_empty(list))
		return 0;
	if (!parse_cpus(list, bits))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "process.execCPUAffinity: \"%s\" is not a list of processors",
		                      list);
	if (syscall(SYS_sched_setaffinity, 0, sizeof(bits), bits) < 0)
		return error_errno(err, errno, "process.execCPUAffinity: taking the processors %s",
		                   list);
	return 0;
}

int attributes_set_personality(const struct oci_personality *p, struct error *err)
{
	static const struct word domains[] = {
	    {"LINUX", PER_LINUX},
	    {"LINUX32", PER_LINUX32},
	};
	const struct word *w;

	if (!p)
		return 0;
	w = FIND(domains, p->domain);
	if (!w || p->flags.n)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "personality \"%s\" (or its flags) is not supported",
		                      p->domain);
	if (personality((unsigned long)w->value) < 0)
		return error_errno(err, errno, "setting the personality %s", p->domain);
	return 0;
}

void attributes_new_keyring(const char *name)
{
	(void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);
}

int attributes_set_sysctls(int proc_fd, const struct oci_map *sysctl, struct error *err)
{
	for (size_t i = 0; i < sysctl->n; i++) {
		char path[256] = "sys/";
		size_t n = strlen(sysctl->v[i].key);
		bool slashes = strchr(sysctl->v[i].key, '/') != NULL;
		int r;

		if (n + 5 > sizeof(path))
			return error_set_kind(err, ERROR_INPUT, ENAMETOOLONG,
			                      "kernel parameter \"%s\"", sysctl->v[i].key);
		/* sysctl(8): "net.ipv4.conf.eth0/1.x" or "net/ipv4/conf/eth0.1/x". */
		for (size_t k = 0; k <= n; k++) {
			char c = sysctl->v[i].key[k];

			path[4 + k] = slashes ? c : (char)(c == '.' ? '/' : c);
		}
		r = fs_write_string(proc_fd, path, sysctl->v[i].value, NULL);
		if (r < 0)
			return error_errno(err, -r, "setting the kernel parameter %s",
			                   sysctl->v[i].key);
	}
	return 0;
}

bool attributes_have_apparmor(void)
{
	return fs_exists("/sys/kernel/security/apparmor") ||
	       fs_exists("/proc/self/attr/apparmor/exec");
}

bool attributes_have_selinux(void)
{
	return fs_exists("/sys/fs/selinux/enforce");
}

int attributes_set_labels(int proc_fd, const char *apparmor, const char *selinux, struct error *err)
{
	char text[512];
	int r;

	if (!str_empty(selinux)) {
		r = fs_write_string(proc_fd, "thread-self/attr/exec", selinux, NULL);
		if (r < 0)
			return error_errno(err, -r, "setting the SELinux label %s", selinux);
	}
	if (str_empty(apparmor))
		return 0;
	if ((size_t)snprintf(text, sizeof(text), "exec %s", apparmor) >= sizeof(text))
		return error_set_kind(err, ERROR_INPUT, ENAMETOOLONG, "AppArmor profile \"%s\"",
		                      apparmor);
	r = fs_write_string(proc_fd, "thread-self/attr/apparmor/exec", text, NULL);
	if (r == -ENOENT)
		r = fs_write_string(proc_fd, "thread-self/attr/exec", text, NULL);
	if (r < 0)
		return error_errno(err, -r, "setting the AppArmor profile %s", apparmor);
	return 0;
}
