/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch: guest images that are in a registry.
 *
 * `kata-image-tool fetch`, which is beside this program, does it: what faces registries is a
 * process of its own, and kihon is not linked with TLS.
 */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/image/remote.h"

/* Whether the argument names an image in a registry: nothing on this host has that name, and it
 * is a reference with a host. */
bool fetch_is_reference(const char *argument);

/* The folder of the image, fetched and verified, in the cache; *dir is the caller's. */
int fetch_image(const char *reference, const struct remote_options *o, char **dir,
                struct error *err);
