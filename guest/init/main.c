/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kihon-init: pid 1 of a single-application guest: sets the guest up, runs one program, tells the
 * host its exit status, powers off.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app_config.h"
#include "console.h"
#include "exit_port.h"
#include "init.h"
#include "killed.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/process.h"
#include "lib/base/version.h"
#include "marks.h"
#include "reboot.h"

/* How long the host may take to open its end of the exit port, busy as it may be. */
#define REPORT_MS 10000

/* Statuses of ours, as podman has them. */
#define STATUS_OURS        125
#define STATUS_CANNOT_EXEC 126
#define STATUS_NOT_FOUND   127

struct app {
	struct app_config config;
	struct loop *loop;
	pid_t pid;
	bool own_console; /* nobody but the program uses it */
};

static bool hand_over_console(const struct cmdline *cmdline)
{
	const char *whose = cmdline_value(cmdline, "kihon.console");

	if (!whose || strcmp(whose, "program") != 0)
		return false;
	console_give_to_program();
	return true;
}

static int load_config(struct app *app, const struct cmdline *cmdline, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	const char *path = APP_CONFIG_PACKED;
	int r = fs_read_file(AT_FDCWD, path, APP_CONFIG_MAX, &text, err);

	if (r == -ENOENT) {
		path = APP_CONFIG_PATH;
		r = fs_read_file(AT_FDCWD, path, APP_CONFIG_MAX, &text, err);
	}
	if (r == 0)
		r = app_config_parse(&app->config, buffer_cstr(&text), text.size, err);
	else if (r == -ENOENT)
		r = 0;
	if (r < 0)
		return error_prefix(err, r, "%s", path);
	r = app_config_words(&app->config, cmdline, err);
	if (r < 0)
		return r;
	if (app->config.argv.n == 0)
		return error_set_kind(err, ERROR_INPUT, ENOENT,
		                      "no program to run: put `exec PATH` into " APP_CONFIG_PATH
		                      " or kihon.exec=PATH on the kernel command line");
	return 0;
}

static int enter_cwd(void *data)
{
	const struct app *app = data;

	return chdir(app->config.cwd ? app->config.cwd : "/") < 0 ? errno : 0;
}

static int build_environment(const struct app *app, struct strv *env)
{
	extern char **environ;
	int r = 0;

	for (char **e = environ; r == 0 && *e; e++) {
		size_t name = strcspn(*e, "=") + 1;
		bool given = false;

		for (size_t i = 0; i < app->config.env.n; i++)
			given |= strncmp(app->config.env.v[i], *e, name) == 0;
		if (!given)
			r = strv_add(env, *e);
	}
	for (size_t i = 0; r == 0 && i < app->config.env.n; i++)
		r = strv_add(env, app->config.env.v[i]);
	return r;
}

static int start(struct app *app, struct error *err)
{
	_cleanup_strv_ struct strv env = STRV_INIT;
	struct process_opts o = {
	    .path = app->config.argv.v[0],
	    .argv = app->config.argv.v,
	    /* On such a console nobody types: reading is at its end instead of waiting. */
	    .fds = {app->own_console ? -1 : 0, 1, 2},
	    .n_fds = 3,
	    .drop = app->config.has_user,
	    .uid = app->config.uid,
	    .gid = app->config.gid,
	    .before_drop = init_child_reset,
	    .child = enter_cwd,
	    .child_data = app,
	};

	if (build_environment(app, &env) < 0)
		return error_set(err, ENOMEM, "start %s: out of memory", o.path);
	o.envp = env.v;
	return process_spawn(&o, &app->pid, err);
}

static void on_app_exit(struct loop_source *src, pid_t pid, int status, void *data)
{
	struct app *app = data;

	loop_source_free(src);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
	    killed_out_of_memory("/dev/kmsg", pid))
		log_error("%s was killed: out of memory", app->config.argv.v[0]);
	app->pid = 0;
	loop_exit(app->loop, process_exit_code(status));
}

/* Whatever the program left behind is only reaped. */
static void on_orphan(struct loop_source *src, pid_t pid, int status, void *data)
{
}

static void on_signal(struct loop_source *src, const struct signalfd_siginfo *si, void *data)
{
	struct app *app = data;

	if (app->pid > 0)
		(void)kill(app->pid, SIGTERM);
}

/* The program's exit status, or one of ours with err set. */
static int run(struct app *app, struct error *err)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGPWR};
	int r = loop_new(&app->loop, err);

	if (r == 0)
		r = loop_watch_children(app->loop, on_orphan, NULL, err);
	for (size_t i = 0; r == 0 && i < sizeof(signals) / sizeof(*signals); i++)
		r = loop_add_signal(app->loop, signals[i], on_signal, app, NULL, err);
	if (r < 0)
		return STATUS_OURS;
	boot_mark("exec");
	r = start(app, err);
	if (r < 0)
		return r == -ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_EXEC;
	r = loop_add_child(app->loop, app->pid, on_app_exit, app, NULL, err);
	if (r == 0)
		r = loop_run(app->loop, err);
	return r < 0 ? STATUS_OURS : r;
}

static void report(int status)
{
	struct error err = ERROR_INIT;
	int r = exit_port_report("/sys", "/dev", status, REPORT_MS, &err);

	if (r < 0)
		log_error("%s", err.text);
	/* Without the port the console is the only place to say it. */
	if (r != 0)
		log_info("the program ended with status %d", status);
}

int main(int argc, char **argv)
{
	struct app app = {.pid = 0};
	struct error err = ERROR_INIT;
	struct cmdline cmdline;
	int status = STATUS_OURS, r;

	if (getpid() != 1) {
		static const char version[] = "kihon-init " KIHON_VERSION "\n";
		static const char usage[] =
		    "kihon-init is pid 1 of a guest; it takes --version only\n";
		bool ask = argc == 2 && strcmp(argv[1], "--version") == 0;

		r = fs_write_all(ask ? 1 : 2, ask ? version : usage,
		                 ask ? sizeof(version) - 1 : sizeof(usage) - 1);
		return ask && r == 0 ? 0 : 2;
	}
	log_setup("init", LOG_INFO, 2, LOG_TEXT);
	r = init_setup(&cmdline, &err);
	if (r == 0)
		app.own_console = hand_over_console(&cmdline);
	if (r == 0)
		r = load_config(&app, &cmdline, &err);
	if (r == 0)
		status = run(&app, &err);
	if (err.code)
		log_error("%s", err.text);
	/* Children that the program left behind may hold the port open. */
	(void)kill(-1, SIGKILL);
	report(status);
	if (app.own_console)
		console_silence_kernel();
	guest_power_off();
	return 0; /* not reached by pid 1 */
}
