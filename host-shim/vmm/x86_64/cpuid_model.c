/* SPDX-License-Identifier: Apache-2.0 */
/* cpuid_model: the named processor models: micro-architecture levels of the System V ABI. */
#include "cpuid_model.h"

#include <errno.h>
#include <string.h>

#define BIT(n) (1u << (n))

/* A register of a leaf: Intel SDM volume 2 "CPUID", AMD APM volume 3 appendix E. */
enum { EAX, EBX, ECX, EDX };

struct mask {
	uint32_t leaf, index;
	unsigned int reg;
	uint32_t needed; /* what the level has; the host must */
	uint32_t taken;  /* kept besides, where the host has it: what a guest of KVM lives on */
};

struct cpuid_model {
	const char *name;
	uint32_t xcr0;       /* states of XSAVE; 0: no XSAVE */
	uint32_t xsave_size; /* bytes of them */
	struct mask masks[5];
};

/* FPU, PSE, TSC, MSR, PAE, CX8, APIC, SEP, PGE, CMOV, PAT, CLFSH, MMX, FXSR, SSE, SSE2. */
#define V1_1_EDX                                                                                   \
	(BIT(0) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(9) | BIT(11) | BIT(13) |        \
	 BIT(15) | BIT(16) | BIT(19) | BIT(23) | BIT(24) | BIT(25) | BIT(26))
/* DE, MCE, MTRR, MCA, PSE36, more than one processor. */
#define KEPT_1_EDX (BIT(2) | BIT(7) | BIT(12) | BIT(14) | BIT(17) | BIT(28))
#define V2_1_ECX   (BIT(0) | BIT(9) | BIT(13) | BIT(19) | BIT(20) | BIT(23))
#define V3_1_ECX   (V2_1_ECX | BIT(12) | BIT(22) | BIT(27) | BIT(28) | BIT(29))
/* AES and PCLMULQDQ, PCID, x2APIC, deadline timer, RDRAND, hypervisor. */
#define KEPT_1_ECX (BIT(1) | BIT(17) | BIT(21) | BIT(24) | BIT(25) | BIT(30) | BIT(31))
/* FSGSBASE, SMEP, ERMS, INVPCID, SMAP. */
#define KEPT_7_EBX (BIT(0) | BIT(7) | BIT(9) | BIT(10) | BIT(20))
#define V3_7_EBX   (BIT(3) | BIT(5) | BIT(8))
/* SYSCALL, NX, 1 GiB pages, RDTSCP, long mode. */
#define EXT_EDX  (BIT(11) | BIT(20) | BIT(29))
#define KEPT_EDX (BIT(26) | BIT(27))

static const struct cpuid_model models[] = {
    {"x86-64-v2",
     0,
     0,
     {{0x1, 0, EDX, V1_1_EDX, KEPT_1_EDX},
      {0x1, 0, ECX, V2_1_ECX, KEPT_1_ECX},
      {0x7, 0, EBX, 0, KEPT_7_EBX},
      {0x80000001, 0, ECX, BIT(0), BIT(8)},
      {0x80000001, 0, EDX, EXT_EDX, KEPT_EDX}}},
    {"x86-64-v3",
     7,
     832,
     {{0x1, 0, EDX, V1_1_EDX, KEPT_1_EDX},
      {0x1, 0, ECX, V3_1_ECX & ~BIT(27), KEPT_1_ECX | BIT(26) | BIT(27)},
      {0x7, 0, EBX, V3_7_EBX, KEPT_7_EBX},
      {0x80000001, 0, ECX, BIT(0) | BIT(5), BIT(8)},
      {0x80000001, 0, EDX, EXT_EDX, KEPT_EDX}}},
};

const struct cpuid_model *cpuid_model_find(const char *name)
{
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (strcmp(models[i].name, name) == 0)
			return &models[i];
	return NULL;
}

static struct kvm_cpuid_entry2 *find(struct kvm_cpuid2 *c, uint32_t leaf, uint32_t index)
{
	for (uint32_t i = 0; i < c->nent; i++)
		if (c->entries[i].function == leaf && c->entries[i].index == index)
			return &c->entries[i];
	return NULL;
}

static uint32_t *reg_of(struct kvm_cpuid_entry2 *e, unsigned int reg)
{
	uint32_t *const regs[] = {&e->eax, &e->ebx, &e->ecx, &e->edx};

	return regs[reg];
}

static int apply_mask(const struct cpuid_model *model, const struct mask *m, struct kvm_cpuid2 *c,
                      struct error *err)
{
	struct kvm_cpuid_entry2 *e = find(c, m->leaf, m->index);
	uint32_t *reg = e ? reg_of(e, m->reg) : NULL, has = reg ? *reg : 0;

	if (m->needed & ~has)
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOTSUP,
		                      "this host's processor is no %s: CPUID leaf 0x%x lacks 0x%x",
		                      model->name, m->leaf, m->needed & ~has);
	if (reg)
		*reg &= m->needed | m->taken;
	return 0;
}

/* Leaf 0xd, volume 1 §13.2: only the states of the model, in the standard format. */
static void apply_xsave(const struct cpuid_model *model, struct kvm_cpuid2 *c)
{
	for (uint32_t i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		if (e->function != 0xd)
			continue;
		if (e->index == 0) {
			e->eax = model->xcr0;
			e->ebx = e->ecx = model->xsave_size;
			e->edx = 0;
		} else if (e->index == 1 || !(model->xcr0 >> (e->index & 31) & 1)) {
			e->eax = e->ebx = e->ecx = e->edx = 0;
		}
	}
}

int cpuid_model_apply(const struct cpuid_model *model, struct kvm_cpuid2 *c, struct error *err)
{
	struct kvm_cpuid_entry2 *e = find(c, 0x7, 0);

	for (size_t i = 0; i < sizeof(model->masks) / sizeof(model->masks[0]); i++) {
		int r = apply_mask(model, &model->masks[i], c, err);

		if (r < 0)
			return r;
	}
	/* EDX of leaf 7 has the speculation controls, which stay; further sub-leaves are newer. */
	if (e)
		e->eax = e->ecx = 0;
	apply_xsave(model, c);
	return 0;
}
