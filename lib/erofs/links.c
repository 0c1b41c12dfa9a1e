/* SPDX-License-Identifier: Apache-2.0 */
/* links: a hash table by inode number of the source. */
#include "lib/erofs/links.h"

#include <stdlib.h>

static struct link *slot(const struct links *l, uint64_t key)
{
	/* Inode numbers are places in an image, all different: spreading them is enough. */
	size_t i = (size_t)((key * 0x9e3779b97f4a7c15u) >> 20) & (l->room - 1);

	while (l->table[i].nid != 0 && l->table[i].nid != key)
		i = (i + 1) & (l->room - 1);
	return &l->table[i];
}

static int grow(struct links *l)
{
	struct links bigger = {.n = l->n, .room = l->room ? 2 * l->room : 64};

	bigger.table = calloc(bigger.room, sizeof(*bigger.table));
	if (!bigger.table)
		return -1;
	for (size_t i = 0; i < l->room; i++)
		if (l->table[i].nid)
			*slot(&bigger, l->table[i].nid) = l->table[i];
	free(l->table);
	*l = bigger;
	return 0;
}

struct link *links_get(struct links *l, uint64_t nid)
{
	struct link *found;

	if (2 * (l->n + 1) > l->room && grow(l) < 0)
		return NULL;
	found = slot(l, nid + 1);
	if (!found->nid) {
		found->nid = nid + 1;
		l->n++;
	}
	return found;
}

void links_free(struct links *l)
{
	free(l->table);
	*l = (struct links){0};
}
