/* SPDX-License-Identifier: Apache-2.0 */
/* events: the verb events: statistics at intervals, and that memory ran out, as JSON lines. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "guest/oci/runtime.h"
#include "guest/oci/stats.h"
#include "guest/oci/store.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"

#define INTERVAL_MIN_MS 100

struct events_data {
	bool stats;
	uint64_t interval;
};

static void events_defaults(void *data)
{
	((struct events_data *)data)->interval = 5000;
}

static const struct option events_options[] = {
    {"stats", 0, OPTION_FLAG, offsetof(struct events_data, stats), NULL, NULL,
     "print the statistics once"},
    {"interval", 0, OPTION_DURATION, offsetof(struct events_data, interval), "TIME", NULL,
     "time between statistics (5s)"},
    {0}};

/* What is watched between two statistics. */
struct watch {
	struct container *c;
	int memory; /* memory.events, which polls POLLPRI on change; -1: no such controller */
	uint64_t kills;
};

static int print_line(const struct buffer *line, struct error *err)
{
	int r;

	if (line->failed)
		return error_set(err, ENOMEM, "no memory");
	r = fs_write_all(1, line->data, line->size);
	return r < 0 ? error_errno(err, -r, "writing an event") : 0;
}

static void begin_line(struct buffer *line, const char *type, const struct container *c)
{
	buffer_printf(line, "{\"type\":\"%s\",\"id\":", type);
	buffer_json_string(line, container_id(c));
}

static int print_stats(const struct container *c, struct error *err)
{
	_cleanup_buffer_ struct buffer line = BUFFER_INIT;

	begin_line(&line, "stats", c);
	buffer_str(&line, ",\"data\":");
	stats_write(container_cgroup_fd(c), &line);
	buffer_str(&line, "}\n");
	return print_line(&line, err);
}

/* cgroup-v2.rst, memory.events: each process that was killed for want of memory is counted. */
static int print_kills(struct watch *w, struct error *err)
{
	uint64_t now = stats_oom_kills(container_cgroup_fd(w->c));
	_cleanup_buffer_ struct buffer line = BUFFER_INIT;

	if (now <= w->kills)
		return 0;
	w->kills = now;
	begin_line(&line, "oom", w->c);
	buffer_str(&line, "}\n");
	return print_line(&line, err);
}

/* Until the interval is over or the container has stopped. 1: its cgroup is gone. */
static int wait_interval(struct watch *w, uint64_t interval, struct error *err)
{
	uint64_t end = loop_now_ms() + (interval < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : interval);
	char byte;
	int r = 0;

	while (r == 0 && container_status(w->c) != CONTAINER_STOPPED) {
		uint64_t now = loop_now_ms(), left = now < end ? end - now : 0;
		struct pollfd fds[2] = {
		    {.fd = w->memory, .events = POLLPRI},
		    {.fd = container_cgroup_events_fd(w->c), .events = POLLPRI}};

		if (left == 0)
			break;
		if (poll(fds, 2, left > INT_MAX ? INT_MAX : (int)left) < 0 && errno != EINTR)
			return error_errno(err, errno, "watching container %s", container_id(w->c));
		/* A change is told until the file is read. */
		for (int i = 0; i < 2; i++)
			if (fds[i].revents && pread(fds[i].fd, &byte, 1, 0) < 0)
				return 1;
		r = print_kills(w, err);
	}
	return r;
}

static int watch_events(struct watch *w, const struct events_data *d, struct error *err)
{
	int dir = container_cgroup_fd(w->c), r = 0;

	if (dir < 0)
		return error_set(err, ENOTSUP, "container %s has no cgroup of its own",
		                 container_id(w->c));
	w->memory = d->stats ? -1 : openat(dir, "memory.events", O_RDONLY | O_CLOEXEC);
	w->kills = stats_oom_kills(dir);
	while (r == 0) {
		r = print_stats(w->c, err);
		if (d->stats || r < 0 || container_status(w->c) == CONTAINER_STOPPED)
			break;
		r = wait_interval(w, d->interval, err);
	}
	close_fd(&w->memory);
	return r < 0 ? r : 0;
}

static int events_main(int argc, char **argv, void *data)
{
	_cleanup_container_ struct container *c = NULL;
	struct watch w = {.memory = -1};
	struct error err = ERROR_INIT;
	int r = store_attach(argv[0], false, &c, NULL, &err);

	w.c = c;
	if (r == 0)
		r = watch_events(&w, data, &err);
	return r < 0 ? runtime_fail(&err) : 0;
}

const struct verb events_verb = {
    .name = "events",
    .args = "ID",
    .summary = "print statistics of a container, and lack of memory, as JSON lines",
    .options = events_options,
    .min_args = 1,
    .max_args = 1,
    .run = events_main,
    .defaults = events_defaults,
    .data_size = sizeof(struct events_data),
};
