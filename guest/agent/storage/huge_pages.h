/* SPDX-License-Identifier: Apache-2.0 */
/*
 * huge_pages: the pages behind the volumes of type hugetlbfs.
 *
 * The kernel has one number of huge pages of a size (Documentation/admin-guide/mm/hugetlbpage.rst)
 * for all volumes and mappings. A new volume raises it by what is missing: pages that are free, not
 * reserved by a mapping and not still to come in another volume count as there. Nothing lowers it
 * again, but the next volume finds the pages of one that has gone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"

/* From huge_pages_reserve() to huge_pages_end() no other helper of the agent reserves any. */
struct huge_pages {
	int lock; /* -1: nothing was reserved */
	uint64_t page_size, before;
	bool raised;
};

#define HUGE_PAGES_NONE                                                                            \
	(struct huge_pages)                                                                        \
	{                                                                                          \
		.lock = -1                                                                         \
	}

/* Pages for a volume of `bytes` that will be mounted on mount_point. Both sizes in bytes. -EINVAL:
 * the kernel has no such pages; -ENOMEM: it has not memory enough, and the number is as before. */
int huge_pages_reserve(struct huge_pages *h, const char *mount_point, uint64_t page_size,
                       uint64_t bytes, struct error *err);
/* kept false: the mount failed, the number becomes what it was. */
void huge_pages_end(struct huge_pages *h, bool kept);
