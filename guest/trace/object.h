/* SPDX-License-Identifier: Apache-2.0 */
/* object: the compiled programs for the kernel, an ELF file in memory. */
#pragma once

#include <stdint.h>

extern const uint8_t trace_object[], trace_object_end[];
