/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of the network device on plain memory: receive buffers, merged or not (virtio 1.2
 * §5.1.6.3.1, §5.1.6.4). */
#include "vmm_net.h"

TEST(s5_1_6_4_1_mergeable_buffers)
{
	uint64_t gpa[8];
	uint32_t len;

	start_stream(~F(VIRTIO_NET_F_MTU));
	pattern(3000);
	offer_rx(3, 1000, gpa);
	write_stream(3000, frame, 3000);
	vbench_turn(&b, 10);
	check(!vbench_used(&b, NET_QUEUE_RX)); /* three are not enough: nothing is used yet */
	offer_rx(1, 1000, gpa + 3);
	for (int i = 0; i < 4; i++) {
		check(vbench_wait(&b, NET_QUEUE_RX, &len) >= 0);
		check_int(len, i < 3 ? 1000 : 12);
	}
	check_int(get_le16(vbench_host(&b, gpa[0]) + 10), 4);
	check_mem(vbench_host(&b, gpa[0]) + 12, frame, 988);
	check_mem(vbench_host(&b, gpa[1]), frame + 988, 1000);
	check_mem(vbench_host(&b, gpa[2]), frame + 1988, 1000);
	check_mem(vbench_host(&b, gpa[3]), frame + 2988, 12);
	stop();
}

/* A driver that adds buffers notifies when their count passes avail_event: of those that are there
 * already, but too few for the frame, it has notified. */
TEST(s2_7_10_frame_that_waits_asks_for_more_buffers_than_there_are)
{
	uint8_t *avail_event;
	uint64_t gpa[4];

	start_stream(~F(VIRTIO_NET_F_MTU));
	offer_rx(3, 1000, gpa);
	write_stream(3000, frame, 3000);
	vbench_turn(&b, 10);
	avail_event = driver_used(&b.ring[NET_QUEUE_RX]) + 4 + 8 * b.size;
	check_int(get_le16(avail_event), 3);
	/* Nor are those tried again and again until then. */
	memset(vbench_host(&b, gpa[0]), 0xee, 1000);
	vbench_turn(&b, 10);
	check_int(vbench_host(&b, gpa[0])[500], 0xee);
	offer_rx(1, 1000, gpa + 3);
	check(vbench_used(&b, NET_QUEUE_RX));
	stop();
}

/* A buffer is a chain of any shape (2.7.4.2): the count may fall between two of its pieces. */
TEST(s5_1_6_4_1_num_buffers_between_two_pieces)
{
	struct vbench_part p[] = {
	    {NULL, 11, true, 0}, {NULL, 1, true, 0}, {NULL, 30, true, 0}, {NULL, 70, true, 0}};
	uint64_t gpa[2];
	uint32_t len;

	start_stream(~0ull);
	pattern(250);
	vbench_offer(&b, NET_QUEUE_RX, p, 4);
	offer_rx(2, 100, gpa);
	write_stream(250, frame, 250);
	check(vbench_wait(&b, NET_QUEUE_RX, &len) >= 0);
	check_int(len, 112);
	check_int(*(vbench_host(&b, p[0].gpa) + 10), 3);
	check_int(*vbench_host(&b, p[1].gpa), 0);
	check_mem(vbench_host(&b, p[2].gpa), frame, 30);
	check_mem(vbench_host(&b, p[3].gpa), frame + 30, 70);
	check(vbench_wait(&b, NET_QUEUE_RX, &len) >= 0);
	check_int(len, 100);
	check_mem(vbench_host(&b, gpa[0]), frame + 100, 100);
	check(vbench_wait(&b, NET_QUEUE_RX, &len) >= 0);
	check_int(len, 50);
	check_mem(vbench_host(&b, gpa[1]), frame + 200, 50);
	stop();
}

/* 5.1.6.4.1: without VIRTIO_NET_F_MRG_RXBUF a frame is in one buffer. */
TEST(s5_1_6_4_1_one_buffer_where_merging_was_not_negotiated)
{
	uint64_t gpa[4];
	uint32_t len;

	start_stream(F(VIRTIO_F_VERSION_1));
	offer_rx(3, 1000, gpa);
	write_stream(1500, frame, 1500);
	pattern(60);
	write_stream(60, frame, 60);
	check(vbench_wait(&b, NET_QUEUE_RX, &len) >= 0);
	check_int(len, 72);
	check_int(get_le16(vbench_host(&b, gpa[0]) + 10), 1);
	check_mem(vbench_host(&b, gpa[0]) + 12, frame, 60);
	stop();
}

/* A machine is saved and goes on between a frame and the last of the buffers that it takes: nothing
 * of it shows before, all of it once afterwards. */
TEST(pause_while_a_frame_waits_for_buffers)
{
	uint64_t gpa[4];
	uint32_t len;

	start_stream(~F(VIRTIO_NET_F_MTU));
	pattern(3000);
	offer_rx(2, 1000, gpa);
	write_stream(3000, frame, 3000);
	vbench_turn(&b, 5);
	virtio_device_pause(b.dev);
	offer_rx(2, 1000, gpa + 2);
	vbench_turn(&b, 5);
	check(!vbench_used(&b, NET_QUEUE_RX));
	check_int(b.dev->queues[NET_QUEUE_RX].next_avail, 0); /* what is saved */
	virtio_device_resume(b.dev);
	for (int i = 0; i < 4; i++) {
		check(vbench_wait(&b, NET_QUEUE_RX, &len) >= 0);
		check_int(len, i < 3 ? 1000 : 12);
	}
	check_int(get_le16(vbench_host(&b, gpa[0]) + 10), 4);
	vbench_turn(&b, 5);
	check(!vbench_used(&b, NET_QUEUE_RX));
	stop();
}

TEST(frame_that_never_fits_is_lost)
{
	uint64_t gpa[64];
	uint32_t len;

	start_stream(~F(VIRTIO_NET_F_MTU));
	offer_rx(64, 12, gpa);
	write_stream(5000, frame, 5000);
	write_stream(24, frame, 24);
	check(vbench_wait(&b, NET_QUEUE_RX, &len) >= 0);
	check_int(get_le16(vbench_host(&b, gpa[0]) + 10), 3);
	stop();
}

TEST(s5_1_6_3_1_buffer_smaller_than_a_header_needs_reset)
{
	uint64_t gpa[1];

	start_stream(~0ull);
	offer_rx(1, 11, gpa);
	write_stream(50, frame, 50);
	vbench_turn(&b, 10);
	check(b.needs_reset);
	check(!vbench_used(&b, NET_QUEUE_RX));
	virtio_device_reset(b.dev);
	vbench_start(&b, 64, ~0ull);
	offer_rx(1, 200, gpa);
	write_stream(60, frame, 60);
	vbench_turn(&b, 10);
	check(vbench_used(&b, NET_QUEUE_RX));
	stop();
}

TEST(frames_wait_outside_while_the_guest_has_no_buffers)
{
	uint64_t gpa[40];
	uint32_t len;

	start_stream(~0ull);
	for (int i = 0; i < 40; i++) {
		frame[0] = (uint8_t)i;
		write_stream(100, frame, 100);
	}
	vbench_turn(&b, 10);
	for (int i = 0; i < 40; i++) {
		offer_rx(1, 200, gpa);
		check(vbench_wait(&b, NET_QUEUE_RX, &len) >= 0);
		check_int(vbench_host(&b, gpa[0])[12], i);
	}
	stop();
}

/* A processor of the guest's can work on the first of many frames while the others are copied. */
TEST(many_frames_are_shown_in_batches)
{
	struct net_backend *backend;
	uint64_t gpa[130];

	vbench_init(&b, 0);
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	check_ok(net_stream_new(&backend, ends[0], &err), &err);
	/* Without event indices there is an interrupt each time. */
	start_with(backend, 256, F(VIRTIO_F_VERSION_1));
	for (int i = 0; i < 130; i++)
		write_stream(60, frame, 60);
	vbench_turn(&b, 5);
	check_int(b.interrupts[NET_QUEUE_RX], 0);
	offer_rx(130, 100, gpa);
	check_int(driver_used_idx(&b.ring[NET_QUEUE_RX]), 130);
	check_int(b.interrupts[NET_QUEUE_RX], 3);
	stop();
}

TEST_MAIN()
