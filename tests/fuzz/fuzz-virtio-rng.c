/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the entropy device: the input is a guest's requests and ring contents. */
#include "host-shim/vmm/devices/rng.h"
#include "tests/fuzz/virtio_fuzz.h"

static void make(struct vbench *b, struct reader *in)
{
	if (rng_device_new(&b->dev, b->loop, reader_u8(in) * 16ull, NULL))
		abort();
}

static uint32_t request(struct vbench *b, struct reader *in, uint8_t *bytes)
{
	return reader_u8(in) & 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return vfuzz_run(&(struct vfuzz){.make = make, .request = request}, data, size);
}
