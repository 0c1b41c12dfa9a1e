/* SPDX-License-Identifier: Apache-2.0 */
/* image_spec: see the header. */
#include "lib/oci/image_spec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/json.h"

#define OCI    "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."

static const struct image_media media_types[] = {
    {OCI "index.v1+json", IMAGE_MEDIA_INDEX, 0, false},
    {OCI "manifest.v1+json", IMAGE_MEDIA_MANIFEST, 0, false},
    {DOCKER "distribution.manifest.list.v2+json", IMAGE_MEDIA_INDEX, 0, false},
    {DOCKER "distribution.manifest.v2+json", IMAGE_MEDIA_MANIFEST, 0, false},
    {OCI "config.v1+json", IMAGE_MEDIA_CONFIG, 0, false},
    {DOCKER "container.image.v1+json", IMAGE_MEDIA_CONFIG, 0, false},
    {OCI "layer.v1.tar", IMAGE_MEDIA_LAYER, IMAGE_PLAIN, false},
    {OCI "layer.v1.tar+gzip", IMAGE_MEDIA_LAYER, IMAGE_GZIP, false},
    {OCI "layer.v1.tar+zstd", IMAGE_MEDIA_LAYER, IMAGE_ZSTD, false},
    {OCI "layer.nondistributable.v1.tar", IMAGE_MEDIA_LAYER, IMAGE_PLAIN, false},
    {OCI "layer.nondistributable.v1.tar+gzip", IMAGE_MEDIA_LAYER, IMAGE_GZIP, false},
    {OCI "layer.nondistributable.v1.tar+zstd", IMAGE_MEDIA_LAYER, IMAGE_ZSTD, false},
    {DOCKER "image.rootfs.diff.tar", IMAGE_MEDIA_LAYER, IMAGE_PLAIN, false},
    {DOCKER "image.rootfs.diff.tar.gzip", IMAGE_MEDIA_LAYER, IMAGE_GZIP, false},
    {DOCKER "image.rootfs.diff.tar.zstd", IMAGE_MEDIA_LAYER, IMAGE_ZSTD, false},
    {DOCKER "image.rootfs.foreign.diff.tar", IMAGE_MEDIA_LAYER, IMAGE_PLAIN, false},
    {DOCKER "image.rootfs.foreign.diff.tar.gzip", IMAGE_MEDIA_LAYER, IMAGE_GZIP, false},
    {IMAGE_TYPE_EROFS_LAYER, IMAGE_MEDIA_LAYER, IMAGE_PLAIN, false, true},
};

#define N_MEDIA_TYPES (sizeof(media_types) / sizeof(media_types[0]))
#define ENCRYPTED     "+encrypted"

int image_media_find(const char *type, struct image_media *out)
{
	size_t n = strcspn(type, "; \t"), enc = strlen(ENCRYPTED);
	bool encrypted = n > enc && !memcmp(type + n - enc, ENCRYPTED, enc);

	if (encrypted)
		n -= enc;
	for (size_t i = 0; i < N_MEDIA_TYPES; i++) {
		const struct image_media *m = &media_types[i];

		if (strlen(m->type) != n || memcmp(m->type, type, n) ||
		    (encrypted && m->kind != IMAGE_MEDIA_LAYER))
			continue;
		*out = *m;
		out->encrypted = encrypted;
		return 0;
	}
	return -ENOENT;
}

const char *image_media_accept(void)
{
	return OCI "index.v1+json, " OCI "manifest.v1+json, " DOCKER
	           "distribution.manifest.list.v2+json, " DOCKER "distribution.manifest.v2+json";
}

int image_platform_parse(const char *text, struct image_platform *out, struct error *err)
{
	_cleanup_strv_ struct strv parts = STRV_INIT;

	if (strv_split(&parts, text, "/"))
		return error_set(err, ENOMEM, "out of memory");
	if (parts.n < 2 || parts.n > 3 || strlen(parts.v[0]) >= sizeof(out->os) ||
	    strlen(parts.v[1]) >= sizeof(out->architecture) ||
	    (parts.n == 3 && strlen(parts.v[2]) >= sizeof(out->variant)))
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "\"%.80s\" is not a platform: give os/architecture or "
		                      "os/architecture/variant, as in linux/amd64",
		                      text);
	snprintf(out->os, sizeof(out->os), "%s", parts.v[0]);
	snprintf(out->architecture, sizeof(out->architecture), "%s", parts.v[1]);
	snprintf(out->variant, sizeof(out->variant), "%s", parts.n == 3 ? parts.v[2] : "");
	return 0;
}

void image_platform_host(struct image_platform *out)
{
#if defined(__x86_64__)
	static const char arch[] = "amd64";
#elif defined(__aarch64__)
	static const char arch[] = "arm64";
#else
#error "name this architecture as Go does"
#endif
	*out = (struct image_platform){.os = "linux"};
	memcpy(out->architecture, arch, sizeof(arch));
}

int image_json_check_names(const cJSON *obj, const char *what, struct error *err)
{
	static const char *const names[] = {
	    "schemaVersion", "mediaType", "config",       "layers",   "manifests", "digest",
	    "size",          "os",        "architecture", "platform", "rootfs",    "diff_ids",
	};
	unsigned int seen = 0;
	const cJSON *m;

	cJSON_ArrayForEach(m, obj)
	{
		for (size_t i = 0; m->string && i < sizeof(names) / sizeof(names[0]); i++) {
			if (strcasecmp(m->string, names[i]))
				continue;
			if (seen & 1u << i)
				return error_set_kind(err, ERROR_INPUT, EINVAL,
				                      "%s has more than one \"%s\"", what,
				                      names[i]);
			seen |= 1u << i;
		}
	}
	return 0;
}

int image_descriptor_read(const cJSON *obj, const char *what, struct image_descriptor *out,
                          struct error *err)
{
	const char *digest;
	int r;

	if (!cJSON_IsObject(obj))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is not a descriptor", what);
	r = image_json_check_names(obj, what, err);
	if (r)
		return r;
	r = json_string_copy(obj, "mediaType", true, out->media_type, sizeof(out->media_type), what,
	                     err);
	if (r < 0)
		return r;
	r = json_string(obj, "digest", true, &digest, what, err);
	if (r < 0)
		return r;
	r = digest_parse(digest, what, &out->digest, err);
	if (r < 0)
		return r;
	r = json_u64(obj, "size", true, &out->size, what, err);
	if (r < 0)
		return r;
	if (out->size > IMAGE_MAX_BLOB)
		return error_set_kind(err, ERROR_INPUT, EFBIG, "%s: a blob of %llu bytes", what,
		                      (unsigned long long)out->size);
	return 0;
}

/* The root object, with its schemaVersion checked. */
static int parse_root(const void *json, size_t size, const char *what, cJSON **out,
                      struct error *err)
{
	_cleanup_cjson_ cJSON *root = NULL;
	uint64_t version = 0;
	int r = json_parse(json, size, IMAGE_MAX_MANIFEST, what, &root, err);

	if (!r)
		r = image_json_check_names(root, what, err);
	if (r)
		return r;
	r = json_u64(root, "schemaVersion", true, &version, what, err);
	if (r < 0)
		return r;
	if (version != 2)
		return error_set_kind(err, ERROR_INPUT, EPROTONOSUPPORT,
		                      "%s has schema version %llu: only 2 is understood (push the "
		                      "image again with a current tool)",
		                      what, (unsigned long long)version);
	*out = steal_ptr(&root);
	return 0;
}

int image_manifest_kind(const void *json, size_t size, const char *content_type,
                        enum image_media_kind *out, struct error *err)
{
	_cleanup_cjson_ cJSON *root = NULL;
	struct image_media said, inside;
	const char *type = NULL;
	bool index, manifest, have_said;
	int r = parse_root(json, size, "the manifest", &root, err);

	if (r)
		return r;
	r = json_string(root, "mediaType", false, &type, "the manifest", err);
	if (r < 0)
		return r;
	/* A document that can be read both ways means two different images under one
	 * digest (CVE-2021-41190): refuse it. */
	index = cJSON_GetObjectItemCaseSensitive(root, "manifests");
	manifest = cJSON_GetObjectItemCaseSensitive(root, "layers") ||
	           cJSON_GetObjectItemCaseSensitive(root, "config");
	if (index == manifest)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the manifest is neither an index nor an image's manifest");
	*out = index ? IMAGE_MEDIA_INDEX : IMAGE_MEDIA_MANIFEST;
	have_said = content_type && !image_media_find(content_type, &said);
	if (type && (image_media_find(type, &inside) || inside.kind != *out))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the manifest's type \"%.100s\" does not fit its content",
		                      type);
	if (have_said && said.kind != *out)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the registry calls the manifest \"%.100s\", which does not "
		                      "fit its content",
		                      content_type);
	return 0;
}

/* How well an entry of an index fits: 0 not, 2 exactly. */
static int fit(const cJSON *platform, const struct image_platform *want)
{
	const char *os = "", *arch = "", *variant = "";

	if (json_string(platform, "os", true, &os, "", NULL) ||
	    json_string(platform, "architecture", true, &arch, "", NULL) ||
	    json_string(platform, "variant", false, &variant, "", NULL) < 0)
		return 0;
	if (strcmp(os, want->os) || strcmp(arch, want->architecture))
		return 0;
	if (!strcmp(variant, want->variant))
		return 2;
	return !want->variant[0] || !variant[0];
}

/* "linux/amd64, linux/arm64", for the message that the wanted one is not there. */
static void list_platforms(const cJSON *manifests, struct buffer *out)
{
	const cJSON *m;

	cJSON_ArrayForEach(m, manifests)
	{
		const cJSON *p = NULL;
		const char *os = "?", *arch = "?";

		if (out->size > 200)
			break;
		if (json_object(m, "platform", true, &p, "", NULL) ||
		    json_string(p, "os", true, &os, "", NULL) ||
		    json_string(p, "architecture", true, &arch, "", NULL) || !strcmp(os, "unknown"))
			continue;
		buffer_printf(out, "%s%.20s/%.20s", out->size ? ", " : "", os, arch);
	}
}

int image_index_choose(const void *json, size_t size, const struct image_platform *want,
                       struct image_descriptor *out, struct error *err)
{
	_cleanup_buffer_ struct buffer have = BUFFER_INIT;
	_cleanup_cjson_ cJSON *root = NULL;
	const cJSON *manifests, *m, *best = NULL;
	int best_fit = 0;
	int r = parse_root(json, size, "the index", &root, err);

	if (r)
		return r;
	r = json_array(root, "manifests", true, &manifests, "the index", err);
	if (r < 0)
		return r;
	cJSON_ArrayForEach(m, manifests)
	{
		const cJSON *platform = NULL;
		int f;

		if (json_object(m, "platform", true, &platform, "", NULL))
			continue;
		f = fit(platform, want);
		if (f > best_fit) {
			best = m;
			best_fit = f;
		}
	}
	if (best)
		return image_descriptor_read(best, "an entry of the index", out, err);
	list_platforms(manifests, &have);
	return error_set_kind(err, ERROR_INPUT, ENOENT,
	                      "the image is not there for %s/%s%s%s (there is: %s)", want->os,
	                      want->architecture, want->variant[0] ? "/" : "", want->variant,
	                      have.size ? buffer_cstr(&have) : "nothing that names a platform");
}

int image_manifest_parse(const void *json, size_t size, struct image_manifest *out,
                         struct error *err)
{
	_cleanup_image_manifest_ struct image_manifest m = {0};
	_cleanup_cjson_ cJSON *root = NULL;
	const cJSON *layers, *layer;
	struct image_media media;
	int n;
	int r = parse_root(json, size, "the manifest", &root, err);

	if (r)
		return r;
	r = image_descriptor_read(cJSON_GetObjectItemCaseSensitive(root, "config"),
	                          "the manifest's config", &m.config, err);
	if (r)
		return r;
	if (image_media_find(m.config.media_type, &media) || media.kind != IMAGE_MEDIA_CONFIG)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "this is not a container image: its config is of type "
		                      "\"%.100s\"",
		                      m.config.media_type);
	r = json_array(root, "layers", true, &layers, "the manifest", err);
	if (r < 0)
		return r;
	n = cJSON_GetArraySize(layers);
	if (n > IMAGE_MAX_LAYERS)
		return error_set_kind(err, ERROR_INPUT, E2BIG,
		                      "the image has %d layers: at most %d can be stacked", n,
		                      IMAGE_MAX_LAYERS);
	m.layers = calloc((size_t)n + 1, sizeof(*m.layers));
	if (!m.layers)
		return error_set(err, ENOMEM, "out of memory");
	cJSON_ArrayForEach(layer, layers)
	{
		r = image_descriptor_read(layer, "a layer of the manifest", &m.layers[m.n_layers++],
		                          err);
		if (r)
			return r;
	}
	*out = m;
	m = (struct image_manifest){0};
	return 0;
}

void image_manifest_clear(struct image_manifest *m)
{
	free(m->layers);
	*m = (struct image_manifest){0};
}

static int read_strings(const cJSON *obj, const char *key, struct strv *out, struct error *err)
{
	const cJSON *array = NULL, *item;
	int r = json_array(obj, key, false, &array, "the image's config", err);

	if (r)
		return r < 0 ? r : 0;
	cJSON_ArrayForEach(item, array)
	{
		if (!cJSON_IsString(item))
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "the image's config: \"%s\" is not a list of strings",
			                      key);
		if (strv_add(out, item->valuestring))
			return error_set(err, ENOMEM, "out of memory");
	}
	return 0;
}

static int read_text(const cJSON *obj, const char *key, char **out, struct error *err)
{
	const char *s = NULL;
	int r = json_string(obj, key, false, &s, "the image's config", err);

	if (r)
		return r < 0 ? r : 0;
	*out = strdup(s);
	return *out ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int read_process(const cJSON *config, struct image_config *out, struct error *err)
{
	int r = read_strings(config, "Entrypoint", &out->entrypoint, err);

	if (!r)
		r = read_strings(config, "Cmd", &out->cmd, err);
	if (!r)
		r = read_strings(config, "Env", &out->env, err);
	if (!r)
		r = read_text(config, "WorkingDir", &out->working_dir, err);
	if (!r)
		r = read_text(config, "User", &out->user, err);
	if (!r)
		r = read_text(config, "StopSignal", &out->stop_signal, err);
	return r;
}

static int read_diff_ids(const cJSON *root, struct image_config *out, struct error *err)
{
	const cJSON *rootfs, *ids, *id;
	int n, r;

	r = json_object(root, "rootfs", true, &rootfs, "the image's config", err);
	if (!r)
		r = image_json_check_names(rootfs, "the image's config: rootfs", err);
	if (r < 0)
		return r;
	r = json_array(rootfs, "diff_ids", true, &ids, "the image's config: rootfs", err);
	if (r < 0)
		return r;
	n = cJSON_GetArraySize(ids);
	if (n > IMAGE_MAX_LAYERS)
		return error_set_kind(err, ERROR_INPUT, E2BIG, "the image's config has %d diff_ids",
		                      n);
	out->diff_ids = calloc((size_t)n + 1, sizeof(*out->diff_ids));
	if (!out->diff_ids)
		return error_set(err, ENOMEM, "out of memory");
	cJSON_ArrayForEach(id, ids)
	{
		r = digest_parse(cJSON_IsString(id) ? id->valuestring : "", "a diff_id",
		                 &out->diff_ids[out->n_diff_ids++], err);
		if (r)
			return r;
	}
	return 0;
}

int image_config_parse(const void *json, size_t size, struct image_config *out, struct error *err)
{
	_cleanup_image_config_ struct image_config c = {0};
	static const char what[] = "the image's config";
	_cleanup_cjson_ cJSON *root = NULL;
	const cJSON *config = NULL;
	int r = json_parse(json, size, IMAGE_MAX_CONFIG, what, &root, err);

	if (!r)
		r = image_json_check_names(root, what, err);
	if (r)
		return r;
	r = json_string_copy(root, "os", true, c.platform.os, sizeof(c.platform.os), what, err);
	if (!r)
		r = json_string_copy(root, "architecture", true, c.platform.architecture,
		                     sizeof(c.platform.architecture), what, err);
	if (!r)
		r = json_string_copy(root, "variant", false, c.platform.variant,
		                     sizeof(c.platform.variant), what, err);
	if (r < 0)
		return r;
	if (strcmp(c.platform.os, "linux"))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the image is made for %s, not for linux", c.platform.os);
	r = read_diff_ids(root, &c, err);
	if (r)
		return r;
	r = json_object(root, "config", false, &config, what, err);
	if (r < 0)
		return r;
	if (r == 0) {
		r = read_process(config, &c, err);
		if (r)
			return r;
	}
	*out = c;
	c = (struct image_config){0};
	return 0;
}

void image_config_clear(struct image_config *c)
{
	free(c->diff_ids);
	strv_free(&c->entrypoint);
	strv_free(&c->cmd);
	strv_free(&c->env);
	free(c->working_dir);
	free(c->user);
	free(c->stop_signal);
	*c = (struct image_config){0};
}
