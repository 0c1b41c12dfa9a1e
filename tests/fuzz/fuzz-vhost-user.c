/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the vhost-user back end: the input is what a monitor sends, descriptors included. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-shim/hypervisor/vhost_user.h"
#include "host-shim/vmm/devices/vhost_user_wire.h"
#include "host-shim/vmm/devices/vsock.h"
#include "lib/base/bytes.h"

#define RAM_SIZE 0x40000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct peer {
	struct loop *loop;
	int fd, ram;
	bool ended;
};

static int no_connect(void *data, uint32_t port)
{
	return -ECONNREFUSED;
}

static void ended(void *data, const struct error *err)
{
	((struct peer *)data)->ended = true;
}

static void leave(void *data)
{
	loop_exit(data, 0);
}

static void turn(struct peer *p)
{
	for (int i = 0; i < 3 && !p->ended; i++) {
		loop_defer(p->loop, leave, p->loop);
		loop_run(p->loop, NULL);
	}
}

/* Sends bytes with n descriptors: the memory, or event descriptors, or a pipe's end. */
static void send_with(struct peer *p, const uint8_t *bytes, size_t size, unsigned int n,
                      uint8_t kind)
{
	union {
		char buf[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec v = {(void *)(uintptr_t)bytes, size};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	int fds[16];

	for (unsigned int i = 0; i < n; i++)
		fds[i] = kind & 1 ? dup(p->ram) : eventfd(kind & 2 ? 1 : 0, EFD_NONBLOCK);
	if (n > 0) {
		struct cmsghdr *c;

		m.msg_control = control.buf;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	sendmsg(p->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	for (unsigned int i = 0; i < n; i++)
		close(fds[i]);
}

/* A message of a likely shape: the input says the request, the rest is its payload. */
static void send_message(struct peer *p, struct reader *in)
{
	uint8_t bytes[VHOST_USER_HEADER_SIZE + 256] = {0}, shape = reader_u8(in);
	uint32_t request = reader_u8(in) % 48, size = reader_u8(in);
	const uint8_t *payload;

	if (size > reader_left(in))
		size = (uint32_t)reader_left(in);
	payload = reader_bytes(in, size);
	put_le32(bytes, request);
	put_le32(bytes + 4, shape & 1 ? 1 : 9);
	put_le32(bytes + 8, shape & 2 ? size + (shape >> 4) : size);
	memcpy(bytes + VHOST_USER_HEADER_SIZE, payload, size);
	send_with(p, bytes, VHOST_USER_HEADER_SIZE + size,
	          shape & 4 ? (unsigned int)(shape >> 4) : 0, reader_u8(in));
}

/* What QEMU does at start, so that the fuzzer begins with a device that runs. */
static void send_start(struct peer *p)
{
	uint8_t m[VHOST_USER_HEADER_SIZE + 40] = {0};

	put_le32(m + 4, 1);
	put_le32(m, VHOST_USER_SET_FEATURES);
	put_le32(m + 8, 8);
	put_le64(m + 12, 1ull << VIRTIO_F_VERSION_1 | 1ull << VHOST_USER_F_PROTOCOL_FEATURES);
	send_with(p, m, 20, 0, 0);
	put_le32(m, VHOST_USER_SET_MEM_TABLE);
	put_le32(m + 8, 40);
	put_le64(m + 12, 1);
	put_le64(m + 20, 0);
	put_le64(m + 28, RAM_SIZE);
	put_le64(m + 36, 0x10000000);
	put_le64(m + 44, 0);
	send_with(p, m, 52, 1, 1);
	for (uint32_t i = 0; i < 2; i++) {
		put_le32(m, VHOST_USER_SET_VRING_NUM);
		put_le32(m + 8, 8);
		put_le32(m + 12, i);
		put_le32(m + 16, 16);
		send_with(p, m, 20, 0, 0);
		put_le32(m, VHOST_USER_SET_VRING_ADDR);
		put_le32(m + 8, 40);
		put_le32(m + 16, 0);
		put_le64(m + 20, 0x10000000 + i * 0x10000);
		put_le64(m + 28, 0x10000000 + i * 0x10000 + 0x6000);
		put_le64(m + 36, 0x10000000 + i * 0x10000 + 0x4000);
		send_with(p, m, 52, 0, 0);
		put_le32(m, VHOST_USER_SET_VRING_KICK);
		put_le32(m + 8, 8);
		put_le64(m + 12, i);
		send_with(p, m, 20, 1, 2);
		put_le32(m, VHOST_USER_SET_VRING_ENABLE);
		put_le32(m + 12, i);
		put_le32(m + 16, 1);
		send_with(p, m, 20, 0, 0);
		turn(p);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vsock_config config = {.guest_cid = 3, .listen_fd = -1, .connect = no_connect};
	struct reader in = reader_init(data, size);
	struct virtio_device *dev = NULL;
	struct vhost_user *vu = NULL;
	struct peer p = {0};
	uint8_t junk[4096];
	uint8_t how = reader_u8(&in);
	int pair[2];

	p.ram = memfd_create("ram", MFD_CLOEXEC);
	if (p.ram < 0 || ftruncate(p.ram, RAM_SIZE) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
	    loop_new(&p.loop, NULL) || vsock_device_new(&dev, p.loop, &config, NULL))
		abort();
	p.fd = pair[0];
	if (vhost_user_new(&vu, p.loop, pair[1], dev, ended, &p, NULL))
		abort();
	if (how & 1)
		send_start(&p);
	if (how & 2) /* ring contents, too */
		pwrite(p.ram, in.p, reader_left(&in) < 0x8000 ? reader_left(&in) : 0x8000,
		       (how & 4) * 0x4000);
	while (reader_left(&in) > 3 && !p.ended) {
		send_message(&p, &in);
		turn(&p);
		while (recv(p.fd, junk, sizeof(junk), MSG_DONTWAIT) > 0)
			;
	}
	vhost_user_free(vu);
	virtio_device_free(dev);
	loop_free(p.loop);
	close(p.ram);
	close(pair[0]);
	close(pair[1]);
	return 0;
}
