/* SPDX-License-Identifier: Apache-2.0 */
/* links: which inode a file with several names has got. Private to lib/ext4. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

struct link {
	uint64_t nid; /* + 1; 0: free */
	uint32_t ino; /* 0: none yet */
};

struct links {
	struct link *table; /* owned */
	size_t n, room;     /* room: a power of two, or 0 */
};

/* The entry of a file, added with ino 0 when it is new; NULL: no memory. Valid until the next. */
struct link *links_get(struct links *l, uint64_t nid);
void links_free(struct links *l);
