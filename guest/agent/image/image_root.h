/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_root: a root file system out of an image that is pulled inside the guest: each layer an
 * EROFS file, mounted once and shared, an overlay with a writable part in memory on top.
 */
#pragma once

#include <stdint.h>

#include "guest/agent/image/puller.h"
#include "guest/agent/sandbox.h"
#include "lib/base/arena.h"

#define IMAGE_STORE_DIR  SANDBOX_ROOT "/image"  /* the puller's own: layers as files */
#define IMAGE_LAYERS_DIR SANDBOX_ROOT "/layers" /* where layers are mounted, by number */
#define IMAGE_CONFIG_DIR "/run/confidential-containers/initdata"

/* One mounted layer; in the sandbox's list while somebody uses it. */
struct image_layer {
	struct image_layer *next;
	char diff_id[72];
	unsigned int number; /* IMAGE_LAYERS_DIR/NUMBER */
	unsigned int refs;
};

struct image_root {
	struct arena arena; /* owns info's texts */
	struct image_info info;
	struct image_layer **layers; /* n_layers references, lowest first */
	size_t n_layers;
};

struct image_pull;

/* result 0: root is mounted at the mount point and belongs to the caller. */
typedef void (*image_root_fn)(int result, struct image_root *root, const struct error *err,
                              void *data);

/* Pulls, mounts and overlays; the strings must stay until done is called. The whole may take
 * the configuration's image_pull_timeout. */
int image_root_pull(struct sandbox *s, const char *reference, const char *mount_point,
                    const char *container_id, image_root_fn done, void *data,
                    struct image_pull **out, struct error *err);
/* Makes it end soon: done is called with an error, or with the root if it was too late. NULL is
 * fine. */
void image_root_cancel(struct image_pull *pull);

/* Gives the layers back. Those that nobody uses any more stay with root, to be unmounted. */
void image_root_drop(struct sandbox *s, struct image_root *root);
/* Unmounts what image_root_drop() left; for helpers. */
void image_root_unmount(const struct image_root *root);
/* After image_root_drop(). NULL is fine. */
void image_root_free(struct image_root *root);
