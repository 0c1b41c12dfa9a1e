/* SPDX-License-Identifier: Apache-2.0 */
/* guid: UEFI's 16-byte names (UEFI 2.10, appendix A), in the order that memory has them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define GUID_SIZE 16

/* "96b582de-1fb2-45f7-baea-a366c55a082d", which must be well formed, as bytes: the first three
 * groups are little endian. */
void guid_bytes(const char *text, uint8_t out[GUID_SIZE]);
bool guid_is(const uint8_t *bytes, const char *text);
