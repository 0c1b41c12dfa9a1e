/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of the vsock device on plain memory, by clause of virtio 1.2 §5.10. */
#include "tests/unit/vsock_case.h"

TEST(s5_10_4_configuration_is_the_guest_cid)
{
	uint8_t bytes[16];

	start();
	memset(bytes, 0xee, sizeof(bytes));
	b.dev->ops->config_read(b.dev, 0, bytes, sizeof(bytes));
	check_int(bytes[0], BENCH_CID);
	for (int i = 1; i < 16; i++)
		check_int(bytes[i], 0);
	b.dev->ops->config_read(b.dev, SIZE_MAX, bytes, 8);
	check_int(bytes[0], 0);
	check_int(b.dev->ops->id, 19);
	bench_stop(&b);
}

/* 5.10.6.4.2: none of the reserved ones. */
TEST(s5_10_4_reserved_cids_are_refused)
{
	static const uint64_t reserved[] = {0, 1, 2, 0xffffffff, 0x100000003, UINT64_MAX};
	struct error err = ERROR_INIT;
	struct virtio_device *dev = NULL;
	struct loop *loop = NULL;

	check_int(loop_new(&loop, NULL), 0);
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		struct vsock_config c = {.guest_cid = reserved[i], .listen_fd = -1};

		check_int(vsock_device_new(&dev, loop, &c, &err), -EINVAL);
	}
	loop_free(loop);
}

TEST(s5_10_6_5_guest_connects_and_talks)
{
	char text[16] = "";

	start();
	open_stream();
	send_data(1000, 5000, "hello", 5);
	check_int(read(b.host[0], text, sizeof(text)), 5);
	check_str(text, "hello");
	check_int(write(b.host[0], "world!", 6), 6);
	bench_turn(&b);
	expect(VSOCK_OP_RW);
	check_int(got.len, 6);
	check_mem(payload, "world!", 6);
	check_int(got.fwd_cnt, 5); /* what the host took of us */
	expect_nothing();
	bench_stop(&b);
}

TEST(s5_10_6_5_refusal_is_rst_at_once)
{
	start();
	b.refuse = ECONNREFUSED;
	send_op(VSOCK_OP_REQUEST, 1000, 5000);
	expect(VSOCK_OP_RST);
	check_int(got.src_port, 5000);
	check_int(got.dst_port, 1000);
	bench_stop(&b);
}

TEST(s5_10_6_5_packets_of_no_stream_are_answered_with_rst)
{
	static const uint16_t ops[] = {VSOCK_OP_INVALID,
	                               VSOCK_OP_RESPONSE,
	                               VSOCK_OP_SHUTDOWN,
	                               VSOCK_OP_RW,
	                               VSOCK_OP_CREDIT_UPDATE,
	                               VSOCK_OP_CREDIT_REQUEST,
	                               999};

	start();
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		send_op(ops[i], 1000, 5000);
		expect(VSOCK_OP_RST);
	}
	send_op(VSOCK_OP_RST, 1000, 5000); /* but never RST with RST */
	expect_nothing();
	bench_stop(&b);
}

TEST(s5_10_6_3_unknown_type_is_answered_with_rst)
{
	struct vsock_header h = bench_header(VSOCK_OP_REQUEST, 1, 2);

	start();
	h.type = 77;
	bench_send(&b, &h, "", 0);
	expect(VSOCK_OP_RST);
	check_int(got.type, 77);
	bench_stop(&b);
}

TEST(s5_10_6_3_addresses)
{
	struct vsock_header h = bench_header(VSOCK_OP_REQUEST, 1, 2);

	start();
	h.src_cid = BENCH_CID + 1; /* not the guest's own: dropped */
	bench_send(&b, &h, "", 0);
	h.src_cid = BENCH_CID | 1ull << 32;
	bench_send(&b, &h, "", 0);
	expect_nothing();
	h.src_cid = BENCH_CID;
	h.dst_cid = 9; /* nobody: refused as if from there */
	bench_send(&b, &h, "", 0);
	expect(VSOCK_OP_RST);
	check_int(got.src_cid, 9);
	bench_stop(&b);
}

TEST(s5_10_6_5_request_on_an_open_stream_aborts_it)
{
	char c;

	start();
	open_stream();
	send_op(VSOCK_OP_REQUEST, 1000, 5000);
	expect(VSOCK_OP_RST);
	check_int(read(b.host[0], &c, 1), 0);
	bench_stop(&b);
}

TEST(s5_10_6_5_rst_ends_the_stream)
{
	char c;

	start();
	open_stream();
	send_op(VSOCK_OP_RST, 1000, 5000);
	check_int(read(b.host[0], &c, 1), 0);
	expect_nothing();
	open_stream(); /* the ports are free again */
	bench_stop(&b);
}

TEST(s5_10_6_5_guest_half_closes)
{
	char c;

	start();
	open_stream();
	send_data(1000, 5000, "x", 1);
	send_shutdown(VSOCK_SHUTDOWN_SEND);
	check_int(read(b.host[0], &c, 1), 1);
	check_int(read(b.host[0], &c, 1), 0); /* the end; but the other way is open */
	check_int(write(b.host[0], "y", 1), 1);
	bench_turn(&b);
	expect(VSOCK_OP_RW);
	send_data(1000, 5000, "z", 1); /* after it said it would not */
	expect(VSOCK_OP_RST);
	bench_stop(&b);
}

TEST(s5_10_6_5_shutdown_hints_are_permanent)
{
	start();
	open_stream();
	send_shutdown(VSOCK_SHUTDOWN_SEND);
	expect_nothing();
	send_shutdown(VSOCK_SHUTDOWN_RECEIVE); /* both by now */
	expect(VSOCK_OP_RST);
	bench_stop(&b);
}

TEST(s5_10_6_5_clean_disconnect_is_answered_with_rst)
{
	char c;

	start();
	open_stream();
	send_data(1000, 5000, "x", 1);
	send_shutdown(VSOCK_SHUTDOWN_BOTH);
	expect(VSOCK_OP_RST);
	check_int(read(b.host[0], &c, 1), 1); /* what came before is not lost */
	check_int(read(b.host[0], &c, 1), 0);
	bench_stop(&b);
}

TEST(s5_10_6_5_host_half_closes)
{
	char c;

	start();
	open_stream();
	check_int(write(b.host[0], "x", 1), 1);
	shutdown(b.host[0], SHUT_WR);
	bench_turn(&b);
	expect(VSOCK_OP_RW);
	expect(VSOCK_OP_SHUTDOWN);
	check_int(got.flags, VSOCK_SHUTDOWN_SEND);
	send_data(1000, 5000, "y", 1);
	check_int(read(b.host[0], &c, 1), 1);
	expect_nothing();
	bench_stop(&b);
}

TEST(s5_10_6_5_host_closes)
{
	start();
	open_stream();
	check_int(write(b.host[0], "x", 1), 1);
	bench_close_host(&b, 0);
	bench_turn(&b);
	expect(VSOCK_OP_RW);
	expect(VSOCK_OP_SHUTDOWN);
	check_int(got.flags, VSOCK_SHUTDOWN_BOTH);
	expect_nothing();
	send_op(VSOCK_OP_RST, 1000, 5000);
	expect_nothing();
	open_stream();
	bench_stop(&b);
}

TEST(s5_10_6_5_host_closes_after_half_closing)
{
	start();
	open_stream();
	shutdown(b.host[0], SHUT_WR);
	bench_turn(&b);
	expect(VSOCK_OP_SHUTDOWN);
	bench_close_host(&b, 0);
	bench_turn(&b);
	expect(VSOCK_OP_SHUTDOWN); /* not RST: the guest may not have read all yet */
	check_int(got.flags, VSOCK_SHUTDOWN_BOTH);
	send_data(1000, 5000, "x", 1); /* on its way before the guest knew */
	expect_nothing();
	bench_stop(&b);
}

TEST(host_that_reads_no_more)
{
	start();
	open_stream();
	shutdown(b.host[0], SHUT_RD);
	send_data(1000, 5000, "x", 1);
	expect(VSOCK_OP_SHUTDOWN);
	check_int(got.flags, VSOCK_SHUTDOWN_RECEIVE);
	bench_stop(&b);
}

TEST(s5_10_6_3_data_waits_for_credit)
{
	struct vsock_header h = bench_header(VSOCK_OP_REQUEST, 1000, 5000);

	start();
	h.buf_alloc = 10;
	bench_send(&b, &h, "", 0);
	expect(VSOCK_OP_RESPONSE);
	check_int(write(b.host[0], "0123456789abcdef", 16), 16);
	bench_turn(&b);
	expect(VSOCK_OP_RW);
	check_int(got.len, 10);
	expect(VSOCK_OP_CREDIT_REQUEST);
	expect_nothing();
	h.op = VSOCK_OP_CREDIT_UPDATE;
	h.fwd_cnt = 4;
	bench_send(&b, &h, "", 0);
	expect(VSOCK_OP_RW);
	check_int(got.len, 4);
	check_mem(payload, "abcd", 4);
	expect(VSOCK_OP_CREDIT_REQUEST);
	h.buf_alloc = 0; /* a guest that takes back what it gave */
	bench_send(&b, &h, "", 0);
	expect_nothing();
	h.buf_alloc = 10;
	h.fwd_cnt = 14;
	bench_send(&b, &h, "", 0);
	expect(VSOCK_OP_RW);
	check_mem(payload, "ef", 2);
	bench_stop(&b);
}

TEST(end_of_the_host_is_seen_without_credit)
{
	struct vsock_header h = bench_header(VSOCK_OP_REQUEST, 1000, 5000);

	start();
	h.buf_alloc = 0;
	bench_send(&b, &h, "", 0);
	expect(VSOCK_OP_RESPONSE);
	bench_close_host(&b, 0);
	bench_turn(&b);
	expect(VSOCK_OP_SHUTDOWN);
	check_int(got.flags, VSOCK_SHUTDOWN_BOTH);
	bench_stop(&b);
}

TEST(s5_10_6_3_credit_request_is_answered)
{
	start();
	open_stream();
	send_op(VSOCK_OP_CREDIT_REQUEST, 1000, 5000);
	expect(VSOCK_OP_CREDIT_UPDATE);
	check_int(got.buf_alloc, VSOCK_BUF_ALLOC);
	check_int(got.fwd_cnt, 0);
	bench_stop(&b);
}

/* Fills the host's socket and what the device holds; returns bytes sent. */
static size_t fill_up(void)
{
	static uint8_t block[16384];
	size_t sent = 0, room = VSOCK_BUF_ALLOC;

	while (room >= sizeof(block)) {
		struct vsock_header h;

		send_data(1000, 5000, block, sizeof(block));
		sent += sizeof(block);
		send_op(VSOCK_OP_CREDIT_REQUEST, 1000, 5000);
		while (bench_receive(&b, &h, NULL)) {
			check_int(h.op, VSOCK_OP_CREDIT_UPDATE);
			room = h.buf_alloc - ((uint32_t)sent - h.fwd_cnt);
		}
	}
	return sent;
}

TEST(s5_10_6_3_held_data_is_bounded_and_delivered)
{
	uint8_t sink[4096];
	size_t sent, have = 0;

	start();
	open_stream();
	sent = fill_up();
	check(sent > VSOCK_BUF_ALLOC);
	for (int i = 0; i < 1000 && have < sent; i++) {
		ssize_t n;

		while ((n = read(b.host[0], sink, sizeof(sink))) > 0)
			have += (size_t)n;
		bench_turn(&b);
	}
	check_int(have, sent);
	/* The guest learns that there is room again. */
	while (bench_receive(&b, &got, NULL))
		check_int(got.op, VSOCK_OP_CREDIT_UPDATE);
	check(got.fwd_cnt > (uint32_t)sent - VSOCK_BUF_ALLOC / 2 - 1);
	bench_stop(&b);
}

TEST(s5_10_6_3_guest_that_ignores_credit_is_cut_off)
{
	static uint8_t block[16384];

	start();
	open_stream();
	fill_up();
	send_data(1000, 5000, block, sizeof(block));
	expect(VSOCK_OP_RST);
	bench_stop(&b);
}

TEST(clean_end_waits_for_held_data)
{
	uint8_t sink[4096];
	size_t sent, have = 0;
	ssize_t n;

	start();
	open_stream();
	sent = fill_up();
	send_shutdown(VSOCK_SHUTDOWN_BOTH);
	expect_nothing(); /* no RST yet */
	for (int i = 0; i < 1000 && have < sent; i++) {
		while ((n = read(b.host[0], sink, sizeof(sink))) > 0)
			have += (size_t)n;
		bench_turn(&b);
	}
	check_int(have, sent);
	while (bench_receive(&b, &got, NULL) && got.op == VSOCK_OP_CREDIT_UPDATE)
		;
	check_int(got.op, VSOCK_OP_RST);
	check_int(read(b.host[0], sink, 1), 0);
	bench_stop(&b);
}

TEST(length_beyond_the_buffer_aborts_the_stream)
{
	struct vsock_header h = bench_header(VSOCK_OP_RW, 1000, 5000);

	start();
	open_stream();
	h.len = 6;
	bench_send(&b, &h, "12345", 5);
	expect(VSOCK_OP_RST);
	bench_stop(&b);
}

TEST(s5_10_6_7_transport_reset_event)
{
	struct driver_ring *r = &b.ring[VSOCK_QUEUE_EVENT];
	uint32_t id, len;
	uint8_t *at;
	int pair[2];
	char c;

	start();
	open_stream();
	at = b.ram + driver_data(r);
	memset(at, 0xff, 8);
	vsock_device_transport_reset(b.dev); /* before there is a buffer for it */
	check_int(read(b.host[0], &c, 1), 0);
	driver_put_desc(r, 0,
	                (struct vq_desc){DRIVER_GPA + driver_data(r), 4, VIRTQ_DESC_F_WRITE, 0});
	driver_offer(r, 0);
	virtio_device_notify(b.dev, VSOCK_QUEUE_EVENT);
	check_int(driver_take(r, &id, &len), 1);
	check_int(len, 4);
	check_int(get_le32(at), 0);
	check_int(at[4], 0xff);
	/* Until the driver offers the buffer again it may be about to close what is opened now. */
	check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	check_int(vsock_device_open(b.dev, pair[0], 1024), -ENOTCONN);
	driver_offer(r, 0);
	check_int(vsock_device_open(b.dev, pair[0], 1024), 0);
	close(pair[1]);
	bench_stop(&b);
}

TEST(s5_10_6_7_event_buffer_that_is_too_small)
{
	struct driver_ring *r = &b.ring[VSOCK_QUEUE_EVENT];
	uint32_t id, len;

	start();
	driver_put_desc(r, 0,
	                (struct vq_desc){DRIVER_GPA + driver_data(r), 3, VIRTQ_DESC_F_WRITE, 0});
	driver_offer(r, 0);
	vsock_device_transport_reset(b.dev);
	check(b.dev->needs_reset);
	check_int(driver_take(r, &id, &len), 0);
	bench_stop(&b);
}

TEST_MAIN()
