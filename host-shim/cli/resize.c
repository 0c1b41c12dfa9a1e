/* SPDX-License-Identifier: Apache-2.0 */
/* resize: asks a guest that runs to have more or less memory, and waits until it has. */
#include "host-shim/cli/resize.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include "host-shim/cli/guest.h"
#include "host-shim/hypervisor/control.h"
#include "lib/base/cleanup.h"
#include "lib/base/loop.h"

#define TIMEOUT_MS 30000u
#define POLL_MS    250

struct resize_data {
	uint64_t memory, timeout; /* bytes, ms */
};

static int ask(const char *dir, enum control_verb verb, uint64_t size, uint64_t *now,
               struct error *err)
{
	const struct control_request req = {.version = CONTROL_VERSION, .verb = verb, .size = size};
	struct control_answer answer;
	int r = control_ask(dir, &req, -1, &answer, err);

	*now = r == 0 ? answer.value : 0;
	return r;
}

/* The guest's driver does it by and by. */
static int resize(const char *dir, const struct resize_data *d, uint64_t *now, struct error *err)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
	uint64_t end = loop_now_ms() + d->timeout;
	int r = ask(dir, CONTROL_RESIZE, d->memory, now, err);

	while (r == 0 && *now != d->memory && loop_now_ms() < end) {
		nanosleep(&pause, NULL);
		r = ask(dir, CONTROL_MEMORY, 0, now, err);
	}
	return r;
}

static int run(int argc, char **argv, void *data)
{
	const struct resize_data *d = data;
	_cleanup_free_ char *dir = NULL;
	struct error err = ERROR_INIT;
	uint64_t now = 0;
	int r;

	if (d->memory == 0)
		r = error_set_kind(&err, ERROR_USAGE, EINVAL,
		                   "resize: say how much: --memory SIZE");
	else
		r = runtime_dir_find(argv[0], &dir, &err);
	if (r == 0)
		r = resize(dir, d, &now, &err);
	if (r == 0 && now != d->memory)
		r = error_set(&err, ETIMEDOUT,
		              "guest %s has %" PRIu64 " MiB, and is still asked for %" PRIu64,
		              argv[0], now >> 20, d->memory >> 20);
	if (r < 0)
		return cli_fail(&err);
	printf("%" PRIu64 " MiB\n", now >> 20);
	return 0;
}

static void defaults(void *data)
{
	((struct resize_data *)data)->timeout = TIMEOUT_MS;
}

static const struct option options[] = {
    {"memory", 'm', OPTION_SIZE, offsetof(struct resize_data, memory), "SIZE", NULL,
     "what the guest is to have: 512M, 2G"},
    {"timeout", 0, OPTION_DURATION, offsetof(struct resize_data, timeout), "TIME", NULL,
     "how long to wait until it has (default 30s)"},
    {0},
};

const struct verb resize_verb = {
    .name = "resize",
    .args = "NAME",
    .summary = "give a guest that runs more or less memory",
    .details =
        "NAME is the id of a guest: the name of its folder below $XDG_RUNTIME_DIR/kihon or\n"
        "/run/kihon. More than its --memory takes a guest of the built-in monitor that was\n"
        "started with --memory-max; less takes one that was started with --balloon. The guest's\n"
        "kernel does it, as far as it can spare the memory: what it has not done in time it is\n"
        "still asked for.\n"
        "\n"
        "Exit status: 0 when the guest has so much now; 125 when not, or not yet; 2 for a\n"
        "wrong command line, or a size that this guest cannot have.\n",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run,
    .defaults = defaults,
    .data_size = sizeof(struct resize_data),
};
