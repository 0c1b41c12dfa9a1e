/* SPDX-License-Identifier: Apache-2.0 */
/* cpuid_covers: whether a processor has all that another one told its guest. */
#include "host-shim/vmm/x86_64/cpuid_covers.h"

#include <errno.h>
#include <stdint.h>

/* Registers whose every bit is a feature; Intel SDM volume 2, "CPUID", AMD APM volume 3, appendix
 * E. `except`: what changes as the guest runs: leaf 1 ECX MONITOR (3, by IA32_MISC_ENABLE), the
 * deadline timer (24, KVM's own) and OSXSAVE (27), EDX APIC (9, as its base register is) and HTT
 * (28, by the number of processors); leaf 7 ECX OSPKE (4). */
static const struct {
	uint32_t leaf, index;
	enum { EAX, EBX, ECX, EDX } reg;
	uint32_t except;
} features[] = {
    {0x1, 0, ECX, 1u << 3 | 1u << 24 | 1u << 27},
    {0x1, 0, EDX, 1u << 9 | 1u << 28},
    {0x7, 0, EBX, 0},
    {0x7, 0, ECX, 1u << 4},
    {0x7, 0, EDX, 0},
    {0x7, 1, EAX, 0},
    {0xd, 0, EAX, 0}, /* parts of the extended state that XCR0 may name */
    {0xd, 0, EDX, 0},
    {0xd, 1, EAX, 0},
    {0x40000001, 0, EAX, 0}, /* KVM's own: its clock, steal time (Linux, KVM CPUID bits) */
    {0x80000001, 0, ECX, 0},
    {0x80000001, 0, EDX, 1u << 9},
    {0x80000007, 0, EDX, 0},
    {0x80000008, 0, EBX, 0},
};

static uint32_t value(const struct kvm_cpuid_entry2 *e, size_t n, size_t feature)
{
	for (size_t i = 0; i < n; i++) {
		const uint32_t regs[] = {e[i].eax, e[i].ebx, e[i].ecx, e[i].edx};

		if (e[i].function == features[feature].leaf &&
		    e[i].index == features[feature].index)
			return regs[features[feature].reg];
	}
	return 0;
}

int cpuid_covers(const struct kvm_cpuid_entry2 *have, size_t n_have,
                 const struct kvm_cpuid_entry2 *want, size_t n_want, struct error *err)
{
	static const char *const names[] = {"EAX", "EBX", "ECX", "EDX"};

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		uint32_t lacks =
		    value(want, n_want, i) & ~value(have, n_have, i) & ~features[i].except;

		if (lacks)
			return error_set_kind(err, ERROR_ENVIRONMENT, ENOTSUP,
			                      "this host's processor or KVM lacks features that "
			                      "the snapshot's guest was told of (CPUID 0x%x.%u %s "
			                      "0x%x)",
			                      features[i].leaf, features[i].index,
			                      names[features[i].reg], lacks);
	}
	return 0;
}
