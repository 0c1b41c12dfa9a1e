/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event: the kernel's records as lines of JSON (docs/trace.md). What programs chose freely - names,
 * paths, addresses - is escaped, and what is not UTF-8 replaced, so that a line is always one line.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

/* Longest line: a path of control characters only (six bytes each), and what goes with it. */
#define TRACE_LINE_MAX (6 * 4096 + 1024)

/* Appends the line, its end included, of one record of the ring buffer. real_offset_ns:
 * CLOCK_REALTIME less CLOCK_BOOTTIME. -EBADMSG, and nothing appended, when it is no record. */
int trace_event_write(const uint8_t *record, size_t size, int64_t real_offset_ns,
                      struct buffer *out, struct error *err);

/* Lines of our own, at a time of CLOCK_REALTIME in ns. */
void trace_start_write(uint64_t now_ns, uint32_t kinds, struct buffer *out);
void trace_lost_write(uint64_t now_ns, uint64_t count, struct buffer *out);
void trace_end_write(uint64_t now_ns, struct buffer *out);
