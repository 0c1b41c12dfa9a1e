/* SPDX-License-Identifier: Apache-2.0 */
/* volume: `kihon volume`, disks that come to a guest that runs, and leave it. */
#pragma once

#include "lib/base/options.h"

extern const struct verb volume_verb;
