/* SPDX-License-Identifier: Apache-2.0 */
/* links: which inode a file with several names has got in another format. For whoever walks an
 * image with erofs_walk() and writes it anew. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

struct link {
	uint64_t nid;   /* + 1; 0: free */
	uint32_t ino;   /* the user's; 0 at first, as is the next */
	uint32_t names; /* the user's */
};

struct links {
	struct link *table; /* owned */
	size_t n, room;     /* room: a power of two, or 0 */
};

/* The entry of a file, added when it is new; NULL: no memory. Valid until the next. */
struct link *links_get(struct links *l, uint64_t nid);
void links_free(struct links *l);
