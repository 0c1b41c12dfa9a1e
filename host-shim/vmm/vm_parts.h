/* SPDX-License-Identifier: Apache-2.0 */
/* vm_parts: what vm*.c share: the inside of a machine. */
#pragma once

#include "host-shim/vmm/bus.h"
#include "host-shim/vmm/kvm.h"
#include "host-shim/vmm/layout.h"
#include "host-shim/vmm/memory.h"
#include "host-shim/vmm/vcpus.h"
#include "host-shim/vmm/virtio/mmio.h"
#include "host-shim/vmm/vm.h"
#include "host-shim/vmm/x86_64/acpi.h"
#include "host-shim/vmm/x86_64/ports.h"

enum vm_state { VM_CREATED, VM_RUNNING, VM_PAUSED, VM_ENDED };

/* Memory that the guest may plug (vm_resize.c). */
struct vm_plug_memory {
	struct virtio_device *dev; /* NULL: none */
	uint8_t *host;
	uint64_t gpa, size, block; /* bytes */
	int fd;                    /* -1: it is not shared */
};

struct vm {
	struct loop *loop;
	struct vm_config config;
	struct vm_events events;
	enum vm_state state;
	struct kvm kvm;
	struct guest_memory memory;
	struct guest_memory ram;     /* the part of it that is RAM at boot; owns nothing */
	struct guest_memory all_ram; /* and what the guest has plugged */
	struct vm_plug_memory plug;
	int memory_fd;
	struct bus memory_bus, port_bus;
	struct ports ports;
	struct vcpus vcpus;
	int events_irq; /* an edge on LAYOUT_GSI_EVENTS; -1: the guest has no ACPI */
	struct virtio_mmio *mmio[VM_DEVICES_MAX];
	struct acpi_device slots[VM_DEVICES_MAX];
	bool spare[VM_DEVICES_MAX]; /* made by vm_add_slots() */
	unsigned int n_devices;
	uint64_t created_ns, run_ns;
	bool restored; /* its kernel began elsewhere */
};

/* -EINVAL, and a line that names the state that the machine is in and `what` it cannot be. */
int vm_must_be(const struct vm *vm, enum vm_state state, const char *what, struct error *err);

/* Calls fn for what is in each slot. */
void vm_each_device(struct vm *vm, void (*fn)(struct virtio_device *dev));

/* Where memory that is added goes: the first place above the RAM that is large enough. */
uint64_t vm_next_address(const struct vm *vm, uint64_t size);

/* The memory device, when vm_config.memory_max wants one. */
int vm_plug_memory_init(struct vm *vm, struct error *err);
void vm_plug_memory_free(struct vm *vm);
