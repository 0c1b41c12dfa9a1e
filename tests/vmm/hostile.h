/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile: what the hostile bare-metal guests share: no library below them, so a driver for
 * virtio-mmio (virtio 1.2 §4.2) that does as it is told, text on the serial port, an end, random
 * numbers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEVICES    0xd0000000ul
#define SLOT       0x1000ul
#define SLOTS      16
#define QUEUES     4
#define RING       64u      /* entries that the guests use */
#define RING_BYTES 0x2000ul /* descriptors, available, used: each on a page's half or so */

enum {
	REG_MAGIC = 0x00,
	REG_ID = 0x08,
	REG_FEATURES = 0x10,
	REG_FEATURES_SEL = 0x14,
	REG_DRIVER = 0x20,
	REG_DRIVER_SEL = 0x24,
	REG_QUEUE_SEL = 0x30,
	REG_NUM_MAX = 0x34,
	REG_NUM = 0x38,
	REG_READY = 0x44,
	REG_NOTIFY = 0x50,
	REG_ISR = 0x60,
	REG_ACK = 0x64,
	REG_STATUS = 0x70,
	REG_DESC = 0x80,
	REG_AVAIL = 0x90,
	REG_USED = 0xa0,
	REG_CONFIG = 0x100,
};

enum {
	ID_NET = 1,
	ID_BLK,
	ID_CONSOLE,
	ID_RNG,
	ID_BALLOON,
	ID_VSOCK = 19,
	ID_MEM = 24,
	ID_FS = 26,
	ID_PMEM
};
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };
enum { NEEDS_RESET = 0x40, DRIVER_OK = 0x0f };

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct avail {
	uint16_t flags, idx, ring[RING], used_event;
};

struct used {
	uint16_t flags, idx;
	struct {
		uint32_t id, len;
	} ring[RING];
	uint16_t avail_event;
};

struct queue {
	volatile struct desc *desc;
	volatile struct avail *avail;
	volatile struct used *used;
	uint16_t seen; /* of the used ring */
};

struct device {
	volatile uint8_t *regs;
	uint32_t id;
	unsigned int n_queues;
	struct queue queue[QUEUES];
};

/* ---- the machine */

void *memset(void *to, int byte, size_t n);
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void print(const char *text);
_Noreturn void leave(uint8_t status);
uint64_t random64(void);
void out8(uint16_t port, uint8_t v);
void out_string(uint16_t port, const void *bytes, size_t size);
uint64_t cycles(void);
void spin(unsigned int rounds);

extern uint64_t ram_end; /* of the memory below 4 GiB, from the memory map */
#define HEAP (1u << 20)
extern uint8_t buffers[HEAP]; /* for data */

/* ---- devices */

uint32_t reg_read(const struct device *d, unsigned int reg);
void reg_write(const struct device *d, unsigned int reg, uint32_t v);
/* The first device of the kind; NULL: there is none. */
struct device *find_device(uint32_t id);
/* By the book up to DRIVER_OK, all features that are offered; false: the device did not want. */
bool start_device(struct device *d);
void place_queue(struct device *d, unsigned int queue, uint32_t size);
void set_desc(struct queue *q, unsigned int i, const void *at, uint32_t len, uint16_t flags);
void offer(struct queue *q, uint16_t head);
void notify(const struct device *d, unsigned int queue);
/* Waits for the next used entry; false: none came in a long time. */
bool wait_used(struct device *d, unsigned int queue);

void guest_main(const char *words); /* the guest's own; returning is status 99 */

/* Whether the device, reset and started anew, does its work: entropy, or a sector. */
bool answers(uint32_t id);
