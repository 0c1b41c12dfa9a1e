/* SPDX-License-Identifier: Apache-2.0 */
/* layer_group: sorting the storages, mounting them, the overlay. */
#include "guest/agent/storage/layer_group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/image/layer_mount.h"
#include "guest/agent/sandbox.h"
#include "guest/agent/storage/layer_device.h"
#include "guest/agent/storage/storage_driver.h"
#include "guest/agent/storage/storage_mount.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

/* ---- sorting */

void layer_group_free(struct layer_group *g)
{
	if (!g)
		return;
	free(g->base);
	free(g);
}

static bool is_layer(const Grpc__Storage *s)
{
	return layer_options_is_layer(s->driver, s->options, s->n_options);
}

static int check_layer(const struct layer *l, struct error *err)
{
	const struct storage_driver *driver = storage_driver_find(l->request->driver);
	const char *type = l->request->fstype;

	if (!driver || !driver->block)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the driver \"%s\" gives no layers: no block device",
		                      l->request->driver);
	if (l->options.role == LAYER_NONE)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "a layer of type \"%s\" is neither upper nor lower", type);
	if (l->options.role == LAYER_LOWER && strcmp(type, "erofs") != 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "a lower layer is of type erofs, not \"%s\"", type);
	if (l->options.role == LAYER_UPPER && (!*type || strchr(type, '/')))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "an upper layer of type \"%s\": this guest formats no disks",
		                      type);
	return 0;
}

/* Puts one layer behind those that are there; the upper one behind all, later. */
static int take_layer(struct layer_group *g, struct layer *upper, const Grpc__Storage *request,
                      struct error *err)
{
	struct layer l = {.request = request};
	int r = layer_options_parse(request->driver, request->fstype, request->options,
	                            request->n_options, &l.options, err);

	if (r == 0)
		r = check_layer(&l, err);
	for (size_t i = 0; r == 0 && i < request->n_options; i++) {
		struct layer_mkdir dir;

		r = layer_mkdir_parse(request->options[i], &dir, err);
		r = r == 1 ? 0 : r;
	}
	if (r < 0)
		return error_prefix(err, r, "layer \"%s\"", request->source);
	if (l.options.role == LAYER_LOWER)
		g->layers[g->n_lower++] = l;
	else if (upper->request)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "there are two upper layers, \"%s\" and \"%s\"",
		                      upper->request->source, request->source);
	else
		*upper = l;
	return 0;
}

static int sort_layers(struct layer_group *g, Grpc__Storage *const *list, size_t n,
                       struct error *err)
{
	struct layer upper = {.request = NULL};

	for (size_t i = 0; i < n; i++) {
		int r = is_layer(list[i]) ? take_layer(g, &upper, list[i], err) : 0;

		if (r < 0)
			return r;
	}
	if (g->n_lower == 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "there is no lower layer");
	g->n = g->n_lower;
	g->has_upper = upper.request != NULL;
	if (g->has_upper)
		g->layers[g->n++] = upper;
	g->main = g->has_upper ? upper.request : g->layers[0].request;
	return 0;
}

int layer_group_new(Grpc__Storage *const *list, size_t n, const char *container_id,
                    unsigned int first_number, struct layer_group **out, struct error *err)
{
	struct layer_group *g;
	size_t count = 0;
	int r;

	for (size_t i = 0; i < n; i++)
		count += is_layer(list[i]);
	if (count > LAYER_GROUP_MAX + 1)
		return error_set_kind(err, ERROR_INPUT, E2BIG,
		                      "%zu layers: the kernel stacks at most %u", count,
		                      LAYER_GROUP_MAX);
	g = calloc(1, sizeof(*g) + (count + 1) * sizeof(g->layers[0]));
	if (g)
		g->base = str_printf(SANDBOX_ROOT "/%s/multi-layer",
		                     *container_id ? container_id : "sandbox");
	if (!g || !g->base) {
		layer_group_free(g);
		return error_set(err, ENOMEM, "out of memory for %zu layers", count);
	}
	g->number = first_number;
	r = sort_layers(g, list, n, err);
	if (r == 0 && g->n_lower > LAYER_GROUP_MAX)
		r = error_set_kind(err, ERROR_INPUT, E2BIG,
		                   "%zu layers: the kernel stacks at most %u", g->n_lower,
		                   LAYER_GROUP_MAX);
	if (r < 0) {
		layer_group_free(g);
		return r;
	}
	*out = g;
	return 0;
}

/* ---- unmounting */

int layer_group_unmount(const char *base, struct error *err)
{
	/* Removing must not reach through a mount. */
	if (storage_unmount_below(base) > 0)
		return error_set(err, EAGAIN, "%s has mounts", base);
	return fs_remove_tree(AT_FDCWD, base, err);
}

/* ---- mounting */

static const char *source_of(const struct layer *l)
{
	return *l->source ? l->source : l->request->source;
}

/* One device (or partition) twice would be one directory twice for overlayfs, which says so in few
 * words. */
static int check_twice(const struct layer_group *g, struct error *err)
{
	for (size_t i = 0; i < g->n; i++)
		for (size_t j = 0; j < i; j++) {
			const struct layer *a = &g->layers[i], *b = &g->layers[j];

			if (a->options.partition != b->options.partition ||
			    strcmp(source_of(a), source_of(b)) != 0)
				continue;
			if (a->options.partition)
				return error_set_kind(err, ERROR_INPUT, EINVAL,
				                      "partition %u of %s is two layers",
				                      a->options.partition, source_of(a));
			return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is two layers",
			                      source_of(a));
		}
	return 0;
}

static int mount_layer(const struct layer_group *g, size_t i, struct error *err)
{
	static char *read_only[] = {(char *)"ro"};
	const struct layer *l = &g->layers[i];
	struct layer_device dev;
	char path[600], tag[16];
	int r;

	if (i < g->n_lower)
		snprintf(path, sizeof(path), "%s/%zu", g->base, i);
	else
		snprintf(path, sizeof(path), "%s/upper", g->base);
	snprintf(tag, sizeof(tag), "%u", g->number + (unsigned int)i);
	r = layer_device_open(source_of(l), &l->options, tag, &dev, err);
	if (r < 0)
		return r;
	if (i < g->n_lower)
		r = storage_mount(dev.node, path, "erofs", read_only, 1, err);
	else
		r = storage_mount(dev.node, path, l->request->fstype, l->request->options,
		                  l->request->n_options, err);
	close_fd(&dev.fd);
	return r;
}

/* Made inside the layer, wherever links of a disk that was written to before lead. What is there
 * already stays as it is. */
static int make_directory(const struct layer_group *g, const struct layer_mkdir *dir,
                          struct error *err)
{
	_cleanup_free_ char *root = str_printf("%s/%s", g->base, dir->in_lower ? "0" : "upper");
	_cleanup_free_ char *path = strndup(dir->path, dir->path_size);
	_cleanup_close_ int root_fd = -1, fd = -1;
	char self[32];

	if (!root || !path)
		return error_set(err, ENOMEM, "out of memory for a directory");
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return error_errno(err, errno, "%s", root);
	fd = fs_open_in_root(root_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd >= 0)
		return 0;
	fd = fs_mkdir_in_root(root_fd, path, 0755);
	if (fd < 0)
		return error_errno(err, -fd, "making the directory \"%s\" in a layer", path);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (fchownat(fd, "", dir->uid, dir->gid, AT_EMPTY_PATH) < 0 || chmod(self, dir->mode) < 0)
		return error_errno(err, errno, "mode and owner of \"%s\" in a layer", path);
	return 0;
}

static int make_directories(const struct layer_group *g, struct error *err)
{
	for (size_t i = 0; i < g->n; i++) {
		const Grpc__Storage *s = g->layers[i].request;

		for (size_t j = 0; j < s->n_options; j++) {
			struct layer_mkdir dir;
			int r = layer_mkdir_parse(s->options[j], &dir, err);

			if (r == 0)
				r = make_directory(g, &dir, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* A directory in the upper layer's root. A link there, which the disk may have brought, would make
 * the overlay write into the guest's own files. */
static int make_own_directory(const char *path, struct error *err)
{
	struct stat st;

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return error_errno(err, errno, "making %s", path);
	if (lstat(path, &st) < 0)
		return error_errno(err, errno, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return error_set_kind(err, ERROR_INPUT, ENOTDIR,
		                      "the upper layer's \"%s\" is no directory",
		                      strrchr(path, '/') + 1);
	return 0;
}

/* layer_overlay() takes the lowest first. */
static int stack(const struct layer_group *g, struct error *err)
{
	_cleanup_free_ unsigned int *numbers = calloc(g->n_lower, sizeof(*numbers));
	_cleanup_free_ char *upper = str_printf("%s/upper/upper", g->base);
	_cleanup_free_ char *work = str_printf("%s/upper/work", g->base);

	int r;

	if (!numbers || !upper || !work)
		return error_set(err, ENOMEM, "out of memory for an overlay");
	r = make_own_directory(upper, err);
	if (r == 0)
		r = make_own_directory(work, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < g->n_lower; i++)
		numbers[i] = (unsigned int)(g->n_lower - 1 - i);
	return layer_overlay(g->base, numbers, g->n_lower, upper, work, g->main->mount_point, err);
}

static int mount_all(const struct layer_group *g, struct error *err)
{
	_cleanup_free_ char *upper = str_printf("%s/upper", g->base);
	int r = upper ? fs_mkdir_p(upper, 0755, err) : error_set(err, ENOMEM, "out of memory");

	if (r == 0)
		r = check_twice(g, err);
	/* The upper first: a disk that cannot be written to is soon found out. */
	for (size_t i = g->n; i-- > 0 && r == 0;) {
		r = mount_layer(g, i, err);
		if (r < 0)
			error_prefix(err, r, "layer \"%s\"", g->layers[i].request->source);
	}
	if (r == 0)
		r = make_directories(g, err);
	return r == 0 ? stack(g, err) : r;
}

int layer_group_mount(const struct layer_group *g, struct error *err)
{
	if (storage_is_mounted(g->main->mount_point, NULL))
		return error_set(err, EBUSY, "something is mounted there already");
	return mount_all(g, err);
}
