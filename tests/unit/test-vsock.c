/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of the vsock device on plain memory, by clause of virtio 1.2 §5.10. */
#include <sys/un.h>

#include "check.h"
#include "host-shim/vmm/devices/vsock_conn.h"
#include "host-shim/vmm/devices/vsock_listen.h"
#include "host-shim/vmm/devices/vsock_mux.h"
#include "lib/base/str.h"
#include "tests/unit/vsock_bench.h"

#define BUFFERS 32

static struct bench b;
static struct vsock_header got;
static uint8_t payload[BENCH_RX_SIZE];

static void start(void)
{
	bench_start(&b, -1, 64, 0);
	bench_offer_rx(&b, 0, BUFFERS);
}

static void send_op(uint16_t op, uint32_t guest_port, uint32_t host_port)
{
	struct vsock_header h = bench_header(op, guest_port, host_port);

	bench_send(&b, &h, "", 0);
}

static void send_data(uint32_t guest_port, uint32_t host_port, const void *data, size_t size)
{
	struct vsock_header h = bench_header(VSOCK_OP_RW, guest_port, host_port);

	h.len = (uint32_t)size;
	bench_send(&b, &h, data, size);
}

static void send_shutdown(uint32_t flags)
{
	struct vsock_header h = bench_header(VSOCK_OP_SHUTDOWN, 1000, 5000);

	h.flags = flags;
	bench_send(&b, &h, "", 0);
}

static void expect(uint16_t op)
{
	check_int(bench_receive(&b, &got, payload), 1);
	check_int(got.op, op);
	check_int(got.dst_cid, BENCH_CID);
}

static void expect_nothing(void)
{
	bench_turn(&b);
	check_int(bench_receive(&b, &got, payload), 0);
}

/* Guest port 1000 to host port 5000; the program's end is b.host[0]. */
static void open_stream(void)
{
	send_op(VSOCK_OP_REQUEST, 1000, 5000);
	expect(VSOCK_OP_RESPONSE);
	check_int(got.src_cid, VSOCK_CID_HOST);
	check_int(got.src_port, 5000);
	check_int(got.dst_port, 1000);
	check_int(got.buf_alloc, VSOCK_BUF_ALLOC);
}

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

TEST(s2_7_4_framing_is_the_drivers_choice)
{
	struct vsock_header h = bench_header(VSOCK_OP_RW, 1000, 5000);
	struct driver_ring *r = &b.ring[VSOCK_QUEUE_TX];
	char text[16] = "";

	start();
	open_stream();
	/* Header and data of 4 bytes in descriptors of 10. */
	h.len = 4;
	vsock_header_encode(&h, b.ram + driver_data(r));
	memcpy(b.ram + driver_data(r) + VSOCK_HEADER_SIZE, "data", 4);
	for (unsigned int i = 0; i < 5; i++)
		driver_put_desc(r, i,
		                (struct vq_desc){DRIVER_GPA + driver_data(r) + 10 * i,
		                                 i < 4 ? 10 : 8, i < 4 ? VIRTQ_DESC_F_NEXT : 0,
		                                 (uint16_t)(i + 1)});
	driver_offer(r, 0);
	virtio_device_notify(b.dev, VSOCK_QUEUE_TX);
	check_int(read(b.host[0], text, sizeof(text)), 4);
	check_str(text, "data");
	bench_stop(&b);
}

TEST(buffer_without_a_whole_header_is_given_back)
{
	struct driver_ring *r = &b.ring[VSOCK_QUEUE_TX];
	uint32_t id, len;

	start();
	driver_put_desc(r, 3, (struct vq_desc){DRIVER_GPA + driver_data(r), 43, 0, 0});
	driver_offer(r, 3);
	virtio_device_notify(b.dev, VSOCK_QUEUE_TX);
	check_int(driver_take(r, &id, &len), 1);
	check_int(id, 3);
	check(!b.needs_reset);
	bench_stop(&b);
}

TEST(s5_10_6_1_tx_is_processed_while_rx_is_full)
{
	unsigned int answers = 0;

	bench_start(&b, -1, 64, 0);
	/* No receive buffers: refusals are kept, so many and no more. */
	for (unsigned int i = 0; i < VSOCK_REFUSALS_MAX; i++)
		send_op(VSOCK_OP_RW, 1000 + i, 5000);
	check_int(driver_used_idx(&b.ring[VSOCK_QUEUE_TX]), VSOCK_REFUSALS_MAX);
	send_op(VSOCK_OP_RW, 9999, 5000);
	check_int(driver_used_idx(&b.ring[VSOCK_QUEUE_TX]), VSOCK_REFUSALS_MAX);
	/* The guest makes room: all is answered, the packet that waited included. */
	bench_offer_rx(&b, 0, BUFFERS);
	while (bench_receive(&b, &got, NULL)) {
		check_int(got.op, VSOCK_OP_RST);
		answers++;
	}
	check_int(answers, VSOCK_REFUSALS_MAX + 1);
	check_int(got.dst_port, 9999);
	check_int(driver_used_idx(&b.ring[VSOCK_QUEUE_TX]), VSOCK_REFUSALS_MAX + 1);
	bench_stop(&b);
}

TEST(streams_are_bounded)
{
	start();
	for (unsigned int i = 0; i < VSOCK_CONNS_MAX; i++) {
		send_op(VSOCK_OP_REQUEST, i, 5000);
		expect(VSOCK_OP_RESPONSE);
	}
	send_op(VSOCK_OP_REQUEST, 99999, 5000);
	expect(VSOCK_OP_RST);
	send_op(VSOCK_OP_RST, 7, 5000);
	send_op(VSOCK_OP_REQUEST, 99999, 5000);
	expect(VSOCK_OP_RESPONSE);
	bench_stop(&b);
}

TEST(streams_take_turns)
{
	unsigned int first = 0, second = 0;
	static uint8_t block[60000];

	bench_start(&b, -1, 64, 0);
	send_op(VSOCK_OP_REQUEST, 1, 5000);
	send_op(VSOCK_OP_REQUEST, 2, 5000);
	check_int(write(b.host[0], block, sizeof(block)), sizeof(block));
	check_int(write(b.host[1], block, sizeof(block)), sizeof(block));
	bench_turn(&b);
	bench_offer_rx(&b, 0, BUFFERS); /* both have much to say now */
	expect(VSOCK_OP_RESPONSE);
	expect(VSOCK_OP_RESPONSE);
	for (int i = 0; i < 10; i++) {
		check_int(bench_receive(&b, &got, NULL), 1);
		first += got.dst_port == 1;
		second += got.dst_port == 2;
	}
	check(first >= 3 && second >= 3);
	bench_stop(&b);
}

TEST(broken_ring_needs_reset_and_touches_nothing_else)
{
	char c;

	start();
	open_stream();
	driver_offer(&b.ring[VSOCK_QUEUE_TX], 64);
	virtio_device_notify(b.dev, VSOCK_QUEUE_TX);
	check(b.needs_reset != NULL);
	b.needs_reset = NULL;
	check_int(write(b.host[0], "x", 1), 1);
	bench_turn(&b);
	virtio_device_notify(b.dev, VSOCK_QUEUE_TX);
	virtio_device_notify(b.dev, VSOCK_QUEUE_RX);
	check(b.needs_reset == NULL); /* said once */
	check_int(bench_receive(&b, &got, NULL), 0);
	/* §2.1: the driver resets it, and all is well again. */
	virtio_device_reset(b.dev);
	check(!b.dev->needs_reset);
	check(read(b.host[0], &c, 1) <= 0 && errno != EAGAIN);
	bench_stop(&b);
}

TEST(receive_buffer_smaller_than_a_header_needs_reset)
{
	bench_start(&b, -1, 64, 0);
	driver_put_desc(
	    &b.ring[VSOCK_QUEUE_RX], 0,
	    (struct vq_desc){DRIVER_GPA + bench_rx_buffer(0), 43, VIRTQ_DESC_F_WRITE, 0});
	driver_offer(&b.ring[VSOCK_QUEUE_RX], 0);
	send_op(VSOCK_OP_RW, 1, 2);
	check(b.needs_reset != NULL);
	bench_stop(&b);
}

TEST(receive_buffer_without_room_for_data_stops_nothing)
{
	struct driver_ring *r = &b.ring[VSOCK_QUEUE_RX];
	uint32_t id, len;

	start();
	open_stream();
	bench_stop(&b);
	bench_start(&b, -1, 64, 0);
	driver_put_desc(r, 0,
	                (struct vq_desc){DRIVER_GPA + bench_rx_buffer(0), VSOCK_HEADER_SIZE,
	                                 VIRTQ_DESC_F_WRITE, 0});
	driver_offer(r, 0);
	driver_offer(r, 0);
	send_op(VSOCK_OP_REQUEST, 1000, 5000);
	check_int(driver_take(r, &id, &len), 1);
	check_int(write(b.host[0], "x", 1), 1);
	bench_turn(&b); /* would spin here */
	check_int(driver_take(r, &id, &len), 0);
	check(!b.needs_reset);
	bench_stop(&b);
}

TEST(s5_10_6_7_transport_reset_event)
{
	struct driver_ring *r = &b.ring[VSOCK_QUEUE_EVENT];
	uint32_t id, len;
	uint8_t *at;
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
	bench_stop(&b);
}

TEST(s2_7_7_interrupts_are_batched)
{
	start();
	open_stream();
	b.interrupts[VSOCK_QUEUE_RX] = 0;
	for (int i = 0; i < 8; i++)
		check_int(write(b.host[0], payload, sizeof(payload)), sizeof(payload));
	bench_turn(&b);
	check_int(b.interrupts[VSOCK_QUEUE_RX], 1);
	bench_stop(&b);
}

/* ---- hybrid vsock: the listening socket */

static int client(const char *path, const char *line)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	check_int(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	check_int(write(fd, line, strlen(line)), strlen(line));
	for (int i = 0; i < 3; i++)
		bench_turn(&b);
	return fd;
}

static int listen_fd = -1;
static char *path;

static void start_listening(void)
{
	struct error err = ERROR_INIT;

	path = str_printf("%s/vsock", check_tmpdir());
	listen_fd = vsock_bind(path, &err);
	check(listen_fd >= 0);
	bench_start(&b, listen_fd, 64, 0);
	bench_offer_rx(&b, 0, BUFFERS);
}

static void stop_listening(void)
{
	bench_stop(&b);
	close(listen_fd);
	free(path);
}

TEST(hybrid_connect_is_accepted)
{
	char line[32] = "", want[32];
	int fd;

	start_listening();
	fd = client(path, "connect 1024\nearly");
	expect(VSOCK_OP_REQUEST);
	check_int(got.dst_port, 1024);
	check_int(got.src_cid, VSOCK_CID_HOST);
	check_int(read(fd, line, sizeof(line)), -1); /* not before the guest has accepted */
	send_op(VSOCK_OP_RESPONSE, 1024, got.src_port);
	snprintf(want, sizeof(want), "OK %u\n", got.src_port);
	check(read(fd, line, sizeof(line)) > 0);
	check_str(line, want);
	bench_turn(&b);
	expect(VSOCK_OP_RW); /* what followed the line is the guest's */
	check_mem(payload, "early", 5);
	close(fd);
	stop_listening();
}

TEST(hybrid_connect_is_refused)
{
	char c;
	int fd;

	start_listening();
	fd = client(path, "CONNECT 7\n");
	expect(VSOCK_OP_REQUEST);
	send_op(VSOCK_OP_RST, 7, got.src_port);
	check_int(read(fd, &c, 1), 0);
	close(fd);
	stop_listening();
}

TEST(hybrid_ports_differ)
{
	uint32_t port;
	int fd[2];

	start_listening();
	fd[0] = client(path, "CONNECT 7\n");
	expect(VSOCK_OP_REQUEST);
	port = got.src_port;
	fd[1] = client(path, "CONNECT 7\n");
	expect(VSOCK_OP_REQUEST);
	check(got.src_port != port);
	close(fd[0]);
	close(fd[1]);
	stop_listening();
}

TEST(hybrid_client_that_leaves_before_the_answer)
{
	int fd;

	start_listening();
	fd = client(path, "CONNECT 7\n");
	expect(VSOCK_OP_REQUEST);
	close(fd);
	bench_turn(&b);
	expect(VSOCK_OP_RST);
	stop_listening();
}

TEST(hybrid_wrong_lines_are_hung_up_on)
{
	static const char *const lines[] = {
	    "CONNECT\n",     "CONNECT \n",    "CONNECT x\n",  "CONNECT 99999999999\n",
	    "CONNECT 1 2\n", "HELLO 1024\n",  "\n",           "CONNECT 4294967296\n",
	    "CONNECT -1\n",  "CONNECT 0x1\n", "CONNECT  1\n", "CONNECT 00000000000000000000000001",
	};

	start_listening();
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		int fd = client(path, lines[i]);
		char c;

		check(read(fd, &c, 1) <= 0 && errno != EAGAIN);
		close(fd);
	}
	expect_nothing();
	stop_listening();
}

TEST(hybrid_is_refused_before_the_driver_is_ready)
{
	char c;
	int fd;

	start_listening();
	virtio_device_reset(b.dev);
	fd = client(path, "CONNECT 1024\n");
	check_int(read(fd, &c, 1), 0);
	close(fd);
	stop_listening();
}

TEST(hybrid_clients_that_say_nothing_are_bounded)
{
	int fds[VSOCK_CLIENTS_MAX + 1];
	char c;

	start_listening();
	for (int i = 0; i <= VSOCK_CLIENTS_MAX; i++)
		fds[i] = client(path, "");
	check_int(read(fds[VSOCK_CLIENTS_MAX], &c, 1), 0);
	check_int(read(fds[0], &c, 1), -1);
	for (int i = 0; i <= VSOCK_CLIENTS_MAX; i++)
		close(fds[i]);
	stop_listening();
}

TEST(hybrid_guest_reaches_the_named_socket)
{
	char *named;
	int l, fd, conn;
	char text[8] = "";

	start_listening();
	named = str_printf("%s_%u", path, 5000);
	l = vsock_bind(named, NULL);
	check(l >= 0);
	fd = vsock_connect_path(path, 5000);
	check(fd >= 0);
	conn = accept(l, NULL, NULL);
	check(conn >= 0);
	check_int(write(fd, "hi", 2), 2);
	check_int(read(conn, text, sizeof(text)), 2);
	check_int(vsock_connect_path(path, 5001), -ENOENT);
	close(conn);
	close(fd);
	close(l);
	free(named);
	stop_listening();
}

TEST(socket_paths_must_fit)
{
	char longer[200];
	struct error err = ERROR_INIT;

	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	check_int(vsock_bind(longer, &err), -ENAMETOOLONG);
	check(err.text[0]);
	check_int(vsock_connect_path(longer, 1), -ENAMETOOLONG);
}

TEST_MAIN()
