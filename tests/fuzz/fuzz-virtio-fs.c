/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the front end of vhost-user: the input is what the other process answers, and a guest's
 * moves. */
#include <sys/socket.h>

#include "host-shim/vmm/devices/vhost_user_device.h"
#include "host-shim/vmm/devices/vhost_user_wire.h"
#include "tests/fuzz/virtio_fuzz.h"

static int ends[2]; /* [0] is the device's */

static int region_fd(void *data, const struct guest_region *region, uint64_t *offset)
{
	*offset = 0;
	return 1;
}

/* An answer that is mostly as it should be. */
static void reply(struct reader *in, uint32_t request, uint32_t size)
{
	uint8_t bytes[12 + 300], how = reader_u8(in);

	put_le32(bytes, how & 1 ? reader_u8(in) : request);
	put_le32(bytes + 4, how & 2 ? reader_u8(in) : VHOST_USER_VERSION | VHOST_USER_F_REPLY);
	put_le32(bytes + 8, how & 4 ? reader_le32(in) : size);
	memset(bytes + 12, 0xff, size);
	for (uint32_t i = 0; i < 8 && how & 8; i++)
		bytes[12 + i] = reader_u8(in);
	if (send(ends[1], bytes, 12 + size - (how >> 7), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader in = reader_init(data, size);
	struct vhost_user_device_config config = {.region_fd = region_fd};
	static struct vbench b;
	uint8_t how = reader_u8(&in);

	vbench_init(&b, 0);
	config.memory = &b.memory;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) ||
	    vhost_user_fs_config(&config, "tag", NULL))
		abort();
	config.fd = ends[0];
	if (how & 1)
		config.config_size = 0;
	reply(&in, VHOST_USER_GET_FEATURES, 8);
	if (!(how & 2))
		reply(&in, VHOST_USER_GET_PROTOCOL_FEATURES, 8);
	if (how & 1)
		reply(&in, VHOST_USER_GET_CONFIG, 12 + reader_u8(&in));
	for (int i = how >> 5; i > 0; i--)
		reply(&in, i & 1 ? VHOST_USER_GET_FEATURES : VHOST_USER_GET_VRING_BASE, 8);
	shutdown(ends[1], SHUT_WR);
	if (vhost_user_device_new(&b.dev, b.loop, &config, NULL) < 0) {
		b.dev = NULL;
		close(ends[0]);
	} else {
		vbench_start(&b, 64, reader_le64(&in));
		if (how & 4)
			vbench_turn_now(&b);
		vbench_kick(&b, how & 1);
		virtio_device_reset(b.dev);
		vbench_start(&b, 64, ~0ull);
	}
	vbench_stop(&b);
	close(ends[1]);
	return 0;
}
