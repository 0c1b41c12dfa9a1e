/* SPDX-License-Identifier: Apache-2.0 */
/* cpu: what a processor is and how it starts. */
#include "cpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "host-shim/vmm/layout.h"
#include "host-shim/vmm/x86_64/cpuid.h"
#include "lib/base/bytes.h"

/* Intel SDM volume 4. */
#define MSR_MISC_ENABLE   0x1a0u
#define MISC_FAST_STRINGS 1u
#define MSR_MTRR_DEFAULT  0x2ffu
#define MTRR_ENABLED_WB   0x806u
#define CR0_PE            0x1ull
#define CR0_ET            0x10ull
#define CR0_PG            0x80000000ull
#define CR4_PAE           0x20ull
#define EFER_LME          0x100ull
#define EFER_LMA          0x400ull
#define RFLAGS_FIXED      0x2ull
#define PTE_PRESENT_RW    0x3ull
#define PDE_LARGE         0x80ull
#define PAGE_DIRECTORIES  4 /* 1 GiB each */
#define SELECTOR_CODE     0x10
#define SELECTOR_DATA     0x18
#define SELECTOR_TSS      0x20

/* Local APIC registers: LINT0 takes the legacy controller's interrupts, LINT1 is NMI. */
#define LAPIC_LINT0     0x350
#define LAPIC_LINT1     0x360
#define DELIVERY_NMI    0x400u
#define DELIVERY_EXTINT 0x700u

static int set_msrs(int fd, struct error *err)
{
	static const struct kvm_msr_entry entries[] = {
	    {.index = MSR_MISC_ENABLE, .data = MISC_FAST_STRINGS},
	    {.index = MSR_MTRR_DEFAULT, .data = MTRR_ENABLED_WB}};
	_Alignas(struct kvm_msrs) uint8_t room[sizeof(struct kvm_msrs) + sizeof(entries)] = {0};
	struct kvm_msrs *m = (struct kvm_msrs *)room;

	m->nmsrs = sizeof(entries) / sizeof(entries[0]);
	memcpy(m->entries, entries, sizeof(entries));
	if (kvm_ioctl(fd, KVM_SET_MSRS, m) < 0)
		return error_errno(err, errno, "setting a processor's MSRs");
	return 0;
}

static int set_lapic(int fd, struct error *err)
{
	struct kvm_lapic_state l;

	if (kvm_ioctl(fd, KVM_GET_LAPIC, &l) < 0)
		return error_errno(err, errno, "reading a processor's APIC");
	put_le32((uint8_t *)l.regs + LAPIC_LINT0, DELIVERY_EXTINT);
	put_le32((uint8_t *)l.regs + LAPIC_LINT1, DELIVERY_NMI);
	if (kvm_ioctl(fd, KVM_SET_LAPIC, &l) < 0)
		return error_errno(err, errno, "setting a processor's APIC");
	return 0;
}

int cpu_setup(const struct kvm *kvm, int fd, unsigned int id, unsigned int n,
              const struct cpuid_model *model, struct error *err)
{
	int r = cpuid_setup(kvm, fd, id, n, model, err);

	if (r == 0)
		r = set_msrs(fd, err);
	return r < 0 ? r : set_lapic(fd, err);
}

/* Present segments of 4 GiB: 64-bit or 32-bit code, data, a task. */
static const uint64_t gdt_long[] = {
    0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x008f8b000000ffff, 0};
static const uint64_t gdt_protected[] = {
    0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00008b0000000067, 0};

static void write_page_tables(uint8_t *p)
{
	uint64_t directory = LAYOUT_PAGE_TABLES + 2 * LAYOUT_PAGE;

	memset(p, 0, (2 + PAGE_DIRECTORIES) * LAYOUT_PAGE);
	put_le64(p, (LAYOUT_PAGE_TABLES + LAYOUT_PAGE) | PTE_PRESENT_RW);
	for (unsigned int i = 0; i < PAGE_DIRECTORIES; i++)
		put_le64(p + LAYOUT_PAGE + 8ull * i,
		         (directory + i * LAYOUT_PAGE) | PTE_PRESENT_RW);
	for (uint64_t i = 0; i < 512ull * PAGE_DIRECTORIES; i++)
		put_le64(p + 2 * LAYOUT_PAGE + 8 * i, i << 21 | PDE_LARGE | PTE_PRESENT_RW);
}

int cpu_write_tables(const struct guest_memory *m, struct error *err)
{
	uint8_t *gdt = guest_memory_ptr(m, LAYOUT_GDT, 2 * sizeof(gdt_long), GUEST_WRITE);
	uint8_t *tables = guest_memory_ptr(m, LAYOUT_PAGE_TABLES,
	                                   (2 + PAGE_DIRECTORIES) * LAYOUT_PAGE, GUEST_WRITE);

	if (!gdt || !tables)
		return error_set(err, EINVAL, "no guest memory for the first processor's tables");
	for (size_t i = 0; i < sizeof(gdt_long) / sizeof(gdt_long[0]); i++) {
		put_le64(gdt + 8 * i, gdt_long[i]);
		put_le64(gdt + sizeof(gdt_long) + 8 * i, gdt_protected[i]);
	}
	write_page_tables(tables);
	return 0;
}

static struct kvm_segment segment(uint16_t selector, uint8_t type, bool wide)
{
	bool code = selector == SELECTOR_CODE, task = selector == SELECTOR_TSS;

	return (struct kvm_segment){
	    .selector = selector,
	    .type = type,
	    .present = 1,
	    .limit = task ? 0x67 : 0xffffffff,
	    .g = !task,
	    .s = !task,
	    .db = !task && !(code && wide),
	    .l = code && wide,
	};
}

static void set_segments(struct kvm_sregs *s, bool wide)
{
	struct kvm_segment data = segment(SELECTOR_DATA, 0x3, wide);

	s->cs = segment(SELECTOR_CODE, 0xb, wide);
	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->tr = segment(SELECTOR_TSS, 0xb, wide);
	s->gdt.base = LAYOUT_GDT + (wide ? 0 : sizeof(gdt_long));
	s->gdt.limit = sizeof(gdt_long) - 1;
	s->idt.base = 0;
	s->idt.limit = 0;
}

int cpu_set_entry(int fd, const struct load_entry *e, struct error *err)
{
	bool wide = e->mode == KERNEL_ENTRY_LONG;
	struct kvm_regs regs = {
	    .rip = e->rip, .rax = e->rax, .rbx = e->rbx, .rsi = e->rsi, .rflags = RFLAGS_FIXED};
	struct kvm_sregs s;

	if (kvm_ioctl(fd, KVM_GET_SREGS, &s) < 0)
		return error_errno(err, errno, "reading the first processor's registers");
	set_segments(&s, wide);
	s.cr0 = CR0_PE | CR0_ET | (wide ? CR0_PG : 0);
	s.cr4 = wide ? CR4_PAE : 0;
	s.cr3 = wide ? LAYOUT_PAGE_TABLES : 0;
	s.efer = wide ? EFER_LME | EFER_LMA : 0;
	if (kvm_ioctl(fd, KVM_SET_SREGS, &s) < 0 || kvm_ioctl(fd, KVM_SET_REGS, &regs) < 0)
		return error_errno(err, errno, "setting the first processor's registers");
	return 0;
}
