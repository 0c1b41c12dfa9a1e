/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passt: a guest's user network, by the program passt(1), which needs no root.
 *
 * It speaks for the guest with ordinary sockets of the host, and sees the guest's frames on a unix
 * stream (host-shim/vmm/devices/net_backend.h). The guest is given what QEMU's user network gives
 * one: 10.0.2.15, this host's loopback at 10.0.2.2, DNS at 10.0.2.3; no port of the host is
 * forwarded. The process ends when the guest's end of the stream is closed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

#define PASST_MTU 65520u /* bytes: nothing between the guest and passt is narrower */

struct passt {
	pid_t pid;  /* 0: none runs */
	int errors; /* what it complains of; does not block */
};

/* Whether the program is in PATH; passt_start() says it as one line. */
bool passt_found(void);
int passt_check(struct error *err);

/* *stream: the guest's end, the caller's to close. */
int passt_start(struct passt *p, int *stream, struct error *err);

/* The same for who does not stay: it outlives the caller, and ends with the stream. */
int passt_leave(struct passt *p, int *stream, struct error *err);

/* Why it ended, one line in fresh memory. */
char *passt_failure(struct passt *p, int wait_status);

/* Ends it and waits. */
void passt_stop(struct passt *p);
