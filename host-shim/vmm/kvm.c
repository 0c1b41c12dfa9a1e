/* SPDX-License-Identifier: Apache-2.0 */
/* kvm: the kernel's side of a machine. */
#include "kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host-shim/vmm/layout.h"
#include "lib/base/cleanup.h"

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
	int r;

	do {
		r = ioctl(fd, request, arg);
	} while (r < 0 && errno == EINTR);
	return r;
}

static int kvm_ioctl_value(int fd, unsigned long request, unsigned long value)
{
	return kvm_ioctl(fd, request, (void *)value);
}

/* What a machine here cannot do without. */
static const struct {
	unsigned int number;
	const char *name;
} needed[] = {
    {KVM_CAP_USER_MEMORY, "memory slots"},
    {KVM_CAP_IRQCHIP, "interrupt controllers in the kernel"},
    {KVM_CAP_IRQFD, "irqfd"},
    {KVM_CAP_IOEVENTFD, "ioeventfd"},
    {KVM_CAP_READONLY_MEM, "read-only memory"},
    {KVM_CAP_IMMEDIATE_EXIT, "immediate_exit"},
    {KVM_CAP_EXT_CPUID, "CPUID tables"},
};

static int check_kvm(struct kvm *k, struct error *err)
{
	int version = kvm_ioctl_value(k->dev, KVM_GET_API_VERSION, 0), size;

	if (version != KVM_API_VERSION)
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOTSUP,
		                      "/dev/kvm has version %d, not %d", version, KVM_API_VERSION);
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (kvm_ioctl_value(k->dev, KVM_CHECK_EXTENSION, needed[i].number) <= 0)
			return error_set_kind(err, ERROR_ENVIRONMENT, ENOTSUP,
			                      "this host's KVM has no %s", needed[i].name);
	size = kvm_ioctl_value(k->dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run))
		return error_set(err, ENOTSUP, "this host's KVM has no room for a processor");
	k->run_size = (uint32_t)size;
	k->deadline_timer =
	    kvm_ioctl_value(k->dev, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	return 0;
}

/* Where Intel's processors can: a guest that leaves no moment for an event must not take the
 * processor away from the host (api.rst, KVM_CAP_X86_NOTIFY_VMEXIT). What it can be without is
 * not told. */
static void bound_event_windows(const struct kvm *k)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_X86_NOTIFY_VMEXIT,
	                             .args = {KVM_X86_NOTIFY_VMEXIT_ENABLED}};

	if (kvm_ioctl_value(k->dev, KVM_CHECK_EXTENSION, KVM_CAP_X86_NOTIFY_VMEXIT) &
	    KVM_X86_NOTIFY_VMEXIT_ENABLED)
		kvm_ioctl(k->vm, KVM_ENABLE_CAP, &cap);
}

static int make_machine(struct kvm *k, bool pit, struct error *err)
{
	struct kvm_pit_config pit_config = {.flags = KVM_PIT_SPEAKER_DUMMY};
	uint64_t ident = LAYOUT_KVM_IDENT;

	k->vm = kvm_ioctl_value(k->dev, KVM_CREATE_VM, 0);
	if (k->vm < 0)
		return error_errno(err, errno, "making a virtual machine");
	if (kvm_ioctl(k->vm, KVM_SET_IDENTITY_MAP_ADDR, &ident) < 0 ||
	    kvm_ioctl_value(k->vm, KVM_SET_TSS_ADDR, LAYOUT_KVM_TSS) < 0)
		return error_errno(err, errno, "setting the places of KVM's own pages");
	if (kvm_ioctl_value(k->vm, KVM_CREATE_IRQCHIP, 0) < 0)
		return error_errno(err, errno, "making the interrupt controllers");
	bound_event_windows(k);
	if (pit && kvm_ioctl(k->vm, KVM_CREATE_PIT2, &pit_config) < 0)
		return error_errno(err, errno, "making the timer");
	return 0;
}

int kvm_open(struct kvm *k, int fd, bool pit, struct error *err)
{
	int r;

	k->dev = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (k->dev < 0) {
		r = error_errno(err, errno, "opening /dev/kvm");
		if (err)
			err->kind = ERROR_ENVIRONMENT;
		return r;
	}
	r = check_kvm(k, err);
	return r < 0 ? r : make_machine(k, pit, err);
}

void kvm_close(struct kvm *k)
{
	close_fd(&k->vm);
	close_fd(&k->dev);
}

int kvm_slots_max(const struct kvm *k)
{
	return kvm_ioctl_value(k->dev, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);
}

static int set_slot(struct kvm *k, const struct kvm_userspace_memory_region *slot,
                    struct error *err)
{
	if (kvm_ioctl(k->vm, KVM_SET_USER_MEMORY_REGION, (void *)slot) == 0)
		return 0;
	if (slot->memory_size == 0)
		return error_errno(err, errno, "taking the memory at 0x%" PRIx64 " from the guest",
		                   (uint64_t)slot->guest_phys_addr);
	return error_errno(err, errno,
	                   "giving the guest 0x%" PRIx64 " bytes of memory at 0x%" PRIx64,
	                   (uint64_t)slot->memory_size, (uint64_t)slot->guest_phys_addr);
}

int kvm_set_slot(struct kvm *k, uint32_t slot, uint64_t gpa, void *host, uint64_t size,
                 struct error *err)
{
	const struct kvm_userspace_memory_region s = {.slot = slot,
	                                              .guest_phys_addr = gpa,
	                                              .memory_size = size,
	                                              .userspace_addr = (uintptr_t)host};

	return set_slot(k, &s, err);
}

int kvm_add_region(struct kvm *k, const struct guest_region *r, uint32_t *slot, struct error *err)
{
	const struct kvm_userspace_memory_region s = {
	    .slot = (uint32_t)__builtin_ctz(~k->slots),
	    .flags = r->readonly ? KVM_MEM_READONLY : 0,
	    .guest_phys_addr = r->gpa,
	    .memory_size = r->size,
	    .userspace_addr = (uintptr_t)r->host,
	};
	int ret = set_slot(k, &s, err);

	_Static_assert(GUEST_MEMORY_REGIONS_MAX < 32, "there is always a slot");
	if (ret == 0) {
		k->slots |= 1u << s.slot;
		*slot = s.slot;
	}
	return ret;
}

int kvm_remove_region(struct kvm *k, const struct guest_region *r, struct error *err)
{
	int ret = kvm_set_slot(k, r->slot, r->gpa, NULL, 0, err);

	if (ret == 0)
		k->slots &= ~(1u << r->slot);
	return ret;
}

int kvm_add_memory(struct kvm *k, const struct guest_memory *m, struct error *err)
{
	uint32_t slot;
	int r = 0;

	for (unsigned int i = 0; i < m->n && r == 0; i++)
		if (!m->regions[i].blocks)
			r = kvm_add_region(k, &m->regions[i], &slot, err);
	return r;
}

int kvm_add_irqfd(struct kvm *k, int irq_fd, uint32_t gsi, struct error *err)
{
	struct kvm_irqfd i = {.fd = (uint32_t)irq_fd, .gsi = gsi};

	if (kvm_ioctl(k->vm, KVM_IRQFD, &i) < 0)
		return error_errno(err, errno, "connecting interrupt %u", gsi);
	return 0;
}

int kvm_set_ioeventfd(struct kvm *k, int fd, uint64_t address, uint32_t value, bool add,
                      struct error *err)
{
	struct kvm_ioeventfd i = {.fd = fd,
	                          .addr = address,
	                          .len = 4,
	                          .datamatch = value,
	                          .flags = KVM_IOEVENTFD_FLAG_DATAMATCH |
	                                   (add ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN)};

	if (kvm_ioctl(k->vm, KVM_IOEVENTFD, &i) < 0)
		return error_errno(err, errno, "connecting the doorbell at 0x%" PRIx64, address);
	return 0;
}
