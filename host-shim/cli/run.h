/* SPDX-License-Identifier: Apache-2.0 */
/* run: the verb that runs one container in a guest of its own. */
#pragma once

#include "lib/base/options.h"

extern const struct verb run_verb;
