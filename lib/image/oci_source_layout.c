/* SPDX-License-Identifier: Apache-2.0 */
/* oci_source_layout: images in an OCI image layout (image-spec image-layout.md), a folder or an
 * archive of one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/str.h"
#include "lib/image/oci_source_kinds.h"
#include "lib/oci/image_index.h"

#define LAYOUT_FILE "oci-layout"
#define INDEX_FILE  "index.json"

/* "blobs/sha256/<hex>" */
static void blob_name(const struct digest *d, char *out, size_t room)
{
	const char *colon = strchr(d->text, ':');

	snprintf(out, room, "blobs/%.*s/%s", (int)(colon - d->text), d->text, colon + 1);
}

static int layout_blob(struct oci_source *s, const struct image_descriptor *desc, http_body_fn fn,
                       void *data, struct error *err)
{
	_cleanup_oci_range_ struct oci_range range = {.fd = -1};
	char name[16 + DIGEST_TEXT_MAX];
	int r;

	blob_name(&desc->digest, name, sizeof(name));
	r = oci_files_find(s->files, name, &range, err);
	if (r > 0)
		return error_set_kind(err, ERROR_INPUT, ENOENT, "the layout lacks the blob %s",
		                      desc->digest.text);
	return r ? r : oci_source_read_range(s, &range, desc, fn, data, err);
}

static int append(void *data, const uint8_t *p, size_t n, struct error *err)
{
	struct buffer *b = data;

	buffer_append(b, p, n);
	return b->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

static int layout_document(struct oci_source *s, const struct image_descriptor *desc,
                           struct buffer *json, struct error *err)
{
	return layout_blob(s, desc, append, json, err);
}

static int check_version(const struct oci_source *s, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_cjson_ cJSON *root = NULL;
	const char *version;
	int r = oci_files_read(s->files, LAYOUT_FILE, 4096, &text, err);

	if (r > 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "this is no OCI image layout: there is no " LAYOUT_FILE);
	if (!r)
		r = json_parse(buffer_cstr(&text), text.size, 4096, LAYOUT_FILE, &root, err);
	if (!r)
		r = json_string(root, "imageLayoutVersion", true, &version, LAYOUT_FILE, err);
	if (!r && strncmp(version, "1.", 2))
		r = error_set_kind(err, ERROR_INPUT, EPROTONOSUPPORT,
		                   LAYOUT_FILE ": version \"%.20s\" is not understood, 1.0.0 is",
		                   version);
	return r;
}

/* Signatures and the like lie beside the images they are of. */
static bool is_companion(const struct image_index_entry *e)
{
	return e->ref_name && str_starts(e->ref_name, "sha256-");
}

/* Without a tag there must be nothing to choose but the platform. */
static int only_name(const struct image_index *index, const char **tag, struct error *err)
{
	const struct image_index_entry *first = NULL;

	for (size_t i = 0; i < index->n; i++) {
		const struct image_index_entry *e = &index->entries[i];

		if (is_companion(e))
			continue;
		if (!first)
			first = e;
		else if (!first->ref_name != !e->ref_name ||
		         (e->ref_name && strcmp(first->ref_name, e->ref_name)))
			return error_set_kind(
			    err, ERROR_INPUT, EINVAL,
			    "there are several images (\"%.60s\", \"%.60s\" ...): say which, as in "
			    "PATH:TAG",
			    first->ref_name ? first->ref_name : first->desc.digest.text,
			    e->ref_name ? e->ref_name : e->desc.digest.text);
	}
	*tag = first ? first->ref_name : NULL;
	return 0;
}

static int layout_top(struct oci_source *s, const struct image_platform *platform,
                      struct image_descriptor *desc, struct buffer *json, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_image_index_ struct image_index index = {0};
	const struct image_index_entry *e = NULL;
	const char *tag = s->tag;
	int r = check_version(s, err);

	if (!r)
		r = oci_files_read(s->files, INDEX_FILE, IMAGE_MAX_MANIFEST, &text, err);
	if (r > 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "this is no OCI image layout: there is no " INDEX_FILE);
	if (!r)
		r = image_index_parse(buffer_cstr(&text), text.size, INDEX_FILE, &index, err);
	if (!r && !tag)
		r = only_name(&index, &tag, err);
	if (!r)
		r = oci_source_choose(&index, tag, platform, &e, err);
	if (r)
		return r;
	*desc = e->desc;
	if (!s->tag && e->ref_name) {
		s->tag = strdup(e->ref_name);
		if (!s->tag)
			return error_set(err, ENOMEM, "out of memory");
	}
	return 1;
}

const struct oci_source_ops oci_source_layout = {"oci", layout_top, layout_document, layout_blob,
                                                 NULL};
const struct oci_source_ops oci_source_layout_archive = {"oci-archive", layout_top, layout_document,
                                                         layout_blob, NULL};
