/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock_mux: all streams of one guest, between packets and host sockets.
 *
 * Packets go in by vsock_mux_receive() and come out by vsock_mux_next();
 * whoever owns the queues is woken when there may be one to fetch. Streams that
 * the guest opens are connected by the `connect` function of the configuration;
 * streams that the host opens are handed in as connected sockets. A refusal is
 * an RST at once. Bounded: VSOCK_CONNS_MAX streams, VSOCK_REFUSALS_MAX refusals
 * that wait for room in the guest (virtio 1.2 §5.10.6.1: then nothing more is
 * taken from the guest until it makes room).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "host-shim/vmm/devices/vsock_packet.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

#define VSOCK_CONNS_MAX    1024
#define VSOCK_REFUSALS_MAX 256
/* A guest that does not answer a request, or a shutdown with RST, for this long (ms). */
#define VSOCK_REQUEST_TIMEOUT  30000
#define VSOCK_SHUTDOWN_TIMEOUT 30000

struct vsock_mux;
struct vsock_conn;

struct vsock_mux_config {
	uint64_t guest_cid;
	/* A connected, non-blocking stream socket for the host's `port`, or a negative errno
	 * value: the guest is refused. */
	int (*connect)(void *data, uint32_t port);
	/* A packet may have become available. Never called from vsock_mux_next(). */
	void (*wake)(void *data);
	void *data;
};

int vsock_mux_new(struct vsock_mux **out, struct loop *loop, const struct vsock_mux_config *config,
                  struct error *err);
/* Closes all host sockets. NULL is fine. */
void vsock_mux_free(struct vsock_mux *mux);
DEFINE_CLEANUP(struct vsock_mux, vsock_mux, vsock_mux_free)

/* Drops all streams without a word to the guest (it was reset). */
void vsock_mux_reset(struct vsock_mux *mux);

/* False while replies cannot be held: fetch some first. */
bool vsock_mux_can_receive(const struct vsock_mux *mux);

/* One packet from the guest; `payload` holds what the buffer had after the header, which
 * may be more or less than header->len. */
void vsock_mux_receive(struct vsock_mux *mux, const struct vsock_header *header,
                       const struct iovec *payload, size_t n);

/* Whether vsock_mux_next() could have a packet. */
bool vsock_mux_pending(const struct vsock_mux *mux);
/* The next packet for the guest; its payload is read straight into iov (which may have no
 * room at all: then only packets without payload come). False: none. */
bool vsock_mux_next(struct vsock_mux *mux, struct vsock_header *header, const struct iovec *iov,
                    size_t n);

/* The host asks for a stream to the guest's port on the connected socket fd, which is
 * taken. When the guest accepts, "OK <host port>\n" is written to fd; when it refuses,
 * fd is closed. -EMFILE: too many streams; fd is the caller's then. */
int vsock_mux_open(struct vsock_mux *mux, int fd, uint32_t guest_port, struct error *err);
