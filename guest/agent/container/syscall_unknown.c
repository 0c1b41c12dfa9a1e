/* SPDX-License-Identifier: Apache-2.0 */
/* syscall_unknown: the greatest number named by the rules, and a comparison for each architecture.
 */
#include "guest/agent/container/syscall_unknown.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <string.h>

/* x32 is x86-64 by its architecture, and told by this bit of the number (syscall(2) of x32). */
#define X32_BIT 0x40000000u

/* Where a jump goes; resolved when the length is known. */
#define TO_FILTER 254
#define TO_ENOSYS 255

struct prologue {
	struct sock_filter *v;
	size_t n;
};

static void add(struct prologue *s, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	s->v[s->n++] = (struct sock_filter){code, yes, no, k};
}

/* 0: the rules name none that the architecture has. */
static uint32_t greatest(const struct oci_seccomp *s, uint32_t arch)
{
	uint32_t max = 0;

	for (size_t i = 0; i < s->n_rules; i++) {
		const struct oci_strings *names = &s->rules[i].names;

		for (size_t k = 0; k < names->n; k++) {
			int nr = seccomp_syscall_resolve_name_arch(arch, names->v[k]);

			/* Negative ones are libseccomp's own, for what is not there. */
			if (nr > 0 && (uint32_t)nr > max)
				max = (uint32_t)nr;
		}
	}
	return max;
}

static bool has(const uint32_t *arches, size_t n, uint32_t arch)
{
	for (size_t i = 0; i < n; i++)
		if (arches[i] == arch)
			return true;
	return false;
}

static void add_section(struct prologue *s, uint32_t arch, uint32_t max)
{
	add(s, BPF_JMP | BPF_JEQ | BPF_K, arch, 0, 2);
	add(s, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	add(s, BPF_JMP | BPF_JGT | BPF_K, max, TO_ENOSYS, TO_FILTER);
}

static void add_x86_64(struct prologue *s, uint32_t max, uint32_t max_x32)
{
	uint8_t x32 = max_x32 ? 1 : TO_FILTER;

	add(s, BPF_JMP | BPF_JEQ | BPF_K, SCMP_ARCH_X86_64, 0, max_x32 ? 4 : 3);
	add(s, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	add(s, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, x32, 0);
	add(s, BPF_JMP | BPF_JGT | BPF_K, max ? max : UINT32_MAX, TO_ENOSYS, TO_FILTER);
	if (max_x32)
		add(s, BPF_JMP | BPF_JGT | BPF_K, max_x32, TO_ENOSYS, TO_FILTER);
}

/* Jumps count from the next instruction. The last two are: on to the filter; the answer. */
static void finish(struct prologue *s)
{
	size_t end = s->n;

	add(s, BPF_JMP | BPF_JA, 1, 0, 0);
	add(s, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS, 0, 0);
	for (size_t i = 0; i < end; i++) {
		uint8_t *jumps[2] = {&s->v[i].jt, &s->v[i].jf};

		for (int k = 0; k < 2; k++)
			if (*jumps[k] >= TO_FILTER)
				*jumps[k] =
				    (uint8_t)(end - i - 1 + (*jumps[k] == TO_ENOSYS ? 1 : 0));
	}
}

/* What is let through anyway, and who says ENOSYS already, needs nothing. */
static bool is_needed(const struct oci_seccomp *s)
{
	static const char *const through[] = {"SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"};

	for (size_t i = 0; i < sizeof(through) / sizeof(through[0]); i++)
		if (strcmp(s->default_action, through[i]) == 0)
			return false;
	return !(s->default_errno_ret.set && s->default_errno_ret.value == ENOSYS);
}

size_t syscall_unknown_write(const struct oci_seccomp *s, const uint32_t *arches, size_t n,
                             struct sock_filter out[SYSCALL_UNKNOWN_MAX])
{
	struct prologue before = {out, 0};
	uint32_t max, x32 = 0;

	if (!is_needed(s))
		return 0;
	if (has(arches, n, SCMP_ARCH_X32))
		x32 = greatest(s, SCMP_ARCH_X32);
	add(&before, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	for (size_t i = 0; i < n && before.n + 8 < SYSCALL_UNKNOWN_MAX; i++) {
		if (arches[i] == SCMP_ARCH_X32 || has(arches, i, arches[i]))
			continue;
		max = greatest(s, arches[i]);
		if (arches[i] == SCMP_ARCH_X86_64 && (max || x32))
			add_x86_64(&before, max, x32);
		else if (max)
			add_section(&before, arches[i], max);
	}
	if (before.n == 1)
		return 0;
	finish(&before);
	return before.n;
}
