/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of guests: where it begins, and whether the kernel's own word for huge pages is ours. */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "host-shim/vmm/layout.h"
#include "host-shim/vmm/ram.h"
#include "lib/base/cleanup.h"
#include "tests/unit/check.h"

#define MIB (1ull << 20)

/* KiB of huge pages in the mapping that holds the address, as smaps(5) counts them. */
static long huge_kib(const void *p)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	bool here = false;
	long kib = -1;

	check(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= (uintptr_t)p && (uintptr_t)p < end;
		else if (here && sscanf(line, "AnonHugePages: %ld", &kib) == 1)
			break;
	}
	fclose(f);
	return kib;
}

static void make(struct guest_memory *m, uint64_t size, bool shared)
{
	struct ram_config c = {.size = size, .shared = shared};
	struct error err = ERROR_INIT;
	int fd = -1;

	check_ok(ram_allocate(m, &c, &fd, &err), &err);
	check_int(fd >= 0, shared);
	close_fd(&fd);
}

TEST(begins_on_a_huge_page_and_ends_where_it_should)
{
	struct guest_memory m = {0};

	for (uint64_t mib = 16; mib < 24; mib++) {
		make(&m, mib * MIB, false);
		check_int((uintptr_t)m.regions[0].host % (2 * MIB), 0);
		check_int(m.regions[0].size, mib * MIB);
		m.regions[0].host[0] = 1;
		m.regions[0].host[mib * MIB - 1] = 1;
		guest_memory_clear(&m);
	}
}

TEST(huge_pages_come_where_the_kernel_says_so_and_there_alone)
{
	struct guest_memory m = {0};
	uint8_t *host;
	bool huge;

	make(&m, 32 * MIB, false);
	host = m.regions[0].host;
	/* From 7 to 13: whole ones from 8 to 12. */
	huge = ram_ask_huge_pages(host + 7 * MIB, 6 * MIB);
	for (uint64_t i = 0; i < 32; i++) {
		check_int(host[i * MIB], 0);
		host[i * MIB] = 1;
	}
	check_int(huge, huge_kib(host + 8 * MIB) > 0);
	check(huge_kib(host + 8 * MIB) <= 4096);
	check_int(huge_kib(host + 12 * MIB), 0);
	check_int(huge_kib(host + 7 * MIB), 0);
	guest_memory_clear(&m);
}

TEST(less_than_a_huge_page_has_none)
{
	struct guest_memory m = {0};

	make(&m, 16 * MIB, false);
	check(!ram_ask_huge_pages(m.regions[0].host + 3 * MIB, 2 * MIB));
	check(!ram_ask_huge_pages(m.regions[0].host + 4 * MIB, 2 * MIB - 1));
	check(!ram_ask_huge_pages(m.regions[0].host + 5 * MIB, LAYOUT_PAGE));
	guest_memory_clear(&m);
}

TEST(a_process_that_may_have_none_has_small_pages)
{
	struct guest_memory m = {0};

	check_int(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
	make(&m, 32 * MIB, false);
	check(!ram_ask_huge_pages(m.regions[0].host + 16 * MIB, 8 * MIB));
	check_int(huge_kib(m.regions[0].host + 16 * MIB), 0);
	guest_memory_clear(&m);
}

TEST(shared_memory_has_small_pages)
{
	struct guest_memory m = {0};

	make(&m, 16 * MIB, true);
	check_int(huge_kib(m.regions[0].host), 0);
	guest_memory_clear(&m);
}

TEST_MAIN()
