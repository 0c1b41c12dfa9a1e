/* SPDX-License-Identifier: Apache-2.0 */
/* kinds: the names of the kinds of events. */
#pragma once

#include <stdint.h>

#include "guest/trace/bpf/record.h"
#include "lib/base/error.h"

#define TRACE_ALL_KINDS ((1u << TRACE_N_KINDS) - 1)

/* NULL: there is no such kind. */
const char *trace_kind_name(unsigned int kind);
/* "exec,exit", or "all", into bits. -EINVAL names what is no kind, and those that are. */
int trace_kinds_parse(const char *list, uint32_t *bits, struct error *err);
