/* SPDX-License-Identifier: Apache-2.0 */
/* storage_refresh: does what a storage's driver wants done again and again, in helpers. */
#include "guest/agent/storage/storage_refresh.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/agent/sandbox.h"
#include "lib/base/helper.h"
#include "lib/base/log.h"

struct storage_refresh {
	struct loop *loop;
	const struct storage_driver *driver;
	struct loop_source *timer;
	char *source, *mount_point;
	int last; /* result, so that the same trouble is told once */
	bool busy, stopped;
};

static void refresh_free(struct storage_refresh *r)
{
	loop_source_free(r->timer);
	free(r->source);
	free(r->mount_point);
	free(r);
}

static int refresh_in_helper(void *data, void *out, struct error *err)
{
	const struct storage_refresh *r = data;

	return r->driver->refresh(r->source, r->mount_point, err);
}

static void on_refreshed(int result, const void *out, const struct error *err, void *data)
{
	struct storage_refresh *r = data;

	r->busy = false;
	if (r->stopped) {
		refresh_free(r);
		return;
	}
	if (result < 0 && result != -EAGAIN && result != r->last)
		log_warn("%s", err->text);
	r->last = result;
	loop_set_timer(r->timer, STORAGE_REFRESH_MS);
}

static void on_timer(struct loop_source *src, void *data)
{
	struct storage_refresh *r = data;

	r->busy = helper_run(r->loop, "refreshing a storage", refresh_in_helper, r,
	                     SANDBOX_MOUNT_MS, on_refreshed, r, NULL) == 0;
	if (!r->busy)
		loop_set_timer(r->timer, STORAGE_REFRESH_MS);
}

struct storage_refresh *storage_refresh_start(struct loop *loop,
                                              const struct storage_driver *driver,
                                              const char *source, const char *mount_point)
{
	struct storage_refresh *r = calloc(1, sizeof(*r));

	if (!r)
		goto failed;
	r->loop = loop;
	r->driver = driver;
	r->source = strdup(source);
	r->mount_point = strdup(mount_point);
	if (r->source && r->mount_point &&
	    loop_add_timer(loop, STORAGE_REFRESH_MS, on_timer, r, &r->timer, NULL) == 0)
		return r;
	refresh_free(r);
failed:
	log_warn("%s: changes are not followed: out of memory", mount_point);
	return NULL;
}

void storage_refresh_stop(struct storage_refresh *r)
{
	if (!r)
		return;
	r->stopped = true;
	loop_source_free(r->timer);
	r->timer = NULL;
	if (!r->busy)
		refresh_free(r);
}
