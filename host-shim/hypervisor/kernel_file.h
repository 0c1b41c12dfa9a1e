/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_file: is the file of a guest kernel whole? QEMU trusts its headers and crashes on a cut
 * one.
 *
 * Looks at it as the built-in monitor does (host-shim/vmm/boot/kernel.h). What is of no kind that
 * is known there is left to the back end to refuse.
 */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"

/* 0, or -EINVAL (ERROR_INPUT) and one line that says what is wrong with it. *multiboot: it is a
 * bare-metal kernel with a multiboot header. */
int kernel_file_check(const char *path, bool *multiboot, struct error *err);
