/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper: a function run in a forked child, watched by the loop, with a deadline.
 *
 * For system calls that can block on storage (mount, umount, statfs, stat on a
 * dead share), which an event loop must not make itself. The child is a copy of
 * the caller at the time of the call: it may read everything and changes
 * nothing of it; only its error and `out` come back. loop_watch_children() must
 * have been called.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/loop.h"

#define HELPER_OUT_MAX 2048u

/* In the child: does the work. `out` (zeroed, HELPER_OUT_MAX bytes) goes back when it
 * returns 0 or more. May block. Must not return to the caller's loop. */
typedef int (*helper_fn)(void *data, void *out, struct error *err);

/* In the caller, once: the child's result; -ETIMEDOUT when it was too slow (it has been
 * killed, but may still hang in the kernel), -EIO when it died of a signal. */
typedef void (*helper_done_fn)(int result, const void *out, const struct error *err, void *data);

/* Never calls done (which may be NULL) from within itself. Once the child is there, nothing fails
 * any more but what it does. `what` is for error texts ("mounting
 * /dev/vda") and is copied. A helper cannot be cancelled: killed half-way it would leave half the
 * work behind; deadline_ms, which must not be 0, is for one that hangs. */
int helper_run(struct loop *loop, const char *what, helper_fn fn, void *fn_data,
               uint64_t deadline_ms, helper_done_fn done, void *done_data, struct error *err);

/* What must be undone must not fail for want of memory: a helper made ready beforehand, for one run
 * at a time. */
struct helper;
int helper_reserve(struct loop *loop, struct helper **out, struct error *err);
/* As helper_run(), but without a failure: when there is no process or descriptor to be had, it is
 * tried again until there is. A child that dies without a result, or that lacks memory or
 * descriptors, is replaced a few times, so fn must be fit for being run again. The helper stays the
 * caller's, who may use or release it again from `done` on (after -ETIMEDOUT only release it: the
 * child may still hang). */
void helper_run_reserved(struct helper *h, const char *what, helper_fn fn, void *fn_data,
                         uint64_t deadline_ms, helper_done_fn done, void *done_data);
/* NULL is fine. A child that still runs is left to its end, and `done` is not called. */
void helper_release(struct helper *h);
