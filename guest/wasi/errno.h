/* SPDX-License-Identifier: Apache-2.0 */
/* errno: the kernel's error numbers in WASI's. */
#pragma once

#include <errno.h>

#include "guest/wasi/types.h"

/* WASI_IO for numbers that WASI has no word for. */
uint32_t wasi_errno(int errnum);

/* Of a call that returned r: WASI_SUCCESS, or what errno says. */
static inline uint32_t wasi_result(long r)
{
	return r < 0 ? wasi_errno(errno) : WASI_SUCCESS;
}
