/* SPDX-License-Identifier: Apache-2.0 */
/* vcpu_exit: what a processor's thread does when the guest stops running, by reason. */
#pragma once

#include "host-shim/vmm/vcpus.h"

/* After KVM_RUN, whose errno value (or 0) is `error`. */
void vcpu_exit(struct vcpu *v, int error);

/* The name of a reason ("mmio"), for statistics; NULL: it has none here. */
const char *vcpu_exit_name(unsigned int reason);
