/* SPDX-License-Identifier: Apache-2.0 */
/* Who answers at an address. */
#include "host-shim/vmm/bus.h"
#include "tests/unit/check.h"

struct seen {
	uint64_t offset;
	size_t size;
	int reads, writes;
};

static void take_read(void *data, uint64_t offset, uint8_t *bytes, size_t size)
{
	struct seen *s = data;

	s->offset = offset;
	s->size = size;
	s->reads++;
	memset(bytes, 0x11, size);
}

static void take_write(void *data, uint64_t offset, const uint8_t *bytes, size_t size)
{
	struct seen *s = data;

	s->offset = offset;
	s->size = size;
	s->writes++;
}

static const struct bus_ops ops = {take_read, take_write};

TEST(the_right_one_answers)
{
	struct seen a = {0}, b = {0};
	struct bus bus = {.n = 0};
	struct error err = ERROR_INIT;
	uint8_t bytes[8];

	check_ok(bus_add(&bus, 0x2000, 0x10, &ops, &b, &err), &err);
	check_ok(bus_add(&bus, 0x1000, 0x1000, &ops, &a, &err), &err);
	check_int(bus_read(&bus, 0x1ffc, bytes, 4), 0);
	check_int(a.offset, 0xffc);
	check_int(bytes[0], 0x11);
	check_int(bus_write(&bus, 0x2008, bytes, 8), 0);
	check_int(b.offset, 8);
	check_int(b.size, 8);
	check_int(a.writes, 0);
}

TEST(nobody_reads_as_ones)
{
	struct seen a = {0};
	struct bus bus = {.n = 0};
	uint8_t bytes[8] = {0};

	check_int(bus_read(&bus, 0x10, bytes, 8), 1);
	check_int(bytes[7], 0xff);
	check_int(bus_add(&bus, 0x10, 0x10, &ops, &a, NULL), 0);
	/* Below, above, across the end, wrapping round. */
	check_int(bus_read(&bus, 0xf, bytes, 1), 1);
	check_int(bus_read(&bus, 0x20, bytes, 1), 1);
	check_int(bus_read(&bus, 0x1e, bytes, 4), 1);
	check_int(bus_read(&bus, UINT64_MAX, bytes, 8), 1);
	check_int(a.reads, 0);
}

TEST(overlaps_are_refused)
{
	struct seen a = {0};
	struct bus bus = {.n = 0};

	check_int(bus_add(&bus, 0x100, 0x100, &ops, &a, NULL), 0);
	check_int(bus_add(&bus, 0x100, 0x100, &ops, &a, NULL), -EINVAL);
	check_int(bus_add(&bus, 0xff, 2, &ops, &a, NULL), -EINVAL);
	check_int(bus_add(&bus, 0x1ff, 1, &ops, &a, NULL), -EINVAL);
	check_int(bus_add(&bus, 0x300, 0, &ops, &a, NULL), -EINVAL);
	check_int(bus_add(&bus, UINT64_MAX, 2, &ops, &a, NULL), -EINVAL);
	check_int(bus_add(&bus, 0x200, 1, &ops, &a, NULL), 0);
	for (unsigned int i = 2; i < BUS_RANGES_MAX; i++)
		check_int(bus_add(&bus, 0x1000 * i, 1, &ops, &a, NULL), 0);
	check_int(bus_add(&bus, 0, 1, &ops, &a, NULL), -ENOSPC);
}

TEST_MAIN()
