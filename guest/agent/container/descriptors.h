/* SPDX-License-Identifier: Apache-2.0 */
/*
 * descriptors: what a forked process keeps open. Everything else is closed at once:
 * a container that waits to be started must not hold other containers' pipes open.
 */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"

#define DESCRIPTORS_MAX 32

struct descriptors {
	int *keep[DESCRIPTORS_MAX]; /* variables, for stdio may move them */
	size_t n;
};

void descriptors_keep(struct descriptors *d, int *fd); /* *fd < 0: nothing */
/* Moves every kept descriptor that is below `floor` above it (close-on-exec). */
int descriptors_lift(struct descriptors *d, int floor, struct error *err);
/* Closes all from `floor` on but the kept ones. */
void descriptors_close_others(const struct descriptors *d, int floor);
/* Makes them 0, 1, 2; -1 is /dev/null. They must be kept, and above 2. */
int descriptors_place_stdio(const int stdio[3], struct error *err);
