/* SPDX-License-Identifier: Apache-2.0 */
/* resolv: the guest's own /etc/resolv.conf. */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"
#include "net_types.h"

#define RESOLV_PATH "/run/resolv.conf"

/* Writes RESOLV_PATH in place (a bind mount of it shows the new text) and, the first time, binds
 * it over /etc/resolv.conf when that is a regular file. */
int resolv_write(const struct net_addr *dns, size_t n, const char *domain, struct error *err);
