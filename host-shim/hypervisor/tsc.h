/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tsc: how fast this host's time stamp counter runs.
 *
 * An emulated guest reads the host's counter, and measuring its speed itself
 * fails or hangs on a loaded host (docs/kernel.md): it is told.
 */
#pragma once

#include <stdint.h>

struct tsc_sample {
	uint64_t ticks, ns; /* both at the same moment */
};

void tsc_sample(struct tsc_sample *s);
/* kHz between `since` and now; waits until at least 5 ms have passed. 0 where there is no
 * such counter, or it makes no sense. */
uint32_t tsc_khz(const struct tsc_sample *since);
