/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kihon-agent: the guest's service for a Kata runtime. As process 1 it brings the guest up and
 * powers it off; otherwise (tests, images with their own init) it is an ordinary daemon.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "guest/agent/agent.h"
#include "guest/agent/image/initdata_device.h"
#include "guest/agent/passfd.h"
#include "guest/agent/rpc/handlers.h"
#include "guest/init/init.h"
#include "guest/init/marks.h"
#include "guest/init/reboot.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/version.h"
#include "lib/rpc/address.h"

static const char usage[] =
    "usage: kihon-agent [--config FILE] [--server ADDRESS]\n"
    "\n"
    "Serves the Kata agent protocol (ttrpc) at vsock port 1024, or at ADDRESS:\n"
    "vsock://CID:PORT, unix:///PATH or unix://@NAME. As process 1 it also brings the\n"
    "guest up, takes its settings from the kernel command line (agent.*) and powers\n"
    "off at the end.\n"
    "\n"
    "  --config FILE     settings as TOML (server_addr, log_level, eof, ...)\n"
    "  --server ADDRESS  where to listen\n"
    "  --version         print the version and exit\n"
    "  --help            print this and exit\n"
    "\n"
    "Environment: KATA_AGENT_SERVER_ADDR, KATA_AGENT_LOG_LEVEL, KATA_AGENT_POLICY_FILE.\n"
    "Exit status: 0 after DestroySandbox or SIGTERM, 1 failed, 2 usage.\n";

struct arguments {
	const char *config, *server;
	int status; /* to exit with; -1: go on */
};

static void put(int fd, const char *text)
{
	fs_write_all(fd, text, strlen(text));
}

static struct arguments parse_arguments(int argc, char **argv)
{
	struct arguments a = {.status = -1};

	for (int i = 1; i < argc && a.status < 0; i++) {
		const char **value = strcmp(argv[i], "--config") == 0   ? &a.config
		                     : strcmp(argv[i], "--server") == 0 ? &a.server
		                                                        : NULL;

		if (value && i + 1 < argc) {
			*value = argv[++i];
		} else if (strcmp(argv[i], "--version") == 0) {
			put(1, "kihon-agent " KIHON_VERSION "\n");
			a.status = 0;
		} else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			put(1, usage);
			a.status = 0;
		} else {
			put(2, "kihon-agent: ");
			put(2, argv[i]);
			put(2, value ? ": a value is missing\n" : ": unknown option, see --help\n");
			a.status = 2;
		}
	}
	return a;
}

/* Later sources win: defaults, kernel words (pid 1), file, environment, arguments. */
static int configure(struct agent *agent, const struct arguments *args, const struct cmdline *words,
                     struct error *err)
{
	struct agent_config *c = &agent->config;
	int r = 0;

	agent_config_defaults(c);
	if (words)
		r = agent_config_words(c, words, err);
	if (r == 0 && args->config)
		r = agent_config_file(c, args->config, err);
	if (r == 0 && !agent->pid1)
		r = agent_config_env(c, err);
	if (r == 0 && args->server)
		snprintf(c->server_addr, sizeof(c->server_addr), "%s", args->server);
	log_set_level(c->log_level);
	return r;
}

/* Not SIG_IGN, which programs would inherit: a handler is gone after execve(2). */
static void ignore_signal(int signo)
{
}

static void on_term(struct loop_source *src, const struct signalfd_siginfo *si, void *data)
{
	loop_exit(((struct agent *)data)->loop, 0);
}

/* The ports that the kernel words ask for; the agent is of use without them. */
static void open_ports(struct agent *agent)
{
	const struct agent_config *c = &agent->config;
	struct error err = ERROR_INIT;

	if (c->log_vport &&
	    log_port_open(agent->loop, c->server_addr, c->log_vport, &agent->log_port, &err) < 0)
		log_error("log port: %s", err.text);
	if (c->debug_console &&
	    debug_console_open(agent->loop, c->server_addr, c->debug_console_vport, &agent->console,
	                       &err) < 0)
		log_error("debug console: %s", err.text);
	if (c->passfd_listener_port &&
	    passfd_open(agent->loop, c->server_addr, c->passfd_listener_port,
	                &agent->sandbox.passfd, &err) < 0)
		log_error("stream port: %s", err.text);
}

/* Devices and network are missing in a sandboxed test; calls that need them then say so. */
static void start_optional(struct agent *agent, const struct cmdline *words)
{
	struct error err = ERROR_INIT;

	if (uevents_new(&agent->uevents, agent->loop, "/sys", &err) < 0)
		log_warn("no device events: %s", err.text);
	if (agent->pid1 && net_start(&agent->net, agent->loop, words, &err) < 0)
		log_error("network: %s", err.text);
	if (agent->net)
		agent->netlink = net_netlink(agent->net);
	else if (netlink_new(&agent->netlink, &err) < 0)
		log_warn("no network calls: %s", err.text);
	open_ports(agent);
	agent->sandbox.uevents = agent->uevents;
	agent->sandbox.net = agent->net;
}

/* Only now may anybody ask for anything: a policy that comes with init-data holds from the start.
 */
static void initdata_loaded(int result, const struct error *err, void *data)
{
	struct agent *agent = data;

	agent_load_policy(agent);
	if (result < 0) {
		log_critical("%s; everything is denied", err->text);
		policy_free(agent->policy);
		agent->policy = policy_deny_all(err->text);
		if (!agent->policy)
			loop_exit(agent->loop, 1);
	}
	rpc_server_hold(agent->server, false);
}

/* Init-data is the host's word to this guest; an ordinary process has no such device. */
static int load_initdata(struct agent *agent, struct error *err)
{
	if (!agent->pid1) {
		agent_load_policy(agent);
		return 0;
	}
	rpc_server_hold(agent->server, true);
	return initdata_load(&agent->sandbox, initdata_loaded, agent, err);
}

static int listen_at(struct agent *agent, struct error *err)
{
	struct rpc_address address;
	int fd, r = rpc_address_parse(agent->config.server_addr, &address, err);

	if (r < 0)
		return r;
	fd = rpc_listen(&address, err);
	if (fd < 0)
		return fd;
	r = rpc_server_listen(agent->server, fd, err);
	if (r < 0)
		close(fd);
	return r;
}

static int start(struct agent *agent, const struct cmdline *words, struct error *err)
{
	struct loop_source *term;
	int r = loop_new(&agent->loop, err);

	if (r < 0)
		return r;
	sandbox_init(&agent->sandbox, agent->loop, &agent->config);
	traces_init(&agent->traces, agent->loop, agent->config.tracer);
	/* Containers' orphans come to us, process 1 or not. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	r = loop_watch_children(agent->loop, sandbox_orphan, &agent->sandbox, err);
	if (r == 0 && !agent->pid1)
		r = loop_add_signal(agent->loop, SIGTERM, on_term, agent, &term, err);
	if (r == 0)
		r = rpc_server_new(agent->loop, NULL, &agent->server, err);
	if (r == 0)
		r = agent_add_services(agent, err);
	if (r < 0)
		return r;
	start_optional(agent, words);
	r = load_initdata(agent, err);
	return r < 0 ? r : listen_at(agent, err);
}

static void release(struct agent *agent)
{
	rpc_server_free(agent->server);
	traces_release(&agent->traces);
	policy_free(agent->policy);
	passfd_close(agent->sandbox.passfd);
	debug_console_close(agent->console);
	log_port_close(agent->log_port);
	sandbox_release(&agent->sandbox);
	if (agent->net)
		net_free(agent->net);
	else
		netlink_free(agent->netlink);
	uevents_free(agent->uevents);
	loop_free(agent->loop);
}

static int run(struct agent *agent, const struct arguments *args, const struct cmdline *words)
{
	struct error err = ERROR_INIT;
	int r = configure(agent, args, words, &err);

	if (r == 0)
		r = start(agent, words, &err);
	if (r == 0) {
		log_info("listening at %s", agent->config.server_addr);
		boot_mark("listening");
		r = loop_run(agent->loop, &err);
	}
	if (r < 0)
		log_critical("%s", err.text);
	return r < 0 ? 1 : 0;
}

/* The kernel hands words that it does not know to process 1 as arguments: they are not ours. */
static void __attribute__((noreturn)) main_pid1(struct agent *agent)
{
	static struct cmdline words;
	const struct arguments none = {.status = -1};
	struct error err = ERROR_INIT;

	agent->pid1 = true;
	if (init_setup(&words, &err) < 0)
		log_critical("the guest cannot be set up: %s", err.text);
	else
		run(agent, &none, &words);
	guest_power_off();
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	static struct agent agent;
	struct arguments args;
	int status;

	log_setup("agent", LOG_INFO, 2, LOG_AUTO);
	signal(SIGPIPE, ignore_signal);
	if (getpid() == 1)
		main_pid1(&agent);
	args = parse_arguments(argc, argv);
	if (args.status >= 0)
		return args.status;
	status = run(&agent, &args, NULL);
	release(&agent);
	return status;
}
