/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pull_layers: see the header.
 *
 * Workers take layers lowest first. A layer that wants to know what is below it waits
 * for those, which by then are done or in work: nobody waits in a circle.
 */
#include "lib/image/pull_layers.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/threads.h"
#include "lib/image/erofs_layer.h"
#include "lib/image/hash.h"
#include "lib/image/layer.h"
#include "lib/image/stage.h"

#define PROGRESS_STEP (1u << 20)
#define TAR_OVERHEAD  4096 /* bytes of an archive for an entry, besides its content */

struct job {
	const struct image_descriptor *blob;
	const struct digest *diff_id;
	struct digest below; /* the chain under it; text "" for nothing */
	bool done;
};

struct work {
	const struct pull_options *o;
	struct registry *registry;
	const struct http_config *http;
	struct pull_layer *layers; /* results, beside the jobs */
	struct job *jobs;
	size_t n;

	pthread_mutex_t lock; /* of all below, of `done`, and of the progress function */
	pthread_cond_t changed;
	size_t next;
	int result;
	struct error err; /* of the first that failed */
};

/* ---- one layer */

/* What a transfer needs to hand bytes on and to tell how far it is. */
struct flow {
	struct work *w;
	struct job *job;
	struct stage *first;
	uint64_t done, told;
};

static void tell(struct work *w, const struct job *job, uint64_t done, bool reused, bool finished)
{
	struct pull_progress p = {
	    .layer = (size_t)(job - w->jobs),
	    .n_layers = w->n,
	    .digest = &job->blob->digest,
	    .done = done,
	    .total = job->blob->size,
	    .reused = reused,
	    .finished = finished,
	};

	if (!w->o->progress)
		return;
	pthread_mutex_lock(&w->lock);
	w->o->progress(w->o->progress_data, &p);
	pthread_mutex_unlock(&w->lock);
}

static int on_bytes(void *data, const uint8_t *p, size_t n, struct error *err)
{
	struct flow *f = data;
	int r = stage_feed(f->first, p, n, err);

	f->done += n;
	if (!r && f->done - f->told >= PROGRESS_STEP) {
		f->told = f->done;
		tell(f->w, f->job, f->done, false, false);
	}
	return r;
}

static int find_media(const struct job *job, struct image_media *out, struct error *err)
{
	if (image_media_find(job->blob->media_type, out) || out->kind != IMAGE_MEDIA_LAYER)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "a layer of the unknown type \"%.100s\"",
		                      job->blob->media_type);
	if (out->encrypted)
		return error_set_kind(err, ERROR_INPUT, EOPNOTSUPP,
		                      "the layer is encrypted, which this version cannot read");
	return 0;
}

/* blob -> verify -> [decrypt] -> inflate -> verify -> last. Takes *last over. */
static int make_stages(const struct pull_options *o, const struct job *job,
                       enum image_compression compression, struct stage **last, struct stage **out,
                       struct error *err)
{
	_cleanup_stage_ struct stage *s = steal_ptr(last);
	uint64_t plain_max;
	int r;

	if (__builtin_mul_overflow(o->limits.max_entries, TAR_OVERHEAD, &plain_max) ||
	    __builtin_add_overflow(plain_max, o->limits.max_size, &plain_max))
		plain_max = UINT64_MAX;
	r = stage_verify_new(job->diff_id, plain_max, false, "the unpacked layer", &s, &s, err);
	if (!r)
		r = stage_inflate_new(compression, &s, &s, err);
	if (!r)
		r = stage_verify_new(&job->blob->digest, job->blob->size, true, "the layer's blob",
		                     &s, &s, err);
	if (r)
		return r;
	*out = steal_ptr(&s);
	return 0;
}

/* Waits until all layers under one are in the store, and opens them. */
static int open_below(struct work *w, const struct job *job, struct lower **out, struct error *err)
{
	_cleanup_free_ const char **files = NULL;
	size_t n = (size_t)(job - w->jobs);
	int r = 0;

	files = calloc(n + 1, sizeof(*files));
	if (!files)
		return error_set(err, ENOMEM, "out of memory");
	pthread_mutex_lock(&w->lock);
	for (size_t i = 0; i < n; i++) {
		while (!w->jobs[i].done && !w->result)
			pthread_cond_wait(&w->changed, &w->lock);
		files[i] = w->layers[i].file;
	}
	if (w->result)
		r = error_set(err, ECANCELED, "interrupted");
	pthread_mutex_unlock(&w->lock);
	return r ? r : lower_open(files, n, out, err);
}

static const struct digest *below_of(const struct job *job)
{
	return job->below.text[0] ? &job->below : NULL;
}

/* All bytes of a blob through the stages that end in `last`. */
static int transfer(struct work *w, struct http *http, struct job *job,
                    enum image_compression compression, struct stage **last, struct error *err)
{
	_cleanup_stage_ struct stage *stages = NULL;
	struct flow flow = {.w = w, .job = job};
	int r = make_stages(w->o, job, compression, last, &stages, err);

	if (r)
		return r;
	flow.first = stages;
	r = registry_blob(w->registry, http, job->blob, on_bytes, &flow, err);
	return r ? r : stage_end(stages, err);
}

static int fetch_tar(struct work *w, struct http *http, struct job *job,
                     enum image_compression compression, int fd, bool *needs_lower,
                     struct error *err)
{
	_cleanup_stage_ struct stage *last = NULL;
	_cleanup_layer_ struct layer *layer = NULL;
	_cleanup_lower_ struct lower *lower = NULL;
	int r = layer_new(fd, &w->o->limits, &layer, err);

	if (!r)
		r = stage_tar_new(&layer_sink, layer, &w->o->limits, &last, err);
	if (!r)
		r = transfer(w, http, job, compression, &last, err);
	if (!r)
		r = layer_settle(layer, needs_lower, err);
	if (!r && *needs_lower)
		r = open_below(w, job, &lower, err);
	return r ? r : layer_finish(layer, lower, err);
}

static int fetch_erofs(struct work *w, struct http *http, struct job *job, int fd,
                       struct error *err)
{
	_cleanup_stage_ struct stage *last = NULL;
	int r = stage_file_new(fd, &last, err);

	if (!r)
		r = transfer(w, http, job, IMAGE_PLAIN, &last, err);
	return r ? r : erofs_layer_check(fd, w->o->limits.max_size, err);
}

static int fetch(struct work *w, struct http *http, struct job *job, struct pull_layer *out,
                 struct error *err)
{
	_cleanup_store_temp_ struct store_temp temp = STORE_TEMP_INIT;
	bool needs_lower = false;
	struct image_media media;
	int r = find_media(job, &media, err);

	if (!r)
		r = store_begin(w->o->store, &temp, err);
	if (!r)
		r = media.erofs
		        ? fetch_erofs(w, http, job, temp.fd, err)
		        : fetch_tar(w, http, job, media.compression, temp.fd, &needs_lower, err);
	if (r)
		return r;
	return store_commit(&temp, job->diff_id, below_of(job), !needs_lower, &out->file,
	                    &out->size, err);
}

/* The same layer further down is being fetched: its file will do. */
static void wait_for_double(struct work *w, const struct job *job)
{
	pthread_mutex_lock(&w->lock);
	for (const struct job *j = w->jobs; j < job; j++)
		while (digest_equal(j->diff_id, job->diff_id) && !j->done && !w->result)
			pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

static int do_job(struct work *w, struct http *http, struct job *job, struct error *err)
{
	struct pull_layer layer = {.diff_id = *job->diff_id};
	int r, found;

	wait_for_double(w, job);
	found = store_find(w->o->store, job->diff_id, below_of(job), &layer.file, &layer.size, err);
	r = found == 1 ? fetch(w, http, job, &layer, err) : found;
	if (r)
		return error_prefix(err, r, "layer %zu of %zu (%.19s)", job - w->jobs + 1, w->n,
		                    job->blob->digest.text);
	tell(w, job, job->blob->size, found == 0, true);
	pthread_mutex_lock(&w->lock);
	w->layers[job - w->jobs] = layer;
	job->done = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

/* ---- workers */

static void give_up(struct work *w, int r, const struct error *err)
{
	pthread_mutex_lock(&w->lock);
	if (!w->result) {
		w->result = r;
		w->err = *err;
	}
	atomic_store(w->o->stop, true);
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static struct job *next_job(struct work *w)
{
	struct job *job = NULL;

	pthread_mutex_lock(&w->lock);
	if (!w->result && w->next < w->n)
		job = &w->jobs[w->next++];
	pthread_mutex_unlock(&w->lock);
	return job;
}

static void *worker(void *data)
{
	_cleanup_http_ struct http *http = NULL;
	struct work *w = data;
	struct error err = ERROR_INIT;
	struct job *job;
	int r = http_new(w->http, &http, &err);

	while (!r && (job = next_job(w)))
		r = do_job(w, http, job, &err);
	if (r)
		give_up(w, r, &err);
	return NULL;
}

static int run_workers(struct work *w, struct error *err)
{
	size_t want = w->o->settings->downloads;
	int r = threads_run(want < w->n ? want : w->n, worker, w, err);

	if (r == 0 && w->result && err)
		*err = w->err;
	return r ? r : w->result;
}

/* The chain under each layer: the first is its diff_id, the next the digest of the
 * chain before, a blank, and its diff_id (image-spec config.md, "Layer ChainID"). */
static int name_chains(struct work *w, struct error *err)
{
	struct digest chain = {""};
	char text[2 * DIGEST_TEXT_MAX + 1];

	for (size_t i = 0; i < w->n; i++) {
		int r;

		w->jobs[i].below = chain;
		if (!chain.text[0]) {
			chain = *w->jobs[i].diff_id;
			continue;
		}
		snprintf(text, sizeof(text), "%s %s", chain.text, w->jobs[i].diff_id->text);
		r = hash_bytes(DIGEST_SHA256, text, strlen(text), &chain, err);
		if (r)
			return r;
	}
	return 0;
}

int pull_layers(const struct pull_options *o, struct registry *registry,
                const struct http_config *http, const struct image_manifest *manifest,
                const struct image_config *config, struct pull_result *out, struct error *err)
{
	struct work w = {.o = o, .registry = registry, .http = http, .n = manifest->n_layers};
	_cleanup_free_ struct job *jobs = calloc(w.n + 1, sizeof(*jobs));
	int r;

	out->layers = calloc(w.n + 1, sizeof(*out->layers));
	if (!jobs || !out->layers)
		return error_set(err, ENOMEM, "out of memory");
	out->n_layers = w.n;
	w.layers = out->layers;
	w.jobs = jobs;
	for (size_t i = 0; i < w.n; i++) {
		jobs[i].blob = &manifest->layers[i];
		jobs[i].diff_id = &config->diff_ids[i];
	}
	r = name_chains(&w, err);
	if (r)
		return r;
	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.changed, NULL);
	r = run_workers(&w, err);
	pthread_cond_destroy(&w.changed);
	pthread_mutex_destroy(&w.lock);
	return r;
}
