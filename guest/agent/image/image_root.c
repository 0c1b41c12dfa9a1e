/* SPDX-License-Identifier: Apache-2.0 */
/* image_root: network, puller, layers, overlay: one step after the other on the loop. */
#include "guest/agent/image/image_root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "guest/agent/image/layer_mount.h"
#include "guest/agent/storage/storage_mount.h"
#include "lib/base/fs.h"
#include "lib/base/helper.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

#define NETWORK_WAIT_MS 60000u

struct image_pull {
	struct sandbox *sandbox;
	const char *reference, *mount_point, *container_id;
	struct puller *puller;
	bool cancelled;
	struct loop_source *step;
	struct image_root *root;
	bool *fresh;       /* layer i was mounted for this pull */
	uint64_t deadline; /* loop_now_ms() time */
	struct helper *undo;
	struct error failure; /* while it is undone */
	image_root_fn done;
	void *data;
};

/* ---- layers, shared */

static struct image_layer *find_layer(struct sandbox *s, const char *diff_id)
{
	for (struct image_layer *l = s->layers; l; l = l->next)
		if (strcmp(l->diff_id, diff_id) == 0)
			return l;
	return NULL;
}

static void unlink_layer(struct sandbox *s, struct image_layer *layer)
{
	for (struct image_layer **at = &s->layers; *at; at = &(*at)->next) {
		if (*at == layer) {
			*at = layer->next;
			return;
		}
	}
}

void image_root_drop(struct sandbox *s, struct image_root *root)
{
	size_t n = 0;

	for (size_t i = 0; i < root->n_layers; i++) {
		struct image_layer *l = root->layers[i];

		if (--l->refs > 0)
			continue;
		unlink_layer(s, l);
		root->layers[n++] = l;
	}
	root->n_layers = n;
}

void image_root_unmount(const struct image_root *root)
{
	for (size_t i = 0; i < root->n_layers; i++) {
		char path[64];

		snprintf(path, sizeof(path), IMAGE_LAYERS_DIR "/%u", root->layers[i]->number);
		umount2(path, MNT_DETACH);
		rmdir(path);
	}
}

void image_root_free(struct image_root *root)
{
	if (!root)
		return;
	for (size_t i = 0; i < root->n_layers; i++)
		free(root->layers[i]);
	arena_free(&root->arena);
	free(root);
}

/* Takes a reference to each layer, those that are mounted already and new ones, which get their
 * numbers here and are linked once they are mounted. */
static int take_layers(struct image_pull *pull, struct error *err)
{
	struct image_root *root = pull->root;
	size_t n = root->info.n_layers;

	root->layers = arena_array(&root->arena, n, sizeof(struct image_layer *));
	pull->fresh = arena_array(&root->arena, n, sizeof(bool));
	if (!root->layers || !pull->fresh)
		return error_set(err, ENOMEM, "out of memory for %zu layers", n);
	for (size_t i = 0; i < n; i++) {
		struct image_layer *l = find_layer(pull->sandbox, root->info.layers[i].diff_id);

		for (size_t j = 0; j < i && !l; j++) /* the same layer twice in one image */
			if (strcmp(root->layers[j]->diff_id, root->info.layers[i].diff_id) == 0)
				l = root->layers[j];
		if (!l) {
			l = calloc(1, sizeof(*l));
			if (!l)
				return error_set(err, ENOMEM, "out of memory for a layer");
			strcpy(l->diff_id, root->info.layers[i].diff_id);
			l->number = pull->sandbox->next_layer++;
			pull->fresh[i] = true;
		}
		l->refs++;
		root->layers[root->n_layers++] = l;
	}
	return 0;
}

/* ---- in the helper */

static int mount_fresh(const struct image_pull *pull, size_t i, struct error *err)
{
	const struct image_layer_info *l = &pull->root->info.layers[i];
	_cleanup_close_ int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), IMAGE_LAYERS_DIR "/%u", pull->root->layers[i]->number);
	fd = layer_open(IMAGE_STORE_DIR, l->file, l->size, PULLER_UID, err);
	return fd < 0 ? fd : layer_mount(fd, path, err);
}

static int overlay(const struct image_pull *pull, struct error *err)
{
	const struct image_root *root = pull->root;
	_cleanup_free_ char *upper = str_printf(SANDBOX_ROOT "/%s/upper", pull->container_id);
	_cleanup_free_ char *work = str_printf(SANDBOX_ROOT "/%s/work", pull->container_id);
	_cleanup_free_ unsigned int *numbers = calloc(root->n_layers + 1, sizeof(*numbers));

	if (!upper || !work || !numbers)
		return error_set(err, ENOMEM, "out of memory for an overlay");
	for (size_t i = 0; i < root->n_layers; i++)
		numbers[i] = root->layers[i]->number;
	return layer_overlay(IMAGE_LAYERS_DIR, numbers, root->n_layers, upper, work,
	                     pull->mount_point, err);
}

static int mount_all(void *data, void *out, struct error *err)
{
	const struct image_pull *pull = data;
	int r = storage_check_links(pull->mount_point, err);

	for (size_t n = 0; n < pull->root->n_layers && r == 0; n++)
		if (pull->fresh[n])
			r = mount_fresh(pull, n, err);
	return r == 0 ? overlay(pull, err) : r;
}

/* Whatever mount_all() came to before it failed or was killed. */
static int unmount_dropped(void *data, void *out, struct error *err)
{
	const struct image_pull *pull = data;

	image_root_unmount(pull->root);
	return 0;
}

/* ---- steps */

static void pull_end(struct image_pull *pull, int result, const struct error *err)
{
	struct image_root *root = pull->root;
	image_root_fn done = pull->done;
	void *data = pull->data;

	if (result < 0 && root) {
		image_root_drop(pull->sandbox, root);
		image_root_free(root);
		root = NULL;
	}
	loop_source_free(pull->step);
	helper_release(pull->undo);
	free(pull);
	done(result, root, err, data);
}

static void on_undone(int result, const void *out, const struct error *err, void *data)
{
	struct image_pull *pull = data;
	struct error failure = pull->failure;

	image_root_free(pull->root); /* which was dropped before */
	pull->root = NULL;
	pull_end(pull, failure.code, &failure);
}

static void on_mounted(int result, const void *out, const struct error *err, void *data)
{
	struct image_pull *pull = data;
	struct image_root *root = pull->root;

	if (result < 0) {
		pull->failure = *err;
		image_root_drop(pull->sandbox, root);
		helper_run_reserved(pull->undo, "unmounting an image", unmount_dropped, pull,
		                    SANDBOX_UMOUNT_MS, on_undone, pull);
		return;
	}
	for (size_t i = 0; i < root->n_layers; i++) {
		if (!pull->fresh[i])
			continue;
		root->layers[i]->next = pull->sandbox->layers;
		pull->sandbox->layers = root->layers[i];
	}
	pull_end(pull, 0, err);
}

static uint64_t time_left(const struct image_pull *pull)
{
	uint64_t now = loop_now_ms();

	return now < pull->deadline ? pull->deadline - now : 1;
}

static void on_pulled(int result, const char *out, size_t size, const struct error *perr,
                      void *data)
{
	struct image_pull *pull = data;
	struct error err = *perr;
	int r = result;

	pull->puller = NULL;
	if (r == 0) {
		pull->root = calloc(1, sizeof(*pull->root));
		if (!pull->root)
			r = error_set(&err, ENOMEM, "out of memory for an image");
	}
	if (r == 0) {
		pull->root->arena = arena_init(4 * PULLER_MAX_OUTPUT);
		r = image_info_parse(out, size, &pull->root->arena, &pull->root->info, &err);
	}
	if (r == 0 && pull->root->info.n_layers == 0)
		r = error_set_kind(&err, ERROR_INPUT, EINVAL, "the image has no layers");
	if (r == 0)
		r = take_layers(pull, &err);
	if (r == 0)
		r = helper_run(pull->sandbox->loop, "mounting an image", mount_all, pull,
		               SANDBOX_MOUNT_MS, on_mounted, pull, &err);
	if (r < 0) {
		if (!strstr(err.text, pull->reference)) /* the puller names it by itself */
			error_prefix(&err, r, "image %s", pull->reference);
		pull_end(pull, r, &err);
	}
}

static int start_puller(struct image_pull *pull, struct error *err)
{
	char *argv[12];
	size_t n = 0;

	argv[n++] = (char *)pull->sandbox->config->image_puller;
	argv[n++] = (char *)"pull";
	argv[n++] = (char *)"--store";
	argv[n++] = (char *)IMAGE_STORE_DIR;
	if (fs_exists(IMAGE_CONFIG_DIR)) {
		argv[n++] = (char *)"--config";
		argv[n++] = (char *)IMAGE_CONFIG_DIR;
	}
	argv[n++] = (char *)"--json";
	argv[n++] = (char *)"--"; /* a reference is no option, whatever it looks like */
	argv[n++] = (char *)pull->reference;
	argv[n] = NULL;
	log_info("pulling %s", pull->reference);
	return puller_run(pull->sandbox->loop, argv, -1, time_left(pull), on_pulled, pull,
	                  &pull->puller, err);
}

static void on_network(int result, const struct error *nerr, void *data)
{
	struct image_pull *pull = data;
	struct error err = ERROR_INIT;
	int r = result;

	if (r < 0)
		err = *nerr;
	else if (pull->cancelled)
		r = error_set(&err, ECANCELED, "cancelled");
	else
		r = start_puller(pull, &err);
	if (r < 0) {
		error_prefix(&err, r, "image %s", pull->reference);
		pull_end(pull, r, &err);
	}
}

static void on_step(struct loop_source *src, void *data)
{
	on_network(0, NULL, data);
}

int image_root_pull(struct sandbox *s, const char *reference, const char *mount_point,
                    const char *container_id, image_root_fn done, void *data,
                    struct image_pull **out, struct error *err)
{
	struct image_pull *pull = calloc(1, sizeof(*pull));
	int r;

	if (!pull)
		return error_set(err, ENOMEM, "out of memory for a pull");
	pull->sandbox = s;
	pull->reference = reference;
	pull->mount_point = mount_point;
	pull->container_id = container_id;
	pull->done = done;
	pull->data = data;
	pull->deadline = loop_now_ms() + s->config->image_pull_timeout_ms;
	r = helper_reserve(s->loop, &pull->undo, err);
	if (r == 0 && s->net && !net_is_ready(s->net))
		r = net_wait_ready(s->net, NETWORK_WAIT_MS, on_network, pull, err);
	else if (r == 0)
		r = loop_add_timer(s->loop, 0, on_step, pull, &pull->step, err);
	if (r < 0) {
		helper_release(pull->undo);
		free(pull);
		return r;
	}
	*out = pull;
	return 0;
}

void image_root_cancel(struct image_pull *pull)
{
	if (!pull)
		return;
	pull->cancelled = true;
	puller_cancel(pull->puller);
}
