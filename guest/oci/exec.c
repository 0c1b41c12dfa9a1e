/* SPDX-License-Identifier: Apache-2.0 */
/* exec: a further process in a container. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/oci/bundle.h"
#include "guest/oci/console.h"
#include "guest/oci/runtime.h"
#include "guest/oci/store.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"

#define EXEC_FAILED 255

struct exec_data {
	const char *process;
	const char *cwd;
	const char *user;
	const char *pid_file;
	const char *console_socket;
	const char *process_label;
	const char *apparmor;
	const char *cgroup;
	struct strv env;
	struct strv caps;
	struct strv gids;
	uint32_t preserve_fds;
	bool tty;
	bool detach;
	bool no_new_privs;
	bool ignore_paused;
};

#define AT(member) offsetof(struct exec_data, member)
static const struct option exec_options[] = {
    {"process", 'p', OPTION_STRING, AT(process), "FILE", NULL,
     "the process as JSON (process.json), instead of ID COMMAND and the options below"},
    {"cwd", 0, OPTION_STRING, AT(cwd), "DIR", NULL, "working directory"},
    {"env", 'e', OPTION_LIST, AT(env), "NAME=VALUE", NULL, "add to the environment"},
    {"user", 'u', OPTION_STRING, AT(user), "UID[:GID]", NULL, "run as this user"},
    {"additional-gids", 'g', OPTION_LIST, AT(gids), "GID", NULL, "additional groups"},
    {"cap", 'c', OPTION_LIST, AT(caps), "CAP", NULL,
     "add a capability (bounding, effective, permitted)"},
    {"no-new-privs", 0, OPTION_FLAG, AT(no_new_privs), NULL, NULL, "set no_new_privs"},
    {"process-label", 0, OPTION_STRING, AT(process_label), "LABEL", NULL, "SELinux label"},
    {"apparmor", 0, OPTION_STRING, AT(apparmor), "PROFILE", NULL, "AppArmor profile"},
    {"cgroup", 0, OPTION_STRING, AT(cgroup), "PATH", NULL, "a group below the container's"},
    {"tty", 't', OPTION_FLAG, AT(tty), NULL, NULL, "with a terminal"},
    {"detach", 'd', OPTION_FLAG, AT(detach), NULL, NULL, "return when it runs"},
    {"pid-file", 0, OPTION_STRING, AT(pid_file), "FILE", NULL, "write its pid to FILE"},
    {"console-socket", 0, OPTION_STRING, AT(console_socket), "PATH", NULL,
     "unix socket that gets the terminal's master side"},
    {"preserve-fds", 0, OPTION_U32, AT(preserve_fds), "N", NULL,
     "hand on the descriptors 3 to N+2"},
    {"ignore-paused", 0, OPTION_FLAG, AT(ignore_paused), NULL, NULL,
     "also in a paused container, where it waits"},
    {0}};

static void exec_release(void *data)
{
	struct exec_data *d = data;

	strv_free(&d->env);
	strv_free(&d->caps);
	strv_free(&d->gids);
}

/* ---- the process ---- */

static int read_process(const char *file, struct oci_spec **out, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int r = fs_read_file(AT_FDCWD, file, OCI_SPEC_MAX_JSON, &text, err);

	return r < 0 ? r : oci_spec_parse_process(buffer_cstr(&text), text.size, out, err);
}

static int set_user(struct oci_user *u, const char *text, struct error *err)
{
	_cleanup_free_ char *copy = strdup(text);
	char *gid = copy, *uid = copy ? strsep(&gid, ":") : NULL;

	if (!uid || parse_u32(uid, &u->uid) < 0 || (gid && parse_u32(gid, &u->gid) < 0))
		return error_set_kind(err, ERROR_USAGE, EINVAL, "\"%s\" is not UID[:GID]", text);
	return 0;
}

static int append(struct arena *a, struct oci_strings *to, const struct strv *more)
{
	char **v;

	if (more->n == 0)
		return 0;
	v = arena_new_array(a, to->n + more->n + 1, char *);
	if (!v)
		return -ENOMEM;
	if (to->n)
		memcpy(v, to->v, to->n * sizeof(char *));
	for (size_t i = 0; i < more->n; i++)
		v[to->n + i] = arena_strdup(a, more->v[i]);
	to->v = v;
	to->n += more->n;
	return a->failed ? -ENOMEM : 0;
}

/* Not inheritable: programs with inheritable file capabilities would gain them (CVE-2022-24769). */
static int add_capabilities(struct arena *a, struct oci_process *p, const struct strv *caps)
{
	struct oci_strings *sets[3];

	if (caps->n == 0)
		return 0;
	if (!p->capabilities)
		p->capabilities = arena_new(a, struct oci_capabilities);
	if (!p->capabilities)
		return -ENOMEM;
	sets[0] = &p->capabilities->bounding;
	sets[1] = &p->capabilities->effective;
	sets[2] = &p->capabilities->permitted;
	for (int i = 0; i < 3; i++)
		if (append(a, sets[i], caps) < 0)
			return -ENOMEM;
	return 0;
}

static int set_groups(struct arena *a, struct oci_user *u, const struct strv *gids,
                      struct error *err)
{
	if (gids->n == 0)
		return 0;
	u->additional_gids = arena_new_array(a, gids->n, uint32_t);
	if (!u->additional_gids)
		return error_set(err, ENOMEM, "no memory");
	for (u->n_additional_gids = 0; u->n_additional_gids < gids->n; u->n_additional_gids++)
		if (parse_u32(gids->v[u->n_additional_gids],
		              &u->additional_gids[u->n_additional_gids]) < 0)
			return error_set_kind(err, ERROR_USAGE, EINVAL, "\"%s\" is not a group id",
			                      gids->v[u->n_additional_gids]);
	return 0;
}

/* The container's own process with the command and the options in place. */
static int adapt(struct oci_spec *spec, const struct exec_data *d, char **argv, struct error *err)
{
	int r = spec->process ? 0 : bundle_stand_in_process(spec, err);
	struct oci_process *p = spec->process;
	size_t n = 0;

	if (r < 0)
		return r;
	p->absent = false;
	while (argv[n])
		n++;
	if (oci_strings_copy(&spec->arena, &p->args, (const char *const *)argv, n) < 0 ||
	    append(&spec->arena, &p->env, &d->env) < 0 ||
	    add_capabilities(&spec->arena, p, &d->caps) < 0)
		return error_set(err, ENOMEM, "no memory");
	p->terminal = d->tty;
	p->user.name = NULL;
	if (d->cwd)
		p->cwd = d->cwd;
	if (d->user)
		r = set_user(&p->user, d->user, err);
	if (r == 0)
		r = set_groups(&spec->arena, &p->user, &d->gids, err);
	if (d->process_label)
		p->selinux_label = d->process_label;
	if (d->apparmor)
		p->apparmor_profile = d->apparmor;
	p->no_new_privileges = p->no_new_privileges || d->no_new_privs;
	return r;
}

/* ---- running it ---- */

struct execution {
	const struct exec_data *d;
	struct container *c;
	struct oci_spec *spec;    /* of the container */
	struct oci_spec *process; /* of --process */
	struct container_process *p;
	int console;
};

static int take_console(struct execution *x, struct error *err)
{
	int fd = container_process_take_console(x->p);

	if (fd < 0)
		return 0;
	if (x->d->console_socket)
		return console_send(x->d->console_socket, fd, err);
	x->console = fd;
	return 0;
}

static int launch(struct execution *x, const struct oci_process *process, struct error *err)
{
	const struct container_exec_opts opts = {
	    .stdio = {0, 1, 2}, .preserve_fds = x->d->preserve_fds, .cgroup = x->d->cgroup};
	int r;

	if (process->terminal && x->d->detach && !x->d->console_socket)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "a terminal with --detach needs --console-socket");
	r = container_exec(x->c, process, &opts, &x->p, err);
	if (r < 0)
		return r;
	r = bundle_wait_running(x->spec->linux_.seccomp, x->c, x->p, err);
	if (r == 0)
		r = take_console(x, err);
	if (r == 0)
		r = bundle_write_pid(x->d->pid_file, container_process_pid(x->p), err);
	if (r < 0)
		container_process_signal(x->p, SIGKILL, NULL);
	return r;
}

static int execute(struct execution *x, int argc, char **argv, struct error *err)
{
	const struct oci_process *process;
	int r = store_attach(argv[0], true, &x->c, &x->spec, err);

	if (r == 0 && x->d->process)
		r = read_process(x->d->process, &x->process, err);
	else if (r == 0 && argc < 2)
		r = error_set_kind(err, ERROR_USAGE, EINVAL, "a command or --process is needed");
	else if (r == 0)
		r = adapt(x->spec, x->d, argv + 1, err);
	if (r < 0)
		return r;
	if (x->process && x->d->tty)
		x->process->process->terminal = true;
	process = x->process ? x->process->process : x->spec->process;
	/* A process that is made in a frozen cgroup does not even begin. */
	while (x->d->ignore_paused && container_status(x->c) == CONTAINER_PAUSED)
		usleep(10000);
	r = launch(x, process, err);
	if (r == 0 && !x->d->detach)
		r = console_attend(x->p, x->console, err);
	return r;
}

static int exec_main(int argc, char **argv, void *data)
{
	struct execution x = {.d = data, .console = -1};
	struct error err = ERROR_INIT;
	int r = execute(&x, argc, argv, &err);

	container_free(x.c);
	oci_spec_free(x.process);
	oci_spec_free(x.spec);
	close_fd(&x.console);
	if (r >= 0)
		return r;
	/* Told from what the command itself returns, as other runtimes do. */
	runtime_fail(&err);
	return EXEC_FAILED;
}

const struct verb exec_verb = {
    .name = "exec",
    .args = "ID [COMMAND...]",
    .summary = "run a further process in a container",
    .options = exec_options,
    .stop_at_first = true,
    .min_args = 1,
    .max_args = UINT_MAX,
    .run = exec_main,
    .release = exec_release,
    .data_size = sizeof(struct exec_data),
};
