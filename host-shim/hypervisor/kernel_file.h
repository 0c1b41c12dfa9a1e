/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_file: is the file of a guest kernel whole? QEMU trusts its headers and crashes on a cut
 * one. Looks at the header and the lengths that it tells: ELF (System V gABI, chapter 4 and 5) and
 * bzImage (Linux Documentation/arch/x86/boot.rst). What is neither is left to the back end to
 * refuse. */
#pragma once

#include "lib/base/error.h"

/* 0, or -EINVAL (ERROR_INPUT) and one line that says what is wrong with it. */
int kernel_file_check(const char *path, struct error *err);
