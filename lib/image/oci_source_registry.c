/* SPDX-License-Identifier: Apache-2.0 */
/* oci_source_registry: images in a registry, read by several threads with a connection each. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "lib/image/hash.h"
#include "lib/image/oci_source_kinds.h"
#include "lib/image/remote.h"

#define IDLE_MAX 16 /* connections kept */

struct shared {
	struct remote remote;
	pthread_mutex_t lock;
	struct http *idle[IDLE_MAX]; /* besides the remote's own, which is the first */
	size_t n_idle;
};

static int get_connection(struct shared *sh, struct http **out, struct error *err)
{
	*out = NULL;
	pthread_mutex_lock(&sh->lock);
	if (sh->n_idle)
		*out = sh->idle[--sh->n_idle];
	pthread_mutex_unlock(&sh->lock);
	return *out ? 0 : http_new(&sh->remote.http_config, out, err);
}

static void put_connection(struct shared *sh, struct http *http)
{
	pthread_mutex_lock(&sh->lock);
	if (sh->n_idle < IDLE_MAX)
		sh->idle[sh->n_idle++] = steal_ptr(&http);
	pthread_mutex_unlock(&sh->lock);
	http_free(http);
}

static int registry_blob_of(struct oci_source *s, const struct image_descriptor *desc,
                            http_body_fn fn, void *data, struct error *err)
{
	struct shared *sh = s->own;
	struct http *http;
	int r = get_connection(sh, &http, err);

	if (r)
		return r;
	r = registry_blob(sh->remote.registry, http, desc, fn, data, err);
	put_connection(sh, http);
	return r;
}

static int get_manifest(struct oci_source *s, const char *version, struct buffer *json, char **type,
                        struct error *err)
{
	struct shared *sh = s->own;
	struct http *http;
	int r = get_connection(sh, &http, err);

	if (r)
		return r;
	r = registry_manifest(sh->remote.registry, http, version, json, type, err);
	put_connection(sh, http);
	return r;
}

static int registry_document(struct oci_source *s, const struct image_descriptor *desc,
                             struct buffer *json, struct error *err)
{
	_cleanup_free_ char *type = NULL;

	return get_manifest(s, desc->digest.text, json, &type, err);
}

static int registry_top(struct oci_source *s, const struct image_platform *platform,
                        struct image_descriptor *desc, struct buffer *json, struct error *err)
{
	const struct shared *sh = s->own;
	const struct reference *ref = &sh->remote.ref;
	_cleanup_free_ char *type = NULL;
	enum image_media_kind kind;
	struct image_media media;
	int r = get_manifest(s, reference_version(ref), json, &type, err);

	if (!r)
		r = image_manifest_kind(json->data, json->size, type, &kind, err);
	*desc = (struct image_descriptor){.digest = ref->digest, .size = json->size};
	if (!r && !ref->digest.text[0])
		r = hash_bytes(DIGEST_SHA256, json->data, json->size, &desc->digest, err);
	if (r)
		return r;
	/* Content-Type may carry parameters, or be something vague. */
	if (type && !image_media_find(type, &media))
		memcpy(desc->media_type, media.type, strlen(media.type) + 1);
	else if (kind == IMAGE_MEDIA_INDEX)
		memcpy(desc->media_type, IMAGE_TYPE_INDEX, sizeof(IMAGE_TYPE_INDEX));
	else
		memcpy(desc->media_type, IMAGE_TYPE_MANIFEST, sizeof(IMAGE_TYPE_MANIFEST));
	return 0;
}

static void registry_close(struct oci_source *s)
{
	struct shared *sh = s->own;

	if (!sh)
		return;
	while (sh->n_idle)
		http_free(sh->idle[--sh->n_idle]);
	remote_close(&sh->remote);
	pthread_mutex_destroy(&sh->lock);
	free(sh);
}

const struct oci_source_ops oci_source_registry = {"docker", registry_top, registry_document,
                                                   registry_blob_of, registry_close};

int oci_source_open_registry(struct oci_source *s, const char *reference,
                             const struct remote_options *remote, struct error *err)
{
	struct shared *sh = calloc(1, sizeof(*sh));
	int r;

	s->path = strdup(reference);
	s->tag = strdup(reference);
	s->own = sh;
	if (!sh || !s->path || !s->tag)
		return error_set(err, ENOMEM, "out of memory");
	pthread_mutex_init(&sh->lock, NULL);
	r = remote_open(&sh->remote, reference, remote, s->cancel, err);
	return r;
}
