/* SPDX-License-Identifier: Apache-2.0 */
/* vm_devices: the slots of a machine, and what is in them, before it boots and while it runs. */
#include <errno.h>
#include <inttypes.h>

#include "host-shim/vmm/devices/balloon.h"
#include "host-shim/vmm/vm_parts.h"

/* Doorbells of the queues that the device has. An empty slot has none: each takes KVM time. */
static int connect_queues(struct vm *vm, const struct virtio_mmio *m,
                          const struct acpi_device *slot, const struct virtio_device *dev, bool on,
                          struct error *err)
{
	unsigned int n = dev ? dev->ops->n_queues : 0;
	int r = 0;

	for (unsigned int i = 0; i < n && r == 0; i++)
		r = kvm_set_ioeventfd(&vm->kvm, virtio_mmio_kick_fd(m, i),
		                      slot->base + VIRTIO_MMIO_QUEUE_NOTIFY, i, on, err);
	return r;
}

static int connect_slot(struct vm *vm, struct virtio_mmio *m, const struct acpi_device *slot,
                        const struct virtio_device *dev, struct error *err)
{
	int r = kvm_add_irqfd(&vm->kvm, virtio_mmio_irq_fd(m), slot->gsi, err);

	if (r == 0)
		r = connect_queues(vm, m, slot, dev, true, err);
	/* Last: once on the bus it must stay as long as the machine. */
	return r < 0 ? r
	             : bus_add(&vm->memory_bus, slot->base, LAYOUT_VIRTIO_SIZE, &virtio_mmio_bus, m,
	                       err);
}

/* dev NULL: any will fit. */
static int add_slot(struct vm *vm, struct virtio_device *dev, struct error *err)
{
	const struct virtio_mmio_config c = {
	    .loop = vm->loop, .memory = &vm->memory, .call = vcpus_call, .call_data = &vm->vcpus};
	struct acpi_device slot = {.base = LAYOUT_VIRTIO + vm->n_devices * LAYOUT_VIRTIO_SIZE,
	                           .gsi = LAYOUT_GSI_FIRST + vm->n_devices};
	_cleanup_virtio_mmio_ struct virtio_mmio *m = NULL;
	int r = vm_must_be(vm, VM_CREATED, "given a device", err);

	if (r < 0)
		return r;
	if (vm->n_devices == VM_DEVICES_MAX)
		return error_set(err, ENOSPC, "a machine has at most %d devices", VM_DEVICES_MAX);
	r = virtio_mmio_new(&m, &c, err);
	if (r == 0 && dev)
		r = virtio_mmio_plug(m, dev, err);
	if (r == 0)
		r = connect_slot(vm, m, &slot, dev, err);
	if (r < 0)
		return r;
	vm->slots[vm->n_devices] = slot;
	vm->spare[vm->n_devices] = !dev;
	vm->mmio[vm->n_devices++] = steal_ptr(&m);
	return 0;
}

int vm_add_device(struct vm *vm, struct virtio_device *dev, struct error *err)
{
	if (dev->ops->id == VIRTIO_ID_BALLOON && vm->events.out_of_memory)
		balloon_device_on_out_of_memory(dev, vm->events.out_of_memory, vm->events.data);
	return add_slot(vm, dev, err);
}

int vm_add_slots(struct vm *vm, unsigned int n, struct error *err)
{
	int r = 0;

	for (unsigned int i = 0; i < n && r == 0; i++)
		r = add_slot(vm, NULL, err);
	return r;
}

/* ---- memory */

/* Addresses are not endless: what comes and goes again and again has those of before. */
uint64_t vm_next_address(const struct vm *vm, uint64_t size)
{
	uint64_t at = LAYOUT_GAP_END;

	for (unsigned int i = 0; i < vm->memory.n; i++) {
		const struct guest_region *r = &vm->memory.regions[i];
		uint64_t end =
		    (r->gpa + r->size + LAYOUT_PMEM_ALIGN - 1) & ~(LAYOUT_PMEM_ALIGN - 1);

		if (r->gpa >= at && r->gpa - at >= size)
			break;
		if (end > at)
			at = end;
	}
	return at;
}

static bool is_booted(const struct vm *vm)
{
	return vm->state == VM_RUNNING || vm->state == VM_PAUSED;
}

int vm_add_memory(struct vm *vm, void *host, uint64_t size, bool readonly, uint64_t *gpa,
                  struct error *err)
{
	uint64_t at = vm_next_address(vm, size);
	int r = is_booted(vm) ? 0 : vm_must_be(vm, VM_CREATED, "given memory", err);

	if (r == 0)
		r = guest_memory_add(&vm->memory, at, size, host, readonly, err);
	if (r == 0 && is_booted(vm)) {
		struct guest_region *region = guest_memory_find(&vm->memory, at);

		r = kvm_add_region(&vm->kvm, region, &region->slot, err);
		if (r < 0)
			guest_memory_remove(&vm->memory, at);
	}
	if (r == 0)
		*gpa = at;
	return r;
}

/* Nobody reads or writes the region when this returns, nor has a place in it. */
static void leave_memory(struct vm *vm, const struct guest_region *region)
{
	vm_each_device(vm, virtio_device_pause);
	for (unsigned int i = 0; i < vm->n_devices; i++)
		if (virtio_mmio_device(vm->mmio[i]))
			virtio_device_lose_memory(virtio_mmio_device(vm->mmio[i]), region->host,
			                          region->size);
}

int vm_remove_memory(struct vm *vm, uint64_t gpa, struct error *err)
{
	int r = is_booted(vm) ? 0 : vm_must_be(vm, VM_RUNNING, "relieved of memory", err);
	struct guest_region *region;

	if (r < 0)
		return r;
	region = guest_memory_find(&vm->memory, gpa);
	/* What was there at boot has no slot of its own noted. */
	if (!region || region->slot == 0)
		return error_set(err, ENOENT, "no memory was added at 0x%" PRIx64 " after boot",
		                 gpa);
	leave_memory(vm, region);
	r = kvm_remove_region(&vm->kvm, region, err);
	if (r == 0)
		guest_memory_remove(&vm->memory, gpa);
	vm_each_device(vm, virtio_device_resume);
	return r;
}

/* ---- while it runs */

/* dev NULL: it is emptied. */
static int fill_slot(struct vm *vm, struct virtio_mmio *m, const struct acpi_device *slot,
                     struct virtio_device *dev, struct error *err)
{
	struct virtio_device *old = virtio_mmio_device(m);
	int r = virtio_mmio_plug(m, dev, err);

	if (r == 0 && old)
		connect_queues(vm, m, slot, old, false, NULL);
	if (r == 0)
		r = connect_queues(vm, m, slot, dev, true, err);
	if (r < 0 && dev && virtio_mmio_device(m) == dev) {
		connect_queues(vm, m, slot, dev, false, NULL);
		virtio_mmio_plug(m, NULL, NULL);
	}
	return r;
}

/* Registers are read on processors' threads: none runs while a slot changes. */
static int change_slot(struct vm *vm, unsigned int slot, struct virtio_device *dev, bool force,
                       struct error *err)
{
	struct virtio_mmio *m = vm->mmio[slot];
	bool running = vm->state == VM_RUNNING;
	int r;

	if (running)
		vcpus_pause(&vm->vcpus);
	if (!dev && !force && virtio_mmio_in_use(m))
		r = error_set(err, EBUSY,
		              "the guest uses the device in slot %u: it has to let go of it first",
		              slot);
	else
		r = fill_slot(vm, m, &vm->slots[slot], dev, err);
	if (running)
		vcpus_resume(&vm->vcpus);
	return r;
}

int vm_plug(struct vm *vm, struct virtio_device *dev, unsigned int *slot, struct error *err)
{
	int r = is_booted(vm) ? 0 : vm_must_be(vm, VM_RUNNING, "given a device", err);

	if (r < 0)
		return r;
	for (unsigned int i = 0; i < vm->n_devices; i++) {
		if (!vm->spare[i] || virtio_mmio_device(vm->mmio[i]))
			continue;
		*slot = i;
		return change_slot(vm, i, dev, false, err);
	}
	return error_set(err, ENOSPC, "the machine has no empty slot for a device");
}

int vm_unplug(struct vm *vm, struct virtio_device *dev, bool force, struct error *err)
{
	int r = is_booted(vm) ? 0 : vm_must_be(vm, VM_RUNNING, "relieved of a device", err);

	for (unsigned int i = 0; i < vm->n_devices && r == 0; i++)
		if (vm->spare[i] && virtio_mmio_device(vm->mmio[i]) == dev)
			return change_slot(vm, i, NULL, force, err);
	return r < 0 ? r : error_set(err, ENOENT, "the device is in no slot of this machine");
}
