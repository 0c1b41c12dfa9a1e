/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the pmem device: the input is a guest's flush requests and ring contents. */
#include <sys/mman.h>

#include "host-shim/vmm/devices/pmem.h"
#include "tests/fuzz/virtio_fuzz.h"

static int file = -1;

static void make(struct vbench *b, struct reader *in)
{
	uint8_t how = reader_u8(in);

	/* A flush that succeeds, one that fails, one that is not needed. */
	if (file < 0)
		file = memfd_create("pmem", MFD_CLOEXEC);
	if (pmem_device_new(
	        &b->dev, b->loop, b->pool,
	        &(struct pmem_config){1ull << 32, PMEM_ALIGN, how & 1 ? -1 : file, how & 2}, NULL))
		abort();
}

static uint32_t request(struct vbench *b, struct reader *in, uint8_t *bytes)
{
	uint8_t how = reader_u8(in);

	bytes[0] = how & 1;
	return how & 2 ? how >> 4 : 4;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return vfuzz_run(&(struct vfuzz){.make = make, .request = request}, data, size);
}
