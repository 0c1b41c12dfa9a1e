/* SPDX-License-Identifier: Apache-2.0 */
/* network: gives a guest that runs a network, or takes it away. */
#include "host-shim/cli/network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host-shim/cli/net_options.h"
#include "host-shim/cli/plug.h"
#include "host-shim/cli/requests.h"
#include "host-shim/hypervisor/passt.h"
#include "lib/base/cleanup.h"

#define ARENA_MAX 65536

struct network_data {
	struct guest_net_words net;
	const char *id;
	bool force;
};

/* What is on this host's side while it is being attached. */
struct side {
	struct guest_net net;
	int fd; /* a tap, or a stream to passt */
	struct passt passt;
};

static void close_side(struct side *s)
{
	close_fd(&s->fd);
	close_fd(&s->passt.errors);
}

static int open_side(struct side *s, struct error *err)
{
	int r;

	if (s->net.kind == GUEST_NET_TAP)
		return guest_net_open(&s->net, &s->fd, err);
	r = passt_check(err);
	return r < 0 ? r : passt_leave(&s->passt, &s->fd, err);
}

/* passt finds out at its start what it lacks, and ends. */
static int check_passt(struct side *s, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	int status;

	if (s->passt.pid <= 0 || waitpid(s->passt.pid, &status, WNOHANG) != s->passt.pid)
		return 0;
	s->passt.pid = 0;
	text = passt_failure(&s->passt, status);
	return error_set_kind(err, ERROR_ENVIRONMENT, EIO, "%s", text ? text : "passt failed");
}

/* ---- the guest's side */

static int update_interface(int agent, struct arena *a, const struct spec_options *spec,
                            struct error *err)
{
	_cleanup_rpc_reply_ struct rpc_reply reply = {0};
	ProtobufCMessage *m = request_interface(a, spec);

	if (!m)
		return error_set(err, ENOMEM, "no memory for a request");
	return plug_call(agent, &grpc__agent_service__descriptor, "UpdateInterface", m, &reply,
	                 err);
}

static bool is_default(const Types__Route *r)
{
	return r->family == TYPES__IPFAMILY__v4 && (!r->dest || !*r->dest);
}

/* The agent takes the list as the whole of it: the default route there is makes room for ours. */
static int update_routes(int agent, struct arena *a, const struct spec_options *spec,
                         struct error *err)
{
	const Grpc__ListRoutesRequest ask = GRPC__LIST_ROUTES_REQUEST__INIT;
	_cleanup_rpc_reply_ struct rpc_reply there = {0}, reply = {0};
	ProtobufCMessage *m = request_routes(a, spec);
	const Grpc__Routes *have;
	Grpc__Routes *want;
	Types__Route **all;
	int r = plug_call(agent, &grpc__agent_service__descriptor, "ListRoutes", &ask.base, &there,
	                  err);

	if (r < 0)
		return r;
	have = (const void *)there.message;
	all = arena_new_array(a, have->n_routes + 1, Types__Route *);
	if (!m || !all)
		return error_set(err, ENOMEM, "no memory for a request");
	want = ((Grpc__UpdateRoutesRequest *)(void *)m)->routes;
	all[0] = want->routes[0];
	for (size_t i = 0; i < have->n_routes; i++)
		if (!is_default(have->routes[i]))
			all[want->n_routes++] = have->routes[i];
	want->routes = all;
	return plug_call(agent, &grpc__agent_service__descriptor, "UpdateRoutes", m, &reply, err);
}

static int told(int agent, char *const *names, size_t n, void *data, struct error *err)
{
	struct side *s = data;
	struct arena a = arena_init(ARENA_MAX);
	struct spec_options spec = {.net = &s->net, .interface = n > 0 ? names[0] : NULL};
	int r = n == 0 ? error_set(err, ENODEV, "it found no interface in the slot")
	               : update_interface(agent, &a, &spec, err);

	if (r == 0 && s->net.gateway[0])
		r = update_routes(agent, &a, &spec, err);
	arena_free(&a);
	return r < 0 ? r : check_passt(s, err);
}

/* ---- the verb */

static int parse(const struct network_data *d, struct guest_net *net, struct error *err)
{
	int r = guest_net_parse(net, &d->net, err);

	if (r == 0 && net->kind == GUEST_NET_NONE)
		r = error_set_kind(err, ERROR_USAGE, EINVAL, "--net none: nothing to attach");
	if (r == 0 && net->dhcp)
		r = error_set_kind(err, ERROR_USAGE, EINVAL, "--net tap=%s: " GUEST_NET_NO_DHCP,
		                   net->tap);
	return r;
}

static int attach(const void *data, const char *dir, const char *none, struct error *err)
{
	const struct network_data *d = data;
	__attribute__((cleanup(close_side))) struct side s = {.fd = -1, .passt.errors = -1};
	struct control_request req;
	int r = parse(d, &s.net, err);

	if (r == 0)
		r = plug_request(&req, d->id, s.net.kind == GUEST_NET_TAP ? s.net.tap : "user",
		                 err);
	if (r == 0)
		r = open_side(&s, err);
	if (r < 0)
		return r;
	req.kind = s.net.kind == GUEST_NET_TAP ? CONTROL_TAP : CONTROL_USER;
	req.mtu = s.net.mtu;
	memcpy(req.mac, s.net.mac, sizeof(req.mac));
	r = plug_attach(dir, &req, s.fd, told, &s, err);
	if (r < 0)
		passt_stop(&s.passt);
	return r;
}

static int run(int argc, char **argv, void *data)
{
	static const struct plug_class class = {
	    .verb = "network",
	    .flags = CONTROL_NETWORKS,
	    .attach = attach,
	    .attach_usage = "attach NAME",
	};

	return plug_run(argc, argv, &class, ((const struct network_data *)data)->force, data);
}

static const struct option options[] = {
    NET_OPTION_ROW(struct network_data, net),
    NET_ADDRESS_ROWS(struct network_data, net),
    {"id", 0, OPTION_STRING, offsetof(struct network_data, id), "ID", NULL,
     "what to call the network, to detach it: up to 20 letters, digits, '-', '_' and '.'\n"
     "(default: user, or the tap interface's name)"},
    {"force", 'f', OPTION_FLAG, offsetof(struct network_data, force), NULL, NULL,
     "detach although the guest's agent does not answer or does not want to"},
    {0},
};

const struct verb network_verb = {
    .name = "network",
    .args = "attach NAME | detach NAME ID | ls NAME",
    .summary = "give a guest that runs a network, or take it away",
    .details =
        "NAME is the id of a guest of the built-in monitor: the name of its folder below\n"
        "$XDG_RUNTIME_DIR/kihon or /run/kihon. A network takes one of the guest's empty slots\n"
        "(--slots of 'kihon boot' and 'kihon run'). The user network, by passt(1), has the same\n"
        "addresses whenever it comes: a guest has one. Of tap interfaces there may be several;\n"
        "each wants --ip, as nobody asks a DHCP server.\n"
        "\n"
        "attach has the agent look and configure the interface, and prints the network's id and\n"
        "the interface's name in the guest. With a gateway, as the user network has one, the\n"
        "guest's default route goes there from then on. Name servers are told with\n"
        "CreateSandbox, not here. detach has the agent let go first: the interface goes with its\n"
        "addresses and routes. When passt or the tap interface goes, the network is down, as ls\n"
        "says, and the guest goes on.\n"
        "\n"
        "Exit status: 0; 125 when it could not be done; 2 for a wrong command line.\n",
    .options = options,
    .min_args = 2,
    .max_args = 3,
    .run = run,
    .data_size = sizeof(struct network_data),
};
