/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load: the programs in the kernel: from the object that is built into this program to their
 * tracepoints, and the ring buffer that they write to.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "guest/trace/bpf/record.h"
#include "lib/base/error.h"

struct loaded;

/* 0 to go on; anything else ends loaded_read(). */
typedef int (*loaded_fn)(void *data, void *record, size_t size);

/* Loads and attaches what the kinds of config want. They go when this process ends. -ENOTSUP: the
 * kernel has no BPF on tracepoints; -EPERM: this process may not. */
int loaded_new(const struct trace_config *config, loaded_fn fn, void *data, struct loaded **out,
               struct error *err);
void loaded_free(struct loaded *l); /* NULL is fine */

/* Polls POLLIN when there are records. */
int loaded_fd(const struct loaded *l);
/* Calls fn for what is there. */
void loaded_read(struct loaded *l);
/* Records lost since the beginning. */
uint64_t loaded_lost(const struct loaded *l);
