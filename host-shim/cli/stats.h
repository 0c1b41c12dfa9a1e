/* SPDX-License-Identifier: Apache-2.0 */
/* stats: `kihon stats`: what the monitor of a running guest has counted. */
#pragma once

#include "lib/base/options.h"

extern const struct verb stats_verb;
