/* SPDX-License-Identifier: Apache-2.0 */
/* confine: what the tracer is left with when its programs are loaded: reading the ring, writing. */
#pragma once

#include "lib/base/error.h"

/* For good: no capabilities, no new privileges, and a list of system calls; another one than those
 * ends the process. */
int confine(struct error *err);
