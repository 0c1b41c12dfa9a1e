/* SPDX-License-Identifier: Apache-2.0 */
/* image_index: see the header. */
#include "lib/oci/image_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"

#define REF_NAME "org.opencontainers.image.ref.name"

static int read_platform(const cJSON *obj, struct image_index_entry *e, const char *what,
                         struct error *err)
{
	const cJSON *p = NULL;
	int r = json_object(obj, "platform", false, &p, what, err), os, arch;

	if (r)
		return r < 0 ? r : 0;
	os = json_string_copy(p, "os", false, e->platform.os, sizeof(e->platform.os), what, err);
	if (os < 0)
		return os;
	arch = json_string_copy(p, "architecture", false, e->platform.architecture,
	                        sizeof(e->platform.architecture), what, err);
	if (arch < 0)
		return arch;
	r = json_string_copy(p, "variant", false, e->platform.variant, sizeof(e->platform.variant),
	                     what, err);
	e->has_platform = !os && !arch;
	return r < 0 ? r : 0;
}

static int read_ref_name(const cJSON *obj, struct image_index_entry *e, const char *what,
                         struct error *err)
{
	const cJSON *annotations = NULL;
	const char *name = NULL;
	int r = json_object(obj, "annotations", false, &annotations, what, err);

	if (r)
		return r < 0 ? r : 0;
	r = json_string(annotations, REF_NAME, false, &name, what, err);
	if (r)
		return r < 0 ? r : 0;
	e->ref_name = strdup(name);
	return e->ref_name ? 0 : error_set(err, ENOMEM, "out of memory");
}

/* 1: of no kind that is looked at. */
static int read_entry(const cJSON *obj, struct image_index_entry *e, const char *what,
                      struct error *err)
{
	struct image_media media;
	int r = image_descriptor_read(obj, what, &e->desc, err);

	if (r)
		return r;
	if (image_media_find(e->desc.media_type, &media) ||
	    (media.kind != IMAGE_MEDIA_INDEX && media.kind != IMAGE_MEDIA_MANIFEST))
		return 1;
	e->kind = media.kind;
	r = read_platform(obj, e, what, err);
	return r ? r : read_ref_name(obj, e, what, err);
}

int image_index_parse(const void *json, size_t size, const char *what, struct image_index *out,
                      struct error *err)
{
	_cleanup_image_index_ struct image_index index = {0};
	_cleanup_cjson_ cJSON *root = NULL;
	const cJSON *manifests, *m;
	uint64_t version = 0;
	int n, r = json_parse(json, size, IMAGE_MAX_MANIFEST, what, &root, err);

	if (!r)
		r = image_json_check_names(root, what, err);
	if (!r)
		r = json_u64(root, "schemaVersion", true, &version, what, err);
	if (!r && version != 2)
		return error_set_kind(err, ERROR_INPUT, EPROTONOSUPPORT,
		                      "%s has schema version %llu: only 2 is understood", what,
		                      (unsigned long long)version);
	if (!r)
		r = json_array(root, "manifests", true, &manifests, what, err);
	if (r)
		return r;
	n = cJSON_GetArraySize(manifests);
	if (n > IMAGE_MAX_INDEX_ENTRIES)
		return error_set_kind(err, ERROR_INPUT, E2BIG,
		                      "%s has %d entries: at most %d are read", what, n,
		                      IMAGE_MAX_INDEX_ENTRIES);
	index.entries = calloc((size_t)n + 1, sizeof(*index.entries));
	if (!index.entries)
		return error_set(err, ENOMEM, "out of memory");
	cJSON_ArrayForEach(m, manifests)
	{
		struct image_index_entry *e = &index.entries[index.n];

		r = read_entry(m, e, what, err);
		if (r < 0) {
			free(e->ref_name);
			return r;
		}
		if (r)
			*e = (struct image_index_entry){0};
		else
			index.n++;
	}
	*out = index;
	index = (struct image_index){0};
	return 0;
}

void image_index_clear(struct image_index *index)
{
	for (size_t i = 0; i < index->n; i++)
		free(index->entries[i].ref_name);
	free(index->entries);
	*index = (struct image_index){0};
}

bool image_ref_name_ok(const char *name)
{
	static const char alphanum[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

	for (;;) {
		size_t n = strspn(name, alphanum);

		name += n;
		if (!n || !*name)
			return n > 0;
		if (name[0] == '-' && name[1] == '-')
			name += 2;
		else if (strchr("-._:@+/", *name))
			name++;
		else
			return false;
	}
}

int image_index_fit(const struct image_index_entry *e, const struct image_platform *want)
{
	if (!e->has_platform)
		return 1;
	if (strcmp(e->platform.os, want->os) ||
	    strcmp(e->platform.architecture, want->architecture))
		return 0;
	if (!strcmp(e->platform.variant, want->variant))
		return 2;
	return !want->variant[0] || !e->platform.variant[0];
}
