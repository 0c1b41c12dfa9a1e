/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello: the first calls to a guest's agent: whether it is up, and, in a clone, what must not be
 * the template's: random numbers, time, and addresses. The connection is closed afterwards.
 */
#pragma once

#include "host-shim/hypervisor/hypervisor.h"

/* Milliseconds. Emulated, on a busy machine, a guest takes its time. */
#define HELLO_BOOT_TIMEOUT 120000

struct hello;

/* Once: 0, or a negative errno value and why. */
typedef void (*hello_fn)(void *data, int result, const char *why);

/* clone: the network of a guest from a template, which lives as long as this; NULL: it booted. */
int hello_start(struct hello **out, struct loop *loop, struct hypervisor *hv,
                const struct guest_net *clone, hello_fn fn, void *data, struct error *err);
void hello_free(struct hello *h); /* NULL is fine; not from within fn */
