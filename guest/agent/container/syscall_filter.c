/* SPDX-License-Identifier: Apache-2.0 */
/* syscall_filter: words into libseccomp's numbers, compiling, loading. */
#include "guest/agent/container/syscall_filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent/container/calls.h"
#include "guest/agent/container/sync.h"
#include "guest/agent/container/syscall_unknown.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* Names in one table each, values in another beside it, so that `features` can list the
 * former. */
#define N(a) (sizeof(a) / sizeof((a)[0]))

static const char *const action_names[] = {"SCMP_ACT_ALLOW",       "SCMP_ACT_ERRNO",
                                           "SCMP_ACT_KILL",        "SCMP_ACT_KILL_PROCESS",
                                           "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
                                           "SCMP_ACT_NOTIFY",      "SCMP_ACT_TRACE",
                                           "SCMP_ACT_TRAP",        NULL};
static const uint32_t actions[] = {SCMP_ACT_ALLOW,        SCMP_ACT_ERRNO(0),    SCMP_ACT_KILL,
                                   SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL_THREAD, SCMP_ACT_LOG,
                                   SCMP_ACT_NOTIFY,       SCMP_ACT_TRACE(0),    SCMP_ACT_TRAP};

static const char *const operator_names[] = {"SCMP_CMP_NE",        "SCMP_CMP_LT", "SCMP_CMP_LE",
                                             "SCMP_CMP_EQ",        "SCMP_CMP_GE", "SCMP_CMP_GT",
                                             "SCMP_CMP_MASKED_EQ", NULL};
static const enum scmp_compare operators[] = {SCMP_CMP_NE,       SCMP_CMP_LT, SCMP_CMP_LE,
                                              SCMP_CMP_EQ,       SCMP_CMP_GE, SCMP_CMP_GT,
                                              SCMP_CMP_MASKED_EQ};

static const char *const arch_names[] = {
    "SCMP_ARCH_X86",     "SCMP_ARCH_X86_64",   "SCMP_ARCH_X32",         "SCMP_ARCH_ARM",
    "SCMP_ARCH_AARCH64", "SCMP_ARCH_MIPS",     "SCMP_ARCH_MIPS64",      "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",  "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",   "SCMP_ARCH_PPC64LE",  "SCMP_ARCH_S390",        "SCMP_ARCH_S390X",
    "SCMP_ARCH_PARISC",  "SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64",     NULL};
static const uint32_t arches[] = {
    SCMP_ARCH_X86,     SCMP_ARCH_X86_64,   SCMP_ARCH_X32,         SCMP_ARCH_ARM,
    SCMP_ARCH_AARCH64, SCMP_ARCH_MIPS,     SCMP_ARCH_MIPS64,      SCMP_ARCH_MIPS64N32,
    SCMP_ARCH_MIPSEL,  SCMP_ARCH_MIPSEL64, SCMP_ARCH_MIPSEL64N32, SCMP_ARCH_PPC,
    SCMP_ARCH_PPC64,   SCMP_ARCH_PPC64LE,  SCMP_ARCH_S390,        SCMP_ARCH_S390X,
    SCMP_ARCH_PARISC,  SCMP_ARCH_PARISC64, SCMP_ARCH_RISCV64};

static const char *const flag_names[] = {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
                                         "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                                         "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", NULL};
static const uint32_t flags[] = {SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_FILTER_FLAG_LOG,
                                 SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                                 SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV};

_Static_assert(N(action_names) == N(actions) + 1, "one value for each action");
_Static_assert(N(operator_names) == N(operators) + 1, "one value for each operator");
_Static_assert(N(arch_names) == N(arches) + 1, "one value for each architecture");
_Static_assert(N(flag_names) == N(flags) + 1, "one value for each flag");

const char *const *syscall_filter_action_names(void)
{
	return action_names;
}

const char *const *syscall_filter_operator_names(void)
{
	return operator_names;
}

const char *const *syscall_filter_arch_names(void)
{
	return arch_names;
}

const char *const *syscall_filter_flag_names(void)
{
	return flag_names;
}

static int index_of(const char *const *names, const char *name, const char *what, struct error *err)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return error_set_kind(err, ERROR_INPUT, EINVAL, "unknown seccomp %s \"%s\"", what, name);
}

static int action_value(const char *name, const struct oci_u32 *errno_ret, uint32_t *out,
                        struct error *err)
{
	int i = index_of(action_names, name, "action", err);
	uint32_t value;

	if (i < 0)
		return i;
	value = errno_ret->set ? errno_ret->value : EPERM;
	if (actions[i] == SCMP_ACT_ERRNO(0))
		*out = SCMP_ACT_ERRNO(value & 0xffff);
	else if (actions[i] == SCMP_ACT_TRACE(0))
		*out = SCMP_ACT_TRACE(value & 0xffff);
	else if (errno_ret->set)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "seccomp action %s takes no errno value", name);
	else
		*out = actions[i];
	return 0;
}

static int add_one(scmp_filter_ctx ctx, uint32_t action, int nr, const struct scmp_arg_cmp *cmp,
                   unsigned int n)
{
	int r = seccomp_rule_add_array(ctx, action, nr, n, cmp);

	/* -EDOM: not on this architecture. -EACCES: the same as the default action. */
	return r == -EDOM || r == -EACCES ? 0 : r;
}

/* All conditions of a rule hold together; but two on the same argument, which libseccomp
 * does not take in one rule, are alternatives, as other runtimes have it. */
static int add_conditions(scmp_filter_ctx ctx, const struct oci_seccomp_rule *rule, uint32_t action,
                          int nr, const struct scmp_arg_cmp *cmp)
{
	bool seen[6] = {false}, twice = false;
	int r = 0;

	for (size_t i = 0; i < rule->n_args; i++) {
		twice = twice || seen[rule->args[i].index];
		seen[rule->args[i].index] = true;
	}
	if (!twice)
		return add_one(ctx, action, nr, cmp, (unsigned int)rule->n_args);
	for (size_t i = 0; i < rule->n_args && r == 0; i++)
		r = add_one(ctx, action, nr, &cmp[i], 1);
	return r;
}

#define MAX_ARGS 64

static int read_conditions(const struct oci_seccomp_rule *rule, struct scmp_arg_cmp *cmp,
                           struct error *err)
{
	if (rule->n_args > MAX_ARGS)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "seccomp rule with %zu arguments",
		                      rule->n_args);
	for (size_t i = 0; i < rule->n_args; i++) {
		const struct oci_seccomp_arg *a = &rule->args[i];
		int op = index_of(operator_names, a->op, "operator", err);

		if (op < 0)
			return op;
		if (a->index > 5)
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "seccomp argument index %u is beyond 5", a->index);
		cmp[i] = (struct scmp_arg_cmp){a->index, operators[op], a->value, a->value_two};
	}
	return 0;
}

static int add_rule(scmp_filter_ctx ctx, const struct oci_seccomp_rule *rule,
                    uint32_t default_action, struct error *err)
{
	struct scmp_arg_cmp cmp[MAX_ARGS];
	uint32_t action;
	int r = action_value(rule->action, &rule->errno_ret, &action, err);

	if (r == 0)
		r = read_conditions(rule, cmp, err);
	if (r < 0 || action == default_action)
		return r;
	for (size_t i = 0; i < rule->names.n; i++) {
		int nr = seccomp_syscall_resolve_name(rule->names.v[i]);

		if (nr == __NR_SCMP_ERROR)
			continue;
		r = add_conditions(ctx, rule, action, nr, cmp);
		if (r < 0)
			return error_errno(err, -r, "adding the seccomp rule for %s",
			                   rule->names.v[i]);
	}
	return 0;
}

/* The architectures of a filter: the machine's own and those that the profile lists. */
struct architectures {
	uint32_t v[N(arches) + 1];
	size_t n;
};

static int add_architectures(scmp_filter_ctx ctx, const struct oci_seccomp *s,
                             struct architectures *out, struct error *err)
{
	out->n = 0;
	out->v[out->n++] = seccomp_arch_native();
	for (size_t i = 0; i < s->architectures.n; i++) {
		int a = index_of(arch_names, s->architectures.v[i], "architecture", err);
		int r;

		if (a < 0)
			return a;
		r = seccomp_arch_add(ctx, arches[a]);
		if (r < 0 && r != -EEXIST)
			return error_errno(err, -r, "adding the seccomp architecture %s",
			                   s->architectures.v[i]);
		if (r == 0 && out->n < N(out->v))
			out->v[out->n++] = arches[a];
	}
	return 0;
}

static int flags_value(const struct oci_seccomp *s, uint32_t *out, struct error *err)
{
	*out = 0;
	for (size_t i = 0; i < s->flags.n; i++) {
		int f = index_of(flag_names, s->flags.v[i], "flag", err);

		if (f < 0)
			return f;
		*out |= flags[f];
	}
	return 0;
}

static bool uses_notify(const struct oci_seccomp *s)
{
	if (strcmp(s->default_action, "SCMP_ACT_NOTIFY") == 0)
		return true;
	for (size_t i = 0; i < s->n_rules; i++)
		if (strcmp(s->rules[i].action, "SCMP_ACT_NOTIFY") == 0)
			return true;
	return false;
}

/* What the memfd starts with; the filters follow. */
struct program_head {
	uint32_t magic;
	uint32_t flags;
	uint32_t notifies;
	uint32_t reserved;
};

#define PROGRAM_MAGIC 0x4b534331 /* "KSC1" */

static int export(scmp_filter_ctx ctx, const struct oci_seccomp *s, uint32_t filter_flags,
                  const struct architectures *a, int *program_fd, struct error *err)
{
	struct sock_filter unknown[SYSCALL_UNKNOWN_MAX];
	size_t n = syscall_unknown_write(s, a->v, a->n, unknown);

	const struct program_head head = {PROGRAM_MAGIC, filter_flags, uses_notify(s), 0};
	_cleanup_close_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return error_errno(err, errno, "compiling the seccomp filter");
	r = fs_write_all(fd, &head, sizeof(head));
	if (r == 0 && n > 0)
		r = fs_write_all(fd, unknown, n * sizeof(unknown[0]));
	if (r == 0)
		r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return error_errno(err, -r, "compiling the seccomp filter");
	*program_fd = steal_fd(&fd);
	return 0;
}

int syscall_filter_compile(const struct oci_seccomp *s, int *program_fd, struct error *err)
{
	uint32_t default_action, filter_flags = 0;
	struct architectures a;
	scmp_filter_ctx ctx;
	int r = action_value(s->default_action, &s->default_errno_ret, &default_action, err);

	if (r == 0)
		r = flags_value(s, &filter_flags, err);
	if (r < 0)
		return r;
	ctx = seccomp_init(default_action);
	if (!ctx)
		return error_set(err, ENOMEM, "compiling the seccomp filter: no memory");
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	r = add_architectures(ctx, s, &a, err);
	for (size_t i = 0; i < s->n_rules && r == 0; i++)
		r = add_rule(ctx, &s->rules[i], default_action, err);
	if (r == 0)
		r = export(ctx, s, filter_flags, &a, program_fd, err);
	seccomp_release(ctx);
	return r;
}

int syscall_filter_read(int fd, struct syscall_filter *out, struct error *err)
{
	struct program_head head = {0};
	struct stat st;
	size_t size;
	int r;

	memset(out, 0, sizeof(*out));
	if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(head))
		return error_set(err, EINVAL, "the compiled seccomp filter is damaged");
	size = (size_t)st.st_size - sizeof(head);
	r = fs_pread_all(fd, &head, sizeof(head), 0);
	if (r < 0 || head.magic != PROGRAM_MAGIC || size == 0 ||
	    size % sizeof(struct sock_filter) != 0 ||
	    size / sizeof(struct sock_filter) > SYSCALL_FILTER_MAX)
		return error_set(err, EINVAL, "the compiled seccomp filter is damaged");
	out->filters = malloc(size);
	if (!out->filters)
		return error_set(err, ENOMEM, "reading the seccomp filter: no memory");
	r = fs_pread_all(fd, out->filters, size, sizeof(head));
	if (r < 0) {
		syscall_filter_free(out);
		return error_errno(err, -r, "reading the seccomp filter");
	}
	out->n = size / sizeof(struct sock_filter);
	out->flags = head.flags;
	out->notifies = head.notifies;
	return 0;
}

void syscall_filter_free(struct syscall_filter *p)
{
	free(p->filters);
	memset(p, 0, sizeof(*p));
}

int syscall_filter_load(const struct syscall_filter *p)
{
	struct sock_fprog prog = {(unsigned short)p->n, p->filters};
	uint32_t load_flags = p->flags;
	long r;

	if (p->notifies)
		load_flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	/* The two give different return values and exclude each other; one thread is in sync
	 * with itself. */
	if (p->notifies)
		load_flags &= ~(uint32_t)SECCOMP_FILTER_FLAG_TSYNC;
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, load_flags, &prog);
	return r < 0 ? -errno : (int)r;
}

/* ---- sending the listener ---- */

/* The sender shares memory and descriptors with its maker, but is no thread of it, so that
 * the filter does not become its own. */
struct syscall_filter_sender {
	_Atomic int listener; /* -1: not yet; -2: there will be none */
	_Atomic int sent;     /* 0: not yet; 1: done; else a negative errno */
	_Atomic int alive;    /* the kernel clears it when the sender has ended */
	int fd;
	uint8_t stack[16384] __attribute__((aligned(16)));
};

static int run_sender(void *data)
{
	const struct timespec pause = {0, 200000};
	struct syscall_filter_sender *s = data;
	int listener;

	while ((listener = atomic_load(&s->listener)) == -1)
		nanosleep(&pause, NULL);
	if (listener >= 0) {
		int r = sync_send(s->fd, SYNC_LISTENER, 0, listener);

		/* The descriptors are shared: no reference of the waiting process itself shall keep
		 * the listener alive when its agent has gone. */
		close(listener);
		atomic_store(&s->sent, r < 0 ? r : 1);
	}
	syscall(SYS_exit, 0); /* no atexit handlers: the memory is another's too */
	return 0;
}

static void spin(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

int syscall_filter_sender_start(int fd, struct syscall_filter_sender **out, struct error *err)
{
	/* Nobody of the container shall have to reap it: SA_NOCLDWAIT, which execve resets. */
	const struct sigaction reap = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
	struct syscall_filter_sender *s = malloc(sizeof(*s));

	if (!s)
		return error_set(err, ENOMEM, "preparing the seccomp listener: no memory");
	atomic_init(&s->listener, -1);
	atomic_init(&s->sent, 0);
	atomic_init(&s->alive, 1);
	s->fd = fd;
	sigaction(SIGCHLD, &reap, NULL);
	if (clone(run_sender, s->stack + sizeof(s->stack),
	          CLONE_VM | CLONE_FILES | CLONE_CHILD_CLEARTID | SIGCHLD, s, NULL, NULL,
	          &s->alive) < 0) {
		free(s);
		return error_errno(err, errno, "preparing the seccomp listener");
	}
	*out = s;
	return 0;
}

int syscall_filter_load_and_send(const struct syscall_filter *p,
                                 struct syscall_filter_sender *sender)
{
	int r = syscall_filter_load(p);

	atomic_store(&sender->listener, r < 0 ? -2 : r);
	while (atomic_load(&sender->alive))
		spin();
	if (r < 0)
		return r;
	r = atomic_load(&sender->sent);
	return r < 0 ? r : 0;
}
