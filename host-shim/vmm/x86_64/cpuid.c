/* SPDX-License-Identifier: Apache-2.0 */
/* cpuid: what CPUID tells a guest: what KVM can do here, and each processor's place. */
#include "cpuid.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "host-shim/vmm/x86_64/cpuid_model.h"
#include "lib/base/cleanup.h"

/* Intel SDM volume 2, "CPUID"; AMD APM volume 3, appendix E. */
#define LEAF_FEATURES    0x1u
#define LEAF_CACHE       0x4u
#define LEAF_PMU         0xau
#define LEAF_TOPOLOGY    0xbu
#define LEAF_TOPOLOGY_V2 0x1fu
#define LEAF_AMD_SIZES   0x80000008u
#define LEAF_AMD_APIC    0x8000001eu

#define FEATURES_C_X2APIC         (1u << 21)
#define FEATURES_C_DEADLINE_TIMER (1u << 24)
#define FEATURES_C_HYPERVISOR     (1u << 31)
#define FEATURES_D_HTT            (1u << 28)

#define LEVEL_THREAD 1u
#define LEVEL_CORE   2u

struct place {
	const struct kvm *kvm;
	unsigned int id, n, bits; /* bits: of the APIC id that tell processors apart */
};

static void patch_features(struct kvm_cpuid_entry2 *e, const struct place *p)
{
	e->ebx = (e->ebx & 0x0000ffffu) | p->n << 16 | p->id << 24;
	e->ecx |= FEATURES_C_X2APIC | FEATURES_C_HYPERVISOR;
	if (p->kvm->deadline_timer)
		e->ecx |= FEATURES_C_DEADLINE_TIMER;
	e->edx = p->n > 1 ? e->edx | FEATURES_D_HTT : e->edx & ~FEATURES_D_HTT;
}

/* One package of n cores, each with its first two cache levels alone. */
static void patch_cache(struct kvm_cpuid_entry2 *e, const struct place *p)
{
	uint32_t level = e->eax >> 5 & 7, sharing = level < 3 ? 0 : p->n - 1;

	if (!(e->eax & 0x1f))
		return;
	e->eax = (e->eax & 0x3fffu) | sharing << 14 | (p->n - 1) << 26;
}

static void patch_topology(struct kvm_cpuid_entry2 *e, const struct place *p)
{
	e->ecx = e->index & 0xff;
	e->edx = p->id;
	e->eax = e->ebx = 0;
	if (e->index == 0) {
		e->ebx = 1;
		e->ecx |= LEVEL_THREAD << 8;
	} else if (e->index == 1) {
		e->eax = p->bits;
		e->ebx = p->n;
		e->ecx |= LEVEL_CORE << 8;
	}
}

static void patch_amd_sizes(struct kvm_cpuid_entry2 *e, const struct place *p)
{
	e->ecx = (e->ecx & ~0xf0ffu) | (p->n - 1) | p->bits << 12;
}

static void patch_amd_apic(struct kvm_cpuid_entry2 *e, const struct place *p)
{
	e->eax = p->id;
	e->ebx = (e->ebx & ~0xffffu) | p->id;
	e->ecx = 0;
}

/* No performance counters: nothing of the host's is to be measured from a guest. */
static void clear(struct kvm_cpuid_entry2 *e, const struct place *p)
{
	e->eax = e->ebx = e->ecx = e->edx = 0;
}

static const struct {
	uint32_t leaf;
	void (*patch)(struct kvm_cpuid_entry2 *e, const struct place *p);
} patches[] = {
    {LEAF_FEATURES, patch_features}, {LEAF_CACHE, patch_cache}, {LEAF_PMU, clear},
    {LEAF_TOPOLOGY, patch_topology}, {LEAF_TOPOLOGY_V2, clear}, {LEAF_AMD_SIZES, patch_amd_sizes},
    {LEAF_AMD_APIC, patch_amd_apic},
};

static void patch_all(struct kvm_cpuid2 *c, const struct place *p)
{
	for (uint32_t i = 0; i < c->nent; i++)
		for (size_t j = 0; j < sizeof(patches) / sizeof(patches[0]); j++)
			if (c->entries[i].function == patches[j].leaf)
				patches[j].patch(&c->entries[i], p);
}

static bool has(const struct kvm_cpuid2 *c, uint32_t leaf, uint32_t index)
{
	for (uint32_t i = 0; i < c->nent; i++)
		if (c->entries[i].function == leaf && c->entries[i].index == index)
			return true;
	return false;
}

/* KVM lists the first sub-leaf of the topology only, or none. */
static void add_topology(struct kvm_cpuid2 *c)
{
	for (uint32_t i = 0; i < 2; i++)
		if (c->entries[0].eax >= LEAF_TOPOLOGY && !has(c, LEAF_TOPOLOGY, i) &&
		    c->nent < CPUID_ENTRIES_MAX)
			c->entries[c->nent++] =
			    (struct kvm_cpuid_entry2){.function = LEAF_TOPOLOGY,
			                              .index = i,
			                              .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX};
}

int cpuid_setup(const struct kvm *kvm, int fd, unsigned int id, unsigned int n,
                const struct cpuid_model *model, struct error *err)
{
	struct place p = {.kvm = kvm, .id = id, .n = n};
	_cleanup_free_ struct kvm_cpuid2 *c =
	    calloc(1, sizeof(*c) + CPUID_ENTRIES_MAX * sizeof(c->entries[0]));

	while (1u << p.bits < n)
		p.bits++;
	if (!c)
		return error_set(err, ENOMEM, "no memory for CPUID");
	c->nent = CPUID_ENTRIES_MAX;
	if (kvm_ioctl(kvm->dev, KVM_GET_SUPPORTED_CPUID, c) < 0)
		return error_errno(err, errno, "asking KVM for its CPUID");
	if (c->nent > 0 && c->entries[0].function == 0)
		add_topology(c);
	patch_all(c, &p);
	if (model) {
		int r = cpuid_model_apply(model, c, err);

		if (r < 0)
			return r;
	}
	if (kvm_ioctl(fd, KVM_SET_CPUID2, c) < 0)
		return error_errno(err, errno, "setting the CPUID of processor %u", id);
	return 0;
}
