/* SPDX-License-Identifier: Apache-2.0 */
/* convert_json: config and manifest of a converted image (OCI image-spec config.md, manifest.md).
 *
 * The config is the source's with other diff_ids: a layer stays a layer, so its history holds. That
 * the layers are EROFS images is said in os.features, so that who cannot mount them leaves the
 * image alone. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "image-tool/convert.h"
#include "lib/base/json.h"
#include "lib/base/str.h"

#define FEATURE      "erofs"
#define EXACT_DOUBLE 9007199254740992.0 /* 2^53 */

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

/* ---- config */

/* Whole numbers are printed as such: cJSON would print 10^15 nanoseconds as 1e+15, which is not a
 * number to who expects an integer. */
static int keep_integer(cJSON *item)
{
	double v = item->valuedouble;
	char text[32];

	if (!cJSON_IsNumber(item) || fabs(v) >= EXACT_DOUBLE || v != (double)(int64_t)v)
		return 0;
	snprintf(text, sizeof(text), "%" PRId64, (int64_t)v);
	item->valuestring = strdup(text);
	if (!item->valuestring)
		return -ENOMEM;
	item->type = cJSON_Raw;
	return 0;
}

/* The tree is walked with a stack of its own; json_parse() has bounded its depth. */
static int keep_integers(cJSON *root)
{
	cJSON *up[JSON_MAX_DEPTH + 1];
	size_t depth = 0;
	cJSON *item = root;

	while (item) {
		if (keep_integer(item))
			return -ENOMEM;
		if (item->child && depth < JSON_MAX_DEPTH) {
			up[depth++] = item;
			item = item->child;
			continue;
		}
		while (item && !item->next)
			item = depth ? up[--depth] : NULL;
		/* Of the root there is none. */
		item = item ? item->next : NULL;
	}
	return 0;
}

static int set_diff_ids(const struct convert *c, cJSON *root, struct error *err)
{
	cJSON *rootfs = cJSON_GetObjectItemCaseSensitive(root, "rootfs");
	cJSON *ids = cJSON_CreateArray();

	for (size_t i = 0; ids && i < c->image->manifest.n_layers; i++) {
		cJSON *id = cJSON_CreateString(c->layers[i].diff_id.text);

		if (!id || !cJSON_AddItemToArray(ids, id)) {
			cJSON_Delete(id);
			cJSON_Delete(ids);
			return no_memory(err);
		}
	}
	if (!ids || !cJSON_ReplaceItemInObjectCaseSensitive(rootfs, "diff_ids", ids)) {
		cJSON_Delete(ids);
		return no_memory(err);
	}
	return 0;
}

static int add_feature(cJSON *root, struct error *err)
{
	cJSON *features = cJSON_GetObjectItemCaseSensitive(root, "os.features"), *item;

	if (!cJSON_IsArray(features)) {
		cJSON_DeleteItemFromObjectCaseSensitive(root, "os.features");
		features = cJSON_AddArrayToObject(root, "os.features");
	}
	cJSON_ArrayForEach(item, features)
	{
		if (cJSON_IsString(item) && !strcmp(item->valuestring, FEATURE))
			return 0;
	}
	item = cJSON_CreateString(FEATURE);
	if (features && item && cJSON_AddItemToArray(features, item))
		return 0;
	cJSON_Delete(item);
	return no_memory(err);
}

int convert_config(const struct convert *c, struct buffer *out, struct error *err)
{
	const struct buffer *old = &c->image->config_json;
	_cleanup_cjson_ cJSON *root = NULL;
	_cleanup_free_ char *text = NULL;
	int r = json_parse(buffer_cstr(old), old->size, IMAGE_MAX_CONFIG, "the image's config",
	                   &root, err);

	if (!r)
		r = set_diff_ids(c, root, err);
	if (!r)
		r = add_feature(root, err);
	if (!r && keep_integers(root))
		r = no_memory(err);
	if (r)
		return r;
	text = cJSON_PrintUnformatted(root);
	buffer_str(out, text ? text : "");
	return text && !out->failed ? 0 : no_memory(err);
}

int convert_platform(const struct convert *c, struct buffer *out, struct error *err)
{
	const struct image_platform *p = &c->image->config.platform;

	buffer_str(out, "{\"architecture\":");
	buffer_json_string(out, p->architecture);
	buffer_str(out, ",\"os\":");
	buffer_json_string(out, p->os);
	if (p->variant[0]) {
		buffer_str(out, ",\"variant\":");
		buffer_json_string(out, p->variant);
	}
	buffer_str(out, ",\"os.features\":[\"" FEATURE "\"]}");
	return out->failed ? no_memory(err) : 0;
}

/* ---- manifest */

static void put_descriptor(struct buffer *out, const struct image_descriptor *d)
{
	buffer_printf(out, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%" PRIu64,
	              d->media_type, d->digest.text, d->size);
}

static void put_annotation(struct buffer *out, bool *any, const char *key, const char *value)
{
	buffer_str(out, *any ? "," : ",\"annotations\":{");
	buffer_json_string(out, key);
	buffer_str(out, ":");
	buffer_json_string(out, value);
	*any = true;
}

/* The names are those of the EROFS layers that containerd's tools write and read. */
static void put_verity(struct buffer *out, bool *any, const struct convert_layer *l)
{
	char root[16 + 2 * VERITY_DIGEST_SIZE] = "sha256:", number[24];

	verity_hex(l->verity.root, sizeof(l->verity.root), root + strlen("sha256:"));
	snprintf(number, sizeof(number), "%" PRIu64, l->data_size);
	put_annotation(out, any, "org.erofs.dmverity.block_size", "4096");
	put_annotation(out, any, "org.erofs.dmverity.hash_offset", number);
	put_annotation(out, any, "org.erofs.dmverity.root_digest", root);
}

struct annotations {
	struct buffer *out;
	bool any;
};

static int keep_annotation(void *data, const char *key, const char *value)
{
	struct annotations *a = data;

	put_annotation(a->out, &a->any, key, value);
	return 0;
}

int convert_each_annotation(const struct oci_image *image, size_t layer,
                            int (*fn)(void *data, const char *key, const char *value), void *data,
                            struct error *err)
{
	static const char what[] = "a layer of the manifest";
	const struct buffer *json = &image->manifest_json;
	_cleanup_cjson_ cJSON *root = NULL;
	const cJSON *annotations = NULL, *a;
	int r = json_parse(buffer_cstr(json), json->size, IMAGE_MAX_MANIFEST, what, &root, err);

	if (!r)
		r = json_object(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, "layers"),
		                                   (int)layer),
		                "annotations", false, &annotations, what, err);
	if (r)
		return r < 0 ? r : 0;
	cJSON_ArrayForEach(a, annotations)
	{
		if (!r && cJSON_IsString(a) && str_starts(a->string, "org.erofs."))
			r = fn(data, a->string, a->valuestring);
	}
	return r;
}

static int put_layer(struct buffer *out, const struct convert *c, size_t i, struct error *err)
{
	static const char *const names[] = {ENCRYPT_JWE, ENCRYPT_PROVIDER, ENCRYPT_PUBOPTS};
	const struct convert_layer *l = &c->layers[i];
	const struct encrypted *e = &l->encrypted;
	const struct buffer *values[] = {&e->jwe, &e->provider, &e->pubopts};
	struct annotations kept = {out, false};
	int r = 0;

	put_descriptor(out, &l->desc);
	if (l->ready)
		r = convert_each_annotation(c->image, i, keep_annotation, &kept, err);
	if (l->has_verity)
		put_verity(out, &kept.any, l);
	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
		if (values[k]->size)
			put_annotation(out, &kept.any, names[k], buffer_cstr(values[k]));
	buffer_str(out, kept.any ? "}}" : "}");
	return r;
}

/* The image's own annotations stay, but for those about the form that its layers had. */
static bool about_layers(const char *key)
{
	static const char *const prefixes[] = {"containerd.io/snapshot/", "io.containers.",
	                                       "io.github.containers.zstd-chunked", "org.erofs."};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (str_starts(key, prefixes[i]))
			return true;
	return false;
}

static int put_annotations(const struct convert *c, struct buffer *out, struct error *err)
{
	const struct buffer *old = &c->image->manifest_json;
	_cleanup_cjson_ cJSON *root = NULL;
	const cJSON *annotations = NULL, *a;
	bool any = false;
	int r =
	    json_parse(buffer_cstr(old), old->size, IMAGE_MAX_MANIFEST, "the manifest", &root, err);

	if (!r)
		r = json_object(root, "annotations", false, &annotations, "the manifest", err);
	if (r)
		return r < 0 ? r : 0;
	cJSON_ArrayForEach(a, annotations)
	{
		if (!cJSON_IsString(a))
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "the manifest: an annotation is not a string");
		if (!about_layers(a->string))
			put_annotation(out, &any, a->string, a->valuestring);
	}
	buffer_str(out, any ? "}" : "");
	return 0;
}

int convert_manifest(const struct convert *c, const struct image_descriptor *config,
                     struct buffer *out, struct error *err)
{
	int r = 0;

	buffer_str(out,
	           "{\"schemaVersion\":2,\"mediaType\":\"" IMAGE_TYPE_MANIFEST "\",\"config\":");
	put_descriptor(out, config);
	buffer_str(out, "},\"layers\":[");
	for (size_t i = 0; i < c->image->manifest.n_layers; i++) {
		buffer_str(out, i ? "," : "");
		if (!r)
			r = put_layer(out, c, i, err);
	}
	buffer_str(out, "]");
	if (!r)
		r = put_annotations(c, out, err);
	buffer_str(out, "}");
	return r ? r : out->failed ? no_memory(err) : 0;
}
