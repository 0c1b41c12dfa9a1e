/* SPDX-License-Identifier: Apache-2.0 */
/* lifecycle: the verbs state, kill, delete. */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "guest/oci/finish.h"
#include "guest/oci/leftover.h"
#include "guest/oci/runtime.h"
#include "guest/oci/signal_name.h"
#include "guest/oci/state_json.h"
#include "guest/oci/store.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"

/* ---- state ---- */

static int state_main(int argc, char **argv, void *data)
{
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	struct error err = ERROR_INIT;
	int r = state_json_write(argv[0], STATE_JSON_LINES, &out, &err);

	if (r < 0)
		return runtime_fail(&err);
	buffer_str(&out, "\n");
	return fs_write_all(1, buffer_cstr(&out), out.size) < 0;
}

const struct verb state_verb = {
    .name = "state",
    .args = "ID",
    .summary = "print the state of a container as JSON",
    .min_args = 1,
    .max_args = 1,
    .run = state_main,
};

/* ---- kill ---- */

struct kill_data {
	bool all;
};

static const struct option kill_options[] = {{"all", 'a', OPTION_FLAG,
                                              offsetof(struct kill_data, all), NULL, NULL,
                                              "signal every process of the container"},
                                             {0}};

static int kill_container(const char *id, const char *name, bool all, struct error *err)
{
	_cleanup_container_ struct container *c = NULL;
	int signo = signal_by_name(name), r;
	enum container_status s;

	if (signo < 0)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "\"%s\" is not a signal", name);
	r = store_attach(id, false, &c, NULL, err);
	if (r < 0)
		return r;
	s = container_status(c);
	/* Processes may be left over when the first one has ended. */
	if (all)
		return container_signal_all(c, signo, err);
	if (s == CONTAINER_STOPPED)
		return error_set_kind(err, ERROR_INPUT, ESRCH, "container not running: %s is %s",
		                      id, container_status_name(s));
	return container_process_signal(container_init(c), signo, err);
}

static int kill_main(int argc, char **argv, void *data)
{
	const struct kill_data *d = data;
	struct error err = ERROR_INIT;
	int r = kill_container(argv[0], argc > 1 ? argv[1] : "TERM", d->all, &err);

	return r < 0 ? runtime_fail(&err) : 0;
}

const struct verb kill_verb = {
    .name = "kill",
    .args = "ID [SIGNAL]",
    .summary = "send a signal (TERM) to a container's first process",
    .options = kill_options,
    .min_args = 1,
    .max_args = 2,
    .run = kill_main,
    .data_size = sizeof(struct kill_data),
};

/* ---- delete ---- */

struct delete_data {
	bool force;
};

static const struct option delete_options[] = {
    {"force", 'f', OPTION_FLAG, offsetof(struct delete_data, force), NULL, NULL,
     "kill it first if it runs; no error if there is none"},
    {0}};

static int delete_container(const char *id, bool force, struct error *err)
{
	_cleanup_container_ struct container *c = NULL;
	int r = store_attach(id, false, &c, NULL, err);
	enum container_status s;

	if (r < 0) {
		/* What a killed create left behind has no record. */
		if (!force || r != -ENOENT)
			return r;
		error_clear(err);
		return leftover_remove(id, err);
	}
	s = container_status(c);
	if (!force && s != CONTAINER_STOPPED && s != CONTAINER_CREATED)
		return error_set_kind(err, ERROR_INPUT, EBUSY,
		                      "cannot delete container %s that is not stopped: %s", id,
		                      container_status_name(s));
	r = finish_container(c, err);
	if (r == 0)
		store_remove(id);
	return r;
}

static int delete_main(int argc, char **argv, void *data)
{
	const struct delete_data *d = data;
	struct error err = ERROR_INIT;
	int r = delete_container(argv[0], d->force, &err);

	return r < 0 ? runtime_fail(&err) : 0;
}

const struct verb delete_verb = {
    .name = "delete",
    .args = "ID",
    .summary = "remove what is left of a stopped container",
    .options = delete_options,
    .min_args = 1,
    .max_args = 1,
    .run = delete_main,
    .data_size = sizeof(struct delete_data),
};
