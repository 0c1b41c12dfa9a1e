/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscall_unknown: the start of a seccomp filter that answers ENOSYS to system calls which are
 * newer than the profile.
 *
 * A profile refuses what it does not name, mostly with EPERM. A C library that tries a new system
 * call and would go back to an old one on ENOSYS gives up on EPERM. So what has a greater number
 * than all that the profile names counts as unknown, as runc has it: numbers are given in the order
 * of time.
 */
#pragma once

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/oci/runtime_spec.h"

#define SYSCALL_UNKNOWN_MAX 128 /* instructions */

/* Instructions that go before a filter, for these architectures (libseccomp's SCMP_ARCH_*); how
 * many there are. */
size_t syscall_unknown_write(const struct oci_seccomp *s, const uint32_t *arches, size_t n,
                             struct sock_filter out[SYSCALL_UNKNOWN_MAX]);
