/* SPDX-License-Identifier: Apache-2.0 */
/* run: boots a guest, has it pull an image, runs a process of it, passes its status on. */
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "host-shim/cli/clone.h"
#include "host-shim/cli/guest.h"
#include "host-shim/cli/requests.h"
#include "host-shim/cli/secrets.h"
#include "host-shim/cli/session.h"
#include "host-shim/cli/terminal.h"
#include "host-shim/hypervisor/dial.h"
#include "lib/base/fs.h"
#include "lib/oci/reference.h"

#define AGENT_PORT 1024

/* Milliseconds. Emulated, on a busy machine, a guest takes its time. */
#define BOOT_TIMEOUT 120000
#define CALL_TIMEOUT 60000
#define PULL_TIMEOUT 1200000
/* For the guest to power off by itself after the last call. */
#define END_TIMEOUT 5000

/* The line that a failure to come up ends with. */
#define TAIL_LINES 3

struct run_data {
	struct guest_options guest;
	struct secrets_options secrets;
	const char *image_dir, *template, *workdir, *timings;
	struct strv env;
	bool interactive, tty, rm;
};

struct run {
	const struct run_data *d;
	struct loop *loop;
	struct guest *guest;
	struct clone clone; /* with a template */
	struct dial *dial;
	struct rpc_client *client;
	struct session *session;
	struct loop_source *winch, *end_timer;
	struct terminal terminal;
	struct arena arena;
	struct spec_options spec;
	unsigned int step; /* into steps[] */
	int status;        /* what kihon returns, -1: not known yet */
	int signals;       /* that came */
	int secrets_fd;
	uint64_t memory;                          /* bytes that the guest began with */
	uint64_t started, agent_up, created, ran; /* loop_now_ms() */
};

static void next_step(struct run *r);

/* ---- failing and ending */

static void stop(struct run *r)
{
	session_stop(r->session);
	rpc_client_free(r->client);
	r->client = NULL;
	hypervisor_stop(guest_hypervisor(r->guest));
}

/* One line, also when the guest's words had several. */
static void __attribute__((format(printf, 3, 4)))
fail(struct run *r, int status, const char *fmt, ...)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	va_list ap;

	if (r->status < 0) {
		va_start(ap, fmt);
		buffer_vprintf(&text, fmt, ap);
		va_end(ap);
		for (size_t i = 0; i < text.size; i++)
			if (text.data[i] < ' ' || text.data[i] == 0x7f)
				text.data[i] = ' ';
		terminal_restore(&r->terminal);
		cli_say("%s", buffer_cstr(&text));
		r->status = status;
	}
	stop(r);
}

static const char *console_line(struct run *r)
{
	char *text = (char *)hypervisor_console_tail(guest_hypervisor(r->guest), TAIL_LINES);

	for (char *c = text; *c; c++)
		if (*c == '\n')
			*c = '|';
	return *text ? text : "(nothing)";
}

static void on_end(void *data, const struct hypervisor_end *end)
{
	struct run *r = data;
	const char *panic = guest_panic(r->guest);

	if (guest_timed_out(r->guest) && r->status < 0 && !r->agent_up)
		fail(r, EXIT_OURS, "the guest did not come up in time; its console: %s",
		     console_line(r));
	else if (guest_timed_out(r->guest) && r->status < 0)
		fail(r, EXIT_OURS, "the time was up: the container was stopped");
	else if (r->status < 0 && r->signals)
		r->status = 128 + r->signals;
	else if (panic)
		fail(r, EXIT_OURS, "the guest's kernel panicked: %s", panic);
	else if (end->failed)
		fail(r, EXIT_OURS, "%s", end->text);
	else
		fail(r, EXIT_OURS, "the guest ended too early; its console: %s", console_line(r));
	loop_exit(r->loop, 0);
}

static void on_end_timer(struct loop_source *src, void *data)
{
	struct run *r = data;

	if (r->status < 0 && !r->signals)
		fail(r, EXIT_OURS, "the agent in the guest hung up; the guest's console: %s",
		     console_line(r));
	stop(r);
}

/* ---- the process */

static void on_session_end(void *data, int status, const char *why)
{
	struct run *r = data;

	r->ran = loop_now_ms();
	session_stop(r->session);
	terminal_restore(&r->terminal);
	if (status < 0) {
		fail(r, EXIT_OURS, "%s", why);
		return;
	}
	if (session_out_of_memory(r->session))
		cli_say("a process of the container was killed: out of memory (the guest has "
		        "%" PRIu64 " MiB: see --memory)",
		        r->memory >> 20);
	r->status = status;
	next_step(r);
}

static void on_resize(struct loop_source *src, const struct signalfd_siginfo *si, void *data)
{
	struct run *r = data;
	unsigned short rows, columns;

	if (r->client && r->session && terminal_size(&r->terminal, &rows, &columns))
		session_resize(r->session, rows, columns);
}

static int start_session(struct run *r, struct error *err)
{
	struct session_options o = {r->spec.id, r->d->interactive, r->d->tty};
	int e;

	if (r->d->tty) {
		if (r->d->interactive && terminal_raw(&r->terminal) < 0)
			return error_set(err, EIO, "the terminal cannot be set to raw mode");
		e = loop_add_signal(r->loop, SIGWINCH, on_resize, r, &r->winch, err);
		if (e < 0)
			return e;
	}
	e = session_start(&r->session, r->loop, r->client, &o, on_session_end, r, err);
	if (e == 0 && r->d->tty)
		on_resize(NULL, NULL, r);
	return e;
}

static void on_signal(void *data, int signo)
{
	struct run *r = data;

	/* The first goes to the process; without one, or again, the guest ends. */
	if (r->client && r->session && r->signals == 0 && r->status < 0) {
		r->signals = signo;
		session_signal(r->session, signo);
		return;
	}
	r->signals = signo;
	stop(r);
}

/* ---- the calls, in order */

static int agent_is_up(struct run *r, struct error *err)
{
	r->agent_up = loop_now_ms();
	return 0;
}

static int container_is_there(struct run *r, struct error *err)
{
	r->created = loop_now_ms();
	return 0;
}

/* 1: what follows goes on by itself. */
static int process_runs(struct run *r, struct error *err)
{
	int e = start_session(r, err);

	return e < 0 ? e : 1;
}

static int wait_for_power_off(struct run *r, struct error *err)
{
	int e = loop_add_timer(r->loop, END_TIMEOUT, on_end_timer, r, &r->end_timer, err);

	return e < 0 ? e : 1;
}

static bool is_clone(const struct run *r)
{
	return r->d->template;
}

static bool has_plugged_net(const struct run *r)
{
	return is_clone(r) && r->spec.net->kind != GUEST_NET_NONE;
}

static bool has_plugged_route(const struct run *r)
{
	return has_plugged_net(r) && r->spec.net->gateway[0];
}

#define AGENT  &grpc__agent_service__descriptor
#define HEALTH &grpc__health__descriptor

static const struct {
	const char *method;
	const ProtobufCServiceDescriptor *service;
	request_fn make;
	uint64_t timeout;
	bool may_fail;   /* the container's status stands whatever comes */
	bool tells_exec; /* its failure may be the program's: 126, 127 */
	int (*done)(struct run *r, struct error *err); /* after it; NULL: the next call */
	bool (*wanted)(const struct run *r);           /* NULL: always */
} steps[] = {
    {"Check", HEALTH, request_check, CALL_TIMEOUT, false, false, agent_is_up},
    /* No call of a clone may find the template's random numbers. */
    {"ReseedRandomDev", AGENT, request_seed, CALL_TIMEOUT, .wanted = is_clone},
    /* Certificates are only good at the right time. */
    {"SetGuestDateTime", AGENT, request_time, CALL_TIMEOUT, .may_fail = true},
    {"UpdateInterface", AGENT, request_interface, CALL_TIMEOUT, .wanted = has_plugged_net},
    {"UpdateRoutes", AGENT, request_routes, CALL_TIMEOUT, .wanted = has_plugged_route},
    {"CreateSandbox", AGENT, request_sandbox, CALL_TIMEOUT},
    {"CreateContainer", AGENT, request_container, PULL_TIMEOUT, false, true, container_is_there},
    {"StartContainer", AGENT, request_start, CALL_TIMEOUT, false, true, process_runs},
    {"RemoveContainer", AGENT, request_remove, END_TIMEOUT, .may_fail = true},
    {"DestroySandbox", AGENT, request_destroy, END_TIMEOUT, true, false, wait_for_power_off},
};

/* As a shell has it: 127 there is no such program, 126 it cannot be executed. While the
 * container is made other things may be missing, too: the image, say. */
static int status_of_failure(unsigned int step, const struct rpc_result *result)
{
	if (!steps[step].tells_exec || !strstr(result->message, "execut"))
		return EXIT_OURS;
	if (result->code == RPC_NOT_FOUND)
		return 127;
	return result->code == RPC_PERMISSION_DENIED ? 126 : EXIT_OURS;
}

static void fail_step(struct run *r, const struct rpc_result *result)
{
	const char *message = result->message[0] ? result->message : rpc_code_name(result->code);
	const char *plain = spec_failure(&r->spec, message);
	int status = status_of_failure(r->step, result);

	if (plain != message)
		fail(r, status, "%s", plain);
	else
		fail(r, status, "%s: %s", steps[r->step].method, message);
}

static void on_step(const struct rpc_result *result, void *data)
{
	struct run *r = data;
	struct error err = ERROR_INIT;
	int e = 0;

	/* The connection ends with the guest: its end is the better news, see on_closed(). */
	if (result->code == RPC_UNAVAILABLE)
		return;
	if (result->code != RPC_OK && !steps[r->step].may_fail) {
		fail_step(r, result);
		return;
	}
	r->step++;
	if (steps[r->step - 1].done)
		e = steps[r->step - 1].done(r, &err);
	if (e < 0)
		fail(r, EXIT_OURS, "%s", err.text);
	else if (e == 0)
		next_step(r);
}

static void next_step(struct run *r)
{
	struct error err = ERROR_INIT;
	ProtobufCMessage *m;
	int e;

	while (steps[r->step].wanted && !steps[r->step].wanted(r))
		r->step++;
	m = steps[r->step].make(&r->arena, &r->spec);
	e = m ? 0 : error_set(&err, ENOMEM, "no memory for a request");
	if (e == 0)
		e = rpc_client_call(r->client, steps[r->step].service, steps[r->step].method, m,
		                    steps[r->step].timeout, on_step, r, &err);
	if (e < 0)
		fail(r, EXIT_OURS, "%s", err.text);
}

static void on_closed(struct rpc_client *client, const char *why, void *data)
{
	struct run *r = data;

	/* Normal at the end; before, the guest is ending, or the agent died. */
	session_stop(r->session);
	if (!r->end_timer)
		loop_add_timer(r->loop, END_TIMEOUT, on_end_timer, r, &r->end_timer, NULL);
}

static void on_dialled(void *data, int fd)
{
	struct run *r = data;
	struct error err = ERROR_INIT;

	if (fd < 0) {
		fail(r, EXIT_OURS,
		     "the guest did not come up in %d s (see --verbose); its console: %s",
		     BOOT_TIMEOUT / 1000, console_line(r));
		return;
	}
	if (rpc_client_new(r->loop, fd, on_closed, r, &r->client, &err) < 0) {
		close(fd);
		fail(r, EXIT_OURS, "%s", err.text);
		return;
	}
	next_step(r);
}

/* ---- the verb */

static void on_console(void *data, const uint8_t *bytes, size_t size)
{
	struct run *r = data;

	if (r->d->guest.verbose)
		fs_write_all(STDERR_FILENO, bytes, size);
}

static void write_timings(struct run *r)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct error err = ERROR_INIT;

	buffer_printf(&b, "{\"boot_ms\":%" PRIu64, r->agent_up - r->started);
	if (r->created)
		buffer_printf(&b, ",\"pull_ms\":%" PRIu64, r->created - r->agent_up);
	if (r->created && r->ran)
		buffer_printf(&b, ",\"run_ms\":%" PRIu64, r->ran - r->created);
	buffer_printf(&b, ",\"total_ms\":%" PRIu64 ",\"exit_status\":%d}\n",
	              loop_now_ms() - r->started, r->status);
	if (fs_write_file_atomic(r->d->timings, b.data, b.size, 0644, &err) == 0)
		return;
	cli_say("--json-timings: %s", err.text);
	r->status = r->status ?: EXIT_OURS;
}

static int add_secrets(struct run *r, struct error *err)
{
	struct hypervisor_disk disk = {.fd = -1, .readonly = true};
	int e = secrets_disk(&r->d->secrets, guest_runtime(r->guest), &r->secrets_fd, err);

	if (e != 0)
		return e < 0 ? e : 0;
	r->spec.init_data = is_clone(r);
	disk.fd = r->secrets_fd;
	return hypervisor_add_disk(guest_hypervisor(r->guest), &disk, err);
}

static int start(struct run *r, struct error *err)
{
	const struct run_data *d = r->d;
	struct guest_setup setup = {.image_dir = d->image_dir, .name = "kihon-run"};
	struct guest_events events = {on_console, on_end, on_signal, r};
	struct guest_options o = d->guest;
	struct reference ref;
	int e = reference_parse(r->spec.image, &ref, err);

	if (e == 0 && d->template)
		e = clone_open(&r->clone, d->template, &o, &setup, err);
	r->memory = o.memory;
	if (e == 0)
		e = guest_new(&r->guest, r->loop, &o, &setup, &events, err);
	if (e == 0)
		e = add_secrets(r, err);
	if (e < 0)
		return e;
	r->spec.id = guest_runtime(r->guest)->id;
	r->spec.net = guest_network(r->guest);
	r->spec.interface = CLONE_INTERFACE;
	e = guest_start(r->guest, err);
	if (e < 0)
		return e;
	return dial_start(&r->dial, r->loop, guest_hypervisor(r->guest), AGENT_PORT, BOOT_TIMEOUT,
	                  on_dialled, r, err);
}

static void release(struct run *r)
{
	terminal_restore(&r->terminal);
	rpc_client_free(r->client);
	session_free(r->session);
	dial_free(r->dial);
	guest_free(r->guest);
	clone_close(&r->clone);
	loop_source_free(r->winch);
	loop_source_free(r->end_timer);
	loop_free(r->loop);
	arena_free(&r->arena);
	close_fd(&r->secrets_fd);
}

/* "K=V"; "K" alone takes the value from this environment, or nothing. */
static int expand_env(const struct strv *given, struct strv *out, struct error *err)
{
	for (size_t i = 0; i < given->n; i++) {
		const char *e = given->v[i], *value;
		int bad;

		if (e[0] == '=' || !e[0])
			return error_set_kind(err, ERROR_USAGE, EINVAL,
			                      "--env %s: a name is missing", e);
		value = strchr(e, '=') ? NULL : getenv(e);
		if (!strchr(e, '=') && !value)
			continue;
		bad = value ? strv_addf(out, "%s=%s", e, value) : strv_add(out, e);
		if (bad < 0)
			return error_set(err, ENOMEM, "no memory for the environment");
	}
	return 0;
}

static int run_run(int argc, char **argv, void *data)
{
	const struct run_data *d = data;
	_cleanup_strv_ struct strv env = STRV_INIT;
	struct error err = ERROR_INIT;
	struct run r = {.d = d,
	                .status = -1,
	                .secrets_fd = -1,
	                .clone.files = TEMPLATE_FILES_INIT,
	                .started = loop_now_ms()};
	int e = expand_env(&d->env, &env, &err);

	signal(SIGPIPE, SIG_IGN);
	terminal_init(&r.terminal, STDIN_FILENO);
	r.spec = (struct spec_options){
	    .image = argv[0],
	    .args = argv + 1,
	    .env = &env,
	    .workdir = d->workdir,
	    .terminal = d->tty,
	};
	terminal_size(&r.terminal, &r.spec.rows, &r.spec.columns);
	if (e == 0)
		e = loop_new(&r.loop, &err);
	if (e == 0)
		e = start(&r, &err);
	if (e == 0)
		e = loop_run(r.loop, &err);
	if (e == 0 && d->timings && r.agent_up)
		write_timings(&r);
	release(&r);
	return e < 0 ? cli_fail(&err) : r.status;
}

static void release_data(void *data)
{
	struct run_data *d = data;

	guest_options_free(&d->guest);
	strv_free(&d->env);
}

static void defaults(void *data)
{
	struct run_data *d = data;

	guest_options_default(&d->guest);
}

static const struct option options[] = {
    {"interactive", 'i', OPTION_FLAG, offsetof(struct run_data, interactive), NULL, NULL,
     "pass standard input to the container"},
    {"tty", 't', OPTION_FLAG, offsetof(struct run_data, tty), NULL, NULL,
     "give the container a terminal"},
    {"rm", 0, OPTION_FLAG, offsetof(struct run_data, rm), NULL, NULL,
     "remove the container afterwards; always so, accepted for habit's sake"},
    {"env", 'e', OPTION_LIST, offsetof(struct run_data, env), "NAME[=VALUE]", NULL,
     "set a variable in the container; without a value, this shell's (repeatable)"},
    {"workdir", 'w', OPTION_STRING, offsetof(struct run_data, workdir), "PATH", NULL,
     "working directory in the container (default: the image's)"},
    {"image-dir", 0, OPTION_STRING, offsetof(struct run_data, image_dir), "DIR", NULL,
     "guest image, made by 'kata-image-tool build'"},
    {"ca", 0, OPTION_STRING, offsetof(struct run_data, secrets.ca), "FILE", NULL,
     "PEM certificates that the guest trusts in registries"},
    {"authfile", 0, OPTION_STRING, offsetof(struct run_data, secrets.authfile), "FILE", NULL,
     "registry credentials, as in containers-auth.json(5)"},
    {"policy", 0, OPTION_STRING, offsetof(struct run_data, secrets.policy), "FILE", NULL,
     "which images the guest may run, as in containers-policy.json(5)"},
    {"agent-policy", 0, OPTION_STRING, offsetof(struct run_data, secrets.agent_policy), "FILE",
     NULL, "what the guest's agent may be asked: JSON, docs/agent.md"},
    GUEST_OPTION_ROWS(struct run_data, guest),
    NET_ADDRESS_ROWS(struct run_data, guest.net),
    GUEST_DEVICE_ROWS(struct run_data, guest.devices),
    CLONE_OPTION_ROW(struct run_data, template),
    {"json-timings", 0, OPTION_STRING, offsetof(struct run_data, timings), "FILE", NULL,
     "write boot_ms, pull_ms, run_ms, total_ms to FILE"},
    {NULL},
};

const struct verb run_verb = {
    .name = "run",
    .args = "IMAGE [COMMAND [ARG...]]",
    .summary = "run a container in a virtual machine of its own",
    .details =
        "Boots a guest, has it pull IMAGE from its registry (over TLS, inside the guest), and\n"
        "runs COMMAND, or what the image says. Output, input with -i, and signals pass through;\n"
        "when the process ends so does the guest, and nothing is left on this host.\n"
        "\n"
        "IMAGE is resolved where the guest is: this host's loopback is 10.0.2.2 there.\n"
        "Certificates, credentials and policy reach the guest on a disk of their own, never on\n"
        "a command line. With --template the guest does not boot: it goes on where the\n"
        "template's was, and gets its network and that disk afterwards.\n"
        "\n"
        "Ctrl-C, SIGTERM, SIGHUP and SIGQUIT go to the process; a second one ends the guest.\n"
        "With -it keys go to the container as they are.\n"
        "\n"
        "Exit status: the process's own (128 + signal if one killed it); 125 when kihon or the\n"
        "guest failed; 126 when the program cannot be executed, 127 when there is none of that\n"
        "name; 2 for a wrong command line.\n",
    .options = options,
    .stop_at_first = true,
    .min_args = 1,
    .max_args = UINT_MAX,
    .run = run_run,
    .defaults = defaults,
    .release = release_data,
    .data_size = sizeof(struct run_data),
};
