/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the memory device: the input is a guest's requests; its chains may lie in the blocks. */
#include <sys/mman.h>

#include "host-shim/vmm/devices/mem.h"
#include "tests/fuzz/virtio_fuzz.h"

#define GPA   0x40000000ull
#define BLOCK MEM_BLOCK_MIN
#define SIZE  (8 * BLOCK)

static uint8_t *host;
static bool refuse;

static int set(void *data, uint64_t gpa, uint64_t size, bool on)
{
	if (gpa < GPA || gpa + size > GPA + SIZE || size == 0)
		abort();
	return refuse ? -ENOMEM : 0;
}

static void make(struct vbench *b, struct reader *in)
{
	struct mem_config config = {.gpa = GPA, .size = SIZE, .block = BLOCK, .set = set};

	config.requested = reader_u8(in) % 9 * BLOCK;
	config.host = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	host = config.host;
	refuse = false;
	if (host == MAP_FAILED || mem_device_new(&b->dev, b->loop, &config, NULL) ||
	    mem_device_add_memory(b->dev, &b->memory, NULL))
		abort();
}

static uint32_t request(struct vbench *b, struct reader *in, uint8_t *bytes)
{
	uint8_t how = reader_u8(in);

	bytes[0] = how & 7;
	put_le64(bytes + 8, how & 8 ? reader_le64(in) : GPA + reader_u8(in) % 10 * BLOCK);
	put_le16(bytes + 16, how & 0x10 ? reader_le16(in) : reader_u8(in) % 10);
	return how & 0x20 ? how >> 3 : 24;
}

static void move(struct vbench *b, struct reader *in)
{
	uint8_t how = reader_u8(in);
	struct vbench_part p[] = {
	    {NULL, reader_le16(in), false, GPA + reader_le32(in) % (2 * SIZE)},
	    {NULL, 10, true, 0}};

	refuse = how & 1;
	if (how & 2)
		mem_device_resize(b->dev, (how >> 4) * BLOCK, NULL);
	if (how & 4)
		vbench_offer(b, 0, p, 2);
	if (how == 0xf8)
		mem_device_system_reset(b->dev);
	if (mem_device_plugged(b->dev) > SIZE)
		abort();
}

static void end(struct vbench *b)
{
	munmap(host, SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return vfuzz_run(
	    &(struct vfuzz){.make = make, .request = request, .move = move, .end = end}, data,
	    size);
}
