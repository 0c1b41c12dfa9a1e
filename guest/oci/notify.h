/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify: sd_notify(3) for containers, as runc has it. Who starts us as a service of type "notify"
 * leaves a socket's path in NOTIFY_SOCKET. The container gets one of its own, in a folder on
 * /run/notify, and what it says of being ready is passed on. Nothing else is: a container's word
 * must not change how its service is managed.
 */
#pragma once

#include <sys/types.h>

#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

/* Without NOTIFY_SOCKET these do nothing. */

/* At create: the folder in the record, its mount and the variable in the specification. */
int notify_prepare(const char *id, struct oci_spec *spec, struct error *err);
/* Before the program starts: the socket, -1 for none, a negative errno below -1 never. */
int notify_listen(const char *id, int *fd, struct error *err);
/* Waits until the program of process `pid` says READY=1, and tells that with `main_pid`; or until
 * the process has ended. */
void notify_forward(int fd, pid_t pid, pid_t main_pid);
