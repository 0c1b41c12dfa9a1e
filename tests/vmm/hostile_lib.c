/* SPDX-License-Identifier: Apache-2.0 */
/* hostile_lib: the ground that the hostile guests stand on (hostile.h). */
#include "tests/vmm/hostile.h"

#define PORT_SERIAL 0x3f8
#define PORT_EXIT   0xf4
#define WAIT_CYCLES 60000000000ull /* of the time stamp counter: some ten seconds or more */

uint64_t ram_end;
uint8_t buffers[HEAP] __attribute__((aligned(4096)));
static uint8_t rings[SLOTS][QUEUES][RING_BYTES] __attribute__((aligned(4096)));
static struct device devices[SLOTS];
static uint8_t stack[32768] __attribute__((used, aligned(16)));
static uint64_t seed = 0x9e3779b97f4a7c15;

_Noreturn void guest_start(const uint8_t *boot_params);

/* Entered as Linux is: boot_params in rsi, long mode, memory mapped as it is (x86 boot protocol).
 */
__asm__(".globl _start\n_start:\n\tlea stack+32768(%rip), %rsp\n\tmov %rsi, %rdi\n\tcall "
        "guest_start\n");

void *memset(void *to, int byte, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile uint8_t *)to)[i] = (uint8_t)byte;
	return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
	return to;
}

/* ---- the machine */

void out8(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

void out_string(uint16_t port, const void *bytes, size_t size)
{
	__asm__ volatile("rep outsb" : "+S"(bytes), "+c"(size) : "d"(port) : "memory");
}

void print(const char *text)
{
	while (*text)
		out8(PORT_SERIAL, (uint8_t)*text++);
}

_Noreturn void leave(uint8_t status)
{
	out8(PORT_EXIT, status);
	for (;;)
		__asm__ volatile("hlt");
}

uint64_t random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

uint64_t cycles(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return low | (uint64_t)high << 32;
}

void spin(unsigned int rounds)
{
	for (unsigned int i = 0; i < rounds; i++)
		__asm__ volatile("pause");
}

/* ---- devices */

uint32_t reg_read(const struct device *d, unsigned int reg)
{
	return *(volatile uint32_t *)(d->regs + reg);
}

void reg_write(const struct device *d, unsigned int reg, uint32_t v)
{
	*(volatile uint32_t *)(d->regs + reg) = v;
}

static void find_all(void)
{
	static const unsigned int queues[] = {
	    [ID_NET] = 2,   [ID_BLK] = 1, [ID_CONSOLE] = 2, [ID_RNG] = 1,  [ID_BALLOON] = 4,
	    [ID_VSOCK] = 3, [ID_MEM] = 1, [ID_FS] = 2,      [ID_PMEM] = 1,
	};

	for (unsigned int i = 0; i < SLOTS; i++) {
		struct device *d = &devices[i];

		d->regs = (volatile uint8_t *)(DEVICES + i * SLOT);
		if (reg_read(d, REG_MAGIC) != 0x74726976)
			continue;
		d->id = reg_read(d, REG_ID);
		d->n_queues = d->id < sizeof(queues) / sizeof(queues[0]) ? queues[d->id] : 0;
		for (unsigned int q = 0; q < QUEUES; q++) {
			uint8_t *at = rings[i][q];

			d->queue[q] = (struct queue){(volatile struct desc *)at,
			                             (volatile struct avail *)(at + 0x1000),
			                             (volatile struct used *)(at + 0x1800), 0};
		}
	}
}

struct device *find_device(uint32_t id)
{
	for (unsigned int i = 0; i < SLOTS; i++)
		if (devices[i].id == id)
			return &devices[i];
	return NULL;
}

static void put_address(struct device *d, unsigned int reg, const volatile void *at)
{
	reg_write(d, reg, (uint32_t)(uintptr_t)at);
	reg_write(d, reg + 4, (uint32_t)((uintptr_t)at >> 32));
}

void place_queue(struct device *d, unsigned int queue, uint32_t size)
{
	struct queue *q = &d->queue[queue];

	reg_write(d, REG_QUEUE_SEL, queue);
	reg_write(d, REG_NUM, size);
	put_address(d, REG_DESC, q->desc);
	put_address(d, REG_AVAIL, q->avail);
	put_address(d, REG_USED, q->used);
	memset((void *)q->desc, 0, RING_BYTES);
	q->seen = 0;
	reg_write(d, REG_READY, 1);
}

bool start_device(struct device *d)
{
	reg_write(d, REG_STATUS, 0);
	reg_write(d, REG_STATUS, 3);
	for (uint32_t i = 0; i < 2; i++) {
		reg_write(d, REG_FEATURES_SEL, i);
		reg_write(d, REG_DRIVER_SEL, i);
		/* No event indices: the guests do not keep them. */
		reg_write(d, REG_DRIVER, reg_read(d, REG_FEATURES) & (i ? ~0u : ~(1u << 29)));
	}
	reg_write(d, REG_STATUS, 11);
	for (unsigned int i = 0; i < d->n_queues; i++)
		place_queue(d, i, RING);
	reg_write(d, REG_STATUS, DRIVER_OK);
	return reg_read(d, REG_STATUS) == DRIVER_OK;
}

void set_desc(struct queue *q, unsigned int i, const void *at, uint32_t len, uint16_t flags)
{
	q->desc[i].addr = (uintptr_t)at;
	q->desc[i].len = len;
	q->desc[i].next = (uint16_t)((i + 1) % RING);
	q->desc[i].flags = flags;
}

void offer(struct queue *q, uint16_t head)
{
	uint16_t idx = q->avail->idx;

	q->avail->ring[idx % RING] = head;
	__asm__ volatile("" ::: "memory");
	q->avail->idx = (uint16_t)(idx + 1);
}

void notify(const struct device *d, unsigned int queue)
{
	reg_write(d, REG_NOTIFY, queue);
}

bool wait_used(struct device *d, unsigned int queue)
{
	struct queue *q = &d->queue[queue];
	uint64_t end = cycles() + WAIT_CYCLES;

	while (cycles() < end) {
		if (q->used->idx != q->seen) {
			q->seen++;
			return true;
		}
		spin(100);
	}
	return false;
}

bool answers(uint32_t id)
{
	struct device *d = find_device(id);
	struct queue *q;

	if (!d || !start_device(d))
		return false;
	q = &d->queue[0];
	memset(buffers, 0, 1024);
	if (id == ID_RNG) {
		set_desc(q, 0, buffers, 64, WRITE);
	} else {
		set_desc(q, 0, buffers, 16, NEXT);
		set_desc(q, 1, buffers + 512, 512, NEXT | WRITE);
		set_desc(q, 2, buffers + 16, 1, WRITE);
		buffers[16] = 0xff;
	}
	offer(q, 0);
	notify(d, 0);
	if (!wait_used(d, 0))
		return false;
	for (unsigned int i = 0; id == ID_RNG && i < 64; i++)
		if (buffers[i])
			return true;
	return id != ID_RNG && buffers[16] == 0;
}

/* ---- the start */

/* boot_params: e820 entries of 20 bytes at 0x2d0, their number at 0x1e8; the words' address at
 * 0x228. */
_Noreturn void guest_start(const uint8_t *p)
{
	const uint32_t *words = (const uint32_t *)(p + 0x228);

	for (unsigned int i = 0; i < p[0x1e8]; i++) {
		const uint32_t *e = (const uint32_t *)(p + 0x2d0 + 20 * i);
		uint64_t end = (e[0] | (uint64_t)e[1] << 32) + (e[2] | (uint64_t)e[3] << 32);

		if (e[4] == 1 && end <= DEVICES && end > ram_end)
			ram_end = end;
	}
	find_all();
	guest_main((const char *)(uintptr_t)*words);
	leave(99);
}
