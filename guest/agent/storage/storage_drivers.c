/* SPDX-License-Identifier: Apache-2.0 */
/* storage_drivers: the table of storage drivers, and what each mounts. */
#include "guest/agent/storage/storage_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "guest/agent/container/mount.h"
#include "guest/agent/container/mount_options.h"
#include "guest/agent/image/pause.h"
#include "guest/agent/sandbox.h"
#include "guest/agent/storage/huge_pages.h"
#include "guest/agent/storage/layer_device.h"
#include "guest/agent/storage/mirror.h"
#include "guest/agent/storage/storage.h"
#include "guest/agent/storage/storage_mount.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define OVERLAY_RW       "io.katacontainers.fs-opt.overlay-rw"
#define OVERLAY_MAKE_DIR "io.katacontainers.volume.overlayfs.create_directory"

/* ---- devices to wait for */

static int key_name(const char *source, struct device_key *key, struct error *err)
{
	const char *name = str_starts(source, "/dev/") ? source + 5 : source;

	if (!*name || strlen(name) >= sizeof(key->name) || strchr(name, '/'))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "\"%s\" is no device", source);
	strcpy(key->name, name);
	return 0;
}

static int named_device(const Grpc__Storage *req, struct device_key *key,
                        const struct uevent_matcher **matcher, struct error *err)
{
	*matcher = &device_block;
	return key_name(req->source, key, err);
}

static int blk_device(const Grpc__Storage *req, struct device_key *key,
                      const struct uevent_matcher **matcher, struct error *err)
{
	if (str_starts(req->source, "/dev/"))
		return named_device(req, key, matcher, err);
	*matcher = &device_pci_block;
	return pci_path_parse(&key->pci, req->source, err);
}

static int scsi_device(const Grpc__Storage *req, struct device_key *key,
                       const struct uevent_matcher **matcher, struct error *err)
{
	int r = device_scsi_parse(req->source, key, err);

	*matcher = &device_scsi_block;
	return r < 0 ? r : device_scsi_check_host("/sys", err);
}

/* ---- mounts */

/* musl 1.2.3 does not have it, and <linux/mount.h> is at odds with <sys/mount.h> (calls.h). */
#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 0x1
#endif

static int own_group(const Grpc__Storage *req, struct error *err)
{
	const struct oci_strings words = {req->n_options, req->options};
	struct mount_options o;

	mount_options_parse(&words, &o);
	if (!req->fs_group || o.set & MOUNT_ATTR_RDONLY) /* there nothing can be changed */
		return 0;
	return storage_own_by_group(req->mount_point, req->fs_group->group_id,
	                            req->fs_group->group_change_policy ==
	                                TYPES__FSGROUP_CHANGE_POLICY__OnRootMismatch,
	                            err);
}

static int mount_plain(const struct storage_mount_args *a, struct error *err)
{
	const Grpc__Storage *req = a->request;
	int r = storage_mount(a->source, req->mount_point, req->fstype, req->options,
	                      req->n_options, err);

	if (r == 0)
		r = own_group(req, err);
	if (r < 0)
		umount2(req->mount_point, MNT_DETACH);
	return r;
}

/* A disk, one of its partitions, or either behind dm-verity, which is mounted read-only. */
static int mount_block(const struct storage_mount_args *a, struct error *err)
{
	const Grpc__Storage *req = a->request;
	struct storage_mount_args args = *a;
	Grpc__Storage copy = *req;
	_cleanup_free_ char **words = NULL;
	struct layer_options o;
	struct layer_device dev;
	char tag[16];
	int r =
	    layer_options_parse(req->driver, req->fstype, req->options, req->n_options, &o, err);

	if (r < 0)
		return r;
	snprintf(tag, sizeof(tag), "%u", a->number);
	words = calloc(req->n_options + 1, sizeof(*words));
	if (!words)
		return error_set(err, ENOMEM, "out of memory for mount options");
	r = layer_device_open(a->source, &o, tag, &dev, err);
	if (r < 0)
		return r;
	if (req->n_options)
		memcpy(words, req->options, req->n_options * sizeof(*words));
	copy.options = words;
	if (o.verity.enabled)
		words[copy.n_options++] = (char *)"ro";
	args.source = dev.node;
	args.request = &copy;
	r = mount_plain(&args, err);
	close_fd(&dev.fd);
	return r;
}

static int parse_fsgid(const char *text, gid_t *gid, struct error *err)
{
	uint32_t n;

	if (parse_u32(text, &n) < 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "fsgid=%s is no group", text);
	*gid = n;
	return 0;
}

/* chown to the group and setgid, as an ephemeral volume with fsgid= wants it. */
static int apply_fsgid(const Grpc__Storage *req, struct error *err)
{
	const char *fsgid = storage_option(req->options, req->n_options, "fsgid");
	struct stat st;
	gid_t gid = 0;
	int r;

	if (!fsgid)
		return 0;
	r = parse_fsgid(fsgid, &gid, err);
	if (r < 0)
		return r;
	if (stat(req->mount_point, &st) < 0 || chown(req->mount_point, (uid_t)-1, gid) < 0 ||
	    chmod(req->mount_point, (st.st_mode & 07777) | S_ISGID) < 0)
		return error_errno(err, errno, "giving %s to group %s", req->mount_point, fsgid);
	return 0;
}

static int reserve_huge_pages(const Grpc__Storage *req, struct huge_pages *h, struct error *err)
{
	const char *page = storage_option(req->options, req->n_options, "pagesize");
	const char *size = storage_option(req->options, req->n_options, "size");
	uint64_t page_bytes, bytes;

	if (!page || !size || parse_size(page, &page_bytes) < 0 || parse_size(size, &bytes) < 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "hugetlbfs needs the options pagesize= and size=, in bytes");
	return huge_pages_reserve(h, req->mount_point, page_bytes, bytes, err);
}

/* fsgid= is for us, not for tmpfs. */
static int mount_ephemeral(const struct storage_mount_args *a, struct error *err)
{
	const Grpc__Storage *req = a->request;
	const char *type = *req->fstype ? req->fstype : "tmpfs";
	bool there = storage_is_mounted(req->mount_point, type);
	char **words = calloc(req->n_options + 1, sizeof(*words));
	struct huge_pages pages = HUGE_PAGES_NONE;
	size_t n = 0;
	int r = 0;

	if (!words)
		return error_set(err, ENOMEM, "out of memory for mount options");
	for (size_t i = 0; i < req->n_options; i++)
		if (!str_starts(req->options[i], "fsgid="))
			words[n++] = req->options[i];
	if (strcmp(type, "hugetlbfs") == 0 && !there)
		r = reserve_huge_pages(req, &pages, err);
	if (r == 0)
		r = storage_mount(*a->source ? a->source : type, req->mount_point, type, words, n,
		                  err);
	free(words);
	if (r == 0)
		r = apply_fsgid(req, err);
	if (r == 0)
		r = own_group(req, err);
	if (r < 0 && !there)
		umount2(req->mount_point, MNT_DETACH);
	huge_pages_end(&pages, r == 0);
	return r;
}

static int make_local(const struct storage_mount_args *a, struct error *err)
{
	const Grpc__Storage *req = a->request;
	const char *mode = storage_option(req->options, req->n_options, "mode");
	const char *fsgid = storage_option(req->options, req->n_options, "fsgid");
	uint32_t bits = 0755;
	gid_t gid;
	int r;

	if (mode && (parse_octal(mode, &bits) < 0 || bits > 07777))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "mode=%s is no file mode", mode);
	r = fsgid ? parse_fsgid(fsgid, &gid, err) : 0;
	if (r == 0)
		r = fs_mkdir_p(req->mount_point, 0755, err);
	if (r < 0)
		return r;
	if (chmod(req->mount_point, bits) < 0)
		return error_errno(err, errno, "%s", req->mount_point);
	r = apply_fsgid(req, err);
	return r < 0 ? r : own_group(req, err);
}

static int make_option_dirs(const Grpc__Storage *req, struct error *err)
{
	size_t n = strlen(OVERLAY_MAKE_DIR);

	for (size_t i = 0; i < req->n_driver_options; i++) {
		const char *o = req->driver_options[i];
		int r;

		if (strncmp(o, OVERLAY_MAKE_DIR, n) != 0 || o[n] != '=')
			continue;
		r = fs_mkdir_p(o + n + 1, 0755, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The option overlay-rw: the guest lends the writable part, in memory. */
static int mount_overlay(const struct storage_mount_args *a, struct error *err)
{
	const Grpc__Storage *req = a->request;
	char upper[400], work[400];
	char **words = calloc(req->n_options + 3, sizeof(*words));
	size_t n = 0;
	bool rw = false;
	int r;

	if (!words)
		return error_set(err, ENOMEM, "out of memory for mount options");
	for (size_t i = 0; i < req->n_options; i++) {
		if (strcmp(req->options[i], OVERLAY_RW) == 0)
			rw = true;
		else if (!str_starts(req->options[i], "io.katacontainers."))
			words[n++] = req->options[i];
	}
	r = make_option_dirs(req, err);
	if (rw && r == 0) {
		snprintf(upper, sizeof(upper), "upperdir=" SANDBOX_ROOT "/%s/upper",
		         a->container_id);
		snprintf(work, sizeof(work), "workdir=" SANDBOX_ROOT "/%s/work", a->container_id);
		r = fs_mkdir_p(strchr(upper, '=') + 1, 0755, err);
		if (r == 0)
			r = fs_mkdir_p(strchr(work, '=') + 1, 0755, err);
		words[n++] = upper;
		words[n++] = work;
	}
	if (r == 0)
		r = storage_mount("overlay", req->mount_point, "overlay", words, n, err);
	free(words);
	return r;
}

/* A small directory of a share is copied and kept like it, so that inotify(7) works in containers;
 * anything else is bound. */
static int mount_watchable(const struct storage_mount_args *a, struct error *err)
{
	static char *words[] = {(char *)"nosuid", (char *)"nodev", (char *)"mode=755",
	                        (char *)"size=4m", (char *)"nr_inodes=1024"};
	static char *bind[] = {(char *)"rbind"};
	const char *target = a->request->mount_point;
	struct stat st;
	int r = 1;

	if (stat(a->source, &st) < 0)
		return error_errno(err, errno, "%s", a->source);
	if (S_ISDIR(st.st_mode)) {
		r = storage_mount("tmpfs", target, "tmpfs", words, 5, err);
		if (r < 0)
			return r;
		r = mirror_sync(a->source, target, err);
		r = r == -EAGAIN ? 0 : r; /* the next time, then */
		if (r != 0)
			umount2(target, MNT_DETACH);
	}
	return r == 1 ? storage_mount(a->source, target, "bind", bind, 1, err) : r;
}

static int refresh_watchable(const char *source, const char *mount_point, struct error *err)
{
	/* What was too large at first has been bound, and changes by itself. */
	int r =
	    storage_is_mounted(mount_point, "tmpfs") ? mirror_sync(source, mount_point, err) : 0;

	return r == 1 ? error_set(err, EFBIG, "%s became too large to be copied: %s stays as it is",
	                          source, mount_point)
	              : r;
}

/* ---- the table */

static const struct storage_driver drivers[] = {
    {"blk", blk_device, mount_block, .block = true},
    {"mmioblk", named_device, mount_block, .block = true},
    {"scsi", scsi_device, mount_block, .block = true},
    {"nvdimm", named_device, mount_block, .block = true},
    {LAYER_DRIVER, blk_device, mount_block, .block = true},
    {"virtio-fs", NULL, mount_plain},
    {"overlayfs", NULL, mount_overlay},
    {"ephemeral", NULL, mount_ephemeral},
    {"local", NULL, make_local, .directory = true},
    {"watchable-bind", NULL, mount_watchable, .refresh = refresh_watchable},
    {"image_guest_pull"},
};

#define N_DRIVERS (sizeof(drivers) / sizeof(drivers[0]))

const struct storage_driver *storage_driver_find(const char *name)
{
	for (size_t i = 0; i < N_DRIVERS; i++)
		if (strcmp(drivers[i].name, name) == 0)
			return &drivers[i];
	return NULL;
}

static int mount_pause(const struct storage_mount_args *a, struct error *err)
{
	return pause_mount(a->request->mount_point, a->container_id, err);
}

const struct storage_driver *storage_driver_of(const Grpc__Storage *request)
{
	static const struct storage_driver pause = {"image_guest_pull", NULL, mount_pause};

	return pause_wanted(request) ? &pause : storage_driver_find(request->driver);
}

const char *const *storage_driver_names(void)
{
	static const char *names[N_DRIVERS + 1];

	for (size_t i = 0; i < N_DRIVERS; i++)
		names[i] = drivers[i].name;
	return names;
}

/* Attributes that no word names stay: "size=" alone must not lift nosuid. */
static int remount_ephemeral(const Grpc__Storage *req, struct error *err)
{
	const unsigned long old_flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
	_cleanup_free_ char **kept = calloc(req->n_options + 1, sizeof(*kept));
	_cleanup_buffer_ struct buffer data = BUFFER_INIT;
	struct oci_strings words = {0, kept};
	struct mount_options o;
	struct statvfs now;
	int r;

	if (!kept)
		return error_set(err, ENOMEM, "out of memory for mount options");
	for (size_t i = 0; i < req->n_options; i++)
		if (!str_starts(req->options[i], "fsgid="))
			kept[words.n++] = req->options[i];
	mount_options_parse(&words, &o);
	r = mount_words_join(&words, &data, err);
	if (r < 0)
		return r;
	if (statvfs(req->mount_point, &now) < 0)
		return error_errno(err, errno, "%s", req->mount_point);
	/* The flags, the attributes and what statvfs(3) tells have the same lowest four bits. */
	if (mount(NULL, req->mount_point, NULL,
	          MS_REMOUNT | (((now.f_flag & ~o.clear) | o.set) & old_flags),
	          buffer_cstr(&data)) < 0)
		return error_errno(err, errno, "remounting %s", req->mount_point);
	return 0;
}

int storage_remount_ephemeral(const Grpc__Storage *request, struct error *err)
{
	struct storage_mount_args args = {request, request->source, "", 0};
	int r;

	if (strcmp(request->driver, "ephemeral") != 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s: only ephemeral storages can be remounted, not \"%s\"",
		                      request->mount_point, request->driver);
	r = storage_check_links(request->mount_point, err);
	if (r < 0)
		return r;
	if (!storage_is_mounted(request->mount_point, NULL))
		return mount_ephemeral(&args, err);
	return request->n_options ? remount_ephemeral(request, err) : 0;
}
