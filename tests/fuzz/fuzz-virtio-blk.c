/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the block device: the input is a guest's requests and ring contents, and resizes. */
#include <sys/mman.h>

#include "host-shim/vmm/devices/blk.h"
#include "tests/fuzz/virtio_fuzz.h"

#define SECTORS 256u

static int file = -1;

static void make(struct vbench *b, struct reader *in)
{
	if (file < 0)
		file = memfd_create("blk", MFD_CLOEXEC);
	if (file < 0 || ftruncate(file, SECTORS * BLK_SECTOR + 7) ||
	    blk_device_new(&b->dev, b->loop, b->pool,
	                   &(struct blk_config){file, reader_u8(in) & 1, "serial"}, NULL))
		abort();
}

static uint32_t request(struct vbench *b, struct reader *in, uint8_t *bytes)
{
	static const uint8_t types[] = {0, 1, 4, 8, 11, 13, 1, 0};
	uint8_t how = reader_u8(in);
	uint32_t size = 16;

	put_le32(bytes, types[how & 7]);
	put_le64(bytes + 8, how & 8 ? reader_le64(in) : reader_u8(in));
	if (types[how & 7] < 11)
		return how & 0x10 ? how >> 4 : size;
	for (unsigned int i = how >> 6; i > 0; i--, size += 16) {
		put_le64(bytes + size, reader_u8(in));
		put_le32(bytes + size + 8, how & 0x20 ? reader_le32(in) : reader_u8(in));
		put_le32(bytes + size + 12, reader_u8(in) & 3);
	}
	return size;
}

static void move(struct vbench *b, struct reader *in)
{
	uint8_t how = reader_u8(in);

	if (ftruncate(file, reader_u8(in) * (SECTORS / 2)))
		abort();
	if (how & 1)
		blk_device_resized(b->dev, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return vfuzz_run(&(struct vfuzz){.make = make, .request = request, .move = move}, data,
	                 size);
}
