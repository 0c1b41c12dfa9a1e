/* SPDX-License-Identifier: Apache-2.0 */
/* image_info: the puller's JSON, read as the word of somebody we do not trust. */
#include <errno.h>
#include <string.h>

#include "guest/agent/image/puller.h"
#include "lib/base/json.h"

static const char what[] = "the image puller's answer";

static int copy_string(const cJSON *obj, const char *key, bool required, struct arena *arena,
                       const char **out, struct error *err)
{
	const char *s = "";
	int r = json_string(obj, key, required, &s, what, err);

	if (r < 0)
		return r;
	*out = arena_strdup(arena, s);
	return *out ? 0 : error_set(err, ENOMEM, "%s: out of memory", what);
}

static int copy_strings(const cJSON *obj, const char *key, struct arena *arena,
                        struct oci_strings *out, struct error *err)
{
	const cJSON *list = NULL, *item;
	int r = json_array(obj, key, false, &list, what, err);

	*out = (struct oci_strings){0};
	if (r < 0 || !list)
		return r < 0 ? r : 0;
	out->v = arena_array(arena, (size_t)cJSON_GetArraySize(list) + 1, sizeof(char *));
	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsString(item))
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "%s: %s has an entry that is "
			                      "no string",
			                      what, key);
		if (out->v)
			out->v[out->n++] = arena_strdup(arena, item->valuestring);
	}
	return arena->failed ? error_set(err, ENOMEM, "%s: out of memory", what) : 0;
}

static int read_layer(const cJSON *obj, struct arena *arena, struct image_layer_info *l,
                      struct error *err)
{
	int r = copy_string(obj, "diff_id", true, arena, &l->diff_id, err);

	if (r == 0)
		r = copy_string(obj, "file", true, arena, &l->file, err);
	if (r == 0)
		r = json_u64(obj, "size", true, &l->size, what, err);
	if (r < 0)
		return r;
	if (strncmp(l->diff_id, "sha256:", 7) != 0 || strlen(l->diff_id) != 71 ||
	    strspn(l->diff_id + 7, "0123456789abcdef") != 64)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s: a diff_id is no sha256 digest",
		                      what);
	return 0;
}

static int read_layers(const cJSON *doc, struct arena *arena, struct image_info *out,
                       struct error *err)
{
	const cJSON *list = NULL, *item;
	size_t n;
	int r = json_array(doc, "layers", true, &list, what, err);

	if (r < 0)
		return r;
	n = (size_t)cJSON_GetArraySize(list);
	if (n > PULLER_MAX_LAYERS)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s: more than %u layers", what,
		                      PULLER_MAX_LAYERS);
	out->layers = arena_array(arena, n, sizeof(*out->layers));
	if (!out->layers)
		return error_set(err, ENOMEM, "%s: out of memory", what);
	cJSON_ArrayForEach(item, list)
	{
		r = read_layer(item, arena, &out->layers[out->n_layers++], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_config(const cJSON *doc, struct arena *arena, struct image_info *out,
                       struct error *err)
{
	const cJSON *config = NULL;
	int r = json_object(doc, "config", true, &config, what, err);

	if (r == 0)
		r = copy_strings(config, "entrypoint", arena, &out->entrypoint, err);
	if (r == 0)
		r = copy_strings(config, "cmd", arena, &out->cmd, err);
	if (r == 0)
		r = copy_strings(config, "env", arena, &out->env, err);
	if (r == 0)
		r = copy_string(config, "working_dir", false, arena, &out->working_dir, err);
	if (r == 0)
		r = copy_string(config, "user", false, arena, &out->user, err);
	return r;
}

int image_info_parse(const char *json, size_t size, struct arena *arena, struct image_info *out,
                     struct error *err)
{
	_cleanup_cjson_ cJSON *doc = NULL;
	int r = json_parse(json, size, PULLER_MAX_OUTPUT, what, &doc, err);

	memset(out, 0, sizeof(*out));
	if (r == 0)
		r = copy_string(doc, "manifest_digest", true, arena, &out->manifest_digest, err);
	if (r == 0)
		r = read_layers(doc, arena, out, err);
	if (r == 0)
		r = read_config(doc, arena, out, err);
	return r;
}
