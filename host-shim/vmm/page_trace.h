/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page_trace: has the page tables of this process show which pages of a guest's memory were
 * touched, and no others.
 *
 * Who reads a page of a mapped file has those around it mapped at once, as far as the mapping goes
 * and the page cache has them (Linux mm/memory.c, do_fault_around()). A processor's accesses would
 * show in groups of 16 pages, most of which it never looked at.
 */
#pragma once

#include "host-shim/vmm/memory.h"

/* The most that are told apart: the kernel bounds a process's mappings (vm.max_map_count, 65530).
 */
#define PAGE_TRACE_MAX 32768u /* pages */

/* Makes each page of `m` that the page cache has a mapping of its own, of the same content. To be
 * called before the first is touched. Where the kernel has no room for so many, or would not tell,
 * pages next to those that are touched are shown with them, as without it. */
void page_trace_begin(const struct guest_memory *m);
