/* SPDX-License-Identifier: Apache-2.0 */
/* inspect_oci: manifests, configs and layers of OCI images and artifacts. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "image-tool/inspect.h"
#include "image-tool/tool.h"
#include "lib/base/json.h"
#include "lib/image/oci_source.h"

#define MANIFEST_MAX (4u << 20)

/* One of our formatting: what a registry sends may hold anything between its words. */
static void report_document(struct report *r, const char *key, const cJSON *doc)
{
	char *text = cJSON_PrintUnformatted(doc);

	if (text)
		report_raw(r, key, text);
	else
		r->out.failed = true;
	cJSON_free(text);
}

static const char *string_of(const cJSON *obj, const char *key)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(obj, key));

	return s ?: "";
}

static int report_layers(struct report *r, const cJSON *manifest, struct error *err)
{
	const cJSON *layers = NULL, *layer;
	int e = json_array(manifest, "layers", false, &layers, "the manifest", err);

	if (e < 0)
		return e;
	report_list(r, "layers");
	cJSON_ArrayForEach(layer, layers)
	{
		struct image_descriptor d;
		_cleanup_buffer_ struct buffer type = BUFFER_INIT;

		e = image_descriptor_read(layer, "a layer of the manifest", &d, err);
		if (e < 0)
			return e;
		report_quote(&type, d.media_type);
		report_item(r, "%s %12" PRIu64 " %s", d.digest.text, d.size, buffer_cstr(&type));
		report_string(r, "digest", d.digest.text);
		report_number(r, "size", d.size);
		report_string(r, "media_type", d.media_type);
		report_end(r);
	}
	report_end(r);
	return 0;
}

static void report_words(struct report *r, const char *key, const struct strv *words)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;

	for (size_t i = 0; i < words->n; i++) {
		buffer_str(&text, i ? " " : "");
		report_quote(&text, words->v[i]);
	}
	if (words->n > 0 && !r->json)
		report_string(r, key, buffer_cstr(&text));
}

/* The words that decide what runs; JSON has all of the config. */
static void report_config(struct report *r, const struct image_config *c)
{
	report_stringf(r, "platform", "%s/%s%s%s", c->platform.os, c->platform.architecture,
	               c->platform.variant[0] ? "/" : "", c->platform.variant);
	report_words(r, "entrypoint", &c->entrypoint);
	report_words(r, "cmd", &c->cmd);
	if (r->json)
		return;
	report_string(r, "user", c->user);
	report_string(r, "directory", c->working_dir);
}

/* Configs of artifacts that are no container images are not fetched: they may be anything. */
static int inspect_config(struct report *r, struct oci_source *s, const cJSON *manifest,
                          struct error *err)
{
	_cleanup_image_config_ struct image_config config = {0};
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_cjson_ cJSON *doc = NULL;
	const cJSON *obj = NULL;
	struct image_descriptor d;
	struct image_media media;
	int e = json_object(manifest, "config", false, &obj, "the manifest", err);

	if (e != 0)
		return e < 0 ? e : 0;
	report_string(r, "config_type", string_of(obj, "mediaType"));
	e = image_descriptor_read(obj, "the config of the manifest", &d, err);
	if (e < 0)
		return e;
	if (image_media_find(d.media_type, &media) < 0 || media.kind != IMAGE_MEDIA_CONFIG)
		return 0;
	e = oci_source_bytes(s, &d, MANIFEST_MAX, "the config", &text, err);
	if (e == 0)
		e = json_parse((const char *)text.data, text.size, MANIFEST_MAX, "the config", &doc,
		               err);
	if (e == 0)
		e = image_config_parse(text.data, text.size, &config, err);
	if (e < 0)
		return e;
	report_config(r, &config);
	report_document(r, "config", doc);
	return 0;
}

static int inspect_manifest(struct report *r, struct oci_source *s,
                            const struct image_platform *platform, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_cjson_ cJSON *doc = NULL;
	struct image_descriptor desc;
	int e = oci_source_manifest(s, platform, &desc, &text, err);

	if (e == 0)
		e = json_parse((const char *)text.data, text.size, MANIFEST_MAX, "the manifest",
		               &doc, err);
	if (e < 0)
		return e;
	report_string(r, "source", oci_source_kind(s));
	report_string(r, "tag", oci_source_tag(s));
	report_string(r, "digest", desc.digest.text);
	report_string(r, "media_type", desc.media_type);
	report_document(r, "manifest", doc);
	e = inspect_config(r, s, doc, err);
	return e < 0 ? e : report_layers(r, doc, err);
}

int inspect_oci(struct report *r, const char *name, const struct inspect_options *o,
                struct error *err)
{
	_cleanup_oci_source_ struct oci_source *s = NULL;
	struct image_platform platform;
	int e = o->platform ? image_platform_parse(o->platform, &platform, err) : 0;

	if (e < 0) {
		if (err)
			err->kind = ERROR_USAGE;
		return e;
	}
	e = oci_source_open(name, &o->remote, tool_stop(), &s, err);
	if (e == 0)
		e = inspect_manifest(r, s, o->platform ? &platform : NULL, err);
	return e;
}
