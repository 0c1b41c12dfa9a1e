/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: the verb that says what this host can and lacks. */
#pragma once

#include "lib/base/options.h"

extern const struct verb doctor_verb;
