/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-vmm-state: a processor that is saved in the middle of its work and loaded into another
 * machine goes on as if nothing had happened. Needs /dev/kvm.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "host-shim/vmm/kvm.h"
#include "host-shim/vmm/snapshot_kvm.h"
#include "host-shim/vmm/snapshot_memory.h"
#include "lib/base/cleanup.h"
#include "tests/unit/check.h"

enum { SIZE = 1 << 20, CODE_AT = 0x1000, PAUSE_PORT = 0x10, EXIT_PORT = 0xf4 };

/* Real mode: fills registers and memory, stops at the first port, and looks at all of it
 * afterwards. */
__asm__(".pushsection .rodata\n.code16\n.globl guest_start, guest_end\nguest_start:\n"
        "\tmovl $0x11111111, %ebx\n\tmovl $0x22222222, %ecx\n\tmovl $0x33333333, %esi\n"
        "\tmovl $0x44444444, %ebp\n\tmovl $0xdeadbeef, 0x5000\n\tmov $0x6000, %sp\n\tpushl "
        "$0x55555555\n"
        "\tout %al, $0x10\n"
        "\tcmpl $0x11111111, %ebx\n\tjne 9f\n\tcmpl $0x22222222, %ecx\n\tjne 9f\n"
        "\tcmpl $0x33333333, %esi\n\tjne 9f\n\tcmpl $0x44444444, %ebp\n\tjne 9f\n"
        "\tcmpl $0xdeadbeef, 0x5000\n\tjne 9f\n\tpopl %edi\n\tcmpl $0x55555555, %edi\n\tjne 9f\n"
        "\tmov $1, %al\n\tout %al, $0xf4\n9:\tmov $2, %al\n\tout %al, $0xf4\n"
        "guest_end:\n.code64\n.popsection\n");
extern const uint8_t guest_start[], guest_end[];

struct machine {
	struct kvm kvm;
	int vcpu;
	struct kvm_run *run;
	struct guest_memory memory;
	struct snapshot_kvm kinds;
};

static void make_vcpu(struct machine *m)
{
	_cleanup_free_ struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + 256 * sizeof(c->entries[0]));
	struct error err = ERROR_INIT;

	m->vcpu = ioctl(m->kvm.vm, KVM_CREATE_VCPU, 0);
	check(m->vcpu >= 0);
	m->run = mmap(NULL, m->kvm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
	check(m->run != MAP_FAILED);
	c->nent = 256;
	check(ioctl(m->kvm.dev, KVM_GET_SUPPORTED_CPUID, c) == 0);
	check(ioctl(m->vcpu, KVM_SET_CPUID2, c) == 0);
	check_ok(snapshot_kvm_init(&m->kinds, m->kvm.dev, m->kvm.vm, m->vcpu, &err), &err);
}

static void make_machine(struct machine *m)
{
	struct error err = ERROR_INIT;

	*m = (struct machine){.kvm = KVM_INIT};
	if (access("/dev/kvm", R_OK | W_OK) < 0)
		check_skip("no /dev/kvm");
	check_ok(kvm_open(&m->kvm, -1, false, &err), &err);
}

static void free_machine(struct machine *m)
{
	munmap(m->run, m->kvm.run_size);
	close(m->vcpu);
	kvm_close(&m->kvm);
	guest_memory_clear(&m->memory);
	snapshot_kvm_clear(&m->kinds);
}

/* Runs until it writes to a port; the port, and what was written. */
static unsigned int run_to_port(struct machine *m, unsigned int *value)
{
	check(ioctl(m->vcpu, KVM_RUN, 0) == 0);
	check_int(m->run->exit_reason, KVM_EXIT_IO);
	*value = *((const uint8_t *)m->run + m->run->io.data_offset);
	return m->run->io.port;
}

static void set_msr(int vcpu, uint32_t index, uint64_t value)
{
	union {
		struct kvm_msrs head;
		uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} m = {.head.nmsrs = 1};

	m.head.entries[0] = (struct kvm_msr_entry){.index = index, .data = value};
	check(ioctl(vcpu, KVM_SET_MSRS, &m) == 1);
}

static uint64_t get_msr(int vcpu, uint32_t index)
{
	union {
		struct kvm_msrs head;
		uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} m = {.head.nmsrs = 1};

	m.head.entries[0].index = index;
	check(ioctl(vcpu, KVM_GET_MSRS, &m) == 1);
	return m.head.entries[0].data;
}

#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_STAR           0xc0000081u

/* Intel's manual, volume 1, 13.4: XMM3 is at 160 + 3 * 16, XSTATE_BV at 512, its bit 1 says that
 * there are any. */
static void set_xmm3(struct machine *m)
{
	_cleanup_free_ uint8_t *area = calloc(1, m->kinds.xsave_size);
	unsigned long get = m->kinds.xsave_size > 4096 ? KVM_GET_XSAVE2 : KVM_GET_XSAVE;

	check(ioctl(m->vcpu, (int)get, area) == 0);
	area[512] |= 3;
	memset(area + 160 + 3 * 16, 0x5a, 16);
	check(ioctl(m->vcpu, KVM_SET_XSAVE, area) == 0);
}

/* The first machine, in the middle of its guest. */
static void make_first(struct machine *m)
{
	struct kvm_regs regs = {.rip = CODE_AT, .rflags = 2};
	struct kvm_sregs sregs;
	struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};
	struct error err = ERROR_INIT;
	unsigned int value;
	uint8_t *p;

	make_machine(m);
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(p != MAP_FAILED);
	check_ok(guest_memory_add(&m->memory, 0, SIZE, p, false, &err), &err);
	m->memory.regions[0].map = p;
	m->memory.regions[0].map_size = SIZE;
	memcpy(p + CODE_AT, guest_start, (size_t)(guest_end - guest_start));
	check_ok(kvm_add_memory(&m->kvm, &m->memory, &err), &err);
	make_vcpu(m);
	check(ioctl(m->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.cs.base = sregs.cs.selector = 0;
	check(ioctl(m->vcpu, KVM_SET_SREGS, &sregs) == 0 &&
	      ioctl(m->vcpu, KVM_SET_REGS, &regs) == 0);
	set_xmm3(m);
	set_msr(m->vcpu, MSR_KERNEL_GS_BASE, 0x1234567890);
	set_msr(m->vcpu, MSR_STAR, 0x0023001000000000);
	check(ioctl(m->kvm.vm, KVM_GET_IRQCHIP, &chip) == 0);
	chip.chip.ioapic.redirtbl[7].bits = 0x10031;
	check(ioctl(m->kvm.vm, KVM_SET_IRQCHIP, &chip) == 0);
	check_int(run_to_port(m, &value), PAUSE_PORT);
	/* Finishes the exit. */
	m->run->immediate_exit = 1;
	check(ioctl(m->vcpu, KVM_RUN, 0) < 0 && errno == EINTR);
}

static struct snapshot *save(struct machine *m, int file)
{
	_cleanup_snapshot_writer_ struct snapshot_writer w = SNAPSHOT_WRITER_INIT;
	_cleanup_close_ int state = open(check_tmpdir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct snapshot_ram ram = {m->memory.regions, 1, -1};
	struct snapshot *s = NULL;
	struct error err = ERROR_INIT;

	check_ok(snapshot_save_vcpu(&w, &m->kinds, 0, m->vcpu, &err), &err);
	check_ok(snapshot_save_machine(&w, m->kvm.vm, false, &err), &err);
	check_ok(snapshot_memory_save(&w, &ram, file, &err), &err);
	check_ok(snapshot_write(&w, state, &err), &err);
	check_ok(snapshot_read(&s, state, &err), &err);
	return s;
}

static void make_second(struct machine *m, struct snapshot *s, int file)
{
	struct error err = ERROR_INIT;

	make_machine(m);
	check_ok(snapshot_memory_map(s, file, &m->memory, &err), &err);
	check_ok(kvm_add_memory(&m->kvm, &m->memory, &err), &err);
	make_vcpu(m);
	check_ok(snapshot_load_machine(s, m->kvm.vm, false, &err), &err);
	check_ok(snapshot_load_vcpu(s, &m->kinds, 0, m->vcpu, &err), &err);
	check_ok(snapshot_finish(s, &err), &err);
}

static void check_same(const struct machine *a, const struct machine *b)
{
	struct kvm_regs ra, rb;
	struct kvm_sregs sa, sb;
	struct kvm_fpu fa, fb;
	struct kvm_irqchip ca = {.chip_id = KVM_IRQCHIP_IOAPIC}, cb = ca;

	check(ioctl(a->vcpu, KVM_GET_REGS, &ra) == 0 && ioctl(b->vcpu, KVM_GET_REGS, &rb) == 0);
	check_mem(&ra, &rb, sizeof(ra));
	check(ioctl(a->vcpu, KVM_GET_SREGS, &sa) == 0 && ioctl(b->vcpu, KVM_GET_SREGS, &sb) == 0);
	check_mem(&sa, &sb, sizeof(sa));
	check(ioctl(a->vcpu, KVM_GET_FPU, &fa) == 0 && ioctl(b->vcpu, KVM_GET_FPU, &fb) == 0);
	check_mem(fa.xmm, fb.xmm, sizeof(fa.xmm));
	check(fb.xmm[3][5] == 0x5a);
	check(get_msr(b->vcpu, MSR_KERNEL_GS_BASE) == 0x1234567890);
	check(get_msr(b->vcpu, MSR_STAR) == 0x0023001000000000);
	check(ioctl(a->kvm.vm, KVM_GET_IRQCHIP, &ca) == 0 &&
	      ioctl(b->kvm.vm, KVM_GET_IRQCHIP, &cb) == 0);
	check_mem(ca.chip.ioapic.redirtbl, cb.chip.ioapic.redirtbl,
	          sizeof(ca.chip.ioapic.redirtbl));
}

TEST(a_machine_goes_on_in_another)
{
	_cleanup_close_ int file = open(check_tmpdir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct machine a, b, c;
	struct snapshot *s;
	unsigned int value = 0;

	make_first(&a);
	s = save(&a, file);
	make_second(&b, s, file);
	check_same(&a, &b);
	check_int(run_to_port(&b, &value), EXIT_PORT);
	check_int(value, 1);
	/* A third from the same file: the second's writes are its own. */
	make_second(&c, s, file);
	check_same(&a, &c);
	check_int(run_to_port(&c, &value), EXIT_PORT);
	check_int(value, 1);
	snapshot_free(s);
	free_machine(&a);
	free_machine(&b);
	free_machine(&c);
}

TEST(a_processor_of_another_make_is_refused)
{
	_cleanup_snapshot_writer_ struct snapshot_writer w = SNAPSHOT_WRITER_INIT;
	_cleanup_close_ int state = open(check_tmpdir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct kvm_cpuid_entry2 leaf = {
	    .function = 0, .ebx = 0x6f4e6f4e, .edx = 0x656b614d, .ecx = 0x20202020};
	struct snapshot *s = NULL;
	struct error err = ERROR_INIT;
	struct machine m;

	make_machine(&m);
	make_vcpu(&m);
	snapshot_begin(&w, "vcpu.0", 1, 0);
	snapshot_put(&w, 1, &leaf, sizeof(leaf));
	check_ok(snapshot_write(&w, state, &err), &err);
	check_ok(snapshot_read(&s, state, &err), &err);
	check_int(snapshot_load_vcpu(s, &m.kinds, 0, m.vcpu, &err), -EINVAL);
	check(strstr(err.text, "of a processor by NoNoMake"));
	check_int(snapshot_load_vcpu(s, &m.kinds, 1, m.vcpu, &err), -ENOENT);
	snapshot_free(s);
	free_machine(&m);
}

TEST_MAIN()
