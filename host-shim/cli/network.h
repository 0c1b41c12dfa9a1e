/* SPDX-License-Identifier: Apache-2.0 */
/* network: gives a guest that runs a network, or takes it away. */
#pragma once

#include "lib/base/options.h"

extern const struct verb network_verb;
