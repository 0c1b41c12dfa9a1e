/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the balloon device: the input is a guest's pages, reports and statistics. */
#include <sys/mman.h>

#include "host-shim/vmm/devices/balloon.h"
#include "tests/fuzz/virtio_fuzz.h"

#define RAM_GPA  0x40000000ull
#define RAM_SIZE (1u << 20)

static struct guest_memory ram;
static uint8_t *host;

static void on_stats(void *data, const struct balloon_stats *stats)
{
	if (stats->present >= 1u << BALLOON_STATS)
		abort();
}

static void make(struct vbench *b, struct reader *in)
{
	uint8_t how = reader_u8(in);
	struct balloon_config config = {.ram = &ram,
	                                .zeros = how & 1,
	                                .deflate_on_oom = how & 2,
	                                .free_page_reporting = how & 4,
	                                .stats = how & 8 ? on_stats : NULL};

	memset(&ram, 0, sizeof(ram));
	host = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (host == MAP_FAILED || guest_memory_add(&ram, RAM_GPA, RAM_SIZE, host, false, NULL) ||
	    guest_memory_add(&b->memory, RAM_GPA, RAM_SIZE, host, false, NULL) ||
	    balloon_device_new(&b->dev, b->loop, &config, NULL))
		abort();
}

static uint32_t request(struct vbench *b, struct reader *in, uint8_t *bytes)
{
	uint8_t how = reader_u8(in);

	for (unsigned int i = 0; i < 16; i++)
		put_le32(bytes + 4 * i, (uint32_t)(RAM_GPA >> 12) + reader_u8(in));
	if (how & 0x40)
		put_le32(bytes, reader_le32(in));
	if (how & 0x80)
		put_le16(bytes, how & 15);
	return how & 63;
}

static void move(struct vbench *b, struct reader *in)
{
	uint8_t how = reader_u8(in);

	if (how & 1)
		balloon_device_ask_stats(b->dev);
	else
		balloon_device_set_target(b->dev, reader_le64(in));
	if (how & 2) {
		struct vbench_part p = {NULL, reader_le32(in) % RAM_SIZE, true,
		                        RAM_GPA + reader_le32(in) % RAM_SIZE};

		vbench_offer(b, reader_u8(in) % 4, &p, 1);
	}
}

static void end(struct vbench *b)
{
	munmap(host, RAM_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return vfuzz_run(
	    &(struct vfuzz){.make = make, .request = request, .move = move, .end = end}, data,
	    size);
}
