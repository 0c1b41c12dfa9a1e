/* SPDX-License-Identifier: Apache-2.0 */
/* volume_calls: room on volumes, and swap. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/swap.h>

#include "guest/agent/device/device_find.h"
#include "guest/agent/rpc/answer_by_helper.h"
#include "guest/agent/rpc/handlers.h"
#include "lib/base/cleanup.h"
#include "lib/base/str.h"
#include "lib/rpc/proto/agent.pb-c.h"

#define STAT_MS   30000u
#define SWAP_MS   30000u
#define RESIZE_MS 60000u

/* ---- GetVolumeStats: statfs can hang on a dead share */

static int stat_volume(const ProtobufCMessage *request, void *out, struct error *err)
{
	const Grpc__VolumeStatsRequest *req = (const void *)request;

	_Static_assert(sizeof(struct statvfs) <= HELPER_OUT_MAX, "the answer must fit");
	if (statvfs(req->volume_guest_path, out) < 0)
		return error_errno(err, errno, "volume %s", req->volume_guest_path);
	return 0;
}

static void answer_volume(struct rpc_call *call, const void *out)
{
	const struct statvfs *st = out;
	Csi__VolumeStatsResponse m = CSI__VOLUME_STATS_RESPONSE__INIT;
	Csi__VolumeCondition condition = CSI__VOLUME_CONDITION__INIT;
	Csi__VolumeUsage bytes = CSI__VOLUME_USAGE__INIT, inodes = CSI__VOLUME_USAGE__INIT;
	Csi__VolumeUsage *usage[] = {&bytes, &inodes};

	bytes.unit = CSI__UNIT__BYTES;
	bytes.total = (uint64_t)st->f_blocks * st->f_frsize;
	bytes.available = (uint64_t)st->f_bavail * st->f_frsize;
	bytes.used = ((uint64_t)st->f_blocks - st->f_bfree) * st->f_frsize;
	inodes.unit = CSI__UNIT__INODES;
	inodes.total = st->f_files;
	inodes.available = st->f_ffree;
	inodes.used = (uint64_t)st->f_files - st->f_ffree;
	condition.message = (char *)"OK";
	m.usage = usage;
	m.n_usage = 2;
	m.volume_condition = &condition;
	rpc_call_reply(call, &m.base);
}

void rpc_get_volume_stats(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	answer_by_helper(data, call, request, stat_volume, answer_volume, STAT_MS);
}

/* ---- ResizeVolume: the file system grows into a device that the host has made larger */

/* linux/fs/ext4: EXT4_IOC_RESIZE_FS; linux/xfs_fs.h: XFS_IOC_FSGROWFSDATA. In no user header that
 * both our C libraries have. */
#define IOC_EXT4_RESIZE _IOW('f', 16, uint64_t)
struct xfs_growfs_data {
	uint64_t newblocks;
	uint32_t imaxpct;
};
#define IOC_XFS_GROW    _IOW('X', 110, struct xfs_growfs_data)
#define XFS_MAX_PERCENT 25u /* of the space for inodes: mkfs.xfs's default below 1 TiB */

static int resize_volume(const ProtobufCMessage *request, void *out, struct error *err)
{
	const Grpc__ResizeVolumeRequest *req = (const void *)request;
	_cleanup_close_ int fd = open(req->volume_guest_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs st;
	uint64_t blocks;
	int r;

	if (fd < 0 || fstatfs(fd, &st) < 0)
		return error_errno(err, errno, "volume %s", req->volume_guest_path);
	blocks = req->size / (uint64_t)st.f_bsize;
	if (blocks < st.f_blocks)
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL, "volume %s has %llu bytes already: it cannot shrink",
		    req->volume_guest_path,
		    (unsigned long long)st.f_blocks * (unsigned long long)st.f_bsize);
	if (st.f_type == EXT4_SUPER_MAGIC) {
		r = ioctl(fd, IOC_EXT4_RESIZE, &blocks);
	} else if (st.f_type == XFS_SUPER_MAGIC) {
		struct xfs_growfs_data grow = {blocks, XFS_MAX_PERCENT};

		r = ioctl(fd, IOC_XFS_GROW, &grow);
	} else {
		return error_set(err, EOPNOTSUPP, "volume %s is neither ext4 nor xfs",
		                 req->volume_guest_path);
	}
	return r < 0 ? error_errno(err, errno, "growing volume %s", req->volume_guest_path) : 0;
}

void rpc_resize_volume(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	answer_by_helper(data, call, request, resize_volume, NULL, RESIZE_MS);
}

/* ---- swap */

static int swap_on(const ProtobufCMessage *request, void *out, struct error *err)
{
	const char *path = ((const Grpc__AddSwapPathRequest *)request)->path;

	if (swapon(path, 0) < 0)
		return error_errno(err, errno, "swap on %s", path);
	return 0;
}

void rpc_add_swap_path(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	answer_by_helper(data, call, request, swap_on, NULL, SWAP_MS);
}

struct swap_op {
	struct rpc_call *call; /* NULL: cancelled */
};

static void swap_cancelled(void *data)
{
	((struct swap_op *)data)->call = NULL;
}

/* A local disk of the guest's own; the kernel reads its header only. */
static void swap_device(int result, const char *name, void *data)
{
	struct swap_op *op = data;
	struct error err = ERROR_INIT;
	char path[64];

	if (result < 0) {
		error_set(&err, -result, "the swap device did not appear");
	} else {
		snprintf(path, sizeof(path), "/dev/%s", name);
		if (swapon(path, 0) < 0)
			result = error_errno(&err, errno, "swap on %s", path);
	}
	if (op->call && result < 0)
		rpc_call_fail_error(op->call, &err);
	else if (op->call)
		rpc_call_reply(op->call, NULL);
	free(op);
}

/* PCIPath is a list of slots, outermost bridge first. */
static int parse_slots(const Grpc__AddSwapRequest *req, struct pci_path *path, struct error *err)
{
	char text[PCI_PATH_MAX_DEPTH * 12];
	size_t n = 0;

	if (req->n_pcipath > PCI_PATH_MAX_DEPTH)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "the PCI path is too deep");
	text[0] = '\0';
	for (size_t i = 0; i < req->n_pcipath; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%02x", i ? "/" : "",
		                      req->pcipath[i]);
	return pci_path_parse(path, text, err);
}

void rpc_add_swap(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	struct agent *agent = data;
	struct error err = ERROR_INIT;
	struct device_key key;
	struct swap_op *op = calloc(1, sizeof(*op));
	int r = op ? 0 : error_set(&err, ENOMEM, "out of memory");

	memset(&key, 0, sizeof(key));
	if (r == 0)
		r = parse_slots((const void *)request, &key.pci, &err);
	if (r == 0 && !agent->uevents)
		r = error_set(&err, ENODEV, "no devices can be added here");
	if (r == 0)
		r = uevents_wait(agent->uevents, &device_pci_block, &key, sizeof(key),
		                 agent->config.hotplug_timeout_ms, swap_device, op, NULL, &err);
	if (r < 0) {
		free(op);
		rpc_call_fail_error(call, &err);
		return;
	}
	op->call = call;
	rpc_call_on_cancel(call, swap_cancelled, op);
}
