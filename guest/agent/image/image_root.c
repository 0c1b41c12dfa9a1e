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

size_t image_root_free(struct sandbox *s, struct image_root *root, char **paths)
{
	size_t n = 0;

	for (size_t i = 0; root && i < root->n_layers; i++) {
		struct image_layer *l = root->layers[i];

		if (--l->refs > 0)
			continue;
		paths[n] = str_printf(IMAGE_LAYERS_DIR "/%u", l->number);
		if (paths[n])
			n++;
		unlink_layer(s, l);
		free(l);
	}
	if (root)
		arena_free(&root->arena);
	free(root);
	return n;
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

static void unmount_fresh(const struct image_pull *pull, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char path[64];

		if (!pull->fresh[i])
			continue;
		snprintf(path, sizeof(path), IMAGE_LAYERS_DIR "/%u", pull->root->layers[i]->number);
		umount2(path, MNT_DETACH);
		rmdir(path);
	}
}

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
	size_t n = 0;
	int r = 0;

	for (; n < pull->root->n_layers && r == 0; n++)
		if (pull->fresh[n])
			r = mount_fresh(pull, n, err);
	if (r == 0)
		r = overlay(pull, err);
	if (r < 0)
		unmount_fresh(pull, n);
	return r;
}

/* ---- steps */

static void pull_end(struct image_pull *pull, int result, const struct error *err)
{
	struct image_root *root = pull->root;
	image_root_fn done = pull->done;
	void *data = pull->data;

	if (result < 0 && root) {
		/* What the helper mounted, the helper took down: only references are left. */
		for (size_t i = 0; i < root->n_layers; i++) {
			struct image_layer *l = root->layers[i];

			if (--l->refs > 0)
				continue;
			unlink_layer(pull->sandbox, l);
			free(l);
		}
		arena_free(&root->arena);
		free(root);
		root = NULL;
	}
	loop_source_free(pull->step);
	free(pull);
	done(result, root, err, data);
}

static void on_mounted(int result, const void *out, const struct error *err, void *data)
{
	struct image_pull *pull = data;
	struct image_root *root = pull->root;

	for (size_t i = 0; i < root->n_layers && result == 0; i++) {
		if (!pull->fresh[i])
			continue;
		root->layers[i]->next = pull->sandbox->layers;
		pull->sandbox->layers = root->layers[i];
	}
	pull_end(pull, result, err);
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
	if (s->net && !net_is_ready(s->net))
		r = net_wait_ready(s->net, NETWORK_WAIT_MS, on_network, pull, NULL, err);
	else
		r = loop_add_timer(s->loop, 0, on_step, pull, &pull->step, err);
	if (r < 0) {
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
