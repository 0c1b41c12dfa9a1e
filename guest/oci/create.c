/* SPDX-License-Identifier: Apache-2.0 */
/* create: the verbs create, start and run. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/oci/bundle.h"
#include "guest/oci/console.h"
#include "guest/oci/finish.h"
#include "guest/oci/leftover.h"
#include "guest/oci/notify.h"
#include "guest/oci/runtime.h"
#include "guest/oci/store.h"
#include "lib/base/cleanup.h"

struct create_data {
	const char *bundle;
	const char *config;
	const char *pid_file;
	const char *console_socket;
	uint32_t preserve_fds;
	bool no_pivot;
	bool no_new_keyring;
	bool detach;
	bool keep;
	bool no_subreaper;
};

static void create_defaults(void *data)
{
	((struct create_data *)data)->bundle = ".";
}

#define AT(member) offsetof(struct create_data, member)
#define CREATE_OPTIONS                                                                             \
	{"bundle",                                                                                 \
	 'b',                                                                                      \
	 OPTION_STRING,                                                                            \
	 AT(bundle),                                                                               \
	 "DIR",                                                                                    \
	 NULL,                                                                                     \
	 "folder with config.json and the root file system (.)"},                                  \
	    {"config",                                                                             \
	     'f',                                                                                  \
	     OPTION_STRING,                                                                        \
	     AT(config),                                                                           \
	     "FILE",                                                                               \
	     NULL,                                                                                 \
	     "another file than DIR/config.json"},                                                 \
	    {"pid-file",                                                                           \
	     0,                                                                                    \
	     OPTION_STRING,                                                                        \
	     AT(pid_file),                                                                         \
	     "FILE",                                                                               \
	     NULL,                                                                                 \
	     "write the pid of the first process to FILE"},                                        \
	    {"console-socket",                                                                     \
	     0,                                                                                    \
	     OPTION_STRING,                                                                        \
	     AT(console_socket),                                                                   \
	     "PATH",                                                                               \
	     NULL,                                                                                 \
	     "unix socket that gets the terminal's master side"},                                  \
	    {"preserve-fds",                                                                       \
	     0,                                                                                    \
	     OPTION_U32,                                                                           \
	     AT(preserve_fds),                                                                     \
	     "N",                                                                                  \
	     NULL,                                                                                 \
	     "hand on the descriptors 3 to N+2"},                                                  \
	    {"no-pivot",                                                                           \
	     0,                                                                                    \
	     OPTION_FLAG,                                                                          \
	     AT(no_pivot),                                                                         \
	     NULL,                                                                                 \
	     NULL,                                                                                 \
	     "move the root instead of pivot_root (root on an initial ramfs)"},                    \
	{                                                                                          \
		"no-new-keyring", 0, OPTION_FLAG, AT(no_new_keyring), NULL, NULL,                  \
		    "keep the session keyring of the caller"                                       \
	}

static const struct option create_options[] = {CREATE_OPTIONS, {0}};
static const struct option run_options[] = {
    CREATE_OPTIONS,
    {"detach", 'd', OPTION_FLAG, AT(detach), NULL, NULL, "return when the program runs"},
    {"keep", 0, OPTION_FLAG, AT(keep), NULL, NULL, "do not delete the container at its end"},
    {"no-subreaper", 0, OPTION_FLAG, AT(no_subreaper), NULL, NULL,
     "accepted for compatibility; no subreaper is used"},
    {0}};

/* What is made until the container is created. */
struct creation {
	const struct create_data *d;
	const char *id;
	char *bundle;
	struct oci_spec *spec;
	struct buffer text; /* of config.json */
	struct container *c;
	bool foreground;
	int lock;    /* of the record while it is made */
	int console; /* -1: handed over, or none */
};

static void creation_free(struct creation *x)
{
	container_free(x->c);
	oci_spec_free(x->spec);
	buffer_free(&x->text);
	free(x->bundle);
	close_fd(&x->console);
	close_fd(&x->lock);
}

/* sd_listen_fds(3): LISTEN_FDS descriptors from 3 on go to the container too. */
static uint32_t listen_fds(struct oci_spec *spec)
{
	struct oci_strings *env = &spec->process->env;
	const char *text = getenv("LISTEN_FDS");
	uint32_t n = 0;
	char **v;

	if (!text || parse_u32(text, &n) < 0 || n == 0 || n > 1024)
		return 0;
	v = arena_new_array(&spec->arena, env->n + 3, char *);
	if (!v)
		return 0;
	if (env->n)
		memcpy(v, env->v, env->n * sizeof(char *));
	v[env->n] = arena_printf(&spec->arena, "LISTEN_FDS=%u", n);
	v[env->n + 1] = arena_printf(&spec->arena, "LISTEN_PID=1");
	env->v = v;
	env->n += 2;
	return n;
}

static int check_terminal(const struct creation *x, struct error *err)
{
	bool terminal = x->spec->process && x->spec->process->terminal;

	if (terminal && !x->d->console_socket && !x->foreground)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "process.terminal is set: give --console-socket");
	if (!terminal && x->d->console_socket)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--console-socket without process.terminal");
	return 0;
}

static int take_console(struct creation *x, struct error *err)
{
	int fd = container_process_take_console(container_init(x->c));

	if (fd < 0)
		return 0;
	if (x->d->console_socket)
		return console_send(x->d->console_socket, fd, err);
	x->console = fd;
	return 0;
}

static int make(struct creation *x, struct error *err)
{
	_cleanup_free_ char *socket_path = store_path(x->id, "start.sock");
	struct container_opts opts = {.id = x->id,
	                              .stdio = {0, 1, 2},
	                              .preserve_fds = x->d->preserve_fds,
	                              .allow_shared_mounts = true,
	                              .no_pivot = x->d->no_pivot,
	                              .no_new_keyring = x->d->no_new_keyring,
	                              .caller_waits = true};
	int r = bundle_load(x->d->bundle, x->d->config, &x->text, &x->bundle, &x->spec, err);

	if (r == 0)
		r = check_terminal(x, err);
	if (r == 0)
		r = bundle_set_cgroup(x->spec, x->id, &opts, err);
	if (r == 0 && !opts.no_cgroup)
		r = leftover_note_cgroup(x->id, x->spec->linux_.cgroups_path, err);
	if (r == 0)
		r = notify_prepare(x->id, x->spec, err);
	if (r < 0)
		return r;
	if (x->spec->process)
		opts.preserve_fds += listen_fds(x->spec);
	opts.bundle = x->bundle;
	opts.start_socket = x->foreground ? NULL : socket_path;
	if (!socket_path)
		return error_set(err, ENOMEM, "no memory");
	r = container_create(&opts, x->spec, &x->c, err);
	/* The container sets itself up meanwhile. */
	if (r == 0)
		r = bundle_keep_config(x->id, &x->text, err);
	if (r == 0)
		r = store_save(x->id, x->bundle, x->spec, x->c, err);
	if (r == 0)
		r = container_process_wait_ready(container_init(x->c), -1, err);
	if (r == 0)
		r = take_console(x, err);
	if (r == 0)
		r = store_publish(x->id, err);
	if (r == 0 && opts.start_socket)
		r = container_keep_created(x->c, err);
	if (r == 0)
		r = bundle_write_pid(x->d->pid_file, container_process_pid(container_init(x->c)),
		                     err);
	return r;
}

/* All or nothing. */
static int create(struct creation *x, struct error *err)
{
	int r = store_new(x->id, err);

	x->console = x->lock = -1;
	if (r < 0)
		return r;
	r = x->lock = leftover_lock(x->id, err);
	if (r < 0)
		return r;
	r = make(x, err);
	if (r < 0) {
		if (x->c)
			finish_container(x->c, NULL);
		store_remove(x->id);
	}
	return r;
}

static int create_main(int argc, char **argv, void *data)
{
	struct creation x = {.d = data, .id = argv[0]};
	struct error err = ERROR_INIT;
	int r = create(&x, &err);

	creation_free(&x);
	return r < 0 ? runtime_fail(&err) : 0;
}

const struct verb create_verb = {
    .name = "create",
    .args = "ID",
    .summary = "make a container; its program waits for start",
    .options = create_options,
    .min_args = 1,
    .max_args = 1,
    .run = create_main,
    .defaults = create_defaults,
    .data_size = sizeof(struct create_data),
};

/* ---- start ---- */

/* Starts it, gives the seccomp listener away, runs the poststart hooks. *notify: see
 * notify_listen(). */
static int start(struct container *c, const struct oci_spec *spec, int *notify, struct error *err)
{
	struct container_process *init = container_init(c);
	int r = notify_listen(container_id(c), notify, err);
	pid_t runner = 0;

	if (r == 0)
		r = container_start(c, err);
	if (r < 0)
		return r;
	r = bundle_wait_running(spec ? spec->linux_.seccomp : NULL, c, init, err);
	if (r < 0) {
		container_process_signal(init, SIGKILL, NULL);
		return r;
	}
	r = container_run_hooks(c, OCI_HOOK_POSTSTART, &runner, err);
	if (r == 0 && runner > 0)
		while (waitpid(runner, NULL, 0) < 0 && errno == EINTR)
			;
	return r;
}

static int start_main(int argc, char **argv, void *data)
{
	_cleanup_container_ struct container *c = NULL;
	_cleanup_oci_spec_ struct oci_spec *spec = NULL;
	_cleanup_free_ char *filter = store_path(argv[0], "filter");
	_cleanup_close_ int notify = -1;
	struct error err = ERROR_INIT;
	/* Only a container with a filter can have a listener. */
	int r = store_attach(argv[0], filter && access(filter, F_OK) == 0, &c, &spec, &err);

	if (r == 0)
		r = start(c, spec, &notify, &err);
	if (r == 0 && notify >= 0)
		notify_forward(notify, container_process_pid(container_init(c)),
		               container_process_pid(container_init(c)));
	return r < 0 ? runtime_fail(&err) : 0;
}

const struct verb start_verb = {
    .name = "start",
    .args = "ID",
    .summary = "let a created container run its program",
    .min_args = 1,
    .max_args = 1,
    .run = start_main,
};

/* ---- run ---- */

/* In the foreground the service's main process is this one, which is busy. */
static void forward_beside(int notify, pid_t pid)
{
	pid_t self = getpid();

	if (fork() != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	notify_forward(notify, pid, self);
	_exit(0);
}

static int attend_and_delete(struct creation *x, int notify, struct error *err)
{
	int code;

	if (notify >= 0)
		forward_beside(notify, container_process_pid(container_init(x->c)));
	code = console_attend(container_init(x->c), x->console, err);

	if (!x->d->keep && finish_container(x->c, err) == 0)
		store_remove(x->id);
	return code;
}

static int run_main(int argc, char **argv, void *data)
{
	struct create_data *d = data;
	struct creation x = {.d = d, .id = argv[0], .foreground = !d->detach};
	_cleanup_close_ int notify = -1;
	struct error err = ERROR_INIT;
	int r = create(&x, &err);

	if (r == 0) {
		r = start(x.c, x.spec, &notify, &err);
		if (r < 0) {
			finish_container(x.c, NULL);
			store_remove(x.id);
		}
	}
	if (r == 0 && x.foreground)
		r = attend_and_delete(&x, notify, &err);
	else if (r == 0 && notify >= 0)
		notify_forward(notify, container_process_pid(container_init(x.c)),
		               container_process_pid(container_init(x.c)));
	creation_free(&x);
	return r < 0 ? runtime_fail(&err) : r;
}

const struct verb run_verb = {
    .name = "run",
    .args = "ID",
    .summary = "create, start, and attend to a container until it ends",
    .options = run_options,
    .min_args = 1,
    .max_args = 1,
    .run = run_main,
    .defaults = create_defaults,
    .data_size = sizeof(struct create_data),
};
