/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marks: where the guest says how far its boot has come, so that boot cost can be counted.
 *
 * When `kihon.marks` is a kernel word, a mark is one line on the console,
 *
 *	kihon-mark NAME TICKS NANOSECONDS
 *
 * TICKS is the time stamp counter, NANOSECONDS is CLOCK_MONOTONIC; both are read before the
 * line is written. Without the word a mark is a test of one flag.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct boot_stamp {
	uint64_t ticks;
	uint64_t ns;
};

/* Two clock reads, no system call where the vDSO has the clock. */
struct boot_stamp boot_stamp_now(void);

/* Turns marks on for this process (init_setup() does, when the kernel word is there). */
void boot_marks_enable(bool on);

/* NAME: letters, digits and '-', at most 32 of them. */
void boot_mark(const char *name);
/* The same for a moment that lies in the past. */
void boot_mark_at(const char *name, struct boot_stamp stamp);
