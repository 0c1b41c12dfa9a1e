/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flood: a guest that means harm: it reads and writes ports and addresses of devices at random,
 * half of them where virtio devices are, whose queues it fills with what comes. It ends only if it
 * hits on a way to; those that it knows it leaves out. Every 4096th access writes a dot to the
 * serial port.
 *
 * 32-bit code without paging, entered through its PVH note; no interrupts. `seed=N` of the command
 * line changes what it does.
 */
#include <stdint.h>

enum {
	SERIAL = 0x3f8,
	VIRTIO = 0xd0000000u, /* host-shim/vmm/layout.h */
	VIRTIO_DEVICES = 5,
	QUEUES_AT = 0x400000, /* rings that devices are told of */
	QUEUE_SIZE = 16,
};

__asm__(".section .note.pvh, \"a\", @note\n\t.long 4, 4, 18\n\t.asciz \"Xen\"\n\t.long start\n"
        ".text\n.globl start\nstart:\n\tcli\n\tmovl $0x1f0000, %esp\n\tpushl %ebx\n\tcall flood\n");

static uint64_t state = 0x9e3779b97f4a7c15u;

/* xorshift64. */
static uint32_t chance(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static void out8(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static void print(const char *s)
{
	while (*s)
		out8(SERIAL, (uint8_t)*s++);
}

/* The known ways out: keyboard controller, exit port, sleep. */
static int ends_it(uint32_t port)
{
	return (port >= 0x60 && port <= 0x64) || (port >= 0xf0 && port <= 0xf7) ||
	       (port >= 0x5fc && port <= 0x603) || (port >= 0xcf8 && port <= 0xcff);
}

static void touch_port(void)
{
	uint32_t port = chance() & 0xffff, v = chance();
	uint16_t p = (uint16_t)(chance() & 3 ? port & 0x7ff : port);

	if (ends_it(p) || ends_it(p + 3u))
		return;
	switch (chance() % 6) {
	case 0:
		__asm__ volatile("outb %%al, %%dx" : : "a"(v), "d"(p));
		break;
	case 1:
		__asm__ volatile("outw %%ax, %%dx" : : "a"(v), "d"(p));
		break;
	case 2:
		__asm__ volatile("outl %%eax, %%dx" : : "a"(v), "d"(p));
		break;
	case 3:
		__asm__ volatile("inb %%dx, %%al" : "+a"(v) : "d"(p));
		break;
	case 4:
		__asm__ volatile("inw %%dx, %%ax" : "+a"(v) : "d"(p));
		break;
	default:
		__asm__ volatile("inl %%dx, %%eax" : "+a"(v) : "d"(p));
		break;
	}
}

static void touch_address(uint32_t at)
{
	uint32_t v = chance();

	switch (chance() % 6) {
	case 0:
		*(volatile uint8_t *)at = (uint8_t)v;
		break;
	case 1:
		*(volatile uint16_t *)at = (uint16_t)v;
		break;
	case 2:
		*(volatile uint32_t *)at = v;
		break;
	case 3:
		v = *(volatile uint8_t *)at;
		break;
	case 4:
		v = *(volatile uint16_t *)at;
		break;
	default:
		v = *(volatile uint32_t *)at;
		break;
	}
}

/* Anywhere above memory but the interrupt controllers, which are the kernel's. */
static void touch_any_address(void)
{
	uint32_t at = 0xc0000000u | (chance() & 0x3ffffffc);

	if (at < 0xfec00000u || at >= 0xfef00000u)
		touch_address(at);
}

static void set(uint32_t device, uint32_t reg, uint32_t value)
{
	*(volatile uint32_t *)(VIRTIO + device * 0x1000 + reg) = value;
}

static uint32_t ring_of(uint32_t device, uint32_t queue)
{
	return QUEUES_AT + (device * 4 + queue) * 0x4000;
}

/* A device is brought up as a driver would (virtio 1.2 §3.1.1), now and then with a number that is
 * not right. */
static void start_device(uint32_t device)
{
	set(device, 0x70, 0);
	set(device, 0x70, 3);
	for (uint32_t half = 0; half < 2; half++) {
		uint32_t offered;

		set(device, 0x14, half);
		offered = *(volatile uint32_t *)(VIRTIO + device * 0x1000 + 0x10);
		set(device, 0x24, half);
		/* Never EVENT_IDX, with which a kick may not count; now and then what is not
		 * offered. */
		set(device, 0x20,
		    half ? 1 : (chance() & 31 ? offered & chance() : chance()) & 0x1fffffff);
	}
	set(device, 0x70, 11);
	for (uint32_t q = 0; q < 3; q++) {
		uint32_t ring = ring_of(device, q);

		for (uint32_t i = 0; i < QUEUE_SIZE * 16; i += 4)
			*(volatile uint32_t *)(ring + i) =
			    *(volatile uint32_t *)(ring + 0x1000 + i) = 0;
		set(device, 0x30, q);
		set(device, 0x38, chance() & 31 ? QUEUE_SIZE : chance());
		set(device, 0x80, ring);
		set(device, 0x84, 0);
		set(device, 0x90, ring + 0x1000);
		set(device, 0x94, 0);
		set(device, 0xa0, chance() & 31 ? ring + 0x2000 : chance());
		set(device, 0xa4, chance() & 31 ? 0 : chance());
		set(device, 0x44, 1);
	}
	set(device, 0x70, 15);
}

/* A chain like that of a disk's request (virtio 1.2 §5.2.6), of which other devices make what they
 * can: a header to read, data either way, a byte to write. Often one number of it is wrong. */
static void submit(uint32_t device, uint32_t queue)
{
	uint32_t ring = ring_of(device, queue), first = (chance() & 3) * 4;
	volatile uint32_t *d = (volatile uint32_t *)(ring + first * 16);
	volatile uint16_t *avail = (volatile uint16_t *)(ring + 0x1000);
	volatile uint32_t *header = (volatile uint32_t *)(0x300000 + first * 64);
	uint32_t writes = chance() & 1, chain[12] = {
	                                    (uint32_t)header,
	                                    0,
	                                    16 + (chance() & 1) * 28,
	                                    (writes & queue) * 2 | 1 | (first + 1) << 16,
	                                    0x800000 + (chance() & 0x3fffff),
	                                    0,
	                                    (chance() & 7) * 512,
	                                    writes * 2 | 1 | (first + 2) << 16,
	                                    (uint32_t)header + 60,
	                                    0,
	                                    1,
	                                    2,
	                                };

	if ((chance() & 7) == 0)
		chain[chance() % 12] ^= 1u << (chance() & 31);
	if ((chance() & 31) == 0)
		chain[chance() % 12] = chance();
	for (uint32_t i = 0; i < 12; i++)
		d[i] = chain[i];
	for (uint32_t i = 0; i < 11; i++)
		header[i] = chance() & 3 ? chance() & 15 : chance();
	avail[2 + (avail[1] & (QUEUE_SIZE - 1))] = (uint16_t)(chance() & 31 ? first : chance());
	avail[1]++;
	if ((chance() & 127) == 0)
		avail[1] = (uint16_t)chance();
	set(device, 0x50, queue);
}

static void harm(void)
{
	uint32_t device = chance() % VIRTIO_DEVICES;

	switch (chance() & 31) {
	case 0:
	case 8:
	case 16:
		start_device(device);
		break;
	case 1:
		touch_address(VIRTIO + device * 0x1000 + (chance() & 0xffc));
		break;
	case 2:
		touch_address(VIRTIO + device * 0x1000 + (chance() & 0x1fc));
		break;
	case 3:
	case 4:
		touch_any_address();
		break;
	case 5:
	case 6:
	case 7:
		touch_port();
		break;
	default:
		submit(device, chance() % 3);
		break;
	}
}

/* The number behind "seed=" on the command line (Xen's struct hvm_start_info: its address at offset
 * 24). */
static uint32_t seed_of(const uint8_t *start_info)
{
	const char *s = (const char *)*(const uint32_t *)(start_info + 24);
	uint32_t n = 0;

	for (; s && *s; s++)
		if (s[0] == 's' && s[1] == 'e' && s[2] == 'e' && s[3] == 'd' && s[4] == '=')
			for (s += 5; *s >= '0' && *s <= '9'; s++)
				n = n * 10 + (uint32_t)(*s - '0');
	return n;
}

void flood(const uint8_t *start_info);

void flood(const uint8_t *start_info)
{
	state += seed_of(start_info);
	print("flood begins\n");
	for (uint32_t i = 1;; i++) {
		harm();
		if ((i & 4095) == 0)
			out8(SERIAL, '.');
	}
}
