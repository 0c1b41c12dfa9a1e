/* SPDX-License-Identifier: Apache-2.0 */
/* builtin_devices: which devices a guest of the built-in monitor is given. */
#include <string.h>

#include "host-shim/hypervisor/builtin_parts.h"
#include "host-shim/hypervisor/passt.h"
#include "host-shim/vmm/devices/balloon.h"
#include "host-shim/vmm/devices/blk.h"
#include "host-shim/vmm/devices/console.h"
#include "host-shim/vmm/devices/exit_port.h"
#include "host-shim/vmm/devices/net.h"
#include "host-shim/vmm/devices/rng.h"
#include "host-shim/vmm/devices/vhost_user_device.h"
#include "host-shim/vmm/devices/vsock.h"

static int add(struct monitor *m, struct virtio_device *dev, struct error *err)
{
	unsigned int slot;

	return m->restored ? vm_plug(m->vm, dev, &slot, err) : vm_add_device(m->vm, dev, err);
}

static int add_root(struct monitor *m, struct error *err)
{
	struct pmem_config c = {.fd = m->fds->rootfs, .readonly = true};
	struct virtio_device *dev;
	int r;

	if (m->fds->rootfs < 0)
		return 0;
	r = pmem_backing_map(&m->root, m->fds->rootfs, true, err);
	if (r == 0)
		r = vm_add_memory(m->vm, m->root.host, m->root.size, true, &c.gpa, err);
	c.size = m->root.size;
	if (r == 0)
		r = pmem_device_new(&dev, m->loop, m->pool, &c, err);
	if (r < 0)
		return error_prefix(err, r, "the root file system %s", m->config->rootfs);
	return add(m, dev, err);
}

static int add_disks(struct monitor *m, struct error *err)
{
	int r = 0;

	for (uint32_t i = 0; i < m->go.n_disks && r == 0; i++) {
		struct blk_config c = {.fd = m->disks[i], .readonly = m->go.readonly >> i & 1};
		struct virtio_device *dev;

		r = blk_device_new(&dev, m->loop, m->pool, &c, err);
		r = r < 0 ? error_prefix(err, r, "disk %u", i) : add(m, dev, err);
	}
	return r;
}

static int add_vsock(struct monitor *m, struct error *err)
{
	struct vsock_config c = {
	    .guest_cid = m->config->guest_cid, .listen_fd = m->fds->vsock, .path = m->vsock_path};
	struct virtio_device *dev;
	int r;

	if (m->config->no_vsock)
		return 0;
	r = vsock_device_new(&dev, m->loop, &c, err);
	if (r < 0)
		return r;
	m->vsock = dev;
	return add(m, dev, err);
}

int builtin_net_new(struct virtio_device **out, struct monitor *m, const struct guest_net *n,
                    int fd, struct error *err)
{
	bool tap = n->kind == GUEST_NET_TAP;
	struct net_config c = {.mtu = tap ? n->mtu : PASST_MTU};
	int r = tap ? net_tap_new(&c.backend, fd, err) : net_stream_new(&c.backend, fd, err);

	if (r < 0)
		return r;
	memcpy(c.mac, n->mac, sizeof(c.mac));
	r = net_device_new(out, m->loop, &c, err);
	if (r < 0)
		net_backend_free(c.backend);
	return r;
}

static int add_net(struct monitor *m, struct error *err)
{
	struct virtio_device *dev;
	int r;

	if (m->fds->net < 0)
		return 0;
	r = builtin_net_new(&dev, m, &m->config->net, m->fds->net, err);
	return r < 0 ? r : add(m, dev, err);
}

static int add_rng(struct monitor *m, struct error *err)
{
	struct virtio_device *dev;
	int r = rng_device_new(&dev, m->loop, RNG_RATE_DEFAULT, err);

	return r < 0 ? r : add(m, dev, err);
}

static void take_status(void *data, unsigned int status)
{
	((struct monitor *)data)->exit_status = (int)status;
}

static int add_exit_port(struct monitor *m, struct error *err)
{
	struct virtio_device *dev;
	int r;

	if (!m->config->exit_port)
		return 0;
	r = exit_port_device_new(&dev, m->loop, take_status, m, err);
	return r < 0 ? r : add(m, dev, err);
}

static int add_console(struct monitor *m, struct error *err)
{
	struct console_config c = {.input_fd = -1};
	struct virtio_device *dev;
	int r;

	if (!m->config->virtio_console)
		return 0;
	r = output_new(&c.output, m->loop, m->fds->console, 0, err);
	if (r == 0)
		r = console_device_new(&dev, m->loop, &c, err);
	return r < 0 ? r : add(m, dev, err);
}

static int add_balloon(struct monitor *m, struct error *err)
{
	/* Not `zeros`: below kernel and initial ramdisk there may be their files, which are what is
	 * seen where a page went back. */
	const struct balloon_config c = {
	    .ram = vm_ram(m->vm), .deflate_on_oom = true, .free_page_reporting = true};
	int r;

	if (!m->config->balloon)
		return 0;
	r = balloon_device_new(&m->balloon, m->loop, &c, err);
	return r < 0 ? r : add(m, m->balloon, err);
}

static int region_fd(void *data, const struct guest_region *region, uint64_t *offset)
{
	return vm_memory_fd(data, region, offset);
}

int builtin_fs_new(struct virtio_device **out, struct monitor *m, int fd, const char *tag,
                   struct error *err)
{
	struct vhost_user_device_config c = {
	    .fd = fd, .memory = vm_ram(m->vm), .region_fd = region_fd, .data = m->vm};
	int r = vhost_user_fs_config(&c, tag, err);

	if (r == 0)
		r = vhost_user_device_new(out, m->loop, &c, err);
	return r < 0 ? error_prefix(err, r, "share %s", tag) : 0;
}

static int add_shares(struct monitor *m, struct error *err)
{
	int r = 0;

	for (unsigned int i = 0; i < m->config->n_shares && r == 0; i++) {
		struct virtio_device *dev;

		r = builtin_fs_new(&dev, m, m->fds->shares[i], m->config->shares[i].tag, err);
		if (r == 0)
			r = add(m, dev, err);
	}
	return r;
}

/* The first disk is the guest's /dev/vda and so on: devices are found in this order. Those of a
 * clone's own are not part of what was saved. */
static const struct {
	int (*add)(struct monitor *m, struct error *err);
	bool own;
} devices[] = {
    {add_root}, {add_disks, true}, {add_vsock},   {add_net, true}, {add_exit_port},
    {add_rng},  {add_console},     {add_balloon}, {add_shares},
};

#define N_DEVICES (sizeof(devices) / sizeof(devices[0]))

int builtin_devices_add(struct monitor *m, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < N_DEVICES && r == 0; i++)
		if (!m->config->from || !devices[i].own)
			r = devices[i].add(m, err);
	return r < 0 ? r : vm_add_slots(m->vm, m->config->slots, err);
}

int builtin_devices_plug(struct monitor *m, struct error *err)
{
	int r = 0;

	m->restored = true;
	for (size_t i = 0; i < N_DEVICES && r == 0; i++)
		if (devices[i].own)
			r = devices[i].add(m, err);
	return r;
}
