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

TEST(private_memory_comes_in_huge_pages_where_the_kernel_says_so)
{
	struct guest_memory m = {0};
	bool huge;

	make(&m, 32 * MIB, false);
	huge = ram_makes_huge_pages(m.regions[0].host + 16 * MIB + 17);
	check_int(m.regions[0].host[16 * MIB + 17], 0);
	check_int(huge, huge_kib(m.regions[0].host + 16 * MIB) > 0);
	guest_memory_clear(&m);
}

TEST(a_process_that_may_have_none_has_small_pages)
{
	struct guest_memory m = {0};

	check_int(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
	make(&m, 32 * MIB, false);
	check(!ram_makes_huge_pages(m.regions[0].host + 16 * MIB));
	check(!ram_makes_huge_pages(m.regions[0].host + 18 * MIB + LAYOUT_PAGE));
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
