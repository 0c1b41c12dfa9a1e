/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the split virtqueue: the input is the guest's memory, rings included. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/virtq_driver.h"

#define CHAINS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every piece must lie inside the memory: touch its ends (the sanitizer looks). */
static void touch(const struct virtqueue_chain *c)
{
	size_t read_size = 0, write_size = 0;

	for (size_t i = 0; i < (size_t)c->n_read + c->n_write; i++) {
		volatile uint8_t *p = c->iov[i].iov_base;
		size_t n = c->iov[i].iov_len;

		if (i < c->n_read)
			read_size += n;
		else
			write_size += n;
		if (n == 0)
			continue;
		(void)p[0];
		(void)p[n - 1];
		if (i >= c->n_read)
			p[n - 1] = 0;
	}
	if (read_size != c->read_size || write_size != c->write_size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct virtqueue_chain chain;
	struct guest_memory memory = {0};
	struct virtqueue queue = {0};
	struct driver_ring ring;
	struct virtqueue_layout l;
	uint8_t *ram;
	int popped = 0;

	if (size < 5)
		return 0;
	/* Two blocks with a gap in the guest's addresses; each an allocation of its own. */
	ram = calloc(1, 0x10000);
	ring = (struct driver_ring){.base = ram, .size = (uint16_t)(1 << (data[0] % 11))};
	memcpy(driver_avail(&ring), data + 1, 3);
	data += 4;
	size -= 4;
	/* Descriptors, available ring, indirect tables: parts of the input in turn. */
	memcpy(driver_desc(&ring, 0), data, size < 2048 ? size : 2048);
	if (size > 2048)
		memcpy(driver_avail(&ring), data + 2048, size - 2048 < 2054 ? size - 2048 : 2054);
	if (size > 4102)
		memcpy(ram + driver_data(&ring), data + 4102,
		       size - 4102 < 0x8000 ? size - 4102 : 0x8000);
	if (guest_memory_add(&memory, DRIVER_GPA, 0x8000, ram, false, NULL) ||
	    guest_memory_add(&memory, DRIVER_GPA + 0x8000, 0x8000, ram + 0x8000, true, NULL))
		abort();
	l = driver_layout(&ring, 1ull << VIRTIO_F_INDIRECT_DESC | (uint64_t)(data[0] & 1)
	                                                              << VIRTIO_F_EVENT_IDX);
	if (virtqueue_start(&queue, &memory, &l, NULL) == 0) {
		virtqueue_notify_off(&queue);
		while (popped++ < CHAINS && virtqueue_pop(&queue, &chain) == 1) {
			touch(&chain);
			virtqueue_push(&queue, chain.head, (uint32_t)chain.write_size);
			virtqueue_publish(&queue);
		}
		virtqueue_notify_on(&queue);
	}
	guest_memory_clear(&memory);
	free(ram);
	return 0;
}
