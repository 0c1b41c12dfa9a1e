/* SPDX-License-Identifier: Apache-2.0 */
/* describe: prints the command that would run a guest, for a person or a shell. */
#pragma once

#include "host-shim/hypervisor/hypervisor.h"

/* One line on standard output, its words quoted as a shell wants them. */
int describe_guest(struct hypervisor *hv, struct error *err);
