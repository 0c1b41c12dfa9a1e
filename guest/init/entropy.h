/* SPDX-License-Identifier: Apache-2.0 */
/* entropy: the kernel's random number generator, seeded and reseeded. */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"

/* Nothing when the generator is ready (the processor seeded it). Else takes what the virtio
 * generator has at hand, without waiting. 0, or 1 when the generator is still not ready. */
int entropy_setup(struct error *err);

/* Mixes in `data`, credits 8 bits a byte and reseeds at once, so that no output before this call
 * tells about output after it: what a cloned guest needs. At most 4096 bytes: -EINVAL. */
int entropy_reseed(const void *data, size_t size, struct error *err);
