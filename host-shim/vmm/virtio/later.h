/* SPDX-License-Identifier: Apache-2.0 */
/*
 * later: the one timer of a device model, for work that another turn of the loop must do:
 * the budget of this one is used up, or a rate says wait.
 */
#pragma once

#include "lib/base/loop.h"

struct later {
	struct loop *loop;
	struct loop_source *timer; /* made at first use */
	loop_timer_fn fn;
	void *data;
};

/* (Re)arms the timer. Without memory for one nothing happens: the next notification of the
 * driver does the work. */
void later_set(struct later *l, uint64_t ms);
/* Disarms; fine when it never was armed. */
void later_clear(struct later *l);
