/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authenticode: the digest of a PE image as firmware takes it: all but the checksum and the
 * signatures (Microsoft, Windows Authenticode Portable Executable Signature Format; TCG PC
 * Client Platform Firmware Profile, 3.3.4.1).
 */
#pragma once

#include <stdbool.h>

#include "lib/measure/sha.h"

#define AUTHENTICODE_MAX_SECTIONS 96 /* PE format: the loader's limit */

/* It begins as a PE image does; a Linux kernel without an EFI stub does not. */
bool authenticode_is_pe(const struct blob *image);

/* -EINVAL (kind input) for what is no well-formed PE image. */
int authenticode_digest(const struct blob *image, enum sha_alg alg, uint8_t *out,
                        struct error *err);
