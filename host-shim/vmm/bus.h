/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus: who answers at an address or port.
 *
 * Ranges are sorted and disjoint; one lookup is a binary search. What nobody answers reads as all
 * ones, and writes to it vanish, as on a PC. The table is fixed once processors run, so that they
 * may all use it at once.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define BUS_RANGES_MAX 64

/* Called on a processor's thread. `offset` + `size` lies inside the range; size is 1 to 8. */
struct bus_ops {
	void (*read)(void *data, uint64_t offset, uint8_t *bytes, size_t size);
	void (*write)(void *data, uint64_t offset, const uint8_t *bytes, size_t size);
};

struct bus_range {
	uint64_t base, size;
	const struct bus_ops *ops;
	void *data;
};

struct bus {
	struct bus_range ranges[BUS_RANGES_MAX];
	unsigned int n;
};

/* -EINVAL: empty, wraps round or overlaps; -ENOSPC: BUS_RANGES_MAX reached. */
int bus_add(struct bus *b, uint64_t base, uint64_t size, const struct bus_ops *ops, void *data,
            struct error *err);

/* 0, or 1 when nobody answered. */
int bus_read(const struct bus *b, uint64_t address, uint8_t *bytes, size_t size);
int bus_write(const struct bus *b, uint64_t address, const uint8_t *bytes, size_t size);
