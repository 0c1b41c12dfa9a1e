/* SPDX-License-Identifier: Apache-2.0 */
/* oci_dest_index: see the header. */
#include "lib/image/oci_dest_index.h"

#include <errno.h>
#include <string.h>

#include "lib/base/json.h"

#define REF_NAME "org.opencontainers.image.ref.name"

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

static cJSON *new_index(void)
{
	return cJSON_Parse("{\"schemaVersion\":2,\"mediaType\":\"" IMAGE_TYPE_INDEX
	                   "\",\"manifests\":[]}");
}

static bool has_tag(const cJSON *entry, const char *tag)
{
	const cJSON *annotations = NULL;
	const char *name = NULL;

	return !json_object(entry, "annotations", true, &annotations, "", NULL) &&
	       !json_string(annotations, REF_NAME, true, &name, "", NULL) && !strcmp(name, tag);
}

/* All of one name were the image of that name, for one platform or another. */
static void remove_tagged(cJSON *manifests, const char *tag)
{
	for (int i = cJSON_GetArraySize(manifests); i-- > 0;)
		if (has_tag(cJSON_GetArrayItem(manifests, i), tag))
			cJSON_DeleteItemFromArray(manifests, i);
}

static int add_entry(cJSON *manifests, const struct dest_manifest *m, struct error *err)
{
	cJSON *e = cJSON_CreateObject(), *annotations;

	if (!e || !cJSON_AddItemToArray(manifests, e)) {
		cJSON_Delete(e);
		return no_memory(err);
	}
	if (!cJSON_AddStringToObject(e, "mediaType", m->desc.media_type) ||
	    !cJSON_AddStringToObject(e, "digest", m->desc.digest.text) ||
	    !cJSON_AddNumberToObject(e, "size", (double)m->desc.size))
		return no_memory(err);
	if (m->tag) {
		annotations = cJSON_AddObjectToObject(e, "annotations");
		if (!annotations || !cJSON_AddStringToObject(annotations, REF_NAME, m->tag))
			return no_memory(err);
	}
	if (m->platform_json && !cJSON_AddRawToObject(e, "platform", m->platform_json))
		return no_memory(err);
	return 0;
}

int dest_index(const struct buffer *old, const struct dest_manifest *list, size_t n,
               struct buffer *out, struct error *err)
{
	_cleanup_cjson_ cJSON *root = NULL;
	_cleanup_free_ char *text = NULL;
	const cJSON *manifests = NULL;
	int r = 0;

	if (old->size)
		r = json_parse(buffer_cstr(old), old->size, IMAGE_MAX_MANIFEST, "index.json", &root,
		               err);
	else
		root = new_index();
	if (!r && !root)
		r = no_memory(err);
	if (!r)
		r = json_array(root, "manifests", true, &manifests, "index.json", err);
	for (size_t i = 0; !r && i < n; i++) {
		if (list[i].tag)
			remove_tagged((cJSON *)manifests, list[i].tag);
		r = add_entry((cJSON *)manifests, &list[i], err);
	}
	if (r)
		return r;
	text = cJSON_PrintUnformatted(root);
	buffer_str(out, text ? text : "");
	return text && !out->failed ? 0 : no_memory(err);
}
