/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot_kvm: see the header. The order of the calls is that of Documentation/virt/kvm/api.rst.
 */
#include "host-shim/vmm/snapshot_kvm.h"

#include <cpuid.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-shim/vmm/kvm.h"
#include "host-shim/vmm/x86_64/cpuid_covers.h"
#include "lib/base/cleanup.h"

#define VCPU_VERSION    1u
#define MACHINE_VERSION 1u
#define CPUID_MAX       256u
#define MSRS_MAX        1024u
#define MSRS_A_CALL     64u
#define MSR_SIZE        16u /* as it is saved: index, 0, value */
#define XSAVE_MAX       (64u << 10)

#define MSR_TSC          0x10u
#define MSR_TSC_DEADLINE 0x6e0u

/* Tags of a processor's fields. */
enum {
	TAG_CPUID = 1,
	TAG_MSRS,
	TAG_XSAVE,
	TAG_TSC_KHZ,
	TAG_REGS,
	TAG_SREGS,
	TAG_LAPIC,
	TAG_MP_STATE,
	TAG_EVENTS,
	TAG_DEBUGREGS,
	TAG_XCRS,
};

/* Structures that are read and set by one call each. Saved in this order (api.rst: what is pending
 * is settled when KVM_GET_MP_STATE is asked for), set in the order of `set`. */
static const struct part {
	uint32_t tag;
	const char *name;
	unsigned long get, set;
	size_t size;
} parts[] = {
    {TAG_MP_STATE, "run state", KVM_GET_MP_STATE, KVM_SET_MP_STATE, sizeof(struct kvm_mp_state)},
    {TAG_REGS, "registers", KVM_GET_REGS, KVM_SET_REGS, sizeof(struct kvm_regs)},
    {TAG_SREGS, "system registers", KVM_GET_SREGS, KVM_SET_SREGS, sizeof(struct kvm_sregs)},
    {TAG_XCRS, "extended control registers", KVM_GET_XCRS, KVM_SET_XCRS, sizeof(struct kvm_xcrs)},
    {TAG_DEBUGREGS, "debug registers", KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS,
     sizeof(struct kvm_debugregs)},
    {TAG_LAPIC, "APIC", KVM_GET_LAPIC, KVM_SET_LAPIC, sizeof(struct kvm_lapic_state)},
    {TAG_EVENTS, "pending events", KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS,
     sizeof(struct kvm_vcpu_events)},
};
#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

union part_buffer {
	struct kvm_mp_state mp_state;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
};

/* ---- what there is */

/* struct kvm_msrs with room for a few. */
union msrs {
	struct kvm_msrs head;
	uint8_t bytes[sizeof(struct kvm_msrs) + MSRS_A_CALL * sizeof(struct kvm_msr_entry)];
};

static int list_msrs(struct snapshot_kvm *k, int dev, int vcpu, struct error *err)
{
	_cleanup_free_ struct kvm_msr_list *list =
	    calloc(1, sizeof(*list) + MSRS_MAX * sizeof(list->indices[0]));

	if (!list)
		return error_set(err, ENOMEM, "no memory for the list of MSRs");
	list->nmsrs = MSRS_MAX;
	if (kvm_ioctl(dev, KVM_GET_MSR_INDEX_LIST, list) < 0)
		return error_errno(err, errno, "asking KVM for its MSRs");
	k->msrs = calloc(list->nmsrs, sizeof(k->msrs[0]));
	if (!k->msrs)
		return error_set(err, ENOMEM, "no memory for the list of MSRs");
	for (uint32_t i = 0; i < list->nmsrs; i++) {
		union msrs m = {.head.nmsrs = 1};

		m.head.entries[0].index = list->indices[i];
		if (kvm_ioctl(vcpu, KVM_GET_MSRS, &m) == 1)
			k->msrs[k->n_msrs++] = list->indices[i];
	}
	return 0;
}

int snapshot_kvm_init(struct snapshot_kvm *k, int dev, int vm, int vcpu, struct error *err)
{
	int size = kvm_ioctl(vm, KVM_CHECK_EXTENSION, (void *)KVM_CAP_XSAVE2);

	*k = (struct snapshot_kvm){.xsave_size = sizeof(struct kvm_xsave)};
	if (size > (int)k->xsave_size)
		k->xsave_size = (uint32_t)size;
	if (k->xsave_size > XSAVE_MAX)
		return error_set(err, ENOTSUP,
		                 "this processor's extended state is too large to save");
	return vcpu < 0 ? 0 : list_msrs(k, dev, vcpu, err);
}

void snapshot_kvm_clear(struct snapshot_kvm *k)
{
	if (!k)
		return;
	free(k->msrs);
	*k = (struct snapshot_kvm){0};
}

/* ---- saving */

static int save_cpuid(struct snapshot_writer *w, int vcpu, struct error *err)
{
	_cleanup_free_ struct kvm_cpuid2 *c =
	    calloc(1, sizeof(*c) + CPUID_MAX * sizeof(c->entries[0]));

	if (!c)
		return error_set(err, ENOMEM, "no memory to save a processor");
	c->nent = CPUID_MAX;
	if (kvm_ioctl(vcpu, KVM_GET_CPUID2, c) < 0)
		return error_errno(err, errno, "saving a processor's CPUID");
	snapshot_put(w, TAG_CPUID, c->entries, c->nent * sizeof(c->entries[0]));
	return 0;
}

static int save_msrs(struct snapshot_writer *w, const struct snapshot_kvm *k, int vcpu,
                     struct error *err)
{
	_cleanup_buffer_ struct buffer all = BUFFER_INIT;

	for (uint32_t done = 0; done < k->n_msrs;) {
		uint32_t left = k->n_msrs - done, n = left < MSRS_A_CALL ? left : MSRS_A_CALL;
		union msrs m = {.head.nmsrs = n};

		for (uint32_t i = 0; i < n; i++)
			m.head.entries[i].index = k->msrs[done + i];
		if (kvm_ioctl(vcpu, KVM_GET_MSRS, &m) != (int)n)
			return error_errno(err, errno ? errno : EIO, "saving a processor's MSRs");
		for (uint32_t i = 0; i < n; i++) {
			buffer_le64(&all, m.head.entries[i].index);
			buffer_le64(&all, m.head.entries[i].data);
		}
		done += n;
	}
	if (all.failed)
		return error_set(err, ENOMEM, "no memory to save a processor");
	snapshot_put(w, TAG_MSRS, all.data, all.size);
	return 0;
}

static int save_xsave(struct snapshot_writer *w, const struct snapshot_kvm *k, int vcpu,
                      struct error *err)
{
	_cleanup_free_ void *area = calloc(1, k->xsave_size);
	unsigned long request =
	    k->xsave_size > sizeof(struct kvm_xsave) ? KVM_GET_XSAVE2 : KVM_GET_XSAVE;

	if (!area)
		return error_set(err, ENOMEM, "no memory to save a processor");
	if (kvm_ioctl(vcpu, request, area) < 0)
		return error_errno(err, errno, "saving a processor's extended state");
	snapshot_put(w, TAG_XSAVE, area, k->xsave_size);
	return 0;
}

int snapshot_save_vcpu(struct snapshot_writer *w, const struct snapshot_kvm *k, unsigned int id,
                       int vcpu, struct error *err)
{
	char name[SNAPSHOT_NAME_MAX + 1];
	int khz, r;

	snprintf(name, sizeof(name), "vcpu.%u", id);
	snapshot_begin(w, name, VCPU_VERSION, 0);
	for (size_t i = 0; i < N_PARTS; i++) {
		union part_buffer b = {0};

		if (kvm_ioctl(vcpu, parts[i].get, &b) < 0)
			return error_errno(err, errno, "saving processor %u's %s", id,
			                   parts[i].name);
		snapshot_put(w, parts[i].tag, &b, parts[i].size);
	}
	khz = kvm_ioctl(vcpu, KVM_GET_TSC_KHZ, NULL);
	if (khz > 0)
		snapshot_put_u32(w, TAG_TSC_KHZ, (uint32_t)khz);
	r = save_cpuid(w, vcpu, err);
	if (r == 0)
		r = save_xsave(w, k, vcpu, err);
	return r < 0 ? r : save_msrs(w, k, vcpu, err);
}

/* ---- loading */

/* A guest took instructions and workarounds by its processor's make: it cannot wake up on another.
 */
static int check_make(const struct kvm_cpuid_entry2 *entries, size_t n, struct error *err)
{
	unsigned int a, host[3];
	char saved[13] = "", here[13] = "";

	__cpuid(0, a, host[0], host[1], host[2]);
	for (size_t i = 0; i < n; i++) {
		if (entries[i].function != 0)
			continue;
		if (entries[i].ebx == host[0] && entries[i].ecx == host[1] &&
		    entries[i].edx == host[2])
			return 0;
		memcpy(saved, &entries[i].ebx, 4);
		memcpy(saved + 4, &entries[i].edx, 4);
		memcpy(saved + 8, &entries[i].ecx, 4);
		memcpy(here, &host[0], 4);
		memcpy(here + 4, &host[2], 4);
		memcpy(here + 8, &host[1], 4);
		for (size_t c = 0; c < 12; c++)
			if (saved[c] < ' ' || saved[c] > '~')
				saved[c] = '?';
		return error_set_kind(err, ERROR_ENVIRONMENT, EINVAL,
		                      "the snapshot is of a processor by %s, this one is by %s",
		                      saved, here);
	}
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "the snapshot's processor has no CPUID leaf 0");
}

/* The processor was set up to tell all that this host can (x86_64/cpuid.h). */
static int check_features(const struct kvm_cpuid_entry2 *want, size_t n, int vcpu,
                          struct error *err)
{
	_cleanup_free_ struct kvm_cpuid2 *c =
	    calloc(1, sizeof(*c) + CPUID_MAX * sizeof(c->entries[0]));

	if (!c)
		return error_set(err, ENOMEM, "no memory to load a processor");
	c->nent = CPUID_MAX;
	if (kvm_ioctl(vcpu, KVM_GET_CPUID2, c) < 0)
		return error_errno(err, errno, "reading a processor's CPUID");
	return cpuid_covers(c->entries, c->nent, want, n, err);
}

static int load_cpuid(const struct snapshot_section *s, int vcpu, struct error *err)
{
	_cleanup_free_ struct kvm_cpuid2 *c =
	    calloc(1, sizeof(*c) + CPUID_MAX * sizeof(c->entries[0]));
	size_t size = 0;
	const uint8_t *p = snapshot_find(s, TAG_CPUID, 0, &size);
	size_t n = size / sizeof(struct kvm_cpuid_entry2);
	int r;

	if (!c)
		return error_set(err, ENOMEM, "no memory to load a processor");
	if (!p || n > CPUID_MAX || size % sizeof(struct kvm_cpuid_entry2))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the snapshot's section %s has no sensible CPUID", s->name);
	memcpy(c->entries, p, size);
	c->nent = (uint32_t)n;
	r = check_make(c->entries, n, err);
	if (r == 0)
		r = check_features(c->entries, n, vcpu, err);
	if (r < 0)
		return r;
	if (kvm_ioctl(vcpu, KVM_SET_CPUID2, c) < 0)
		return error_errno(err, errno, "loading a processor's CPUID");
	return 0;
}

/* Sets those that are there and empties the list. KVM stops at the first that it does not take. */
static int set_msrs(int vcpu, union msrs *m, struct error *err)
{
	uint32_t n = m->head.nmsrs;
	int done = n ? kvm_ioctl(vcpu, KVM_SET_MSRS, m) : 0;
	const struct kvm_msr_entry *e = &m->head.entries[done > 0 ? done : 0];

	m->head.nmsrs = 0;
	if (done == (int)n)
		return 0;
	return error_set_kind(err, ERROR_ENVIRONMENT, EINVAL,
	                      "this host's KVM does not take the snapshot's MSR 0x%x (0x%llx)",
	                      e->index, (unsigned long long)e->data);
}

static void add_msr(union msrs *m, uint32_t index, uint64_t value)
{
	m->head.entries[m->head.nmsrs++] = (struct kvm_msr_entry){.index = index, .data = value};
}

/* The deadline is in terms of the time stamp counter, which therefore is set before. */
static int load_msrs(const struct snapshot_section *s, int vcpu, struct error *err)
{
	size_t size = 0;
	const uint8_t *p = snapshot_find(s, TAG_MSRS, 0, &size);
	union msrs all = {.head.nmsrs = 0};
	uint64_t deadline = 0;
	int r = 0;

	if (!p || size % MSR_SIZE || size / MSR_SIZE > MSRS_MAX)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the snapshot's section %s has no sensible MSRs", s->name);
	for (const uint8_t *m = p; m < p + size && r == 0; m += MSR_SIZE) {
		if (get_le32(m) == MSR_TSC_DEADLINE)
			deadline = get_le64(m + 8);
		else
			add_msr(&all, get_le32(m), get_le64(m + 8));
		if (all.head.nmsrs == MSRS_A_CALL)
			r = set_msrs(vcpu, &all, err);
	}
	if (r == 0)
		r = set_msrs(vcpu, &all, err);
	if (r < 0 || !deadline)
		return r;
	add_msr(&all, MSR_TSC_DEADLINE, deadline);
	return set_msrs(vcpu, &all, err);
}

static int load_xsave(const struct snapshot_section *s, const struct snapshot_kvm *k, int vcpu,
                      struct error *err)
{
	_cleanup_free_ void *area = calloc(1, k->xsave_size);
	size_t size = 0;
	const uint8_t *p = snapshot_find(s, TAG_XSAVE, 0, &size);

	if (!area)
		return error_set(err, ENOMEM, "no memory to load a processor");
	if (!p || size < sizeof(struct kvm_xsave))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the snapshot's section %s has no extended state", s->name);
	if (size > k->xsave_size)
		return error_set_kind(
		    err, ERROR_ENVIRONMENT, EINVAL,
		    "the snapshot's processor has %zu bytes of extended state, this one %u", size,
		    k->xsave_size);
	memcpy(area, p, size);
	if (kvm_ioctl(vcpu, KVM_SET_XSAVE, area) < 0)
		return error_errno(err, errno, "loading a processor's extended state");
	return 0;
}

static int load_part(const struct snapshot_section *s, uint32_t tag, int vcpu, struct error *err)
{
	for (size_t i = 0; i < N_PARTS; i++) {
		union part_buffer b = {0};
		int r;

		if (parts[i].tag != tag)
			continue;
		r = snapshot_get(s, tag, &b, parts[i].size, err);
		if (r == 0 && kvm_ioctl(vcpu, parts[i].set, &b) < 0)
			r = error_errno(err, errno, "loading the %s of %s", parts[i].name, s->name);
		return r;
	}
	return -EINVAL;
}

/* The APIC's base is a system register, its timer's deadline an MSR; what is pending comes last. */
static int load_state(const struct snapshot_section *s, const struct snapshot_kvm *k, int vcpu,
                      struct error *err)
{
	static const uint32_t first[] = {TAG_XCRS, TAG_SREGS, TAG_REGS, TAG_DEBUGREGS, TAG_LAPIC};
	static const uint32_t last[] = {TAG_MP_STATE, TAG_EVENTS};
	int r = load_xsave(s, k, vcpu, err);

	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]) && r == 0; i++)
		r = load_part(s, first[i], vcpu, err);
	if (r == 0)
		r = load_msrs(s, vcpu, err);
	for (size_t i = 0; i < sizeof(last) / sizeof(last[0]) && r == 0; i++)
		r = load_part(s, last[i], vcpu, err);
	return r;
}

int snapshot_load_vcpu(struct snapshot *s, const struct snapshot_kvm *k, unsigned int id, int vcpu,
                       struct error *err)
{
	const struct snapshot_section *section;
	size_t size = 0;
	const uint8_t *khz;
	char name[SNAPSHOT_NAME_MAX + 1];
	int r;

	snprintf(name, sizeof(name), "vcpu.%u", id);
	r = snapshot_open(s, name, VCPU_VERSION, &section, err);
	if (r == 0)
		r = load_cpuid(section, vcpu, err);
	if (r < 0)
		return r;
	/* Where the counter cannot be slowed down, a host of the same speed is wanted: KVM says so.
	 */
	khz = snapshot_find(section, TAG_TSC_KHZ, 0, &size);
	if (khz && size == 4 && (int)get_le32(khz) != kvm_ioctl(vcpu, KVM_GET_TSC_KHZ, NULL) &&
	    kvm_ioctl(vcpu, KVM_SET_TSC_KHZ, (void *)(uintptr_t)get_le32(khz)) < 0)
		return error_errno(err, errno, "giving a processor a time stamp counter of %u kHz",
		                   get_le32(khz));
	return load_state(section, k, vcpu, err);
}

/* ---- the machine */

static const char machine_section[] = "kvm";

enum { TAG_CHIP = 1, TAG_CLOCK, TAG_PIT };
enum { CHIPS = 3 }; /* KVM_IRQCHIP_PIC_MASTER, _PIC_SLAVE, _IOAPIC */

int snapshot_save_machine(struct snapshot_writer *w, int vm, bool pit, struct error *err)
{
	struct kvm_clock_data clock = {0};
	struct kvm_pit_state2 timer = {0};

	snapshot_begin(w, machine_section, MACHINE_VERSION, 0);
	for (uint32_t i = 0; i < CHIPS; i++) {
		struct kvm_irqchip chip = {.chip_id = i};

		if (kvm_ioctl(vm, KVM_GET_IRQCHIP, &chip) < 0)
			return error_errno(err, errno, "saving interrupt controller %u", i);
		snapshot_put(w, TAG_CHIP, &chip, sizeof(chip));
	}
	if (kvm_ioctl(vm, KVM_GET_CLOCK, &clock) < 0)
		return error_errno(err, errno, "saving the guest's clock");
	snapshot_put_u64(w, TAG_CLOCK, clock.clock);
	if (!pit)
		return 0;
	if (kvm_ioctl(vm, KVM_GET_PIT2, &timer) < 0)
		return error_errno(err, errno, "saving the PC's timer");
	snapshot_put(w, TAG_PIT, &timer, sizeof(timer));
	return 0;
}

static int load_chips(const struct snapshot_section *s, int vm, struct error *err)
{
	for (uint32_t i = 0; i < CHIPS; i++) {
		struct kvm_irqchip chip;
		size_t size = 0;
		const uint8_t *p = snapshot_find(s, TAG_CHIP, i, &size);

		if (!p || size != sizeof(chip))
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "the snapshot has no interrupt controller %u", i);
		memcpy(&chip, p, sizeof(chip));
		chip.chip_id = i;
		if (kvm_ioctl(vm, KVM_SET_IRQCHIP, &chip) < 0)
			return error_errno(err, errno, "loading interrupt controller %u", i);
	}
	return 0;
}

int snapshot_load_machine(struct snapshot *s, int vm, bool pit, struct error *err)
{
	const struct snapshot_section *section;
	struct kvm_clock_data clock = {0};
	struct kvm_pit_state2 timer;
	uint64_t now = 0;
	int r = snapshot_open(s, machine_section, MACHINE_VERSION, &section, err);

	if (r == 0)
		r = load_chips(section, vm, err);
	if (r == 0)
		r = snapshot_get_u64(section, TAG_CLOCK, &now, err);
	if (r < 0)
		return r;
	clock.clock = now;
	if (kvm_ioctl(vm, KVM_SET_CLOCK, &clock) < 0)
		return error_errno(err, errno, "setting the guest's clock");
	if (!pit)
		return 0;
	r = snapshot_get(section, TAG_PIT, &timer, sizeof(timer), err);
	if (r == 0 && kvm_ioctl(vm, KVM_SET_PIT2, &timer) < 0)
		r = error_errno(err, errno, "loading the PC's timer");
	return r;
}

/* ---- memory */

#ifndef KVM_PRE_FAULT_MEMORY /* Linux 6.11 */
struct kvm_pre_fault_memory {
	__u64 gpa, size, flags, padding[5];
};
#define KVM_PRE_FAULT_MEMORY _IOWR(KVMIO, 0xd5, struct kvm_pre_fault_memory)
#endif

void snapshot_prefault(int vcpu, const struct snapshot_range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct kvm_pre_fault_memory m = {.gpa = ranges[i].gpa, .size = ranges[i].size};

		if (kvm_ioctl(vcpu, KVM_PRE_FAULT_MEMORY, &m) < 0)
			return;
	}
}
