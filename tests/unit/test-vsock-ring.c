/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of the vsock device where queues and buffers are unusual or hostile, by clause of
 * virtio 1.2 §2.7 and §5.10.6. */
#include "tests/unit/vsock_case.h"

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

TEST_MAIN()
