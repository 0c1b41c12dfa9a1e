/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk_request: one request of the block device (virtio 1.2 §5.2.6): parsed and checked from a
 * chain, carried out on any thread, without touching the queue.
 */
#pragma once

#include "host-shim/vmm/devices/io_pool.h"
#include "host-shim/vmm/virtio/queue.h"

#define BLK_T_IN           0u
#define BLK_T_OUT          1u
#define BLK_T_FLUSH        4u
#define BLK_T_GET_ID       8u
#define BLK_T_DISCARD      11u
#define BLK_T_WRITE_ZEROES 13u

#define BLK_S_OK     0
#define BLK_S_IOERR  1
#define BLK_S_UNSUPP 2

/* What the device tells in its configuration space, and holds requests to. */
#define BLK_DISCARD_SECTORS_MAX (1u << 21) /* 1 GiB */
#define BLK_ZEROES_SECTORS_MAX  (1u << 17) /* 64 MiB: they may have to be written */
#define BLK_RANGES_MAX          16

/* What requests of a device are held to. */
struct blk_limits {
	int fd;
	bool readonly, stable; /* stable: a write is on the disk before it is answered */
	uint64_t capacity;     /* bytes */
	const char *id;        /* BLK_SERIAL_MAX bytes, NUL padded */
};

struct blk_range {
	uint64_t offset, size; /* bytes */
	bool unmap;
};

struct blk_request {
	struct io_job job; /* work is blk_request_work() */
	int fd;
	uint32_t type;
	uint16_t head;
	bool stable;
	uint8_t *status_at; /* in guest memory */
	uint8_t status;
	uint64_t done;   /* bytes of data that were moved */
	uint64_t offset; /* bytes */
	struct blk_range ranges[BLK_RANGES_MAX];
	unsigned int n_ranges;
	size_t n_iov;
	struct iovec iov[]; /* the data */
};

/* What becomes of a chain. */
enum blk_outcome {
	BLK_ANSWERED, /* the status byte is written already, *written is for the used ring */
	BLK_WORK,     /* *out is to be worked on, then blk_request_finish() */
	BLK_NO_STATUS /* there is no place for a status byte */
};

enum blk_outcome blk_request_parse(const struct virtqueue_chain *c, const struct blk_limits *limits,
                                   struct blk_request **out, uint32_t *written);

/* A short read of what this host has in memory is carried out at once, without ever waiting for
 * storage: 1 done, as by blk_request_work(); 0 it is for the pool; -EOPNOTSUPP so are all of this
 * file. */
int blk_request_now(struct blk_request *r);

/* Carries it out; for the pool. */
void blk_request_work(struct io_job *job);

/* Writes the status byte; what the used ring is to say: the bytes written from the beginning of the
 * buffer without a gap (§2.7.8.2). */
uint32_t blk_request_finish(const struct blk_request *r);
