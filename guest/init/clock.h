/* SPDX-License-Identifier: Apache-2.0 */
/* clock: the time of day at boot and when the host sets it. */
#pragma once

#include <stdint.h>

#include "lib/base/error.h"

/* Leaves a plausible clock alone (the kernel read the RTC). Else tries the host's PTP clock,
 * then /dev/rtc0. 0, or 1 when there is neither: the host then sets the time later. */
int clock_setup(struct error *err);

/* Sets CLOCK_REALTIME. -EINVAL when usec is not in 0..999999 or sec is negative. */
int clock_set(int64_t sec, int64_t usec, struct error *err);
