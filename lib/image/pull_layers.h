/* SPDX-License-Identifier: Apache-2.0 */
/* pull_layers: the layers of one image, several at a time. Used by pull.c alone. */
#pragma once

#include "lib/image/http.h"
#include "lib/image/pull.h"
#include "lib/image/registry.h"

/* out->layers gets n entries, lowest first, doubles included. */
int pull_layers(const struct pull_options *o, struct registry *registry,
                const struct http_config *http, const struct image_manifest *manifest,
                const struct image_config *config, struct pull_result *out, struct error *err);
