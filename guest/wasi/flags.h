/* SPDX-License-Identifier: Apache-2.0 */
/* flags: fdflags and the kernel's O_ flags. */
#pragma once

#include <fcntl.h>

#include "guest/wasi/types.h"

/* RSYNC is SYNC for the kernel. */
static inline int wasi_to_open_flags(uint32_t flags)
{
	return (flags & WASI_FDFLAG_APPEND ? O_APPEND : 0) |
	       (flags & WASI_FDFLAG_DSYNC ? O_DSYNC : 0) |
	       (flags & WASI_FDFLAG_NONBLOCK ? O_NONBLOCK : 0) |
	       (flags & (WASI_FDFLAG_SYNC | WASI_FDFLAG_RSYNC) ? O_SYNC : 0);
}

static inline uint32_t wasi_from_open_flags(int flags)
{
	uint32_t out = (flags & O_APPEND ? WASI_FDFLAG_APPEND : 0) |
	               (flags & O_NONBLOCK ? WASI_FDFLAG_NONBLOCK : 0);

	/* O_SYNC holds the bit of O_DSYNC. */
	if ((flags & O_SYNC) == O_SYNC)
		out |= WASI_FDFLAG_SYNC | WASI_FDFLAG_RSYNC;
	else if (flags & O_DSYNC)
		out |= WASI_FDFLAG_DSYNC;
	return out;
}
