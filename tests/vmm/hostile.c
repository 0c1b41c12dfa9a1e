/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile: a guest that breaks the rules of its devices, in the way that the command line names and
 * as often as it says, then looks whether they and the others still answer: status 0 when they do.
 */
#include "tests/vmm/hostile.h"

static uint32_t rounds = 100; /* or the number behind the word */

/* Whether it is one of the words. */
static bool is_word(const char *word, const char *words)
{
	while (*words) {
		const char *w = word;

		while (*w && *w == *words) {
			w++;
			words++;
		}
		if (!*w && (!*words || *words == ' '))
			return true;
		while (*words && *words != ' ')
			words++;
		while (*words == ' ')
			words++;
	}
	return false;
}

/* The last word that is a number. */
static uint32_t number_of(const char *words, uint32_t otherwise)
{
	while (*words) {
		uint32_t n = 0;

		while (*words >= '0' && *words <= '9')
			n = n * 10 + (uint32_t)(*words++ - '0');
		if (n && (!*words || *words == ' '))
			otherwise = n;
		while (*words && *words != ' ')
			words++;
		while (*words == ' ')
			words++;
	}
	return otherwise;
}

/* A block request for `size` bytes at the head `first`; three descriptors. */
static void block_request(struct device *d, unsigned int first, uint32_t type, uint32_t size)
{
	uint8_t *header = buffers + 32 * first;

	memset(header, 0, 16);
	header[0] = (uint8_t)type;
	header[8] = (uint8_t)(random64() & 15);
	set_desc(&d->queue[0], first, header, 16, NEXT);
	set_desc(&d->queue[0], first + 1, buffers + 65536, size, NEXT | (type == 0 ? WRITE : 0));
	set_desc(&d->queue[0], first + 2, header + 16, 1, WRITE);
}

/* Any address that could hurt: devices, read-only images, edges of memory, nowhere. */
static uint64_t wild_address(void)
{
	const struct device *pmem = find_device(ID_PMEM);
	uint64_t image = pmem ? *(volatile uint64_t *)(pmem->regs + REG_CONFIG) : 0x100000000;
	uint64_t places[] = {0,
	                     DEVICES,
	                     0xfec00000,
	                     0xfee00000,
	                     image,
	                     image - 16,
	                     image + (2u << 20) - 8,
	                     ram_end - 8,
	                     ram_end,
	                     ram_end - 4096,
	                     0xbffffff8,
	                     0xfffffff8,
	                     UINT64_MAX,
	                     UINT64_MAX - 4095,
	                     1ull << 52,
	                     (uintptr_t)buffers,
	                     (uintptr_t)buffers,
	                     (uintptr_t)buffers};

	return places[random64() % (sizeof(places) / sizeof(places[0]))] + (random64() & 15);
}

static uint32_t wild_length(void)
{
	static const uint32_t lengths[] = {0,   1,    8,     16,         17,        44,
	                                   512, 4096, 65536, 0x7fffffff, 0xffffffff};

	return lengths[random64() % (sizeof(lengths) / sizeof(lengths[0]))];
}

static void wild_desc(struct queue *q, unsigned int i)
{
	q->desc[i].addr = wild_address();
	q->desc[i].len = wild_length();
	q->desc[i].flags = (uint16_t)(random64() & (random64() & 1 ? 3 : 0xffff));
	q->desc[i].next = (uint16_t)(random64() % (random64() & 1 ? RING : 0x10000));
}

static void start_again(struct device *d)
{
	if (reg_read(d, REG_STATUS) & NEEDS_RESET)
		start_device(d);
}

/* ---- the ways */

/* Requests that change while the device reads them. */
static void scribble(struct device *d)
{
	struct queue *q = &d->queue[d->id == ID_VSOCK ? 1 : 0];

	for (unsigned int i = 0; i < rounds; i++) {
		unsigned int at = (i * 3) % 60;

		block_request(d, at, i & 1, 512 + 512 * (i & 7));
		offer(q, (uint16_t)at);
		notify(d, (unsigned int)(q - d->queue));
		for (unsigned int j = 0; j < 40; j++) {
			unsigned int k = at + (unsigned int)random64() % 3;

			switch (random64() % 8) {
			case 0:
				q->avail->idx = (uint16_t)random64();
				break;
			case 1:
				q->avail->ring[random64() % RING] = (uint16_t)random64();
				break;
			case 2:
				q->used->idx = (uint16_t)random64();
				break;
			default:
				wild_desc(q, k);
			}
		}
		start_again(d);
	}
}

/* Chains of anything: loops, tables in tables, the ends of memory. */
static void wild(struct device *d)
{
	struct desc *table = (struct desc *)(buffers + 4096);

	for (unsigned int i = 0; i < rounds; i++) {
		struct queue *q = &d->queue[random64() % d->n_queues];

		for (unsigned int j = 0; j < RING; j++)
			wild_desc(q, j);
		for (unsigned int j = 0; j < 16; j++)
			table[j] =
			    (struct desc){(uintptr_t)table, 16 * (uint32_t)(random64() % 18),
			                  (uint16_t)random64() & 7, (uint16_t)(random64() % 20)};
		if (i & 1)
			q->desc[0] = (struct desc){(uintptr_t)table + (random64() & 8), 16 * 16,
			                           INDIRECT, 0};
		offer(q, 0);
		notify(d, (unsigned int)(q - d->queue));
		start_again(d);
	}
}

/* Sizes that a queue may not have, places where it may not be, on and off under load. */
static void sizes(struct device *d)
{
	static const uint32_t wrong[] = {0, 3, 65535, 65536, 1u << 31, 0xffffffff, 1, 2, RING};

	for (unsigned int i = 0; i < rounds / 4; i++) {
		struct queue was = d->queue[0];

		reg_write(d, REG_STATUS, 0);
		reg_write(d, REG_STATUS, 3);
		reg_write(d, REG_DRIVER_SEL, 1);
		reg_write(d, REG_DRIVER, 1);
		reg_write(d, REG_STATUS, 11);
		place_queue(d, 0, wrong[i % 9]);
		reg_write(d, REG_READY, 0);
		reg_write(d, REG_NUM, RING);
		reg_write(d, REG_AVAIL, (uint32_t)(random64() & 1 ? ram_end - 4 : random64()));
		reg_write(d, REG_USED + 4, (uint32_t)(random64() & 3));
		reg_write(d, REG_READY, 1);
		reg_write(d, REG_STATUS, DRIVER_OK);
		notify(d, 0);
		d->queue[0] = was;
		start_device(d);
		for (unsigned int j = 0; j < 20; j++) {
			block_request(d, 3 * j, 0, 65536);
			offer(&d->queue[0], (uint16_t)(3 * j));
		}
		notify(d, 0);
		for (unsigned int j = 0; j < 4; j++) {
			reg_write(d, REG_QUEUE_SEL, j);
			reg_write(d, REG_READY, 0);
			reg_write(d, REG_READY, 1);
		}
	}
}

/* Reset while requests are with the disk. */
static void resets(struct device *d)
{
	for (unsigned int i = 0; i < rounds / 4; i++) {
		start_device(d);
		for (unsigned int j = 0; j < 21; j++) {
			block_request(d, 3 * j, j % 5 == 4 ? 4 : j & 1, 262144);
			offer(&d->queue[0], (uint16_t)(3 * j));
		}
		notify(d, 0);
		spin((unsigned int)(random64() & 0xfff));
		if (i & 1)
			reg_write(d, REG_STATUS, 0);
	}
}

/* The device reads and writes its own rings. */
static void own_rings(struct device *d)
{
	for (unsigned int i = 0; i < rounds; i++) {
		struct queue *q = &d->queue[0];
		uint64_t at[] = {(uintptr_t)q->desc, (uintptr_t)q->avail, (uintptr_t)q->used};

		if (i % 16 == 0)
			start_device(d);
		block_request(d, 0, i & 1, 512 * (1 + (uint32_t)(random64() & 7)));
		q->desc[1].addr = at[random64() % 3] + (random64() & 0xff0);
		if (i & 2)
			q->desc[2].addr = at[random64() % 3] + (random64() & 0xff);
		offer(q, 0);
		notify(d, 0);
		spin((unsigned int)(random64() & 0xff));
		start_again(d);
	}
}

/* Where the image in the last slot that has one is, but the root; 0: there is none. */
static uint64_t newest_image(void)
{
	for (unsigned int slot = SLOTS - 1; slot > 0; slot--) {
		volatile uint32_t *regs = (volatile uint32_t *)(DEVICES + slot * SLOT);

		if (regs[REG_MAGIC / 4] == 0x74726976 && regs[REG_ID / 4] == ID_PMEM)
			return *(volatile uint64_t *)(regs + REG_CONFIG / 4);
	}
	return 0;
}

/* The descriptors lie in an image that comes and goes: each of the file's asks for entropy. */
static void image_rings(struct device *d)
{
	struct queue *q = &d->queue[0];
	unsigned int seen = 0;
	uint64_t end = cycles() + rounds * 1000000000ull;

	while (cycles() < end) {
		uint64_t image = newest_image();

		if (!image)
			continue;
		if (seen++ % 256 == 0)
			print("i");
		reg_write(d, REG_STATUS, 0);
		reg_write(d, REG_STATUS, 3);
		reg_write(d, REG_DRIVER_SEL, 1);
		reg_write(d, REG_DRIVER, 1);
		reg_write(d, REG_STATUS, 11);
		place_queue(d, 0, RING);
		reg_write(d, REG_READY, 0);
		reg_write(d, REG_DESC, (uint32_t)image);
		reg_write(d, REG_DESC + 4, (uint32_t)(image >> 32));
		reg_write(d, REG_READY, 1);
		reg_write(d, REG_STATUS, DRIVER_OK);
		for (unsigned int i = 0; i < RING && !(reg_read(d, REG_STATUS) & NEEDS_RESET);
		     i++) {
			offer(q, (uint16_t)i);
			notify(d, 0);
		}
	}
	print(seen ? "hostile: there was an image\n" : "");
}

/* Configuration space, of every width, read and written everywhere. */
static void config(struct device *d)
{
	for (unsigned int i = 0; i < rounds * 4; i++) {
		volatile uint8_t *at =
		    d->regs + REG_CONFIG + random64() % (i & 1 ? 64 : SLOT - REG_CONFIG);

		switch (random64() % 8) {
		case 0:
			*at = (uint8_t)random64();
			break;
		case 1:
			*(volatile uint16_t *)at = (uint16_t)random64();
			break;
		case 2:
			*(volatile uint32_t *)at = (uint32_t)random64();
			break;
		case 3:
			*(volatile uint64_t *)at = random64();
			break;
		default:
			(void)*(volatile uint64_t *)at;
		}
	}
}

/* Memory is plugged and unplugged at random (5.15.6): more than is offered, what is not there. */
static void plug(struct device *d)
{
	const volatile uint64_t *region = (const volatile uint64_t *)(d->regs + REG_CONFIG);
	uint64_t block = region[0], start = region[2];
	struct queue *q = &d->queue[0];

	for (unsigned int i = 0; i < rounds * 4; i++) {
		uint64_t *request = (uint64_t *)buffers;

		request[0] = random64() % 5;
		request[1] = i % 16 ? start + random64() % 40 * block : wild_address();
		request[2] = random64() % (i % 8 ? 40 : 0x10000);
		set_desc(q, 0, request, 24, NEXT);
		set_desc(q, 1, buffers + 64, 10, WRITE);
		offer(q, 0);
		notify(d, 0);
		spin(100);
		start_again(d);
	}
}

/* Packets of every kind to everybody, and no buffer for an answer. */
static void packets(struct device *d)
{
	struct queue *q = &d->queue[1];

	start_device(d);
	for (unsigned int i = 0; i < rounds * 4; i++) {
		unsigned int at = i % RING;
		uint32_t *h = (uint32_t *)(buffers + 128 * at);

		for (unsigned int j = 0; j < 11; j++)
			h[j] = (uint32_t)random64();
		if (i %
		    8) { /* le64 src_cid, dst_cid; le32 ports, len; le16 type, op; ... (5.10.6) */
			h[0] = 3;
			h[1] = h[3] = 0;
			h[2] = 2;
			h[4] = i % 5000;
			h[5] = 1024 + i % 3;
			h[6] = i % 3 ? 0 : h[6];
			h[7] = 1 | (uint32_t)(random64() % 9) << 16;
		}
		set_desc(q, at, h, 44 + (uint32_t)(random64() % 80), 0);
		offer(q, (uint16_t)at);
		notify(d, 1);
		start_again(d);
	}
}

/* More entropy than there is. */
static void entropy(struct device *d)
{
	struct queue *q = &d->queue[0];

	start_device(d);
	for (unsigned int i = 0; i < RING; i++) {
		set_desc(q, i, buffers, HEAP, WRITE);
		offer(q, (uint16_t)i);
	}
	for (unsigned int i = 0; i < rounds * 4; i++) {
		notify(d, 0);
		while (q->used->idx != q->seen)
			offer(q, (uint16_t)(q->seen++ % RING));
	}
}

/* Interrupt controllers: ends of interrupts that were none, interrupts to all, lines that change.
 */
static void interrupts(struct device *d)
{
	volatile uint32_t *local = (volatile uint32_t *)0xfee00000,
	                  *io = (volatile uint32_t *)0xfec00000;

	local[0xf0 / 4] = 0x1ff;
	for (unsigned int i = 0; i < rounds * 16; i++) {
		local[0xb0 / 4] = 0;
		io[0] = 0x10 + (uint32_t)random64() % 48;
		io[4] = (uint32_t)random64() & ~0x700u; /* fixed: no NMI, no INIT */
		if (i % 16)
			continue;
		local[0x310 / 4] = (uint32_t)random64();
		local[0x300 / 4] =
		    0x30 | ((uint32_t)random64() & 0xcfu) | ((uint32_t)random64() & 0xc8000u);
		notify(d, 0);
	}
}

/* 4 MiB on a console that nobody reads. */
static void console(struct device *d)
{
	memset(buffers, 'x', 4096);
	for (unsigned int i = 0; i < 64; i++)
		out_string(0x3f8, buffers, 4096);
}

static const struct {
	const char *name;
	uint32_t id; /* of the device that suffers */
	void (*run)(struct device *d);
} ways[] = {
    {"scribble", ID_BLK, scribble},
    {"scribble-rng", ID_RNG, scribble},
    {"scribble-vsock", ID_VSOCK, scribble},
    {"scribble-pmem", ID_PMEM, scribble},
    {"scribble-console", ID_CONSOLE, scribble},
    {"scribble-balloon", ID_BALLOON, scribble},
    {"wild", ID_BLK, wild},
    {"wild-vsock", ID_VSOCK, wild},
    {"wild-pmem", ID_PMEM, wild},
    {"wild-rng", ID_RNG, wild},
    {"wild-console", ID_CONSOLE, wild},
    {"wild-balloon", ID_BALLOON, wild},
    {"wild-net", ID_NET, wild},
    {"wild-mem", ID_MEM, wild},
    {"plug", ID_MEM, plug},
    {"sizes", ID_BLK, sizes},
    {"resets", ID_BLK, resets},
    {"own-rings", ID_BLK, own_rings},
    {"own-rings-rng", ID_RNG, own_rings},
    {"image-rings", ID_RNG, image_rings},
    {"config", ID_BLK, config},
    {"config-vsock", ID_VSOCK, config},
    {"config-balloon", ID_BALLOON, config},
    {"config-console", ID_CONSOLE, config},
    {"packets", ID_VSOCK, packets},
    {"entropy", ID_RNG, entropy},
    {"interrupts", ID_RNG, interrupts},
    {"console", ID_RNG, console},
};

/* All of the words' ways, then a look at the devices. */
void guest_main(const char *words)
{
	bool any = false;

	rounds = number_of(words, rounds);
	for (unsigned int i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct device *d = find_device(ways[i].id);

		if (!is_word(ways[i].name, words))
			continue;
		if (!d)
			leave(97);
		any = true;
		start_device(d);
		ways[i].run(d);
		reg_write(d, REG_STATUS, 0);
		if (find_device(ID_BLK) && !answers(ID_BLK))
			leave((uint8_t)(1 + 2 * i));
		if (!answers(ID_RNG))
			leave((uint8_t)(2 + 2 * i));
	}
	print(any ? "hostile: alive\n" : "hostile: no such way\n");
	leave(any ? 0 : 98);
}
