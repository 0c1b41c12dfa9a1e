/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_resize: memory that a machine's guest plugs and unplugs while it runs: a memory device, the
 * mapping behind it, and a memory slot of KVM's for each block that the guest has.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <sys/mman.h>

#include "host-shim/vmm/devices/mem.h"
#include "host-shim/vmm/ram.h"
#include "host-shim/vmm/vm_parts.h"

/* Those below are for memory that is there at boot or comes with a device. */
#define SLOT_FIRST 4096u
#define BLOCKS_MAX 4096u

#define MIB ((uint64_t)1048576)

static uint64_t choose_block(uint64_t size)
{
	uint64_t block = MEM_BLOCK_MIN;

	while (size / block > BLOCKS_MAX)
		block *= 2;
	return block;
}

/* The blocks from `first` on are the guest's, or no more; all of them or none. */
static int set_blocks(struct vm *vm, uint64_t first, uint64_t n, bool on, uint64_t *done)
{
	const struct vm_plug_memory *p = &vm->plug;
	int r = 0;

	for (*done = 0; *done < n && r == 0; ++*done) {
		uint64_t i = first + *done;

		r = kvm_set_slot(&vm->kvm, SLOT_FIRST + (uint32_t)i, p->gpa + i * p->block,
		                 p->host + i * p->block, on ? p->block : 0, NULL);
		if (r < 0)
			break;
	}
	return r;
}

/* Requests that are under way may hold pointers into blocks that go, and would fill pages that
 * nobody counts any more. There will be no others: the blocks are in no device's map by now. */
static void finish_requests(struct virtio_device *dev)
{
	if (dev->ops->quiesce)
		dev->ops->quiesce(dev);
}

static int set_memory(void *data, uint64_t gpa, uint64_t size, bool on)
{
	struct vm *vm = data;
	uint64_t first = (gpa - vm->plug.gpa) / vm->plug.block, n = size / vm->plug.block, done;
	int r;

	if (!on)
		vm_each_device(vm, finish_requests);
	r = set_blocks(vm, first, n, on, &done);
	if (r < 0)
		set_blocks(vm, first, done, !on, &n);
	return r;
}

static int check(const struct vm *vm, uint64_t size, uint64_t block, struct error *err)
{
	int slots = kvm_slots_max(&vm->kvm);

	if (vm->config.memory_max < vm->config.memory || size % block)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "memory that grows from %" PRIu64 " to %" PRIu64
		                      " MiB: it does so in steps of %" PRIu64 " MiB",
		                      vm->config.memory / MIB, vm->config.memory_max / MIB,
		                      block / MIB);
	if (vm->config.huge_pages)
		return error_set_kind(err, ERROR_USAGE, ENOTSUP,
		                      "memory of huge pages does not grow");
	if (slots < (int)(SLOT_FIRST + BLOCKS_MAX))
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOTSUP,
		                      "memory that grows needs %u memory slots, this host's KVM "
		                      "has %d",
		                      SLOT_FIRST + BLOCKS_MAX, slots);
	return 0;
}

static int make_device(struct vm *vm, uint64_t size, struct error *err)
{
	struct vm_plug_memory *p = &vm->plug;
	const struct mem_config c = {.gpa = p->gpa,
	                             .size = size,
	                             .block = p->block,
	                             .host = p->host,
	                             .set = set_memory,
	                             .data = vm};
	int r = mem_device_new(&p->dev, vm->loop, &c, err);

	if (r == 0)
		r = mem_device_add_memory(p->dev, &vm->memory, err);
	if (r == 0)
		r = mem_device_add_memory(p->dev, &vm->all_ram, err);
	return r < 0 ? r : vm_add_device(vm, p->dev, err);
}

int vm_plug_memory_init(struct vm *vm, struct error *err)
{
	struct vm_plug_memory *p = &vm->plug;
	uint64_t size = vm->config.memory_max - vm->config.memory;
	struct ram_config c = {.size = size, .shared = vm->config.shared};
	int r;

	if (vm->config.memory_max == 0 || size == 0)
		return 0;
	p->block = choose_block(size);
	r = check(vm, size, p->block, err);
	if (r == 0)
		r = ram_map(&p->host, &c, &p->fd, err);
	if (r < 0)
		return r;
	p->size = size;
	p->gpa = vm_next_address(vm, size);
	return make_device(vm, size, err);
}

void vm_plug_memory_free(struct vm *vm)
{
	struct vm_plug_memory *p = &vm->plug;

	virtio_device_free(p->dev);
	if (p->host)
		munmap(p->host, p->size);
	close_fd(&p->fd);
}

int vm_resize(struct vm *vm, uint64_t bytes, struct error *err)
{
	uint64_t least = vm->config.memory, most = vm->plug.dev ? vm->config.memory_max : least;
	int r = vm->state == VM_PAUSED ? 0 : vm_must_be(vm, VM_RUNNING, "resized", err);

	if (r < 0)
		return r;
	if (!vm->plug.dev && bytes != least)
		return error_set_kind(
		    err, ERROR_USAGE, ENOTSUP,
		    "the machine's memory does not grow: it was started without a "
		    "larger maximum");
	if (bytes < least || bytes > most || (bytes > least && (bytes - least) % vm->plug.block))
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "%" PRIu64 " bytes of memory: this machine has %" PRIu64
		                      " to %" PRIu64 " MiB in steps of %" PRIu64 " MiB",
		                      bytes, least / MIB, most / MIB,
		                      (vm->plug.dev ? vm->plug.block : MIB) / MIB);
	return vm->plug.dev ? mem_device_resize(vm->plug.dev, bytes - least, err) : 0;
}

uint64_t vm_memory_size(const struct vm *vm)
{
	return vm->config.memory + (vm->plug.dev ? mem_device_plugged(vm->plug.dev) : 0);
}

int vm_memory_fd(const struct vm *vm, const struct guest_region *region, uint64_t *offset)
{
	const uint8_t *base = vm->ram.regions[0].host;

	*offset = 0;
	if (vm->plug.host && region->host == vm->plug.host)
		return vm->plug.fd;
	for (unsigned int i = 0; i < vm->ram.n; i++)
		if (region->host == vm->ram.regions[i].host) {
			*offset = (uint64_t)(region->host - base);
			return vm->memory_fd;
		}
	return -1;
}
