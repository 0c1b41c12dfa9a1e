/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit_port: tells the host how the guest's only program ended.
 *
 * The host gives the guest a virtio console port named "kihon.exit"; the guest writes one line,
 * "exit N\n", N being 0..255 as of a shell (128 + signal for a death by signal).
 */
#pragma once

#include <stdint.h>

#include "lib/base/error.h"

#define EXIT_PORT_NAME "kihon.exit"

/* Waits at most `ms` for the port and for the host to listen. 0 when the host has the line,
 * 1 when there is no such port. -ETIMEDOUT when nobody listened. `sysfs` and `dev` are "/sys"
 * and "/dev" but for tests. */
int exit_port_report(const char *sysfs, const char *dev, int status, uint64_t ms,
                     struct error *err);
