/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux_image: a bzImage as a firmware gets it from QEMU (Linux,
 * Documentation/arch/x86/boot.rst; QEMU, hw/i386/x86-common.c, x86_load_linux).
 *
 * With -kernel, QEMU is a boot loader: it fills in fields of the setup header before it hands
 * the kernel over, and so changes what the firmware measures. SEV guests get the file as it is,
 * other confidential guests from 10.2 on, others when their firmware takes the kernel from
 * etc/boot/kernel (QEMU 10.0, edk2-stable202502).
 */
#pragma once

#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/measure/sha.h"

/* -EINVAL (kind input) for what is no bzImage of boot protocol 2.12 or later (Linux 3.8). */
int linux_image_check(const struct blob *kernel, struct error *err);

/* The command line that the kernel keeps: 2047 bytes, without the NUL (COMMAND_LINE_SIZE). */
#define LINUX_CMDLINE_MAX 2047

/* The kernel with the header as QEMU's pc and q35 machines fill it in; out is appended to.
 * memory: of the guest, in bytes; initrd_size 0: there is none. */
int linux_image_as_loaded(const struct blob *kernel, uint64_t memory, uint64_t initrd_size,
                          struct buffer *out, struct error *err);
