/* SPDX-License-Identifier: Apache-2.0 */
/* killed: whether a process was killed by the kernel for want of memory, as its log has it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* `kmsg` is /dev/kmsg, where every read(2) is one message (Linux Documentation/ABI/testing/
 * dev-kmsg). False, too, where that cannot be read or the message is gone. */
bool killed_out_of_memory(const char *kmsg, pid_t pid);
