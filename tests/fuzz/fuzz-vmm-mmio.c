/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-vmm-mmio: any accesses to the registers of a virtio-mmio transport with an entropy device
 * behind it. Each access is 8 bytes: what (bit 0: write), size, offset (2), value (4); now and then
 * the loop turns, so that notifications arrive.
 */
#include <stdlib.h>
#include <string.h>

#include "host-shim/vmm/devices/rng.h"
#include "host-shim/vmm/virtio/mmio.h"
#include "lib/base/bytes.h"
#include "tests/unit/virtq_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void leave(void *data)
{
	loop_exit(data, 0);
}

static void access_registers(struct virtio_mmio *m, struct loop *loop, const uint8_t *data,
                             size_t size)
{
	for (; size >= 8; data += 8, size -= 8) {
		static const size_t sizes[] = {4, 1, 2, 8};
		size_t n = data[1] & 0x80 ? sizes[data[1] & 3] : 4;
		uint64_t offset = (data[1] & 0x80 ? get_le16(data + 2) : (data[2] & 0x3f) * 4u);
		uint8_t bytes[8] = {0};

		offset &= 0xfff;
		if (offset + n > 0x1000)
			continue;
		memcpy(bytes, data + 4, 4);
		if (data[0] & 1)
			virtio_mmio_bus.write(m, offset, bytes, n);
		else
			virtio_mmio_bus.read(m, offset, bytes, n);
		if (data[0] & 2) {
			loop_defer(loop, leave, loop);
			loop_run(loop, NULL);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest_memory memory = {0};
	struct virtio_mmio_config c = {.memory = &memory};
	uint8_t *ram = calloc(1, DRIVER_SIZE);
	struct virtio_device *dev;
	struct virtio_mmio *m;

	if (!ram || guest_memory_add(&memory, DRIVER_GPA, DRIVER_SIZE, ram, false, NULL) ||
	    loop_new(&c.loop, NULL) || rng_device_new(&dev, c.loop, 0, NULL) ||
	    virtio_mmio_new(&m, &c, NULL) || virtio_mmio_plug(m, dev, NULL))
		abort();
	/* The end of the input is what the rings hold at first. */
	if (size > 4096) {
		memcpy(ram, data + 4096, size - 4096 < DRIVER_SIZE ? size - 4096 : DRIVER_SIZE);
		size = 4096;
	}
	access_registers(m, c.loop, data, size);
	virtio_mmio_free(m);
	virtio_device_free(dev);
	loop_free(c.loop);
	guest_memory_clear(&memory);
	free(ram);
	return 0;
}
