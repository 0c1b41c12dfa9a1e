/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_source_docker: images in an archive that "docker save" wrote before it wrote OCI layouts:
 * manifest.json, [{"Config": FILE, "RepoTags": [NAME], "Layers": [FILE]}].
 *
 * There are no descriptors in it. They are made here: a plain layer's digest is its diff_id, which
 * reading it checks; a compressed one and the config are hashed.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/str.h"
#include "lib/image/hash.h"
#include "lib/image/oci_source_kinds.h"

#define MANIFEST_FILE "manifest.json"
#define DOCKER        "application/vnd.docker."
#define TYPE_CONFIG   DOCKER "container.image.v1+json"
#define TYPE_LAYER    DOCKER "image.rootfs.diff.tar"
#define GZIP_MAGIC    "\x1f\x8b"

struct part {
	struct image_descriptor desc;
	char *file; /* owned */
};

struct docker {
	cJSON *root;
	struct part *parts; /* the config, then the layers; owned */
	size_t n;
};

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

static void forget_parts(struct docker *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->parts[i].file);
	free(d->parts);
	d->parts = NULL;
	d->n = 0;
}

static void docker_close(struct oci_source *s)
{
	struct docker *d = s->own;

	if (!d)
		return;
	forget_parts(d);
	cJSON_Delete(d->root);
	free(d);
}

static int docker_blob(struct oci_source *s, const struct image_descriptor *desc, http_body_fn fn,
                       void *data, struct error *err)
{
	_cleanup_oci_range_ struct oci_range range = {.fd = -1};
	const struct docker *d = s->own;
	int r = 1;

	for (size_t i = 0; r == 1 && i < d->n; i++)
		if (digest_equal(&d->parts[i].desc.digest, &desc->digest))
			r = oci_files_find(s->files, d->parts[i].file, &range, err);
	if (r > 0)
		return error_set_kind(err, ERROR_INPUT, ENOENT, "the archive lacks the blob %s",
		                      desc->digest.text);
	return r ? r : oci_source_read_range(s, &range, desc, fn, data, err);
}

static int docker_document(struct oci_source *s, const struct image_descriptor *desc,
                           struct buffer *json, struct error *err)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "the archive has no indexes");
}

static bool has_tag(const cJSON *image, const char *tag)
{
	const cJSON *tags = NULL, *t;

	if (json_array(image, "RepoTags", false, &tags, "", NULL))
		return false;
	cJSON_ArrayForEach(t, tags)
	{
		const char *text = cJSON_IsString(t) ? t->valuestring : "";
		const char *end = text;

		if (strlen(tag) <= strlen(text))
			end += strlen(text) - strlen(tag);
		/* All of it, or its end: NAME:TAG of HOST/NAME:TAG, or TAG alone. */
		if (!strcmp(end, tag) && (end == text || end[-1] == '/' || end[-1] == ':'))
			return true;
	}
	return false;
}

static int choose(const struct docker *d, const char *tag, const cJSON **out, struct error *err)
{
	const cJSON *image;

	*out = NULL;
	if (!cJSON_IsArray(d->root) || !d->root->child)
		return error_set_kind(err, ERROR_INPUT, EINVAL, MANIFEST_FILE " lists no image");
	if (!tag && d->root->child->next)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "there are several images: say which, as in FILE:NAME:TAG");
	cJSON_ArrayForEach(image, d->root)
	{
		if (*out || (tag && !has_tag(image, tag)))
			continue;
		*out = image;
	}
	return *out ? 0
	            : error_set_kind(err, ERROR_INPUT, ENOENT, "there is no image \"%.100s\"", tag);
}

static int find_part(const struct oci_source *s, const char *file, struct oci_range *range,
                     struct error *err)
{
	int r = oci_files_find(s->files, file, range, err);

	return r <= 0
	           ? r
	           : error_set_kind(err, ERROR_INPUT, ENOENT, "the archive lacks \"%.200s\"", file);
}

static int feed_hash(void *data, const uint8_t *p, size_t n, struct error *err)
{
	return hash_update(data, p, n, err);
}

static int hash_range(const struct oci_range *range, struct digest *out, struct error *err)
{
	_cleanup_hash_ struct hash *h = NULL;
	int r = hash_new(DIGEST_SHA256, &h, err);

	if (!r)
		r = oci_range_read(range, feed_hash, h, err);
	return r ? r : hash_final(h, out, err);
}

/* diff_id NULL: the config. */
static int add_part(const struct oci_source *s, const char *file, const struct digest *diff_id,
                    struct error *err)
{
	_cleanup_oci_range_ struct oci_range range = {.fd = -1};
	struct docker *d = s->own;
	struct part *p = &d->parts[d->n];
	uint8_t head[2] = {0};
	bool gzip;
	int r = find_part(s, file, &range, err);

	if (r)
		return r;
	gzip = diff_id && range.size > sizeof(head) &&
	       pread(range.fd, head, sizeof(head), (off_t)range.offset) == sizeof(head) &&
	       !memcmp(head, GZIP_MAGIC, sizeof(head));
	p->desc.size = range.size;
	memcpy(p->desc.media_type, TYPE_LAYER, sizeof(TYPE_LAYER));
	if (!diff_id)
		memcpy(p->desc.media_type, TYPE_CONFIG, sizeof(TYPE_CONFIG));
	if (gzip)
		memcpy(p->desc.media_type, TYPE_LAYER ".gzip", sizeof(TYPE_LAYER ".gzip"));
	if (diff_id && !gzip)
		p->desc.digest = *diff_id;
	else
		r = hash_range(&range, &p->desc.digest, err);
	p->file = strdup(file);
	d->n++;
	return p->file ? r : no_memory(err);
}

static int read_config(const struct oci_source *s, const char *file, struct image_config *out,
                       struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int r = oci_files_read(s->files, file, IMAGE_MAX_CONFIG, &text, err);

	if (r > 0)
		return error_set_kind(err, ERROR_INPUT, ENOENT, "the archive lacks \"%.200s\"",
		                      file);
	return r ? r : image_config_parse(buffer_cstr(&text), text.size, out, err);
}

static int add_parts(const struct oci_source *s, const cJSON *image, struct error *err)
{
	_cleanup_image_config_ struct image_config config = {0};
	const cJSON *layers = NULL, *layer;
	struct docker *d = s->own;
	const char *file;
	size_t n, i = 0;
	int r = json_string(image, "Config", true, &file, MANIFEST_FILE, err);

	if (!r)
		r = json_array(image, "Layers", true, &layers, MANIFEST_FILE, err);
	if (!r)
		r = read_config(s, file, &config, err);
	if (r)
		return r;
	n = (size_t)cJSON_GetArraySize(layers);
	if (n != config.n_diff_ids)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      MANIFEST_FILE
		                      " has %zu layers, but the config has %zu diff_ids",
		                      n, config.n_diff_ids);
	d->parts = calloc(n + 1, sizeof(*d->parts));
	if (!d->parts)
		return no_memory(err);
	r = add_part(s, file, NULL, err);
	cJSON_ArrayForEach(layer, layers)
	{
		if (!r)
			r = add_part(s, cJSON_IsString(layer) ? layer->valuestring : "",
			             &config.diff_ids[i++], err);
	}
	return r;
}

static void print_part(struct buffer *out, const struct part *p)
{
	buffer_printf(out, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%llu}",
	              p->desc.media_type, p->desc.digest.text, (unsigned long long)p->desc.size);
}

static int docker_top(struct oci_source *s, const struct image_platform *platform,
                      struct image_descriptor *desc, struct buffer *json, struct error *err)
{
	struct docker *d = s->own;
	const cJSON *image;
	int r = choose(d, s->tag, &image, err);

	forget_parts(d);
	if (!r)
		r = add_parts(s, image, err);
	if (r)
		return r;
	buffer_str(json, "{\"schemaVersion\":2,\"mediaType\":\"" DOCKER
	                 "distribution.manifest.v2+json\",\"config\":");
	print_part(json, &d->parts[0]);
	buffer_str(json, ",\"layers\":[");
	for (size_t i = 1; i < d->n; i++) {
		buffer_str(json, i > 1 ? "," : "");
		print_part(json, &d->parts[i]);
	}
	buffer_str(json, "]}");
	*desc = (struct image_descriptor){.media_type = DOCKER "distribution.manifest.v2+json",
	                                  .size = json->size};
	if (json->failed)
		return no_memory(err);
	return hash_bytes(DIGEST_SHA256, json->data, json->size, &desc->digest, err);
}

const struct oci_source_ops oci_source_docker_archive = {
    "docker-archive", docker_top, docker_document, docker_blob, docker_close};

int oci_source_open_docker(struct oci_source *s, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct docker *d = calloc(1, sizeof(*d));
	int r;

	s->own = d;
	if (!d)
		return no_memory(err);
	r = oci_files_read(s->files, MANIFEST_FILE, IMAGE_MAX_MANIFEST, &text, err);
	if (r > 0)
		r = error_set_kind(err, ERROR_INPUT, EINVAL,
		                   "there is no " MANIFEST_FILE
		                   ": \"docker save\" did not write this");
	if (!r)
		r = json_parse(buffer_cstr(&text), text.size, IMAGE_MAX_MANIFEST, MANIFEST_FILE,
		               &d->root, err);
	return r ? error_prefix(err, r, "%.200s", s->path) : 0;
}
