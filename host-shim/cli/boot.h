/* SPDX-License-Identifier: Apache-2.0 */
/* boot: the verb that boots an image and waits for its end. */
#pragma once

#include "lib/base/options.h"

extern const struct verb boot_verb;
