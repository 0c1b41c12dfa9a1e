/* SPDX-License-Identifier: Apache-2.0 */
/* initdata_device: looking at the disks in a helper, then kihon-pull init-data. */
#include "guest/agent/image/initdata_device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/agent/device/mmio_slots.h"
#include "guest/agent/image/image_root.h"
#include "guest/agent/image/puller.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/helper.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

#define MAGIC      "initdata"
#define LOOK_MS    30000u
#define EXTRACT_MS 30000u

struct loading {
	struct sandbox *sandbox;
	struct puller *puller;
	bool plugged; /* it must be there, in a slot that may not have been looked at */
	initdata_done_fn done;
	void *data;
};

static void loading_end(struct loading *l, int result, const struct error *err)
{
	initdata_done_fn done = l->done;
	void *data = l->data;

	free(l);
	done(result, err, data);
}

/* In the helper: the name of the disk ("vdb") goes into out, "" when there is none. */
static int find_disk(void *data, void *out, struct error *err)
{
	const struct loading *l = data;
	int n = l->plugged ? mmio_slots_probe("/sys", err) : 0;
	_cleanup_closedir_ DIR *dir = opendir("/sys/block");
	struct dirent *e;
	int r = n < 0 ? n : 0;

	while (r == 0 && dir && (e = readdir(dir))) {
		_cleanup_close_ int fd = -1;
		char path[300], magic[8];

		/* virtio-blk and virtio-scsi: nothing else is the host's to say something with */
		if (!str_starts(e->d_name, "vd") && !str_starts(e->d_name, "sd"))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 || pread(fd, magic, sizeof(magic), 0) != sizeof(magic) ||
		    memcmp(magic, MAGIC, sizeof(magic)) != 0)
			continue;
		r = fs_mkdir_p(IMAGE_CONFIG_DIR, 0755, err);
		if (r == 0 && (chown(IMAGE_CONFIG_DIR, PULLER_UID, PULLER_UID) < 0 ||
		               chmod(IMAGE_CONFIG_DIR, 0700) < 0))
			r = error_errno(err, errno, "%s", IMAGE_CONFIG_DIR);
		snprintf(out, HELPER_OUT_MAX, "%s", path);
		break;
	}
	return r;
}

static void on_extracted(int result, const char *out, size_t size, const struct error *err,
                         void *data)
{
	struct loading *l = data;
	struct error e = *err;

	if (result < 0)
		error_prefix(&e, result, "init-data");
	loading_end(l, result, &e);
}

static void on_found(int result, const void *out, const struct error *err, void *data)
{
	_cleanup_close_ int fd = -1;
	struct loading *l = data;
	struct error e = *err;
	char *const argv[] = {(char *)l->sandbox->config->image_puller, (char *)"init-data",
	                      (char *)"--out", (char *)IMAGE_CONFIG_DIR, NULL};
	const char *path = out;
	int r = result;

	if (r == 0 && !*path) {
		if (l->plugged)
			r = error_set(&e, ENOENT, "init-data: no disk with it has come");
		loading_end(l, r, &e);
		return;
	}
	if (r == 0) {
		log_info("init-data is on %s", path);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		r = fd < 0 ? error_errno(&e, errno, "%s", path)
		           : puller_run(l->sandbox->loop, argv, fd, EXTRACT_MS, on_extracted, l,
		                        &l->puller, &e);
	}
	if (r < 0)
		loading_end(l, r, &e);
}

static int load(const struct loading *what, struct error *err)
{
	struct loading *l = malloc(sizeof(*l));
	int r;

	if (!l)
		return error_set(err, ENOMEM, "out of memory for init-data");
	*l = *what;
	r = helper_run(l->sandbox->loop, "looking for init-data", find_disk, l, LOOK_MS, on_found,
	               l, err);
	if (r < 0)
		free(l);
	return r;
}

int initdata_load(struct sandbox *s, initdata_done_fn done, void *data, struct error *err)
{
	return load(&(struct loading){.sandbox = s, .done = done, .data = data}, err);
}

int initdata_load_plugged(struct sandbox *s, initdata_done_fn done, void *data, struct error *err)
{
	const struct loading l = {.sandbox = s, .plugged = true, .done = done, .data = data};

	return load(&l, err);
}
