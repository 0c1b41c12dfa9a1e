/* SPDX-License-Identifier: Apache-2.0 */
/* verbs: of kihon-pull, one file each. */
#pragma once

#include "lib/base/options.h"

#define PROGRAM "kihon-pull"

extern const struct verb verb_pull;
extern const struct verb verb_init_data;
