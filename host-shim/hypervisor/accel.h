/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accel: whether this host's KVM can run an unmodified Linux at speed.
 *
 * /dev/kvm that opens is not enough: page-table based KVM (PVM) has no
 * hardware virtualisation below it and runs an ordinary kernel a thousand
 * times too slowly, which looks like a hang.
 */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"

enum accel { ACCEL_AUTO, ACCEL_KVM, ACCEL_TCG };

struct accel_choice {
	enum accel accel; /* ACCEL_KVM or ACCEL_TCG */
	bool pvm;         /* the KVM there is is PVM */
	char why[128];    /* for ACCEL_TCG chosen by ACCEL_AUTO: what is wrong with KVM, else "" */
};

/* root: "" but for tests; files below it are dev/kvm, proc/cpuinfo, sys/module. Never fails
 * for ACCEL_AUTO; ACCEL_KVM fails (-ENOENT, -EACCES, ...) when /dev/kvm cannot be opened. */
int accel_choose(enum accel wanted, const char *root, struct accel_choice *out, struct error *err);
