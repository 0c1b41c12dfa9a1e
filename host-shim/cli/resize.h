/* SPDX-License-Identifier: Apache-2.0 */
/* resize: `kihon resize`, how much memory a guest that runs has. */
#pragma once

#include "lib/base/options.h"

extern const struct verb resize_verb;
