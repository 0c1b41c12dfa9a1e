/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay: bytes from one descriptor to another on the loop, one direction, one small buffer.
 *
 * Nothing is read while the other side does not take what was read. The descriptors are
 * duplicated and made non-blocking; several relays may share one.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/loop.h"

struct relay;

/* Once: `from` ended (or broke) and everything read was written, or `to` does not take more. Free
 * the relay here or later. */
typedef void (*relay_done_fn)(struct relay *relay, void *data);

int relay_new(struct loop *loop, int from, int to, relay_done_fn done, void *data,
              struct relay **out, struct error *err);
/* Takes what is there and no more: an empty `from` counts as its end. For a writer that is gone
 * while somebody else keeps the other end open. */
void relay_finish(struct relay *relay);
/* Closes its copies. NULL is fine. done is not called. */
void relay_free(struct relay *relay);
