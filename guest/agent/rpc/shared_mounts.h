/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared_mounts: what a container mounted for itself, shown in another one of the pod: the
 * shared_mounts of CreateContainerRequest. A source container is meant by its name in the pod
 * (annotation); one that there is not, or that does not mount in time, is passed over, as by Kata's
 * agent.
 */
#pragma once

#include "guest/agent/sandbox_container.h"
#include "lib/rpc/proto/agent.pb-c.h"

typedef void (*shared_mounts_fn)(int result, const struct error *err, void *data);

/* The name that the annotations of a specification give a container, or NULL. */
const char *shared_mounts_name(const struct oci_spec *spec);

/* Puts the mounts into `c`, whose init waits before its program. 1: there are none; 0: `done`
 * follows, never from within. The request must stay until then. */
int shared_mounts_add(struct sandbox_container *c, const Grpc__CreateContainerRequest *req,
                      shared_mounts_fn done, void *data, struct error *err);
