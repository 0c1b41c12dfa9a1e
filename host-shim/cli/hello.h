/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello: the first calls to a guest's agent: whether it is up, and, in a clone, what must not be
 * the template's: random numbers and time. The connection is closed afterwards.
 */
#pragma once

#include "host-shim/hypervisor/hypervisor.h"

/* Milliseconds. Emulated, on a busy machine, a guest takes its time. */
#define HELLO_BOOT_TIMEOUT 120000

struct hello;

/* Once: 0, or a negative errno value and why. */
typedef void (*hello_fn)(void *data, int result, const char *why);

int hello_start(struct hello **out, struct loop *loop, struct hypervisor *hv, bool clone,
                hello_fn fn, void *data, struct error *err);
void hello_free(struct hello *h); /* NULL is fine; not from within fn */
