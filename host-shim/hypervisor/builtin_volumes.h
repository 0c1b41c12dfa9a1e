/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builtin_volumes: devices that are put into a guest's empty slots while it runs, by their ids; in
 * the monitor's process. They leave with it.
 */
#pragma once

#include "host-shim/hypervisor/builtin_parts.h"
#include "host-shim/hypervisor/control.h"
#include "lib/base/bytes.h"

struct builtin_volumes;

int builtin_volumes_new(struct builtin_volumes **out, struct monitor *m, struct error *err);

/* CONTROL_ATTACH and so on. *fd is taken on success, and when the device cannot be made. */
int builtin_volumes_attach(struct builtin_volumes *vs, const struct control_request *req, int *fd,
                           uint64_t *slot, struct error *err);
int builtin_volumes_detach(struct builtin_volumes *vs, const struct control_request *req,
                           struct error *err);
int builtin_volumes_find(struct builtin_volumes *vs, const struct control_request *req,
                         uint64_t *slot, struct error *err);
void builtin_volumes_list(const struct builtin_volumes *vs, const struct control_request *req,
                          struct buffer *text);
