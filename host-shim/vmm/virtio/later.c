/* SPDX-License-Identifier: Apache-2.0 */
/* later: the one timer of a device model. */
#include "later.h"

void later_set(struct later *l, uint64_t ms)
{
	if (l->timer)
		loop_set_timer(l->timer, ms);
	else if (loop_add_timer(l->loop, ms, l->fn, l->data, &l->timer, NULL) < 0)
		l->timer = NULL;
}

void later_clear(struct later *l)
{
	loop_source_free(l->timer);
	l->timer = NULL;
}
