/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock_conn: one stream between a guest port and a host socket: its state, its
 * credit in both directions, and the packets it still owes the guest.
 *
 * Knows no queue and no event loop. Memory: at most VSOCK_BUF_ALLOC bytes of
 * guest data wait for a host socket that does not read; data for the guest is
 * never held, it stays in the host socket until the guest has room.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "host-shim/vmm/devices/vsock_packet.h"
#include "lib/base/bytes.h"
#include "lib/base/loop.h"

/* What we announce as buf_alloc, and hence the most a connection holds. */
#define VSOCK_BUF_ALLOC (64u << 10)

enum vsock_state {
	VSOCK_REQUESTED, /* the host asked, the guest has not answered */
	VSOCK_ESTABLISHED,
	VSOCK_ABORTED, /* only RST is left to say */
};

/* Packets that a connection owes the guest; sent in this order. */
enum vsock_owed {
	VSOCK_OWES_RST = 1 << 0,
	VSOCK_OWES_REQUEST = 1 << 1,
	VSOCK_OWES_RESPONSE = 1 << 2,
	VSOCK_OWES_DATA = 1 << 3, /* the host socket may have something to read */
	VSOCK_OWES_CREDIT = 1 << 4,
	VSOCK_OWES_CREDIT_REQUEST = 1 << 5,
	VSOCK_OWES_SHUTDOWN = 1 << 6,
};

struct vsock_conn {
	uint32_t host_port, guest_port; /* the key */
	enum vsock_state state;
	int fd;                  /* owned, non-blocking; -1 when closed */
	struct loop_source *src; /* of fd; NULL when not watched */
	unsigned int owes;       /* enum vsock_owed */
	unsigned int guest_shut; /* VSOCK_SHUTDOWN_*: what the guest will not do any more */
	unsigned int host_shut;  /* and what the host will not */
	bool end_told;           /* the host socket was told that the guest sends no more */
	bool host_hung_up;       /* the host's end is closed: what it sent is all there */
	bool waits_for_credit;   /* data, but no room in the guest */
	bool credit_requested;
	uint64_t deadline; /* loop_now_ms() at which to give up; 0: none */

	/* Guest to host. */
	struct buffer held; /* not taken by the host socket yet, from held_from on */
	size_t held_from;
	uint32_t rx_cnt;   /* bytes from the guest, modulo 2^32 */
	uint32_t fwd_cnt;  /* bytes the host took */
	uint32_t fwd_told; /* fwd_cnt as the guest knows it */

	/* Host to guest. */
	uint32_t tx_cnt; /* bytes given to the guest */
	uint32_t peer_buf_alloc, peer_fwd_cnt;

	struct vsock_conn *hash_next;
	struct vsock_conn *owing_next, *owing_prev; /* in the muxer's list when `owing` */
	bool owing;
	void *mux;
};

/* Bytes the guest has room for (§5.10.6.3). */
uint32_t vsock_conn_peer_free(const struct vsock_conn *c);
/* Bytes the guest may still send as far as we told it or not yet. */
uint32_t vsock_conn_free(const struct vsock_conn *c);
/* Takes buf_alloc and fwd_cnt of any packet of the stream. */
void vsock_conn_take_credit(struct vsock_conn *c, const struct vsock_header *h);

/* Data from the guest: straight to the host socket, what it does not take is held.
 * 0; -ENOBUFS: the guest ignored its credit; -ENOMEM. A host that does not read any
 * more is no error: the data is dropped and SHUTDOWN(receive) owed. */
int vsock_conn_deliver(struct vsock_conn *c, const struct iovec *iov, size_t n, size_t len);
/* Tries again with what is held. True when nothing is held any more. */
bool vsock_conn_flush(struct vsock_conn *c);
static inline bool vsock_conn_holds(const struct vsock_conn *c)
{
	return c->held.size > c->held_from;
}

/* Takes the next packet owed: fills the header (addresses by the caller) and reads payload
 * into iov. True when there is one; header.op is VSOCK_OP_RST when the connection is to
 * be forgotten now. */
bool vsock_conn_next(struct vsock_conn *c, struct vsock_header *h, const struct iovec *iov,
                     size_t n);
/* Whether vsock_conn_next() could give something now. */
bool vsock_conn_wants(const struct vsock_conn *c);

/* The host's end is closed for good (host_hung_up): SHUTDOWN of both directions follows what
 * it still had to say. */
void vsock_conn_host_closed(struct vsock_conn *c);

/* Forgets all else and owes RST. */
void vsock_conn_abort(struct vsock_conn *c);
