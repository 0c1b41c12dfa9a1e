/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm-hello: runs a few instructions of real mode through /dev/kvm and says what came of it, to
 * tell a host that cannot run KVM guests from a VMM that is broken. Prints one line; status 0 when
 * all that a VMM needs is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { GUEST_SIZE = 1 << 16, CODE_AT = 0x1000, DOORBELL = 0x600, OUTSIDE = 0x90000 };

/* Writes a line to the serial port, a byte to memory that is not there, rings a doorbell, leaves by
 * port 0xf4. */
__asm__(".pushsection .rodata\n.code16\n.globl guest_start, guest_end\n"
        "guest_start:\n\tmov $(guest_text - guest_start + 0x1000), %si\n\tmov $0x3f8, %dx\n"
        "1:\tlodsb\n\ttest %al, %al\n\tjz 2f\n\toutb %al, %dx\n\tjmp 1b\n"
        "2:\tmov $0x9000, %ax\n\tmov %ax, %es\n\tmovb $0x5a, %es:0\n"
        "\tmov $0x600, %dx\n\toutb %al, %dx\n\tmov $7, %al\n\toutb %al, $0xf4\n3:\thlt\n\tjmp 3b\n"
        "guest_text:\n\t.asciz \"hello from a guest\"\nguest_end:\n.code64\n.popsection\n");
extern const uint8_t guest_start[], guest_end[];

struct machine {
	int vm, vcpu, bell;
	struct kvm_run *run;
	uint8_t *memory;
};

static int fail(const char *what)
{
	printf("kvm-hello: %s: %s\n", what, strerror(errno));
	return 1;
}

static const struct {
	int cap;
	const char *name;
} needed[] = {
    {KVM_CAP_USER_MEMORY, "user memory"},
    {KVM_CAP_IRQCHIP, "irqchip"},
    {KVM_CAP_IRQFD, "irqfd"},
    {KVM_CAP_IOEVENTFD, "ioeventfd"},
    {KVM_CAP_READONLY_MEM, "readonly slots"},
    {KVM_CAP_IMMEDIATE_EXIT, "immediate exit"},
    {KVM_CAP_SET_TSS_ADDR, "TSS address"},
    {KVM_CAP_EXT_CPUID, "CPUID"},
    {KVM_CAP_TSC_DEADLINE_TIMER, "deadline timer"},
};

static int prepare(struct machine *m)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), fd, size;

	if (kvm < 0)
		return fail("/dev/kvm");
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (ioctl(kvm, KVM_CHECK_EXTENSION, needed[i].cap) <= 0) {
			printf("kvm-hello: this KVM has no %s\n", needed[i].name);
			return 1;
		}
	m->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (m->vm < 0 || ioctl(m->vm, KVM_SET_TSS_ADDR, 0xfffbd000UL) < 0 ||
	    ioctl(m->vm, KVM_CREATE_IRQCHIP, 0) < 0)
		return fail("making a machine");
	fd = (int)syscall(SYS_memfd_create, "guest", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, GUEST_SIZE) < 0)
		return fail("memory");
	m->memory = mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (m->memory == MAP_FAILED || m->vcpu < 0 || size < 0)
		return fail("memory and processor");
	m->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
	m->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return m->run == MAP_FAILED || m->bell < 0 ? fail("processor") : 0;
}

static int fill(const struct machine *m)
{
	struct kvm_userspace_memory_region slot = {.memory_size = GUEST_SIZE,
	                                           .userspace_addr = (uintptr_t)m->memory};
	struct kvm_ioeventfd bell = {
	    .addr = DOORBELL, .len = 1, .fd = m->bell, .flags = KVM_IOEVENTFD_FLAG_PIO};
	struct kvm_regs regs = {.rip = CODE_AT, .rflags = 2};
	struct kvm_sregs sregs;

	memcpy(m->memory + CODE_AT, guest_start, (size_t)(guest_end - guest_start));
	if (ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0 ||
	    ioctl(m->vm, KVM_IOEVENTFD, &bell) < 0 || ioctl(m->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return fail("describing the machine");
	sregs.cs.base = sregs.cs.selector = 0;
	if (ioctl(m->vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(m->vcpu, KVM_SET_REGS, &regs) < 0)
		return fail("describing the processor");
	return 0;
}

int main(void)
{
	struct machine m = {0};
	char line[64];
	size_t n = 0;
	uint64_t rung = 0;
	int outside = 0;

	if (prepare(&m) || fill(&m))
		return 1;
	for (int exits = 0; exits < 100; exits++) {
		const uint8_t *data;

		if (ioctl(m.vcpu, KVM_RUN, 0) < 0)
			return fail("KVM_RUN");
		data = (const uint8_t *)m.run + m.run->io.data_offset;
		if (m.run->exit_reason == KVM_EXIT_MMIO && m.run->mmio.phys_addr == OUTSIDE) {
			outside += m.run->mmio.is_write && m.run->mmio.data[0] == 0x5a;
		} else if (m.run->exit_reason != KVM_EXIT_IO) {
			printf("kvm-hello: unexpected exit %u\n", m.run->exit_reason);
			return 1;
		} else if (m.run->io.port == 0x3f8 && n < sizeof(line)) {
			line[n++] = (char)*data;
		} else if (m.run->io.port == 0xf4) {
			if (read(m.bell, &rung, sizeof(rung)) < 0)
				rung = 0;
			printf("%.*s: %d exits, %d outside memory, %d on the doorbell, status %d\n",
			       (int)n, line, exits + 1, outside, (int)rung, *data);
			return outside == 1 && rung == 1 && *data == 7 ? 0 : 1;
		}
	}
	printf("kvm-hello: the guest does not end\n");
	return 1;
}
