/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock_listen: "hybrid vsock", the unix-socket side of a guest's vsock.
 *
 * A client connects to the unix socket of the guest and sends "CONNECT <port>\n"
 * (in any case); it gets "OK <host port>\n" once the guest has accepted, and is
 * hung up on when the guest refuses, answers late, or the line is wrong. A guest
 * that connects to host port P reaches the unix socket "<path>_P".
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "host-shim/vmm/devices/vsock_mux.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

/* Clients that have not sent their line yet; further ones are hung up on. */
#define VSOCK_CLIENTS_MAX 64
/* Milliseconds for the line to come. */
#define VSOCK_CLIENT_TIMEOUT 30000

/* Where a request that a client made goes. Takes fd on success (0). */
typedef int (*vsock_open_fn)(void *data, int fd, uint32_t guest_port);

struct vsock_listener;

/* listen_fd: a listening, non-blocking unix socket; stays the caller's. */
int vsock_listener_new(struct vsock_listener **out, struct loop *loop, int listen_fd,
                       vsock_open_fn open, void *data, struct error *err);
void vsock_listener_free(struct vsock_listener *l); /* NULL is fine */
DEFINE_CLEANUP(struct vsock_listener, vsock_listener, vsock_listener_free)

/* "CONNECT 1024\n" without the newline; -EINVAL for anything else. */
int vsock_parse_connect(const char *line, size_t size, uint32_t *port);

/* Makes the listening socket at `path` (mode 0600, the folder must exist). The path must
 * leave room for "_4294967295" in a socket address: -ENAMETOOLONG. Returns the descriptor. */
int vsock_bind(const char *path, struct error *err);

/* Connects to "<path>_<port>": a non-blocking descriptor or a negative errno value. */
int vsock_connect_path(const char *path, uint32_t port);
