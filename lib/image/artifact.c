/* SPDX-License-Identifier: Apache-2.0 */
/* artifact: see the header. */
#include "lib/image/artifact.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/str.h"
#include "lib/base/utf8.h"
#include "lib/image/push.h"

#define TITLE "org.opencontainers.image.title"

static const char what[] = "the manifest";

static int refuse(struct error *err, const char *why)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "%s: %s", what, why);
}

void artifact_clear(struct artifact *a)
{
	arena_free(&a->arena);
	*a = (struct artifact){0};
}

const struct artifact_file *artifact_find(const struct artifact *a, const char *name)
{
	for (size_t i = 0; i < a->n_files; i++)
		if (strcmp(a->files[i].name, name) == 0)
			return &a->files[i];
	return NULL;
}

/* ---- reading */

static bool name_ok(const char *s)
{
	if (!*s || strlen(s) > 255 || strchr(s, '/') || !strcmp(s, ".") || !strcmp(s, "..") ||
	    !utf8_valid(s, strlen(s)))
		return false;
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

/* Of what media types are made (RFC 6838 section 4.2), and what parameters add. */
static bool type_ok(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return n > 0 && n <= 255;
}

static int read_file(struct artifact *a, const cJSON *layer, struct error *err)
{
	struct artifact_file *f = &a->files[a->n_files];
	const char *media_type = NULL, *digest = NULL, *name = NULL;
	const cJSON *annotations = NULL;
	int e = cJSON_IsObject(layer) ? 0 : refuse(err, "a layer is no object");

	if (!e)
		e = image_json_check_names(layer, what, err);
	if (!e)
		e = json_string(layer, "mediaType", true, &media_type, what, err);
	if (!e)
		e = json_string(layer, "digest", true, &digest, what, err);
	if (!e)
		e = json_u64(layer, "size", true, &f->size, what, err);
	if (!e)
		e = json_object(layer, "annotations", false, &annotations, what, err);
	if (!e)
		e = json_string(annotations, TITLE, false, &name, what, err);
	if (e > 0)
		e = refuse(err, "a layer has no title (" TITLE "): it is no artifact of files, but "
		                "a container image, perhaps");
	if (!e)
		e = digest_parse(digest, "a layer's digest", &f->digest, err);
	if (e)
		return e;
	if (!type_ok(media_type))
		return refuse(err, "a layer's mediaType is not one");
	if (!name_ok(name))
		return refuse(err, "a layer's title is not the name of a file");
	if (artifact_find(a, name))
		return refuse(err, "two layers have the same title");
	if (f->size > IMAGE_MAX_BLOB)
		return refuse(err, "a layer is larger than any that is taken");
	f->name = arena_strdup(&a->arena, name);
	f->media_type = arena_strdup(&a->arena, media_type);
	a->n_files++;
	return a->arena.failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

static int read_type(struct artifact *a, const cJSON *doc, struct error *err)
{
	const cJSON *config = NULL;
	const char *type = NULL;
	int e = json_string(doc, "artifactType", false, &type, what, err);

	if (e > 0)
		e = json_object(doc, "config", true, &config, what, err);
	if (!e && config)
		e = json_string(config, "mediaType", true, &type, what, err);
	if (e)
		return e;
	if (!type_ok(type))
		return refuse(err, "its artifactType is not a media type");
	a->type = arena_strdup(&a->arena, type);
	return a->type ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int read_document(struct artifact *a, const cJSON *doc, struct error *err)
{
	const cJSON *layers = NULL, *layer;
	const char *media_type = ARTIFACT_MANIFEST_TYPE;
	uint64_t schema = 0;
	int e = json_u64(doc, "schemaVersion", true, &schema, what, err);

	if (!e && schema != 2)
		e = refuse(err, "its schemaVersion is not 2");
	if (!e)
		e = json_string(doc, "mediaType", false, &media_type, what, err);
	if (e >= 0 && strcmp(media_type, ARTIFACT_MANIFEST_TYPE) != 0)
		e = refuse(err, "it is not an OCI image manifest, so not an artifact");
	if (e >= 0)
		e = read_type(a, doc, err);
	if (!e)
		e = json_array(doc, "layers", true, &layers, what, err);
	if (!e && cJSON_GetArraySize(layers) > ARTIFACT_MAX_FILES)
		e = refuse(err, "it has more than 256 layers");
	if (e)
		return e;
	a->files =
	    arena_new_array(&a->arena, (size_t)cJSON_GetArraySize(layers), struct artifact_file);
	if (!a->files)
		return error_set(err, ENOMEM, "out of memory");
	cJSON_ArrayForEach(layer, layers)
	{
		e = read_file(a, layer, err);
		if (e)
			return e;
	}
	return 0;
}

int artifact_parse(const void *json, size_t size, struct artifact *out, struct error *err)
{
	_cleanup_artifact_ struct artifact a = {0};
	_cleanup_cjson_ cJSON *doc = NULL;
	int e = json_parse(json, size, IMAGE_MAX_MANIFEST, what, &doc, err);

	if (!e && !cJSON_IsObject(doc))
		e = refuse(err, "it is no JSON object");
	if (!e)
		e = image_json_check_names(doc, what, err);
	if (!e)
		e = read_document(&a, doc, err);
	if (e)
		return e;
	*out = a;
	a = (struct artifact){0};
	return 0;
}

/* ---- writing */

static void descriptor(struct buffer *out, const char *media_type, const char *digest,
                       uint64_t size)
{
	buffer_str(out, "{\"mediaType\":");
	buffer_json_string(out, media_type);
	buffer_printf(out, ",\"digest\":\"%s\",\"size\":%" PRIu64, digest, size);
}

static void annotations(const struct artifact *a, struct buffer *out)
{
	buffer_str(out, ",\"annotations\":{");
	for (size_t i = 0; i < a->n_annotations; i++) {
		buffer_str(out, i ? "," : "");
		buffer_json_string(out, a->annotations[i].key);
		buffer_str(out, ":");
		buffer_json_string(out, a->annotations[i].value);
	}
	buffer_str(out, "}");
}

void artifact_format(const struct artifact *a, struct buffer *out)
{
	buffer_str(out, "{\"schemaVersion\":2,\"mediaType\":\"" ARTIFACT_MANIFEST_TYPE
	                "\",\"artifactType\":");
	buffer_json_string(out, a->type);
	buffer_str(out, ",\"config\":");
	descriptor(out, PUSH_EMPTY_TYPE, PUSH_EMPTY_DIGEST, 2);
	buffer_str(out, ",\"data\":\"e30=\"},\"layers\":[");
	for (size_t i = 0; i < a->n_files; i++) {
		const struct artifact_file *f = &a->files[i];

		buffer_str(out, i ? "," : "");
		descriptor(out, f->media_type, f->digest.text, f->size);
		buffer_str(out, ",\"annotations\":{\"" TITLE "\":");
		buffer_json_string(out, f->name);
		buffer_str(out, "}}");
	}
	buffer_str(out, "]");
	if (a->subject) {
		buffer_str(out, ",\"subject\":");
		descriptor(out, a->subject->media_type, a->subject->digest.text, a->subject->size);
		buffer_str(out, "}");
	}
	if (a->n_annotations)
		annotations(a, out);
	buffer_str(out, "}");
}
