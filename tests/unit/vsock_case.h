/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_case: what the cases of the vsock device have in common: one bench, packets sent, and the
 * packet that must come. */
#pragma once

#include "check.h"
#include "host-shim/vmm/devices/vsock_conn.h"
#include "host-shim/vmm/devices/vsock_mux.h"
#include "tests/unit/vsock_bench.h"

#define BUFFERS 32

static struct bench b;
static struct vsock_header got;
static uint8_t payload[BENCH_RX_SIZE];

static inline void start(void)
{
	bench_start(&b, -1, 64, 0);
	bench_offer_rx(&b, 0, BUFFERS);
}

static inline void send_op(uint16_t op, uint32_t guest_port, uint32_t host_port)
{
	struct vsock_header h = bench_header(op, guest_port, host_port);

	bench_send(&b, &h, "", 0);
}

static inline void send_data(uint32_t guest_port, uint32_t host_port, const void *data, size_t size)
{
	struct vsock_header h = bench_header(VSOCK_OP_RW, guest_port, host_port);

	h.len = (uint32_t)size;
	bench_send(&b, &h, data, size);
}

static inline void send_shutdown(uint32_t flags)
{
	struct vsock_header h = bench_header(VSOCK_OP_SHUTDOWN, 1000, 5000);

	h.flags = flags;
	bench_send(&b, &h, "", 0);
}

static inline void expect(uint16_t op)
{
	check_int(bench_receive(&b, &got, payload), 1);
	check_int(got.op, op);
	check_int(got.dst_cid, BENCH_CID);
}

static inline void expect_nothing(void)
{
	bench_turn(&b);
	check_int(bench_receive(&b, &got, payload), 0);
}

/* Guest port 1000 to host port 5000; the program's end is b.host[0]. */
static inline void open_stream(void)
{
	send_op(VSOCK_OP_REQUEST, 1000, 5000);
	expect(VSOCK_OP_RESPONSE);
	check_int(got.src_cid, VSOCK_CID_HOST);
	check_int(got.src_port, 5000);
	check_int(got.dst_port, 1000);
	check_int(got.buf_alloc, VSOCK_BUF_ALLOC);
}
