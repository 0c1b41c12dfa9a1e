/* SPDX-License-Identifier: Apache-2.0 */
/* discard: memory of the guest's that it does not need goes back to the host. */
#pragma once

#include <stddef.h>

/* Gives the whole pages inside [host, host + size) back: of a shared mapping a hole is punched into
 * the file, of a private one the pages are dropped. What is read there afterwards is zeros, or the
 * file that is mapped privately. 0 or a negative errno. */
int discard_pages(void *host, size_t size);
