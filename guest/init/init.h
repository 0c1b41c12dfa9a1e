/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init: what the first process of the guest does before it turns to its own work.
 *
 * init_setup() brings the guest from "the kernel has just executed us" to "an ordinary program
 * may run": file systems, console, limits, loopback, entropy, clock, host name. Nothing in it
 * sleeps, polls or waits for the host. A step whose failure leaves a usable guest is logged and
 * skipped; only a guest without /proc, /sys, /dev or /run is an error.
 */
#pragma once

#include "cmdline.h"
#include "lib/base/error.h"

/* For pid 1 only (-EPERM otherwise). Fills *cmdline. Writes the mark "init" for the moment of
 * the call, so call it first. The environment is replaced by PATH, HOME and TERM: the kernel
 * hands unknown words to pid 1 as arguments and environment, and those are not ours. */
int init_setup(struct cmdline *cmdline, struct error *err);

/* For struct process_opts.before_drop of every program started by pid 1: pid 1 is exempt from the
 * OOM killer and has a high limit of open files, its children are and have not. Needs root (after
 * a change of user /proc/self is root's). Returns 0 or an errno value. `unused` is ignored. */
int init_child_reset(void *unused);
