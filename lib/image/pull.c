/* SPDX-License-Identifier: Apache-2.0 */
/* pull: see the header. */
#include "lib/image/pull.h"

#include <errno.h>
#include <string.h>

#include "lib/image/hash.h"
#include "lib/image/http.h"
#include "lib/image/pull_layers.h"
#include "lib/image/registry.h"
#include "lib/image/registry_config.h"

/* What is the same for every place that is tried. */
struct pull {
	const struct pull_options *o;
	struct http_config http_config;
	struct http *http;
};

void pull_result_clear(struct pull_result *r)
{
	for (size_t i = 0; i < r->n_layers; i++)
		free(r->layers[i].file);
	free(r->layers);
	image_config_clear(&r->config);
	*r = (struct pull_result){0};
}

static int check_size(uint64_t want, size_t got, const char *what, struct error *err)
{
	if (want == got)
		return 0;
	return error_set_kind(err, ERROR_VERIFICATION, EBADMSG, "%s is of %zu bytes, not of %llu",
	                      what, got, (unsigned long long)want);
}

/* A document by tag or digest; what is known of it (digest may be NULL) must hold. */
static int get_manifest(const struct pull *p, struct registry *registry, const char *version,
                        const struct digest *digest, struct buffer *body,
                        enum image_media_kind *kind, struct error *err)
{
	_cleanup_free_ char *type = NULL;
	int r = registry_manifest(registry, p->http, version, body, &type, err);

	if (!r && digest)
		r = hash_check(digest, body->data, body->size, "the manifest", err);
	return r ? r : image_manifest_kind(body->data, body->size, type, kind, err);
}

/* The image's own manifest, by way of an index when there is one. */
static int find_manifest(const struct pull *p, struct registry *registry,
                         const struct reference *ref, struct buffer *body, struct error *err)
{
	const struct digest *known = ref->digest.text[0] ? &ref->digest : NULL;
	_cleanup_buffer_ struct buffer index = BUFFER_INIT;
	struct image_descriptor desc;
	enum image_media_kind kind;
	int r = get_manifest(p, registry, reference_version(ref), known, body, &kind, err);

	if (r || kind == IMAGE_MEDIA_MANIFEST)
		return r;
	index = *body;
	*body = (struct buffer)BUFFER_INIT;
	r = image_index_choose(index.data, index.size, &p->o->platform, &desc, err);
	if (!r)
		r = get_manifest(p, registry, desc.digest.text, &desc.digest, body, &kind, err);
	if (!r)
		r = check_size(desc.size, body->size, "the manifest", err);
	if (!r && kind != IMAGE_MEDIA_MANIFEST)
		r = error_set_kind(err, ERROR_INPUT, EINVAL,
		                   "the index leads to another index instead of a manifest");
	return r;
}

static int take_bytes(void *data, const uint8_t *p, size_t n, struct error *err)
{
	struct buffer *b = data;

	buffer_append(b, p, n);
	return b->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

static int get_config(const struct pull *p, struct registry *registry,
                      const struct image_descriptor *desc, struct image_config *out,
                      struct error *err)
{
	_cleanup_buffer_ struct buffer body = BUFFER_INIT;
	int r;

	if (desc->size > IMAGE_MAX_CONFIG)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "the image's config is of %llu bytes: at most %d are taken",
		                      (unsigned long long)desc->size, IMAGE_MAX_CONFIG);
	r = registry_blob(registry, p->http, desc, take_bytes, &body, err);
	if (!r)
		r = check_size(desc->size, body.size, "the image's config", err);
	if (!r)
		r = hash_check(&desc->digest, body.data, body.size, "the image's config", err);
	return r ? r : image_config_parse(body.data, body.size, out, err);
}

static int check_config(const struct image_config *c, const struct image_manifest *m,
                        const struct image_platform *want, struct error *err)
{
	if (c->n_diff_ids != m->n_layers)
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "the manifest has %zu layers, but the config has %zu diff_ids", m->n_layers,
		    c->n_diff_ids);
	if (strcmp(c->platform.architecture, want->architecture))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the image is for %s/%s, not for %s/%s (--platform takes it "
		                      "nevertheless)",
		                      c->platform.os, c->platform.architecture, want->os,
		                      want->architecture);
	return 0;
}

/* overlayfs takes a layer once; a lower double of it shows nothing that the upper does
 * not (what is between them may only hide, and the upper one is on top of that). */
static void drop_doubles(struct pull_result *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_layers; i++) {
		bool again = false;

		for (size_t k = i + 1; k < r->n_layers && !again; k++)
			again = digest_equal(&r->layers[i].diff_id, &r->layers[k].diff_id);
		if (again)
			free(r->layers[i].file);
		else
			r->layers[n++] = r->layers[i];
	}
	r->n_layers = n;
}

static int pull_from(const struct pull *p, const struct registry_source *source,
                     struct pull_result *out, struct error *err)
{
	_cleanup_image_manifest_ struct image_manifest manifest = {0};
	_cleanup_registry_ struct registry *registry = NULL;
	_cleanup_buffer_ struct buffer body = BUFFER_INIT;
	const struct settings *s = p->o->settings;
	bool plain = source->plain_http || strv_has(p->o->plain_http, source->ref.host);
	int r = policy_check(s->policy, &source->ref, err);

	if (!r)
		r = registry_new(&source->ref, plain, s->auth, p->o->stop, &registry, err);
	if (!r)
		r = find_manifest(p, registry, &source->ref, &body, err);
	if (!r)
		r = hash_bytes(DIGEST_SHA256, body.data, body.size, &out->manifest, err);
	if (!r)
		r = image_manifest_parse(body.data, body.size, &manifest, err);
	if (!r)
		r = get_config(p, registry, &manifest.config, &out->config, err);
	if (!r)
		r = check_config(&out->config, &manifest, &p->o->platform, err);
	if (!r)
		r = pull_layers(p->o, registry, &p->http_config, &manifest, &out->config, out, err);
	return r;
}

/* Each place in turn, until one works; the error of the last, which is the original. */
static int try_all(const struct pull *p, const struct registry_sources *sources,
                   struct pull_result *out, struct error *err)
{
	char text[REFERENCE_TEXT_MAX];
	int r = -ENOENT;

	for (size_t i = 0; i < sources->n; i++) {
		_cleanup_pull_result_ struct pull_result result = {0};

		r = pull_from(p, &sources->v[i], &result, err);
		if (!r) {
			drop_doubles(&result);
			*out = result;
			result = (struct pull_result){0};
			return 0;
		}
		if (atomic_load(p->o->stop))
			break;
		if (i + 1 < sources->n)
			error_clear(err);
	}
	return error_prefix(err, r, "%s", reference_text(&sources->v[sources->n - 1].ref, text));
}

int pull_image(const struct pull_options *o, struct pull_result *out, struct error *err)
{
	_cleanup_free_ struct registry_sources *sources = calloc(1, sizeof(*sources));
	_cleanup_trust_ struct trust *trust = NULL;
	const struct settings *s = o->settings;
	struct pull p = {
	    .o = o,
	    .http_config = {.https_proxy = s->https_proxy,
	                    .http_proxy = s->http_proxy,
	                    .no_proxy = s->no_proxy,
	                    .cancel = o->stop},
	};
	int r;

	if (!sources)
		return error_set(err, ENOMEM, "out of memory");
	r = registry_config_expand(s->registries, o->reference, sources, err);
	if (!r)
		r = trust_new(buffer_cstr(&s->ca), s->ca.size, &trust, err);
	p.http_config.trust = trust;
	if (!r)
		r = http_new(&p.http_config, &p.http, err);
	if (!r)
		r = try_all(&p, sources, out, err);
	http_free(p.http);
	return r;
}
