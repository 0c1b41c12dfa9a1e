/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pause: the container that holds a pod's sandbox. Its image is not pulled: it is part of the
 * guest, as a bundle (PAUSE_BUNDLE/config.json and rootfs), and so is what it runs.
 */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"
#include "lib/rpc/proto/agent.pb-c.h"

#define PAUSE_BUNDLE "/pause_bundle"

/* Does the metadata of an image_guest_pull storage (its driver option "image_guest_pull={JSON}")
 * say that the image is a sandbox's? */
bool pause_wanted(const Grpc__Storage *storage);

/* Lays the bundle's root, with memory above it for what the container writes, on a mount point. For
 * helpers. */
int pause_mount(const char *mount_point, const char *container_id, struct error *err);

/* A sandbox's container (by its annotations) of which a storage is image_guest_pull runs what the
 * bundle's config.json says, whatever the host asks for. 1: it is none. */
int pause_process(struct oci_spec *spec, Grpc__Storage *const *storages, size_t n,
                  const char *bundle, struct error *err);
