/* SPDX-License-Identifier: Apache-2.0 */
/* The vhost-user back end against a front end written from QEMU's docs/interop/vhost-user.rst. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "check.h"
#include "host-shim/hypervisor/vhost_user.h"
#include "host-shim/vmm/devices/vhost_user_wire.h"
#include "host-shim/vmm/devices/vsock.h"
#include "host-shim/vmm/devices/vsock_packet.h"
#include "lib/base/bytes.h"
#include "tests/unit/virtq_driver.h"

#define CID      77
#define USER     0x700000000000ull /* where the front end says it has the memory */
#define FEATURES (1ull << VIRTIO_F_VERSION_1 | 1ull << VHOST_USER_F_PROTOCOL_FEATURES)

static struct loop *loop;
static struct virtio_device *dev;
static struct vhost_user *vu;
static struct driver_ring ring[2];
static uint8_t *ram;
static int ours, theirs, ram_fd, kick[2], call[2];
static struct error end_error;
static bool ended;

static int refuse(void *data, uint32_t port)
{
	return -ECONNREFUSED;
}

static void on_end(void *data, const struct error *err)
{
	ended = true;
	end_error = *err;
}

static void leave(void *data)
{
	loop_exit(data, 0);
}

static void turn(void)
{
	for (int i = 0; i < 3; i++) {
		loop_defer(loop, leave, loop);
		loop_run(loop, NULL);
	}
}

static void start(void)
{
	struct vsock_config config = {.guest_cid = CID, .listen_fd = -1, .connect = refuse};
	struct error err = ERROR_INIT;
	int pair[2];

	ended = false;
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	ours = pair[0];
	theirs = pair[1];
	ram_fd = memfd_create("ram", MFD_CLOEXEC);
	check(ftruncate(ram_fd, DRIVER_SIZE) == 0);
	ram = mmap(NULL, DRIVER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
	for (int i = 0; i < 2; i++) {
		kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ring[i] =
		    (struct driver_ring){.base = ram, .at = (uint64_t)i * 0x10000, .size = 16};
	}
	check_ok(loop_new(&loop, &err), &err);
	check_ok(vsock_device_new(&dev, loop, &config, &err), &err);
	check_ok(vhost_user_new(&vu, loop, theirs, dev, on_end, NULL, &err), &err);
}

static void stop(void)
{
	vhost_user_free(vu);
	virtio_device_free(dev);
	loop_free(loop);
	munmap(ram, DRIVER_SIZE);
	for (int i = 0; i < 2; i++) {
		close(kick[i]);
		close(call[i]);
	}
	close(ram_fd);
	close(ours);
	close(theirs);
}

static void send_raw(const void *bytes, size_t size, const int *fds, unsigned int n)
{
	union {
		char buf[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec v = {(void *)(uintptr_t)bytes, size};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

	if (n > 0) {
		m.msg_control = control.buf;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		*CMSG_FIRSTHDR(&m) = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
		                                      .cmsg_type = SCM_RIGHTS,
		                                      .cmsg_len = CMSG_LEN(n * sizeof(int))};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, n * sizeof(int));
	}
	check_int(sendmsg(ours, &m, MSG_NOSIGNAL), size);
}

static void send_message(uint32_t request, uint32_t flags, const void *payload, uint32_t size,
                         const int *fds, unsigned int n)
{
	uint8_t bytes[VHOST_USER_HEADER_SIZE + 512];

	put_le32(bytes, request);
	put_le32(bytes + 4, flags | 1);
	put_le32(bytes + 8, size);
	memcpy(bytes + VHOST_USER_HEADER_SIZE, payload, size);
	send_raw(bytes, VHOST_USER_HEADER_SIZE + size, fds, n);
	turn();
}

/* Reads an answer: its size of payload, or -1 when there is none. */
static int answer(uint32_t *request, uint8_t *payload)
{
	uint8_t bytes[VHOST_USER_HEADER_SIZE + 512];
	ssize_t n = recv(ours, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < VHOST_USER_HEADER_SIZE)
		return -1;
	check_int(get_le32(bytes + 4), 5); /* version 1, reply */
	check_int(get_le32(bytes + 8), n - VHOST_USER_HEADER_SIZE);
	*request = get_le32(bytes);
	memcpy(payload, bytes + VHOST_USER_HEADER_SIZE, (size_t)n - VHOST_USER_HEADER_SIZE);
	return (int)n - VHOST_USER_HEADER_SIZE;
}

static uint64_t ask_u64(uint32_t message)
{
	uint8_t payload[512];
	uint32_t request;

	send_message(message, 0, "", 0, NULL, 0);
	check_int(answer(&request, payload), 8);
	check_int(request, message);
	return get_le64(payload);
}

static void send_u64(uint32_t request, uint64_t v, int fd)
{
	uint8_t p[8];

	put_le64(p, v);
	send_message(request, 0, p, 8, &fd, fd >= 0);
}

static void send_state(uint32_t request, uint32_t index, uint32_t num)
{
	uint8_t p[8];

	put_le32(p, index);
	put_le32(p + 4, num);
	send_message(request, 0, p, 8, NULL, 0);
}

static void send_memory(uint64_t offset)
{
	uint8_t p[40] = {1};

	put_le64(p + 8, DRIVER_GPA);
	put_le64(p + 16, DRIVER_SIZE - offset);
	put_le64(p + 24, USER);
	put_le64(p + 32, offset);
	send_message(VHOST_USER_SET_MEM_TABLE, 0, p, 40, &ram_fd, 1);
}

static void send_addr(uint32_t i)
{
	uint8_t p[40] = {(uint8_t)i};

	put_le64(p + 8, USER + ring[i].at);
	put_le64(p + 16, USER + ring[i].at + 0x6000);
	put_le64(p + 24, USER + ring[i].at + 0x4000);
	send_message(VHOST_USER_SET_VRING_ADDR, 0, p, 40, NULL, 0);
}

static void start_device(void)
{
	send_u64(VHOST_USER_SET_FEATURES, FEATURES, -1);
	send_memory(0);
	for (uint32_t i = 0; i < 2; i++) {
		send_state(VHOST_USER_SET_VRING_NUM, i, 16);
		send_state(VHOST_USER_SET_VRING_BASE, i, 0);
		send_addr(i);
		send_u64(VHOST_USER_SET_VRING_KICK, i, kick[i]);
		send_u64(VHOST_USER_SET_VRING_CALL, i, call[i]);
		send_state(VHOST_USER_SET_VRING_ENABLE, i, 1);
	}
	check(!ended);
}

static void kick_ring(int i)
{
	uint64_t one = 1;

	check_int(write(kick[i], &one, 8), 8);
	turn();
}

/* A request for a port that nobody listens on; its answer must come to rx buffer 5. */
static void ask_and_be_refused(void)
{
	struct vsock_header h = {.src_cid = CID,
	                         .dst_cid = VSOCK_CID_HOST,
	                         .src_port = 1,
	                         .dst_port = 2,
	                         .type = VSOCK_TYPE_STREAM,
	                         .op = VSOCK_OP_REQUEST};
	uint64_t rx = driver_data(&ring[0]), tx = driver_data(&ring[1]), count;
	uint32_t id, len;

	driver_put_desc(&ring[0], 5,
	                (struct vq_desc){DRIVER_GPA + rx, 4096, VIRTQ_DESC_F_WRITE, 0});
	driver_offer(&ring[0], 5);
	kick_ring(0);
	vsock_header_encode(&h, ram + tx);
	driver_put_desc(&ring[1], 3, (struct vq_desc){DRIVER_GPA + tx, VSOCK_HEADER_SIZE, 0, 0});
	driver_offer(&ring[1], 3);
	kick_ring(1);
	check_int(driver_take(&ring[1], &id, &len), 1);
	check_int(driver_take(&ring[0], &id, &len), 1);
	check_int(id, 5);
	check_int(len, VSOCK_HEADER_SIZE);
	vsock_header_decode(&h, ram + rx);
	check_int(h.op, VSOCK_OP_RST);
	check_int(h.dst_cid, CID);
	check_int(read(call[0], &count, 8), 8);
}

TEST(answers_what_qemu_asks_first)
{
	uint8_t p[20] = {0}, out[512];
	uint32_t request;
	uint64_t protocol;

	start();
	check((ask_u64(VHOST_USER_GET_FEATURES) & FEATURES) == FEATURES);
	protocol = ask_u64(VHOST_USER_GET_PROTOCOL_FEATURES);
	check(protocol & 1ull << VHOST_USER_PROTOCOL_F_CONFIG);
	check(protocol & 1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK);
	send_u64(VHOST_USER_SET_PROTOCOL_FEATURES, protocol, -1);
	check_int(ask_u64(VHOST_USER_GET_QUEUE_NUM), 3);
	put_le32(p + 4, 8);
	send_message(VHOST_USER_GET_CONFIG, 0, p, 20, NULL, 0);
	check_int(answer(&request, out), 20);
	check_int(get_le64(out + 12), CID);
	/* REPLY_ACK: what has no answer of its own is acknowledged when asked for. */
	send_message(VHOST_USER_SET_OWNER, 8, "", 0, NULL, 0);
	check_int(answer(&request, out), 8);
	check_int(get_le64(out), 0);
	send_message(VHOST_USER_SET_OWNER, 0, "", 0, NULL, 0);
	check_int(answer(&request, out), -1);
	stop();
}

TEST(rings_run_stop_and_go_on)
{
	uint8_t p[8] = {1}, out[512];
	uint32_t request;

	start();
	start_device();
	check(dev->active);
	ask_and_be_refused();
	ask_and_be_refused();
	/* The driver goes: places of the rings, then nothing moves. */
	send_message(VHOST_USER_GET_VRING_BASE, 0, p, 8, NULL, 0);
	check_int(answer(&request, out), 8);
	check_int(get_le32(out), 1);
	check_int(get_le32(out + 4), 2);
	check(!dev->active);
	p[0] = 0;
	send_message(VHOST_USER_GET_VRING_BASE, 0, p, 8, NULL, 0);
	check_int(answer(&request, out), 8);
	check_int(get_le32(out + 4), 2);
	/* And comes back where it was. */
	for (uint32_t i = 0; i < 2; i++) {
		send_state(VHOST_USER_SET_VRING_BASE, i, 2);
		send_addr(i);
		send_u64(VHOST_USER_SET_VRING_KICK, i, kick[i]);
	}
	check(dev->active);
	ask_and_be_refused();
	stop();
}

TEST(memory_may_change_under_running_rings)
{
	start();
	start_device();
	ask_and_be_refused();
	send_memory(0);
	check(!ended);
	ask_and_be_refused();
	stop();
}

TEST(front_end_that_leaves_is_no_error)
{
	start();
	start_device();
	shutdown(ours, SHUT_RDWR);
	turn();
	check(ended);
	check_int(end_error.code, 0);
	stop();
}

TEST(messages_in_pieces)
{
	uint8_t bytes[VHOST_USER_HEADER_SIZE] = {VHOST_USER_GET_FEATURES, 0, 0, 0, 1};
	uint8_t out[512];
	uint32_t request;

	start();
	for (size_t i = 0; i < sizeof(bytes); i++) {
		check_int(answer(&request, out), -1);
		send_raw(bytes + i, 1, NULL, 0);
		turn();
	}
	check_int(answer(&request, out), 8);
	stop();
}

static void check_ended_with(const char *part)
{
	check(ended);
	check(end_error.code < 0);
	if (!strstr(end_error.text, part))
		check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", end_error.text, part);
	stop();
}

TEST(wrong_messages_end_the_connection)
{
	int many[VHOST_USER_FDS_MAX + 2];
	uint8_t p[300] = {0};

	start();
	send_message(99, 0, "", 0, NULL, 0);
	check_ended_with("message 99 is not known");

	start();
	put_le32(p, 1);
	put_le32(p + 4, 1);
	put_le32(p + 8, UINT32_MAX);
	send_raw(p, 12, NULL, 0);
	turn();
	check_ended_with("too long");

	start();
	send_message(VHOST_USER_SET_FEATURES, 0, p, 4, NULL, 0);
	check_ended_with("only 4 bytes");

	start();
	send_u64(VHOST_USER_SET_FEATURES, 1ull << 63, -1);
	check_ended_with("not offered");

	start();
	send_message(VHOST_USER_SET_OWNER, 0, "", 0, &ram_fd, 1);
	check_ended_with("came with descriptors");

	start();
	for (int i = 0; i < VHOST_USER_FDS_MAX + 2; i++)
		many[i] = ram_fd;
	send_message(VHOST_USER_SET_MEM_TABLE, 0, p, 8, many, VHOST_USER_FDS_MAX + 2);
	check_ended_with("more than 8 descriptors");

	start();
	send_state(VHOST_USER_SET_VRING_NUM, 3, 16);
	check_ended_with("ring 3");

	start();
	send_u64(VHOST_USER_SET_VRING_KICK, 0x100, -1);
	check_ended_with("polling");

	start();
	send_u64(VHOST_USER_SET_VRING_CALL, 0, -1);
	check_ended_with("0 descriptors");

	start();
	put_le32(p + 4, 400);
	send_message(VHOST_USER_GET_CONFIG, 0, p, 20, NULL, 0);
	check_ended_with("configuration of 400 bytes");
}

TEST(wrong_memory_ends_the_connection)
{
	uint8_t p[72] = {0};

	start();
	send_message(VHOST_USER_SET_MEM_TABLE, 0, p, 8, NULL, 0);
	check_ended_with("0 regions");

	start();
	p[0] = 1;
	put_le64(p + 8, DRIVER_GPA);
	put_le64(p + 16, DRIVER_SIZE + 1);
	put_le64(p + 24, USER);
	send_message(VHOST_USER_SET_MEM_TABLE, 0, p, 40, &ram_fd, 1);
	check_ended_with("are wanted"); /* longer than the file: would be SIGBUS later */

	start();
	put_le64(p + 16, 4096);
	put_le64(p + 32, UINT64_MAX);
	send_message(VHOST_USER_SET_MEM_TABLE, 0, p, 40, &ram_fd, 1);
	check_ended_with("wraps round");

	start();
	put_le64(p + 32, 0);
	put_le64(p + 24, UINT64_MAX);
	send_message(VHOST_USER_SET_MEM_TABLE, 0, p, 40, &ram_fd, 1);
	check_ended_with("wraps round");

	start();
	p[0] = 2;
	put_le64(p + 24, USER);
	memcpy(p + 40, p + 8, 32);
	send_message(VHOST_USER_SET_MEM_TABLE, 0, p, 72, (int[]){ram_fd, ram_fd}, 2);
	check_ended_with("overlaps");
}

TEST(rings_outside_the_memory_end_the_connection)
{
	start();
	ring[0].at = DRIVER_SIZE;
	send_u64(VHOST_USER_SET_FEATURES, FEATURES, -1);
	send_memory(0);
	send_state(VHOST_USER_SET_VRING_NUM, 0, 16);
	send_u64(VHOST_USER_SET_VRING_KICK, 0, kick[0]);
	send_state(VHOST_USER_SET_VRING_ENABLE, 0, 1);
	send_addr(0);
	check_ended_with("ring 0");

	start();
	send_u64(VHOST_USER_SET_FEATURES, FEATURES, -1);
	send_memory(0);
	send_state(VHOST_USER_SET_VRING_NUM, 0, 65536 + 16);
	send_u64(VHOST_USER_SET_VRING_KICK, 0, kick[0]);
	send_state(VHOST_USER_SET_VRING_ENABLE, 0, 1);
	send_addr(0);
	check_ended_with("size 0");
}

TEST(broken_ring_is_told_and_does_not_end_the_connection)
{
	uint64_t count;

	start();
	start_device();
	send_u64(VHOST_USER_SET_VRING_ERR, 1, call[1]);
	driver_offer(&ring[1], 999);
	kick_ring(1);
	check(!ended);
	check(dev->needs_reset);
	check_int(read(call[1], &count, 8), 8);
	stop();
}

TEST_MAIN()
