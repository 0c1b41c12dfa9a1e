/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox_container: finding, holding, watching and taking apart a container. */
#include "guest/agent/sandbox_container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/agent/storage/storage.h"
#include "guest/agent/storage/storage_mount.h"
#include "lib/base/fs.h"
#include "lib/base/helper.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

#define DESTROY_RETRY_MIN_MS 2u
#define DESTROY_RETRY_MAX_MS 100u
#define DESTROY_FAILURES_MAX 50u

/* ---- finding */

int sandbox_container_find(struct sandbox *s, const char *id, struct sandbox_container **out,
                           struct error *err)
{
	for (struct sandbox_container *c = s->containers; c; c = c->next) {
		if (strcmp(c->id, id) != 0)
			continue;
		if (c->state == SANDBOX_CONTAINER_REMOVING)
			break;
		if (c->state == SANDBOX_CONTAINER_CREATING)
			return error_set(err, EBUSY, "container %s is being created", id);
		*out = c;
		return 0;
	}
	return error_set(err, ENOENT, "no container \"%s\"", id);
}

int sandbox_container_process(struct sandbox_container *c, const char *exec_id,
                              struct sandbox_process **out, struct error *err)
{
	bool init = !*exec_id || strcmp(exec_id, c->id) == 0;

	for (struct sandbox_process *p = c->processes; p; p = p->next) {
		if (init ? !p->is_init : strcmp(p->exec_id, exec_id) != 0)
			continue;
		*out = p;
		return 0;
	}
	return error_set(err, ENOENT, "no process \"%s\" in container %s", exec_id, c->id);
}

int sandbox_find_process(struct sandbox *s, const char *id, const char *exec_id,
                         struct sandbox_process **out, struct error *err)
{
	struct sandbox_container *c;
	int r = sandbox_container_find(s, id, &c, err);

	return r < 0 ? r : sandbox_container_process(c, exec_id, out, err);
}

int sandbox_container_hold(struct sandbox_container *c, struct storage *storage, struct error *err)
{
	struct container_storage *h = calloc(1, sizeof(*h));

	if (!h)
		return error_set(err, ENOMEM, "out of memory for a storage");
	h->storage = storage;
	h->next = c->storages;
	c->storages = h;
	return 0;
}

/* ---- OOM kills: cgroup v2 memory.events, whose change polls EPOLLPRI */

static uint64_t read_oom_kills(int fd)
{
	char text[512];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	const char *line;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	line = strstr(text, "\noom_kill ");
	return line ? strtoull(line + 10, NULL, 10) : 0;
}

void sandbox_container_check_oom(struct sandbox_container *c)
{
	uint64_t kills = c->oom_fd >= 0 ? read_oom_kills(c->oom_fd) : 0;

	if (kills <= c->oom_kills)
		return;
	c->oom_kills = kills;
	log_warn("container %s: the kernel killed a process for want of memory", c->id);
	sandbox_oom_event(c->sandbox, c->id);
}

static void on_memory_event(struct loop_source *src, int fd, uint32_t events, void *data)
{
	sandbox_container_check_oom(data);
}

static void stop_oom_watch(struct sandbox_container *c)
{
	loop_source_free(c->oom_source);
	c->oom_source = NULL;
	close_fd(&c->oom_fd);
}

int sandbox_container_watch_oom(struct sandbox_container *c, struct error *err)
{
	int dir = container_cgroup_fd(c->engine), r;

	if (dir < 0 || c->oom_source)
		return 0;
	c->oom_fd = openat(dir, "memory.events", O_RDONLY | O_CLOEXEC);
	if (c->oom_fd < 0)
		return error_errno(err, errno, "memory.events of container %s", c->id);
	c->oom_kills = read_oom_kills(c->oom_fd);
	r = loop_add_fd(c->sandbox->loop, c->oom_fd, EPOLLPRI, on_memory_event, c, &c->oom_source,
	                err);
	if (r < 0)
		stop_oom_watch(c);
	return r;
}

/* ---- removal */

struct removal_waiter {
	struct removal_waiter *next;
	struct container_removal *removal;
	sandbox_removed_fn done;
	void *data;
	struct loop_source *timer;
};

struct container_removal {
	struct sandbox_container *c;
	struct removal_waiter first, *waiters;
	struct loop_source *retry, *hooks;
	struct helper *bundle;
	unsigned int failures;
	uint64_t wait_ms;
};

static void waiter_free(struct removal_waiter *w)
{
	loop_source_free(w->timer);
	if (w != &w->removal->first)
		free(w);
}

static void finish_waiters(struct container_removal *rm, int result, const struct error *err)
{
	while (rm->waiters) {
		struct removal_waiter *w = rm->waiters;

		rm->waiters = w->next;
		if (w->done)
			w->done(result, err, w->data);
		waiter_free(w);
	}
}

static void container_unlink(struct sandbox_container *c)
{
	struct sandbox *s = c->sandbox;
	struct sandbox_container **at;

	for (at = &s->containers; *at; at = &(*at)->next) {
		if (*at == c) {
			*at = c->next;
			s->n_containers--;
			break;
		}
	}
}

static void container_release(struct sandbox_container *c)
{
	struct container_removal *rm = c->removal;

	stop_oom_watch(c);
	while (c->processes)
		sandbox_process_free(c->processes);
	container_free(c->engine);
	if (rm) {
		loop_source_free(rm->retry);
		loop_source_free(rm->hooks);
		helper_release(rm->bundle);
	}
	free(rm);
	free(c->pci_names);
	free(c->termination_log);
	free(c->name);
	free(c->id);
	free(c);
}

/* Whatever is still mounted below goes first: removing must not reach through a mount. */
static int remove_bundle(void *data, void *out, struct error *err)
{
	const struct sandbox_container *c = data;
	char path[sizeof(SANDBOX_ROOT) + 1 + SANDBOX_ID_MAX];

	snprintf(path, sizeof(path), SANDBOX_ROOT "/%s", c->id);
	if (storage_unmount_below(path) > 0)
		return error_set(err, EAGAIN, "%s has mounts", path);
	return fs_remove_tree(AT_FDCWD, path, err);
}

/* Only now may another container take the id, and the bundle's place. */
static void bundle_removed(int result, const void *out, const struct error *err, void *data)
{
	struct container_removal *rm = data;
	struct sandbox_container *c = rm->c;
	struct error none = ERROR_INIT;

	if (result < 0)
		log_warn("container %s: %s", c->id, err->text);
	container_unlink(c);
	finish_waiters(rm, 0, &none);
	container_release(c);
}

static void drop_storages(void *data)
{
	struct container_removal *rm = data;
	struct container_storage *h;

	while ((h = rm->c->storages)) {
		struct storage *storage = h->storage;

		rm->c->storages = h->next;
		free(h);
		if (storage_drop(rm->c->sandbox, storage, drop_storages, rm))
			return;
	}
	helper_run_reserved(rm->bundle, "removing a bundle", remove_bundle, rm->c,
	                    SANDBOX_UMOUNT_MS, bundle_removed, rm);
}

static void on_poststop(struct loop_source *src, pid_t pid, int status, void *data)
{
	struct container_removal *rm = data;

	loop_source_free(rm->hooks);
	rm->hooks = NULL;
	drop_storages(rm);
}

static void run_poststop(struct container_removal *rm)
{
	struct error err = ERROR_INIT;
	pid_t runner = 0;
	int r = 0;

	if (rm->c->engine)
		r = container_run_hooks(rm->c->engine, OCI_HOOK_POSTSTOP, &runner, &err);
	if (r == 0 && runner > 0)
		r = loop_add_child(rm->c->sandbox->loop, runner, on_poststop, rm, &rm->hooks, &err);
	if (r < 0)
		log_warn("container %s: poststop hooks: %s", rm->c->id, err.text);
	if (!rm->hooks)
		drop_storages(rm);
}

/* Kills and tries to take the cgroup away, until nothing is left. What lacks memory or descriptors
 * is tried again, too; a cgroup that cannot be taken away at all must not keep the rest. */
static void try_destroy(struct container_removal *rm)
{
	struct sandbox_container *c = rm->c;
	struct error err = ERROR_INIT;
	int r = c->engine ? container_destroy(c->engine, &err) : 0;

	if (r < 0 && ++rm->failures == 1)
		log_warn("container %s: %s", c->id, err.text);
	if (r == 0 || rm->failures > DESTROY_FAILURES_MAX) {
		run_poststop(rm);
		return;
	}
	loop_set_timer(rm->retry, rm->wait_ms);
	rm->wait_ms =
	    rm->wait_ms * 2 > DESTROY_RETRY_MAX_MS ? DESTROY_RETRY_MAX_MS : rm->wait_ms * 2;
}

static void on_retry(struct loop_source *src, void *data)
{
	try_destroy(data);
}

static void on_removal_timeout(struct loop_source *src, void *data)
{
	struct removal_waiter *w = data, **at;
	struct error err = ERROR_INIT;

	error_set(&err, ETIME, "container %s is not gone yet", w->removal->c->id);
	for (at = &w->removal->waiters; *at != w; at = &(*at)->next)
		;
	*at = w->next;
	if (w->done)
		w->done(-ETIME, &err, w->data);
	waiter_free(w);
}

static int add_waiter(struct container_removal *rm, uint64_t timeout_ms, sandbox_removed_fn done,
                      void *data, struct error *err)
{
	struct removal_waiter *w = rm->first.removal ? calloc(1, sizeof(*w)) : &rm->first;
	int r = 0;

	if (!w)
		return error_set(err, ENOMEM, "out of memory");
	w->removal = rm;
	w->done = done;
	w->data = data;
	if (timeout_ms)
		r = loop_add_timer(rm->c->sandbox->loop, timeout_ms, on_removal_timeout, w,
		                   &w->timer, err);
	if (r < 0) {
		if (w == &rm->first)
			w->removal = NULL;
		else
			free(w);
		return r;
	}
	w->next = rm->waiters;
	rm->waiters = w;
	return 0;
}

static int removal_new(struct sandbox_container *c)
{
	struct container_removal *rm = calloc(1, sizeof(*rm));
	struct loop *loop = c->sandbox->loop;
	int r;

	if (!rm)
		return -ENOMEM;
	c->removal = rm;
	rm->c = c;
	rm->wait_ms = DESTROY_RETRY_MIN_MS;
	r = loop_add_timer(loop, LOOP_NEVER, on_retry, rm, &rm->retry, NULL);
	return r < 0 ? r : helper_reserve(loop, &rm->bundle, NULL);
}

/* The first attempt is made from the loop, so that `done` never runs within the caller. */
int sandbox_container_remove(struct sandbox_container *c, uint64_t timeout_ms,
                             sandbox_removed_fn done, void *data, struct error *err)
{
	int r = add_waiter(c->removal, timeout_ms, done, data, err);

	if (r < 0 || c->state == SANDBOX_CONTAINER_REMOVING)
		return r;
	c->state = SANDBOX_CONTAINER_REMOVING;
	stop_oom_watch(c);
	loop_set_timer(c->removal->retry, 0);
	return 0;
}

/* ---- making */

static struct sandbox_container *container_alloc(struct sandbox *s, const char *id)
{
	struct sandbox_container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->sandbox = s;
	c->oom_fd = -1;
	c->id = strdup(id);
	if (c->id && removal_new(c) == 0)
		return c;
	container_release(c);
	return NULL;
}

int sandbox_container_new(struct sandbox *s, const char *id, struct sandbox_container **out,
                          struct error *err)
{
	struct sandbox_container *c;
	int r = sandbox_id_check(id, SANDBOX_ID_MIN, "container id", err);

	if (r < 0)
		return r;
	for (c = s->containers; c; c = c->next)
		if (strcmp(c->id, id) == 0)
			return error_set(err, EEXIST, "container %s exists already", id);
	if (s->n_containers >= SANDBOX_MAX_CONTAINERS)
		return error_set(err, ENOSPC, "more than %u containers", SANDBOX_MAX_CONTAINERS);
	c = container_alloc(s, id);
	if (!c)
		return error_set(err, ENOMEM, "out of memory for container %s", id);
	c->next = s->containers;
	s->containers = c;
	s->n_containers++;
	*out = c;
	return 0;
}
