/* SPDX-License-Identifier: Apache-2.0 */
/* storage: jobs that wait for a device, mount in a helper and count references. */
#include "guest/agent/storage/storage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "guest/agent/device/disk_ready.h"
#include "guest/agent/image/image_root.h"
#include "guest/agent/storage/layer_group.h"
#include "guest/agent/storage/storage_driver.h"
#include "guest/agent/storage/storage_mount.h"
#include "guest/agent/storage/storage_refresh.h"
#include "lib/base/cleanup.h"
#include "lib/base/helper.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

struct storage_job {
	struct sandbox *sandbox;
	const Grpc__Storage *request;
	struct layer_group *group; /* the request is one of its layers; NULL: it stands alone */
	size_t next_layer;         /* whose device is waited for */
	const char *container_id;
	const struct storage_driver *driver;
	unsigned int number;
	char source[64]; /* of the device that was waited for */
	struct image_pull *pull;
	struct image_root *image;
	struct loop_source *step;
	struct storage *present; /* was there already */
	struct storage *storage; /* to be */
	int mounts_before;       /* at its mount point */
	struct error failure;    /* while it is undone */
	bool cancelled;
	storage_done_fn done;
	void *data;
};

/* ---- the list */

static struct storage *find(struct sandbox *s, const char *mount_point)
{
	for (struct storage *st = s->storages; st; st = st->next)
		if (strcmp(st->mount_point, mount_point) == 0)
			return st;
	return NULL;
}

/* Made before anything is mounted, so that nothing of ours fails after it. */
static int make(struct storage_job *job, struct error *err)
{
	struct storage *st = calloc(1, sizeof(*st));

	if (!st || !(st->mount_point = strdup(job->request->mount_point))) {
		free(st);
		return error_set(err, ENOMEM, "out of memory for a storage");
	}
	job->storage = st;
	st->refs = 1;
	st->shared = job->request->shared;
	st->mounted = !job->driver->directory;
	if (job->group && !(st->layers = strdup(job->group->base)))
		return error_set(err, ENOMEM, "out of memory for a storage");
	st->root_hash =
	    strdup(layer_options_root_hash(job->request->options, job->request->n_options));
	if (!st->root_hash)
		return error_set(err, ENOMEM, "out of memory for a storage");
	return helper_reserve(job->sandbox->loop, &st->undo, err);
}

static void storage_free(struct storage *st)
{
	if (!st)
		return;
	helper_release(st->undo);
	storage_refresh_stop(st->refresh);
	image_root_free(st->image);
	free(st->layers);
	free(st->root_hash);
	free(st->mount_point);
	free(st);
}

/* ---- taking down */

static int unmount_all(void *data, void *out, struct error *err)
{
	const struct storage *st = data;
	int r = 0;

	if (st->mounted && umount2(st->mount_point, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 &&
	    errno != EINVAL && errno != ENOENT)
		r = error_errno(err, errno, "unmounting %s", st->mount_point);
	if (st->mounted)
		rmdir(st->mount_point); /* stays when it has something in it */
	if (st->image)
		image_root_unmount(st->image);
	if (st->layers && r == 0)
		r = layer_group_unmount(st->layers, err);
	return r;
}

static void on_unmounted(int result, const void *out, const struct error *err, void *data)
{
	struct storage *st = data;
	void (*done)(void *) = st->dropped;
	void *done_data = st->data;

	if (result < 0)
		log_warn("%s", err->text);
	storage_free(st);
	if (done)
		done(done_data);
}

bool storage_drop(struct sandbox *s, struct storage *storage, void (*done)(void *data), void *data)
{
	struct storage **at;

	if (--storage->refs > 0 || storage->shared)
		return false;
	for (at = &s->storages; *at != storage; at = &(*at)->next)
		;
	*at = storage->next;
	storage_refresh_stop(storage->refresh);
	storage->refresh = NULL;
	storage->dropped = done;
	storage->data = data;
	if (storage->image)
		image_root_drop(s, storage->image);
	helper_run_reserved(storage->undo, "unmounting", unmount_all, storage, SANDBOX_UMOUNT_MS,
	                    on_unmounted, storage);
	return true;
}

/* ---- putting up */

static void job_end(struct storage_job *job, int result, struct storage *st,
                    const struct error *err)
{
	storage_done_fn done = job->done;
	void *data = job->data;

	loop_source_free(job->step);
	layer_group_free(job->group);
	storage_free(job->storage);
	free(job);
	done(result, st, err, data);
}

/* Everything is mounted: the storage comes into being, or goes again if nobody wants it. */
static void job_mounted(struct storage_job *job)
{
	struct storage *st = steal_ptr(&job->storage);
	struct error err = ERROR_INIT;
	int r = 0;

	st->image = job->image;
	st->next = job->sandbox->storages;
	job->sandbox->storages = st;
	if (job->cancelled) {
		st->shared = false;
		storage_drop(job->sandbox, st, NULL, NULL);
		r = error_set(&err, ECANCELED, "cancelled");
	} else if (job->driver->refresh) {
		st->refresh = storage_refresh_start(job->sandbox->loop, job->driver,
		                                    job->request->source, st->mount_point);
	}
	job_end(job, r, r ? NULL : st, &err);
}

static void job_fail(struct storage_job *job, int result, const struct error *err)
{
	struct error e = *err;

	error_prefix(&e, result, "storage %s", job->request->mount_point);
	job_end(job, result, NULL, &e);
}

/* Mounts there that were not there before, and layers: of a helper that failed or was killed. */
static int unmount_new(void *data, void *out, struct error *err)
{
	const struct storage_job *job = data;
	const struct storage *st = job->storage;
	int n = storage_mounts_at(st->mount_point, err);

	if (n < 0)
		return n;
	while (n-- > job->mounts_before)
		umount2(st->mount_point, MNT_DETACH | UMOUNT_NOFOLLOW);
	return st->layers ? layer_group_unmount(st->layers, err) : 0;
}

static void on_undone(int result, const void *out, const struct error *err, void *data)
{
	struct storage_job *job = data;
	struct error failure = job->failure;

	if (result < 0)
		log_warn("%s", err->text);
	job_fail(job, failure.code, &failure);
}

static void on_mounted(int result, const void *out, const struct error *err, void *data)
{
	struct storage_job *job = data;

	if (result == 0) {
		job_mounted(job);
		return;
	}
	job->failure = *err;
	helper_run_reserved(job->storage->undo, "unmounting", unmount_new, job, SANDBOX_UMOUNT_MS,
	                    on_undone, job);
}

static void on_image(int result, struct image_root *root, const struct error *err, void *data)
{
	struct storage_job *job = data;

	job->pull = NULL;
	job->image = root;
	on_mounted(result, NULL, err, job);
}

/* What was found in sysfs may not be open to us yet. */
static int wait_disks(const struct storage_job *job, struct error *err)
{
	int r = *job->source ? disk_ready(job->source, err) : 0;

	for (size_t i = 0; job->group && i < job->group->n && r == 0; i++)
		if (*job->group->layers[i].source)
			r = disk_ready(job->group->layers[i].source, err);
	return r;
}

static int mount_in_helper(void *data, void *out, struct error *err)
{
	struct storage_job *job = data;
	struct storage_mount_args args = {
	    .request = job->request,
	    .source = *job->source ? job->source : job->request->source,
	    .container_id = job->container_id,
	    .number = job->number,
	};
	int r = storage_check_links(job->request->mount_point, err);

	if (r == 0)
		r = wait_disks(job, err);
	if (r < 0)
		return r;
	if (job->group)
		return layer_group_mount(job->group, err);
	return job->driver->mount(&args, err);
}

static void job_mount(struct storage_job *job)
{
	struct error err = ERROR_INIT;
	int r;

	r = job->mounts_before = storage_mounts_at(job->request->mount_point, &err);
	if (r >= 0)
		r = job->cancelled ? error_set(&err, ECANCELED, "cancelled") : make(job, &err);
	if (r == 0 && job->driver->mount)
		r = helper_run(job->sandbox->loop, job->driver->name, mount_in_helper, job,
		               SANDBOX_MOUNT_MS, on_mounted, job, &err);
	else if (r == 0)
		r = image_root_pull(job->sandbox, job->request->source, job->request->mount_point,
		                    job->container_id, on_image, job, &job->pull, &err);
	if (r < 0)
		job_fail(job, r, &err);
}

static void on_device(int result, const char *name, void *data);

/* 1: there is nothing (more) to wait for. */
static int wait_device(struct storage_job *job, const Grpc__Storage *request, struct error *err)
{
	const struct storage_driver *driver = storage_driver_find(request->driver);
	const struct uevent_matcher *matcher = NULL;
	struct device_key key;
	int r;

	memset(&key, 0, sizeof(key));
	if (!driver->device)
		return 1;
	r = driver->device(request, &key, &matcher, err);
	if (r != 0)
		return r;
	if (!job->sandbox->uevents)
		return error_set(err, ENODEV, "device \"%s\": no devices here", request->source);
	return uevents_wait(job->sandbox->uevents, matcher, &key, sizeof(key),
	                    job->sandbox->config->hotplug_timeout_ms, on_device, job, NULL, err);
}

static int wait_next(struct storage_job *job, struct error *err)
{
	if (!job->group)
		return wait_device(job, job->request, err);
	return wait_device(job, job->group->layers[job->next_layer].request, err);
}

static void on_device(int result, const char *name, void *data)
{
	struct storage_job *job = data;
	struct layer *l = job->group ? &job->group->layers[job->next_layer] : NULL;
	struct error err = ERROR_INIT;
	int r = 1;

	if (result < 0) {
		error_set(&err, -result, "device \"%s\" did not appear",
		          (l ? l->request : job->request)->source);
		job_fail(job, result, &err);
		return;
	}
	snprintf(l ? l->source : job->source, sizeof(job->source), "/dev/%s", name);
	if (l && ++job->next_layer < job->group->n && !job->cancelled)
		r = wait_next(job, &err);
	if (r < 0)
		job_fail(job, r, &err);
	else if (r == 1)
		job_mount(job);
}

static void on_step(struct loop_source *src, void *data)
{
	struct storage_job *job = data;
	struct error none = ERROR_INIT;

	if (job->present)
		job_end(job, 0, job->present, &none);
	else
		job_mount(job);
}

static int check_request(const Grpc__Storage *req, const struct storage_driver **driver,
                         struct error *err)
{
	*driver = storage_driver_of(req);
	if (!*driver)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "storage %s: no driver \"%s\"",
		                      req->mount_point, req->driver);
	if (!(*driver)->block && *layer_options_root_hash(req->options, req->n_options))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "storage %s: dm-verity cannot protect what the driver \"%s\" "
		                      "gives",
		                      req->mount_point, req->driver);
	if (req->mount_point[0] != '/' || strstr(req->mount_point, "/../") ||
	    str_ends(req->mount_point, "/.."))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "storage mount point \"%s\" must be absolute, without \"..\"",
		                      req->mount_point);
	return 0;
}

static bool is_layer(const Grpc__Storage *s)
{
	return layer_options_is_layer(s->driver, s->options, s->n_options);
}

bool storage_list_more(struct storage_list *list)
{
	while (list->had_layers && list->next < list->n && is_layer(list->v[list->next]))
		list->next++;
	return list->next < list->n;
}

/* What is there already may be had again, unless somebody else's layers would pass for these, or
 * something that nobody verified for what this root hash stands for. */
static int check_present(const struct storage_job *job, struct error *err)
{
	const Grpc__Storage *req = job->request;

	if (!job->group && !job->present->layers &&
	    strcmp(layer_options_root_hash(req->options, req->n_options),
	           job->present->root_hash) == 0)
		return 1;
	return error_set(err, EBUSY, "storage %s is there already, and is another one",
	                 req->mount_point);
}

/* What the next of the list is: a storage, or all layers that there are. */
static int take_next(struct storage_job *job, struct storage_list *list, struct error *err)
{
	struct sandbox *s = job->sandbox;
	int r;

	job->request = list->v[list->next++];
	job->number = s->next_layer;
	if (is_layer(job->request)) {
		list->had_layers = true;
		r = layer_group_new(list->v, list->n, job->container_id, job->number, &job->group,
		                    err);
		if (r < 0)
			return error_prefix(err, r, "storage %s", job->request->mount_point);
		job->request = job->group->main;
		s->next_layer += (unsigned int)job->group->n;
	} else {
		s->next_layer++;
	}
	return check_request(job->request, &job->driver, err);
}

int storage_add(struct sandbox *s, struct storage_list *list, const char *container_id,
                storage_done_fn done, void *data, struct storage_job **out, struct error *err)
{
	struct storage_job *job = calloc(1, sizeof(*job));
	int r;

	if (!job)
		return error_set(err, ENOMEM, "out of memory for a storage");
	job->sandbox = s;
	job->container_id = container_id;
	job->done = done;
	job->data = data;
	r = take_next(job, list, err);
	if (r == 0) {
		job->present = find(s, job->request->mount_point);
		r = job->present ? check_present(job, err) : wait_next(job, err);
	}
	if (r == 1)
		r = loop_add_timer(s->loop, 0, on_step, job, &job->step, err);
	if (r < 0) {
		layer_group_free(job->group);
		free(job);
		return r;
	}
	if (job->present)
		job->present->refs++;
	*out = job;
	return 0;
}

void storage_cancel(struct storage_job *job)
{
	if (!job)
		return;
	job->cancelled = true;
	image_root_cancel(job->pull);
	if (job->sandbox->uevents)
		uevents_hurry(job->sandbox->uevents, job);
}
