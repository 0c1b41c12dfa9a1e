/* SPDX-License-Identifier: Apache-2.0 */
/* builtin_control: answers the requests of control.h, in the monitor's process. */
#pragma once

#include "host-shim/hypervisor/builtin_parts.h"

/* Serves m->fds->requests for as long as the process lives. */
int builtin_control_start(struct monitor *m, struct error *err);
