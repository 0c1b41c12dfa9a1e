/* SPDX-License-Identifier: Apache-2.0 */
/* qemu_confidential: the part of QEMU's command line that makes a guest a confidential one. */
#pragma once

#include "host-shim/hypervisor/confidential.h"
#include "lib/base/str.h"

/* What -machine is told, to be put behind the rest; "" for NULL, an ordinary guest. */
const char *qemu_confidential_machine(const struct confidential *c);

/* Firmware and the object with the launch parameters; nothing for NULL. Non-zero when the memory is
 * full. */
int qemu_confidential_add(struct strv *args, const struct confidential *c);

/* A value of an option, in fresh memory: a comma would end it, and is doubled. */
char *qemu_quote(const char *value);
