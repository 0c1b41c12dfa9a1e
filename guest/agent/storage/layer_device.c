/* SPDX-License-Identifier: Apache-2.0 */
/* layer_device: partition, superblock, table, device. */
#include "guest/agent/storage/layer_device.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "guest/agent/storage/device_mapper.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

/* ---- partitions */

/* A number that sysfs has of a partition, in sectors of 512 bytes. -ENOENT: no such partition. */
static int read_sectors(const char *sysfs, const char *name, const char *what, uint64_t *out)
{
	_cleanup_free_ char *path = str_printf("%s/class/block/%s/%s", sysfs, name, what);
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int r = path ? fs_read_file(AT_FDCWD, path, 64, &text, NULL) : -ENOMEM;

	if (r < 0)
		return r;
	if (text.size > 0 && text.data[text.size - 1] == '\n')
		text.data[--text.size] = '\0';
	return parse_u64(buffer_cstr(&text), out);
}

static int add_partition(int disk_fd, const struct gpt_partition *p)
{
	struct blkpg_partition part = {
	    .start = (long long)p->start, .length = (long long)p->size, .pno = (int)p->number};
	struct blkpg_ioctl_arg arg = {
	    .op = BLKPG_ADD_PARTITION, .datalen = sizeof(part), .data = &part};

	return ioctl(disk_fd, BLKPG, &arg) < 0 ? -errno : 0;
}

int layer_partition_node(const char *sysfs, int disk_fd, const char *device,
                         const struct gpt_partition *p, char node[LAYER_NODE_MAX],
                         struct error *err)
{
	const char *name;
	uint64_t start, size;
	int r;

	/* "vda1", but "pmem0p1": disk_name() of the kernel's block/partitions/core.c. */
	r = snprintf(node, LAYER_NODE_MAX, "%s%s%u", device,
	             isdigit((unsigned char)device[strlen(device) - 1]) ? "p" : "", p->number);
	name = strrchr(node, '/');
	if (r >= LAYER_NODE_MAX || !name)
		return error_set(err, EINVAL, "\"%s\" is no device", device);
	name++;
	r = read_sectors(sysfs, name, "start", &start);
	if (r == -ENOENT) {
		r = add_partition(disk_fd, p);
		if (r == 0)
			return 0;
		/* EBUSY: another helper was faster, or there is something else in its place. */
		if (r != -EBUSY || read_sectors(sysfs, name, "start", &start) < 0)
			return error_errno(err, -r, "adding partition %u of %s", p->number, device);
		r = 0;
	}
	if (r == 0)
		r = read_sectors(sysfs, name, "size", &size);
	if (r < 0)
		return error_errno(err, -r, "looking at %s in sysfs", node);
	if (start != p->start / 512 || size != p->size / 512)
		return error_set_kind(err, ERROR_INPUT, EUCLEAN,
		                      "%s is not where the partition table of %s has it", node,
		                      device);
	return 0;
}

/* From the disk's node to the partition's. */
static int find_partition(const char *device, uint32_t number, char node[LAYER_NODE_MAX],
                          struct error *err)
{
	_cleanup_close_ int fd = open(device, O_RDONLY | O_CLOEXEC);
	_cleanup_gpt_ struct gpt gpt = {NULL, 0};
	const struct gpt_partition *p;
	uint64_t size = 0;
	int block = 0, r;

	if (fd < 0)
		return error_errno(err, errno, "%s", device);
	if (ioctl(fd, BLKGETSIZE64, &size) < 0 || ioctl(fd, BLKSSZGET, &block) < 0)
		return error_errno(err, errno, "the size of %s", device);
	r = gpt_read(fd, size, (uint32_t)block, &gpt, err);
	if (r < 0)
		return error_prefix(err, r, "%s", device);
	p = gpt_find(&gpt, number);
	if (!p)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s has no partition %u", device,
		                      number);
	return layer_partition_node("/sys", fd, device, p, node, err);
}

/* ---- dm-verity */

static int disagree(struct error *err, const char *what)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "the verity superblock has another %s than the options", what);
}

/* What the options leave open, the superblock says; where both speak they must agree. Nothing of
 * it needs to be believed: with a wrong value the root hash does not hold. */
static int apply_super(struct layer_verity *v, const struct verity_super *s, struct error *err)
{
	if (*v->algorithm && strcmp(v->algorithm, s->algorithm) != 0)
		return disagree(err, "hash");
	if (v->data_block_size && v->data_block_size != s->data_block_size)
		return disagree(err, "data block size");
	if (v->hash_block_size && v->hash_block_size != s->hash_block_size)
		return disagree(err, "hash block size");
	if (v->has_salt &&
	    (v->salt_size != s->salt_size || memcmp(v->salt, s->salt, s->salt_size) != 0))
		return disagree(err, "salt");
	if (v->has_hash_type && v->hash_type != 1)
		return disagree(err, "format");
	if (strlen(s->algorithm) >= sizeof(v->algorithm))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "the hash %s is not known",
		                      s->algorithm);
	strcpy(v->algorithm, s->algorithm);
	v->data_block_size = s->data_block_size;
	v->hash_block_size = s->hash_block_size;
	v->salt_size = s->salt_size;
	memcpy(v->salt, s->salt, s->salt_size);
	return 0;
}

static size_t digest_size(const char *algorithm)
{
	return strcmp(algorithm, "sha512") == 0   ? 64
	       : strcmp(algorithm, "sha384") == 0 ? 48
	       : strcmp(algorithm, "sha256") == 0 ? 32
	                                          : 0;
}

/* Fills in what nobody said; how many blocks there are, and where the tree begins, in blocks. */
static int complete(struct layer_verity *v, const uint8_t *super, uint64_t *blocks, uint64_t *tree,
                    struct error *err)
{
	struct verity_super s = {.data_blocks = 0};
	int r = 0;

	if (!v->no_superblock) {
		r = verity_super_read(super, VERITY_SUPER_SIZE, &s, err);
		if (r == 0)
			r = apply_super(v, &s, err);
		if (r < 0)
			return r;
	}
	if (!*v->algorithm)
		strcpy(v->algorithm, "sha256");
	if (!v->data_block_size)
		v->data_block_size = VERITY_BLOCK_SIZE;
	if (!v->hash_block_size)
		v->hash_block_size = VERITY_BLOCK_SIZE;
	if (!v->has_hash_type)
		v->hash_type = 1;
	if (v->root_size != digest_size(v->algorithm))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the root hash is not as long as one of %s", v->algorithm);
	if (v->hash_offset % v->hash_block_size)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the hash offset is no multiple of the hash block size");
	*tree = v->hash_offset / v->hash_block_size + !v->no_superblock;
	*blocks = v->hash_offset / v->data_block_size;
	if (s.data_blocks > *blocks)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the verity superblock lies among the data that it is about");
	if (s.data_blocks > 0)
		*blocks = s.data_blocks;
	return 0;
}

int layer_verity_table(const struct layer_verity *verity, const char *device, uint64_t size,
                       const uint8_t *super, struct buffer *params, uint64_t *sectors,
                       struct error *err)
{
	static const char *const corruption[] = {"", " 1 restart_on_corruption",
	                                         " 1 panic_on_corruption"};
	char root[2 * LAYER_DIGEST_MAX + 1], salt[2 * VERITY_SALT_MAX + 1] = "-";
	struct layer_verity v = *verity;
	uint64_t blocks = 0, tree = 0;
	int r = complete(&v, super, &blocks, &tree, err);

	if (r < 0)
		return r;
	if (blocks == 0 || v.hash_offset >= size)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the hash offset is not within the device");
	verity_hex(v.root, v.root_size, root);
	if (v.salt_size > 0)
		verity_hex(v.salt, v.salt_size, salt);
	*sectors = blocks * (v.data_block_size / 512);
	buffer_printf(params, "%u %s %s %u %u %" PRIu64 " %" PRIu64 " %s %s %s%s", v.hash_type,
	              device, device, v.data_block_size, v.hash_block_size, blocks, tree,
	              v.algorithm, root, salt, corruption[v.corruption]);
	return params->failed ? error_set(err, ENOMEM, "no memory for a table") : 0;
}

/* Reading its beginning tells a wrong root hash from a file system that is none. */
static int check_beginning(int fd, const char *device, struct error *err)
{
	uint8_t block[4096];

	if (pread(fd, block, sizeof(block), 0) >= 0)
		return 0;
	if (errno == EIO)
		return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
		                      "%s does not hold against its root hash", device);
	return error_errno(err, errno, "reading %s", device);
}

static int open_verity(const char *device, const struct layer_verity *v, const char *tag,
                       struct layer_device *out, struct error *err)
{
	_cleanup_close_ int fd = open(device, O_RDONLY | O_CLOEXEC);
	_cleanup_buffer_ struct buffer params = BUFFER_INIT;
	char number[32], name[128], node[DM_NODE_MAX];
	struct dm_target target = {name, "verity", NULL, 0};
	uint8_t super[VERITY_SUPER_SIZE] = {0};
	const char *last = strrchr(device, '/');
	uint64_t size = 0;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "%s", device);
	if (!S_ISBLK(st.st_mode) || ioctl(fd, BLKGETSIZE64, &size) < 0)
		return error_set_kind(err, ERROR_INPUT, ENOTBLK,
		                      "%s is no block device: dm-verity needs one", device);
	r = v->no_superblock ? 0 : fs_pread_all(fd, super, sizeof(super), v->hash_offset);
	if (r < 0 && r != -ENODATA)
		return error_errno(err, -r, "the verity superblock of %s", device);
	snprintf(number, sizeof(number), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	snprintf(name, sizeof(name), "kata-verity-%s-%s", last ? last + 1 : device, tag);
	r = layer_verity_table(v, number, size, super, &params, &target.sectors, err);
	if (r == 0) {
		target.params = buffer_cstr(&params);
		r = device_mapper_open(&target, node, err);
	}
	if (r < 0)
		return error_prefix(err, r, "dm-verity on %s", device);
	out->fd = r;
	snprintf(out->node, sizeof(out->node), "%s", node);
	return check_beginning(out->fd, device, err);
}

int layer_device_open(const char *device, const struct layer_options *o, const char *tag,
                      struct layer_device *out, struct error *err)
{
	char partition[LAYER_NODE_MAX];
	int r = 0;

	out->fd = -1;
	if ((o->partition || o->verity.enabled) && *device != '/')
		return error_set_kind(err, ERROR_INPUT, ENOTBLK, "\"%s\" is no block device",
		                      device);
	if (strlen(device) >= sizeof(out->node))
		return error_set_kind(err, ERROR_INPUT, ENAMETOOLONG, "\"%s\" is no device",
		                      device);
	strcpy(out->node, device);
	if (o->partition) {
		r = find_partition(device, o->partition, partition, err);
		if (r == 0)
			strcpy(out->node, partition);
	}
	if (r == 0 && o->verity.enabled) {
		strcpy(partition, out->node);
		r = open_verity(partition, &o->verity, tag, out, err);
	}
	if (r < 0)
		close_fd(&out->fd);
	return r;
}
