/* SPDX-License-Identifier: Apache-2.0 */
/* trace: the verb that prints what happens in a container, as lines of JSON. */
#pragma once

#include "lib/base/options.h"

extern const struct verb trace_verb;
