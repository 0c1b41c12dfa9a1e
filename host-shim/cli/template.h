/* SPDX-License-Identifier: Apache-2.0 */
/* template: `kihon template create`: a guest, saved once its agent answers, for others to begin
 * from. */
#pragma once

#include "lib/base/options.h"

extern const struct verb template_verb;
