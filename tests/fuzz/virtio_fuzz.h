/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_fuzz: what the fuzz targets of virtio devices share: the input is a guest's moves (chains,
 * scribbles, kicks, configuration accesses, resets) and, by the device's own move, the host's.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>

#include "tests/unit/virtio_bench.h"

#define VFUZZ_STEPS   120
#define VFUZZ_PARTS   8
#define VFUZZ_REQUEST 64 /* bytes that a device's request may have */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct vfuzz {
	void (*make)(struct vbench *b, struct reader *in);
	/* A likely request in `bytes`; its length. NULL: bytes of the input. */
	uint32_t (*request)(struct vbench *b, struct reader *in, uint8_t *bytes);
	void (*move)(struct vbench *b, struct reader *in); /* NULL: none of its own */
	void (*end)(struct vbench *b); /* after the device is gone; NULL: nothing */
};

static inline void vfuzz_part(struct reader *in, struct vbench_part *p)
{
	static const uint32_t lengths[] = {1, 4,    10, 16,   24, 512, 513, 4096,
	                                   0, 1024, 12, 2048, 1,  8,   5,   20000};
	uint8_t kind = reader_u8(in);

	*p = (struct vbench_part){.len = lengths[kind & 15], .write = kind & 0x10};
	if ((kind & 0xe0) == 0xe0) { /* anywhere, anything */
		p->gpa = DRIVER_GPA + (int64_t)(int32_t)reader_le32(in);
		p->len = reader_le32(in);
	}
}

/* Mostly readable parts, then writable ones; now and then in the wrong order. */
static inline void vfuzz_chain(const struct vfuzz *f, struct vbench *b, struct reader *in)
{
	struct vbench_part parts[1 + VFUZZ_PARTS];
	uint8_t bytes[VFUZZ_REQUEST] = {0}, how = reader_u8(in);
	unsigned int queue = reader_u8(in) % b->dev->ops->n_queues, n = 0;

	if (!(how & 0x80)) {
		uint32_t len = 0;

		if (f->request)
			len = f->request(b, in, bytes);
		else
			for (; len < (how & 31u); len++)
				bytes[len] = reader_u8(in);
		parts[n++] = (struct vbench_part){bytes, len, false, 0};
	}
	for (unsigned int i = how & 7; i > 0; i--)
		vfuzz_part(in, &parts[n++]);
	if (n == 0)
		return;
	if (how & 0x40)
		for (unsigned int i = 1; i < n; i++)
			parts[i].write |= parts[i - 1].write;
	if (how & 0x20)
		vbench_offer_indirect(b, queue, parts, n);
	else
		vbench_offer(b, queue, parts, n);
	if (how & 8)
		vbench_kick(b, queue);
}

static inline void vfuzz_scribble(struct vbench *b, struct reader *in)
{
	unsigned int queue = reader_u8(in) % b->dev->ops->n_queues;
	uint32_t at = reader_le16(in) % 0x8000u, n = 1 + reader_u8(in) % 16u;

	for (uint32_t i = 0; i < n; i++)
		b->ram[queue * VBENCH_RING_GAP + at + i] = reader_u8(in);
	vbench_kick(b, queue);
}

static inline void vfuzz_config(struct vbench *b, struct reader *in)
{
	uint8_t bytes[16];
	uint16_t offset = reader_le16(in);
	uint8_t how = reader_u8(in);
	size_t size = how & 15u;

	if (how & 0x40)
		offset &= 63;
	if (how & 0x80)
		virtio_device_config_read(b->dev, offset, bytes, size);
	for (size_t i = 0; i < size; i++)
		bytes[i] = reader_u8(in);
	if (!(how & 0x80))
		virtio_device_config_write(b->dev, offset, bytes, size);
}

static inline void vfuzz_restart(struct vbench *b, struct reader *in)
{
	uint8_t how = reader_u8(in);
	uint64_t features = reader_le64(in);

	virtio_device_reset(b->dev);
	vbench_start(b, (uint16_t)(1u << (how % 8)), how & 0x80 ? ~0ull : features);
}

/* A snapshot: into the same device after a reset; with a damaged byte now and then. */
static inline void vfuzz_snapshot(struct vbench *b, struct reader *in)
{
	struct buffer saved = BUFFER_INIT;
	uint8_t how = reader_u8(in), bytes[1] = {0}; /* what an empty state points to */
	struct reader from;

	virtio_device_pause(b->dev);
	if (virtio_device_save(b->dev, &saved, NULL) == 0 && how & 1) {
		if (saved.size && how & 2)
			saved.data[reader_u8(in) % saved.size] = reader_u8(in);
		virtio_device_reset(b->dev);
		from = reader_init(saved.size ? saved.data : bytes, saved.size);
		virtio_device_restore(b->dev, &from, NULL);
		vbench_start(b, 64, ~0ull);
	} else {
		virtio_device_resume(b->dev);
	}
	buffer_free(&saved);
}

static inline int vfuzz_run(const struct vfuzz *f, const uint8_t *data, size_t size)
{
	struct reader in = reader_init(data, size);
	static struct vbench b;
	uint8_t how = reader_u8(&in);

	vbench_init(&b, 0);
	f->make(&b, &in);
	vbench_start(&b, 64, how & 1 ? reader_le64(&in) : ~0ull);
	for (int i = 0; i < VFUZZ_STEPS && reader_left(&in) > 0; i++) {
		uint8_t move = reader_u8(&in) % 16;

		if (move < 8)
			vfuzz_chain(f, &b, &in);
		else if (move == 8)
			vfuzz_scribble(&b, &in);
		else if (move == 9)
			vfuzz_config(&b, &in);
		else if (move == 10)
			vbench_kick(&b, reader_u8(&in));
		else if (move == 11 && reader_u8(&in) < 64)
			vfuzz_restart(&b, &in);
		else if (move == 15)
			vfuzz_snapshot(&b, &in);
		else if (f->move && move < 15)
			f->move(&b, &in);
		else
			vbench_turn_now(&b);
	}
	vbench_turn_now(&b);
	virtio_device_free(b.dev);
	b.dev = NULL;
	if (f->end)
		f->end(&b);
	vbench_stop(&b);
	return 0;
}
