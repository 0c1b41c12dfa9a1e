/* SPDX-License-Identifier: Apache-2.0 */
/* oci_source: what a name means, the way from it to a manifest, and checking. */
#include "lib/image/oci_source.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/fs.h"
#include "lib/image/hash.h"
#include "lib/image/oci_source_kinds.h"
#include "lib/image/stage.h"
#include "lib/oci/image_index.h"

#define INDEX_DEPTH  4 /* indexes in indexes */
#define TAR_OVERHEAD 4096

/* ---- names */

static const struct {
	const char *prefix;
	const struct oci_source_ops *ops;
} prefixes[] = {
    {"oci:", &oci_source_layout},
    {"oci-archive:", &oci_source_layout_archive},
    {"docker-archive:", &oci_source_docker_archive},
    {"docker://", &oci_source_registry},
};

/* PATH or PATH:TAG, by what exists; 1 when nothing does. */
static int split_path(struct oci_source *s, const char *name, struct stat *st, struct error *err)
{
	size_t len = strlen(name), n = len;

	s->path = strdup(name);
	if (!s->path)
		return error_set(err, ENOMEM, "out of memory");
	for (; n; n--) {
		if (n < len && name[n] != ':')
			continue;
		s->path[n] = '\0';
		if (stat(s->path, st) == 0)
			break;
	}
	if (!n) {
		free(steal_ptr(&s->path));
		return 1;
	}
	if (n == len)
		return 0;
	if (!name[n + 1])
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "\"%.200s\": the tag after ':' is missing", name);
	s->tag = strdup(name + n + 1);
	return s->tag ? 0 : error_set(err, ENOMEM, "out of memory");
}

static bool has_file(const struct oci_files *f, const char *name)
{
	_cleanup_oci_range_ struct oci_range range = {.fd = -1};

	return !oci_files_find(f, name, &range, NULL);
}

static int open_path(struct oci_source *s, const struct stat *st, struct error *err)
{
	int r;

	if (S_ISDIR(st->st_mode)) {
		if (!s->ops)
			s->ops = &oci_source_layout;
		if (s->ops != &oci_source_layout)
			return error_set_kind(err, ERROR_INPUT, EISDIR, "%s is a folder", s->path);
		r = oci_files_open_dir(s->path, &s->files, err);
	} else {
		if (s->ops == &oci_source_layout)
			return error_set_kind(err, ERROR_INPUT, ENOTDIR, "%s is not a folder",
			                      s->path);
		r = oci_files_open_archive(s->path, &s->files, err);
		if (!r && !s->ops)
			s->ops =
			    has_file(s->files, "oci-layout") || !has_file(s->files, "manifest.json")
			        ? &oci_source_layout_archive
			        : &oci_source_docker_archive;
	}
	if (!r && s->ops == &oci_source_docker_archive)
		r = oci_source_open_docker(s, err);
	return r;
}

/* "busybox" may be a registry's, but "./x", "/x" and "x.tar" are files that should exist. */
static bool looks_like_path(const char *name)
{
	return name[0] == '/' || name[0] == '.' || !strchr(name, '/') || str_ends(name, ".tar") ||
	       str_ends(name, ".tgz") || str_ends(name, ".tar.gz");
}

static int open_source(struct oci_source *s, const char *name, const struct remote_options *remote,
                       struct error *err)
{
	const char *rest = name;
	struct stat st;
	int r = 1;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]) && !s->ops; i++)
		if (str_starts(name, prefixes[i].prefix)) {
			s->ops = prefixes[i].ops;
			rest = name + strlen(prefixes[i].prefix);
		}
	if (!*rest)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "\"%s\" names no image", name);
	if (s->ops != &oci_source_registry)
		r = split_path(s, rest, &st, err);
	if (r == 0)
		return open_path(s, &st, err);
	if (r < 0)
		return r;
	if (s->ops != &oci_source_registry && (s->ops || looks_like_path(rest)))
		return error_set_kind(
		    err, ERROR_INPUT, ENOENT, "%.300s: there is no such file or folder%s", rest,
		    s->ops || strchr(rest, '/') ? ""
		                                : " (a registry's image is HOST/REPOSITORY:TAG)");
	if (!remote)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%.300s: no registry is asked here",
		                      rest);
	s->ops = &oci_source_registry;
	return oci_source_open_registry(s, rest, remote, err);
}

int oci_source_open(const char *name, const struct remote_options *remote,
                    const atomic_bool *cancel, struct oci_source **out, struct error *err)
{
	_cleanup_oci_source_ struct oci_source *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_set(err, ENOMEM, "out of memory");
	s->cancel = cancel;
	r = open_source(s, name, remote, err);
	if (!r)
		*out = steal_ptr(&s);
	return r;
}

void oci_source_close(struct oci_source *s)
{
	if (!s)
		return;
	if (s->ops && s->ops->close)
		s->ops->close(s);
	oci_files_close(s->files);
	free(s->path);
	free(s->tag);
	free(s);
}

const char *oci_source_kind(const struct oci_source *s)
{
	return s->ops->kind;
}

const char *oci_source_tag(const struct oci_source *s)
{
	return s->tag;
}

/* ---- from indexes to a manifest */

static int check_document(const struct image_descriptor *desc, const struct buffer *json,
                          enum image_media_kind *kind, struct error *err)
{
	int r;

	if (json->size != desc->size)
		return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
		                      "the manifest %.19s is of %zu bytes, not of %llu",
		                      desc->digest.text, json->size,
		                      (unsigned long long)desc->size);
	r = hash_check(&desc->digest, json->data, json->size, "the manifest", err);
	return r ? r : image_manifest_kind(json->data, json->size, desc->media_type, kind, err);
}

static int read_document(struct oci_source *s, const struct image_descriptor *desc,
                         struct buffer *json, struct error *err)
{
	if (desc->size > IMAGE_MAX_MANIFEST)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "a manifest of %llu bytes: at most %d are read",
		                      (unsigned long long)desc->size, IMAGE_MAX_MANIFEST);
	buffer_clear(json);
	return s->ops->document(s, desc, json, err);
}

/* One step down from an index. */
static int step_down(const struct buffer *json, const struct image_platform *platform,
                     struct image_descriptor *desc, struct error *err)
{
	_cleanup_image_index_ struct image_index index = {0};
	const struct image_index_entry *e = NULL;
	int r = image_index_parse(json->data, json->size, "the image's index", &index, err);

	if (!r)
		r = oci_source_choose(&index, NULL, platform, &e, err);
	if (!r)
		*desc = e->desc;
	return r;
}

static int find_manifest(struct oci_source *s, const struct image_platform *platform,
                         struct image_descriptor *desc, struct buffer *json, struct error *err)
{
	enum image_media_kind kind;
	int r = s->ops->top(s, platform, desc, json, err);

	for (int depth = 0; r >= 0; depth++) {
		if (depth > INDEX_DEPTH)
			return error_set_kind(err, ERROR_INPUT, ELOOP,
			                      "more than %d indexes lead to one another",
			                      INDEX_DEPTH);
		if (r == 1)
			r = read_document(s, desc, json, err);
		if (!r)
			r = check_document(desc, json, &kind, err);
		if (r || kind == IMAGE_MEDIA_MANIFEST)
			return r;
		r = step_down(json, platform, desc, err);
		if (!r)
			r = 1;
	}
	return r;
}

static int prefix_name(const struct oci_source *s, int r, struct error *err)
{
	return error_prefix(err, r, "%.200s", s->path);
}

int oci_source_manifest(struct oci_source *s, const struct image_platform *platform,
                        struct image_descriptor *desc, struct buffer *json, struct error *err)
{
	int r;

	buffer_clear(json);
	r = find_manifest(s, platform, desc, json, err);
	return r ? prefix_name(s, r, err) : 0;
}

/* What fits of an index's entries that have the tag; *several: they have different names. */
static const struct image_index_entry *best_entry(const struct image_index *index, const char *tag,
                                                  const struct image_platform *platform,
                                                  size_t *n_tagged)
{
	const struct image_index_entry *best = NULL, *last = NULL;
	struct image_platform host;
	int best_fit = 0;

	*n_tagged = 0;
	image_platform_host(&host);
	for (size_t i = 0; i < index->n; i++) {
		const struct image_index_entry *e = &index->entries[i];
		int f;

		if (tag && (!e->ref_name || strcmp(e->ref_name, tag)) &&
		    strcmp(e->desc.digest.text, tag))
			continue;
		(*n_tagged)++;
		last = e;
		f = image_index_fit(e, platform ? platform : &host);
		if (f > best_fit) {
			best = e;
			best_fit = f;
		}
	}
	/* No choice: then it is that one, whatever this machine is. */
	return best || platform || *n_tagged != 1 ? best : last;
}

static void list_platforms(const struct image_index *index, struct buffer *out)
{
	for (size_t i = 0; i < index->n && out->size < 200; i++) {
		const struct image_platform *p = &index->entries[i].platform;

		if (index->entries[i].has_platform && strcmp(p->os, "unknown"))
			buffer_printf(out, "%s%s/%s%s%s", out->size ? ", " : "", p->os,
			              p->architecture, p->variant[0] ? "/" : "", p->variant);
	}
}

static void list_tags(const struct image_index *index, struct buffer *out)
{
	for (size_t i = 0; i < index->n && out->size < 200; i++)
		if (index->entries[i].ref_name)
			buffer_printf(out, "%s%.60s", out->size ? ", " : "",
			              index->entries[i].ref_name);
}

int oci_source_choose(const struct image_index *index, const char *tag,
                      const struct image_platform *platform, const struct image_index_entry **out,
                      struct error *err)
{
	_cleanup_buffer_ struct buffer have = BUFFER_INIT;
	struct image_platform want;
	size_t n;

	*out = best_entry(index, tag, platform, &n);
	if (*out)
		return 0;
	if (!n) {
		list_tags(index, &have);
		return error_set_kind(err, ERROR_INPUT, ENOENT,
		                      tag ? "there is no image \"%.100s\" (there is: %s)"
		                          : "there is no image%.0s%.0s",
		                      tag ? tag : "", have.size ? buffer_cstr(&have) : "nothing");
	}
	list_platforms(index, &have);
	image_platform_host(&want);
	if (platform)
		want = *platform;
	return error_set_kind(err, ERROR_INPUT, ENOENT,
	                      "the image is not there for %s/%s%s%s (there is: %s)", want.os,
	                      want.architecture, want.variant[0] ? "/" : "", want.variant,
	                      have.size ? buffer_cstr(&have) : "nothing that names a platform");
}

/* ---- container images */

static int check_config(const struct oci_image *i, const struct image_platform *want,
                        struct error *err)
{
	const struct image_platform *have = &i->config.platform;

	if (i->config.n_diff_ids != i->manifest.n_layers)
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "the manifest has %zu layers, but the config has %zu diff_ids",
		    i->manifest.n_layers, i->config.n_diff_ids);
	if (want && (strcmp(have->os, want->os) || strcmp(have->architecture, want->architecture)))
		return error_set_kind(err, ERROR_INPUT, ENOENT,
		                      "the image is for %s/%s, not for %s/%s", have->os,
		                      have->architecture, want->os, want->architecture);
	return 0;
}

static int read_image(struct oci_source *s, const struct image_platform *platform,
                      struct oci_image *i, struct error *err)
{
	int r =
	    image_manifest_parse(i->manifest_json.data, i->manifest_json.size, &i->manifest, err);

	if (!r)
		r = oci_source_bytes(s, &i->manifest.config, IMAGE_MAX_CONFIG, "the image's config",
		                     &i->config_json, err);
	if (!r)
		r = image_config_parse(i->config_json.data, i->config_json.size, &i->config, err);
	if (!r)
		r = check_config(i, platform, err);
	return r ? prefix_name(s, r, err) : 0;
}

int oci_source_image(struct oci_source *s, const struct image_platform *platform,
                     struct oci_image *out, struct error *err)
{
	struct oci_image i = {0};
	int r = oci_source_manifest(s, platform, &i.desc, &i.manifest_json, err);

	if (!r)
		r = read_image(s, platform, &i, err);
	if (r)
		oci_image_clear(&i);
	else
		*out = i;
	return r;
}

void oci_image_clear(struct oci_image *i)
{
	buffer_free(&i->manifest_json);
	buffer_free(&i->config_json);
	image_manifest_clear(&i->manifest);
	image_config_clear(&i->config);
	*i = (struct oci_image){0};
}

/* ---- blobs */

int oci_source_read_range(const struct oci_source *s, const struct oci_range *range,
                          const struct image_descriptor *desc, http_body_fn fn, void *data,
                          struct error *err)
{
	if (range->size != desc->size)
		return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
		                      "the blob %.19s has %llu bytes, its descriptor says %llu",
		                      desc->digest.text, (unsigned long long)range->size,
		                      (unsigned long long)desc->size);
	return oci_range_read(range, fn, data, err);
}

struct checked {
	const struct oci_source *s;
	struct stage *first;
};

static int feed_stage(void *data, const uint8_t *p, size_t n, struct error *err)
{
	struct checked *c = data;

	if (c->s->cancel && atomic_load(c->s->cancel))
		return error_set(err, ECANCELED, "interrupted");
	return stage_feed(c->first, p, n, err);
}

/* All of a blob through stages, the first of which checks it. Takes *stages over. */
static int run_stages(struct oci_source *s, const struct image_descriptor *desc,
                      struct stage **stages, struct error *err)
{
	_cleanup_stage_ struct stage *first = steal_ptr(stages);
	struct checked c = {s, first};
	int r = s->ops->blob(s, desc, feed_stage, &c, err);

	return r ? r : stage_end(first, err);
}

/* The last stage: hands bytes to a function. */
struct give {
	struct stage stage;
	http_body_fn fn;
	void *data;
};

static int give_feed(struct stage *st, const uint8_t *p, size_t n, struct error *err)
{
	struct give *g = (struct give *)st;

	return g->fn(g->data, p, n, err);
}

static int give_end(struct stage *st, struct error *err)
{
	return 0;
}

static void give_free(struct stage *st)
{
	free(st);
}

static int give_new(http_body_fn fn, void *data, struct stage **out, struct error *err)
{
	static const struct stage_ops ops = {give_feed, give_end, give_free};
	struct give *g = calloc(1, sizeof(*g));

	if (!g)
		return error_set(err, ENOMEM, "out of memory");
	*g = (struct give){{&ops, NULL}, fn, data};
	*out = &g->stage;
	return 0;
}

static int check_and_run(struct oci_source *s, const struct image_descriptor *desc,
                         const char *what, struct stage **stages, struct error *err)
{
	int r = stage_verify_new(&desc->digest, desc->size, true, what, stages, stages, err);

	return r ? r : run_stages(s, desc, stages, err);
}

int oci_source_blob(struct oci_source *s, const struct image_descriptor *desc, http_body_fn fn,
                    void *data, struct error *err)
{
	_cleanup_stage_ struct stage *stages = NULL;
	int r = give_new(fn, data, &stages, err);

	return r ? r : check_and_run(s, desc, "the blob", &stages, err);
}

static int append(void *data, const uint8_t *p, size_t n, struct error *err)
{
	struct buffer *b = data;

	buffer_append(b, p, n);
	return b->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

int oci_source_bytes(struct oci_source *s, const struct image_descriptor *desc, size_t max,
                     const char *what, struct buffer *out, struct error *err)
{
	_cleanup_stage_ struct stage *stages = NULL;
	int r;

	if (desc->size > max)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "%s is of %llu bytes: at most %zu are read", what,
		                      (unsigned long long)desc->size, max);
	r = give_new(append, out, &stages, err);
	return r ? r : check_and_run(s, desc, what, &stages, err);
}

int oci_source_layer(struct oci_source *s, const struct image_descriptor *desc,
                     const struct digest *diff_id, const struct tar_sink *sink, void *data,
                     const struct tar_limits *limits, struct error *err)
{
	_cleanup_stage_ struct stage *stages = NULL;
	struct image_media media;
	uint64_t plain_max;
	int r;

	if (image_media_find(desc->media_type, &media) || media.kind != IMAGE_MEDIA_LAYER)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "a layer of the unknown type \"%.100s\"", desc->media_type);
	if (media.encrypted || media.erofs)
		return error_set_kind(err, ERROR_INPUT, EOPNOTSUPP, "the layer is %s",
		                      media.encrypted ? "encrypted: decrypt the image first"
		                                      : "an EROFS image already, not a tar");
	if (__builtin_mul_overflow(limits->max_entries, TAR_OVERHEAD, &plain_max) ||
	    __builtin_add_overflow(plain_max, limits->max_size, &plain_max))
		plain_max = UINT64_MAX;
	r = stage_tar_new(sink, data, limits, &stages, err);
	if (!r && diff_id)
		r = stage_verify_new(diff_id, plain_max, false, "the unpacked layer", &stages,
		                     &stages, err);
	if (!r)
		r = stage_inflate_new(media.compression, &stages, &stages, err);
	return r ? r : check_and_run(s, desc, "the layer's blob", &stages, err);
}
