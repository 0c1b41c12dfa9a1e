/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_spec: manifests, indexes and image configurations (OCI image-spec 1.1, Docker
 * schema 2), read strictly and with limits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/oci/digest.h"

#define IMAGE_MAX_MANIFEST (4 * 1024 * 1024) /* bytes; what registries accept too */
#define IMAGE_MAX_CONFIG   (8 * 1024 * 1024)
#define IMAGE_MAX_LAYERS   500 /* what overlayfs can stack */
#define IMAGE_MAX_BLOB     (1ULL << 40)

#define IMAGE_TYPE_INDEX    "application/vnd.oci.image.index.v1+json"
#define IMAGE_TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define IMAGE_TYPE_CONFIG   "application/vnd.oci.image.config.v1+json"
/* What containerd (2.2) takes for a layer that its EROFS snapshotter mounts as it is. */
#define IMAGE_TYPE_EROFS_LAYER "application/vnd.erofs.layer.v1"

enum image_compression { IMAGE_PLAIN, IMAGE_GZIP, IMAGE_ZSTD };

enum image_media_kind {
	IMAGE_MEDIA_INDEX,
	IMAGE_MEDIA_MANIFEST,
	IMAGE_MEDIA_CONFIG,
	IMAGE_MEDIA_LAYER,
};

struct image_media {
	const char *type;
	enum image_media_kind kind;
	enum image_compression compression; /* layers */
	bool encrypted;                     /* layers: the type ends in "+encrypted" */
	bool erofs;                         /* layers: an EROFS image instead of a tar */
};

/* -ENOENT: not a type that is known. Parameters after ';' are ignored. */
int image_media_find(const char *type, struct image_media *out);
/* All types of indexes and manifests, joined by ", ": the Accept header. */
const char *image_media_accept(void);

struct image_descriptor {
	char media_type[128];
	struct digest digest;
	uint64_t size;
};

struct cJSON;
/* -EINVAL (kind input) when an object has a member that matters here twice, whatever the case of
 * its letters: parsers differ in which they take (Go's the last, and in any case), so one digest
 * would mean several images. */
int image_json_check_names(const struct cJSON *obj, const char *what, struct error *err);
/* From its JSON object; `what` names it in errors. */
int image_descriptor_read(const struct cJSON *obj, const char *what, struct image_descriptor *out,
                          struct error *err);

struct image_platform {
	char os[32];
	char architecture[32];
	char variant[32]; /* "" when it does not matter */
};

/* "os/architecture[/variant]". */
int image_platform_parse(const char *text, struct image_platform *out, struct error *err);
/* The machine this was compiled for. */
void image_platform_host(struct image_platform *out);

/* What the bytes are. content_type is the registry's word (may be NULL): it and the
 * document's own mediaType must not contradict each other. */
int image_manifest_kind(const void *json, size_t size, const char *content_type,
                        enum image_media_kind *out, struct error *err);

/* The first manifest of the index for that platform; an entry without variant is taken
 * before one with when none was asked for. -ENOENT names what the index has. */
int image_index_choose(const void *json, size_t size, const struct image_platform *want,
                       struct image_descriptor *out, struct error *err);

struct image_manifest {
	struct image_descriptor config;
	struct image_descriptor *layers; /* lowest first */
	size_t n_layers;
};

int image_manifest_parse(const void *json, size_t size, struct image_manifest *out,
                         struct error *err);
void image_manifest_clear(struct image_manifest *m);
#define _cleanup_image_manifest_ _cleanup_(image_manifest_clear)

struct image_config {
	struct image_platform platform;
	struct digest *diff_ids; /* lowest first */
	size_t n_diff_ids;
	struct strv entrypoint, cmd, env;
	char *working_dir, *user, *stop_signal; /* owned; NULL when absent */
};

/* -EINVAL also when the os is not linux. */
int image_config_parse(const void *json, size_t size, struct image_config *out, struct error *err);
void image_config_clear(struct image_config *c);
#define _cleanup_image_config_ _cleanup_(image_config_clear)
