/* SPDX-License-Identifier: Apache-2.0 */
/*
 * convert_layers: tar layers become EROFS images, several at a time.
 *
 * A layer is first streamed (fetch, check, inflate, check, write content), which needs no other;
 * then it is finished, for which all below it must be: it may take attributes from them. A worker
 * prefers finishing to streaming, lowest first, so nobody waits while there is work.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image-tool/convert.h"
#include "image-tool/tool.h"
#include "lib/base/fs.h"
#include "lib/base/threads.h"
#include "lib/image/erofs_layer.h"
#include "lib/image/hash.h"
#include "lib/image/layer.h"

#define WORKERS_MAX 16
#define WORKERS_NET 3 /* at least, when a registry is waited for */
#define PIECE       (256u * 1024)

enum job_state { JOB_NEW, JOB_STREAMING, JOB_STREAMED, JOB_FINISHING, JOB_DONE };

struct job {
	enum job_state state;
	struct layer *layer;
	bool needs_lower;
};

struct work {
	struct convert *c;
	size_t n;
	struct job *jobs;

	pthread_mutex_t lock; /* of the states and of what follows */
	pthread_cond_t changed;
	size_t next;
	int result;
	struct error err; /* of the first that failed */
};

/* ---- one layer */

static int write_bytes(void *data, const uint8_t *p, size_t n, struct error *err)
{
	int r = fs_write_all(*(const int *)data, p, n);

	return r ? error_errno(err, -r, "cannot write a layer") : 0;
}

static int copy_ready(struct work *w, struct convert_layer *l, struct error *err)
{
	int r = oci_blob_new(w->c->dest, &l->blob, err);

	return r ? r : oci_source_blob(w->c->source, l->source, write_bytes, &l->blob.fd, err);
}

static int stream(struct work *w, size_t i, struct error *err)
{
	struct convert_layer *l = &w->c->layers[i];
	struct job *job = &w->jobs[i];
	const struct layer_options o = {
	    .write = {.flags = EROFS_WRITE_HUGE | EROFS_WRITE_TIGHT | EROFS_WRITE_INLINE_META},
	    .limits = TAR_LIMITS_DEFAULT,
	    .dedupe = w->c->dedupe,
	    .bottom = i == 0,
	    .whole_root = true,
	};
	int r;

	if (l->ready)
		return copy_ready(w, l, err);
	r = oci_blob_new(w->c->dest, &l->blob, err);
	if (!r)
		r = layer_new_with(l->blob.fd, &o, &job->layer, err);
	if (!r)
		r = oci_source_layer(w->c->source, l->source, l->source_diff_id, &layer_sink,
		                     job->layer, &o.limits, err);
	return r ? r : layer_settle(job->layer, &job->needs_lower, err);
}

static int open_below(struct work *w, size_t n, struct lower **out, struct error *err)
{
	_cleanup_strv_ struct strv files = STRV_INIT;

	for (size_t i = 0; i < n; i++) {
		char *path = oci_blob_path(w->c->dest, &w->c->layers[i].blob);

		if (!path || strv_add_take(&files, path))
			return error_set(err, ENOMEM, "out of memory");
	}
	return lower_open((const char *const *)files.v, files.n, out, err);
}

/* The salt is the digest of the layer that was converted: no two layers share hashes, one layer
 * always has the same. */
static int add_verity(struct convert_layer *l, struct error *err)
{
	const struct verity_place place = {l->blob.fd,   0,    l->blob.fd,
	                                   l->data_size, true, tool_interrupted};
	char hex[65] = "";
	int r;

	memcpy(hex, strchr(l->source_diff_id->text, ':') + 1, 64);
	l->verity =
	    (struct verity){.data_blocks = l->data_size / VERITY_BLOCK_SIZE, .salt_size = 32};
	r = verity_unhex(hex, l->verity.salt, l->verity.salt_size);
	if (r)
		return error_set(err, EINVAL, "no salt for a hash tree");
	memcpy(l->verity.uuid, l->verity.salt, sizeof(l->verity.uuid));
	/* A name-based UUID of our own making (RFC 9562 section 5.8). */
	l->verity.uuid[6] = (uint8_t)((l->verity.uuid[6] & 0x0f) | 0x80);
	l->verity.uuid[8] = (uint8_t)((l->verity.uuid[8] & 0x3f) | 0x80);
	l->has_verity = true;
	if (l->data_size % VERITY_BLOCK_SIZE)
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "the layer's image is no whole number of blocks: no hash tree "
		    "can follow it");
	return verity_format(&l->verity, &place, err);
}

static int hash_blob(const struct convert *c, struct convert_layer *l, struct error *err)
{
	_cleanup_free_ uint8_t *buf = malloc(PIECE);
	_cleanup_hash_ struct hash *hash = NULL;
	struct stat st;
	int r = hash_new(DIGEST_SHA256, &hash, err);

	if (!r && !buf)
		r = error_set(err, ENOMEM, "out of memory");
	if (!r && fstat(l->blob.fd, &st) < 0)
		r = error_errno(err, errno, "cannot read a layer");
	if (r)
		return r;
	l->desc.size = (uint64_t)st.st_size;
	for (uint64_t at = 0; at < l->desc.size;) {
		size_t n = l->desc.size - at < PIECE ? (size_t)(l->desc.size - at) : PIECE;

		if (atomic_load(c->stop))
			return error_set(err, ECANCELED, "interrupted");
		r = fs_pread_all(l->blob.fd, buf, n, at);
		if (r)
			return error_errno(err, -r, "cannot read a layer");
		r = hash_update(hash, buf, n, err);
		if (r)
			return r;
		at += n;
	}
	return hash_final(hash, &l->diff_id, err);
}

/* A layer that is taken as it is: sound, and what the config says that it is. */
static int check_ready(const struct convert_layer *l, struct error *err)
{
	static const struct tar_limits limits = TAR_LIMITS_DEFAULT;
	int r = erofs_layer_check(l->blob.fd, limits.max_size, err);

	if (!r && !digest_equal(l->source_diff_id, &l->source->digest))
		r = hash_mismatch(l->source_diff_id, &l->source->digest, "the unpacked layer", err);
	return r;
}

static int finish_image(struct work *w, size_t i, struct error *err)
{
	_cleanup_lower_ struct lower *lower = NULL;
	struct job *job = &w->jobs[i];
	int r = job->needs_lower && i ? open_below(w, i, &lower, err) : 0;

	if (!r)
		r = layer_finish(job->layer, lower, err);
	layer_free(steal_ptr(&job->layer));
	return r;
}

static int finish(struct work *w, size_t i, struct error *err)
{
	struct convert_layer *l = &w->c->layers[i];
	struct stat st;
	int r = l->ready ? check_ready(l, err) : finish_image(w, i, err);

	if (!r && fstat(l->blob.fd, &st) < 0)
		r = error_errno(err, errno, "cannot read a layer");
	if (r)
		return r;
	l->data_size = (uint64_t)st.st_size;
	if (l->has_tree)
		r = convert_check_tree(w->c, i, l->blob.fd, l->data_size, err);
	if (r)
		return r;
	if (w->c->verity && !l->has_tree)
		r = add_verity(l, err);
	if (!r)
		r = hash_blob(w->c, l, err);
	/* There may be more layers than descriptors. */
	oci_blob_keep(&l->blob);
	return r;
}

/* ---- workers */

static bool below_done(const struct work *w, size_t i)
{
	while (i-- > 0)
		if (w->jobs[i].state != JOB_DONE)
			return false;
	return true;
}

/* What to do next, under the lock: 0 and a job, 1 when there is nothing now, 2 never again. */
static int choose(struct work *w, size_t *out)
{
	bool left = false;

	for (size_t i = 0; i < w->n; i++) {
		const struct job *job = &w->jobs[i];

		left |= job->state != JOB_DONE;
		if (job->state != JOB_STREAMED || (job->needs_lower && !below_done(w, i)))
			continue;
		*out = i;
		w->jobs[i].state = JOB_FINISHING;
		return 0;
	}
	if (w->next < w->n) {
		*out = w->next++;
		w->jobs[*out].state = JOB_STREAMING;
		return 0;
	}
	return left ? 1 : 2;
}

static bool take_job(struct work *w, size_t *i)
{
	int r = 2;

	pthread_mutex_lock(&w->lock);
	while (!w->result && (r = choose(w, i)) == 1)
		pthread_cond_wait(&w->changed, &w->lock);
	if (w->result)
		r = 2;
	pthread_mutex_unlock(&w->lock);
	return r == 0;
}

static void end_job(struct work *w, size_t i, int r, const struct error *err)
{
	pthread_mutex_lock(&w->lock);
	if (r && !w->result) {
		w->result = r;
		w->err = *err;
	}
	w->jobs[i].state = w->jobs[i].state == JOB_STREAMING ? JOB_STREAMED : JOB_DONE;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static void *worker(void *data)
{
	struct error err = ERROR_INIT;
	struct work *w = data;
	size_t i;

	while (take_job(w, &i)) {
		bool first = w->jobs[i].state == JOB_STREAMING;
		int r = first ? stream(w, i, &err) : finish(w, i, &err);

		if (r)
			error_prefix(&err, r, "layer %zu of %zu (%.19s)", i + 1, w->n,
			             w->c->layers[i].source->digest.text);
		end_job(w, i, r, &err);
	}
	return NULL;
}

static size_t count_workers(const struct work *w)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = cpus > 0 ? (size_t)cpus : 1;

	if (n < WORKERS_NET && !strcmp(oci_source_kind(w->c->source), "docker"))
		n = WORKERS_NET;
	n = n < WORKERS_MAX ? n : WORKERS_MAX;
	return n < w->n ? n : w->n;
}

/* The layers below one are open while it is finished. */
static void allow_descriptors(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max < 65536 ? l.rlim_max : 65536;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

static int run_workers(struct work *w, struct error *err)
{
	int r = threads_run(count_workers(w), worker, w, err);

	if (r == 0 && w->result && err)
		*err = w->err;
	return r ? r : w->result;
}

/* ---- all of them */

/* What cannot work is said before anything is read. */
static int check_types(const struct convert *c, struct error *err)
{
	for (size_t i = 0; i < c->image->manifest.n_layers; i++) {
		const char *type = c->image->manifest.layers[i].media_type;
		struct image_media media;
		const char *why = NULL;

		if (image_media_find(type, &media) || media.kind != IMAGE_MEDIA_LAYER)
			why = "is of a type that is not known";
		else if (media.encrypted)
			why = "is encrypted: decrypt the image first";
		if (why)
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "layer %zu of %zu %s (\"%.100s\")", i + 1,
			                      c->image->manifest.n_layers, why, type);
	}
	return 0;
}

static int see_annotation(void *data, const char *key, const char *value)
{
	struct convert_layer *l = data;

	l->has_tree |= !strcmp(key, "org.erofs.dmverity.root_digest");
	return 0;
}

static int find_ready(const struct convert *c, struct error *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < c->image->manifest.n_layers; i++) {
		struct convert_layer *l = &c->layers[i];
		struct image_media media;

		l->ready = !image_media_find(l->source->media_type, &media) && media.erofs;
		if (l->ready)
			r = convert_each_annotation(c->image, i, see_annotation, l, err);
	}
	return r;
}

/* No layer is below another any more: they may be encrypted, and get their names. */
static int seal(struct convert *c, struct convert_layer *l, struct error *err)
{
	static const char type[] = IMAGE_TYPE_EROFS_LAYER;
	int r = 0;

	if (atomic_load(c->stop))
		return error_set(err, ECANCELED, "interrupted");
	memcpy(l->desc.media_type, type, sizeof(type));
	l->desc.digest = l->diff_id;
	if (c->recipients) {
		strcat(l->desc.media_type, "+encrypted");
		r = oci_blob_open(c->dest, &l->blob, err);
		if (!r)
			r = encrypt_file(c->recipients, l->blob.fd, l->desc.size, &l->diff_id,
			                 &l->encrypted, err);
		l->desc.digest = l->encrypted.digest;
	}
	return r ? r : oci_blob_done(c->dest, &l->blob, &l->desc.digest, l->desc.size, err);
}

int convert_layers(struct convert *c, struct error *err)
{
	size_t n = c->image->manifest.n_layers;
	_cleanup_free_ struct job *jobs = calloc(n + 1, sizeof(*jobs));
	struct work w = {.c = c, .n = n, .jobs = jobs, .err = ERROR_INIT};
	int r = check_types(c, err);

	if (r)
		return r;
	c->layers = calloc(n + 1, sizeof(*c->layers));
	if (!jobs || !c->layers)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		c->layers[i].source = &c->image->manifest.layers[i];
		c->layers[i].source_diff_id = &c->image->config.diff_ids[i];
		c->layers[i].blob = (struct oci_blob)OCI_BLOB_INIT;
	}
	allow_descriptors();
	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.changed, NULL);
	r = find_ready(c, err);
	if (!r)
		r = run_workers(&w, err);
	pthread_cond_destroy(&w.changed);
	pthread_mutex_destroy(&w.lock);
	for (size_t i = 0; i < n; i++)
		layer_free(jobs[i].layer);
	for (size_t i = 0; !r && i < n; i++)
		r = seal(c, &c->layers[i], err);
	return r;
}

void convert_layers_clear(struct convert_layer *layers, size_t n)
{
	for (size_t i = 0; layers && i < n; i++) {
		oci_blob_keep(&layers[i].blob);
		encrypted_clear(&layers[i].encrypted);
	}
	free(layers);
}
