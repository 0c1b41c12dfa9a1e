/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial: connects to a vsock port of a guest that may not be up yet.
 *
 * A guest without the driver, or without a listener, refuses at once; this asks
 * again every few milliseconds until somebody accepts or the time is up, without
 * blocking the loop.
 */
#pragma once

#include "host-shim/hypervisor/hypervisor.h"

#define DIAL_RETRY_MS 10

struct dial;

/* Once: a connected, non-blocking socket that is the callee's now, or -ETIMEDOUT. */
typedef void (*dial_fn)(void *data, int fd);

int dial_start(struct dial **out, struct loop *loop, struct hypervisor *hv, uint32_t port,
               uint64_t timeout_ms, dial_fn fn, void *data, struct error *err);
/* Gives up. To be called at the end, also after fn ran. NULL is fine. */
void dial_free(struct dial *d);
