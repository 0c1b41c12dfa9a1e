/* SPDX-License-Identifier: Apache-2.0 */
/* network_calls: interfaces, routes and neighbours of the guest, which all containers share. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/agent/device/device_find.h"
#include "guest/agent/device/mmio_slots.h"
#include "guest/agent/net/interface.h"
#include "guest/agent/rpc/handlers.h"
#include "lib/rpc/proto/agent.pb-c.h"

static int need_netlink(const struct agent *agent, struct error *err)
{
	return agent->netlink ? 0 : error_set(err, ENODEV, "there is no network in this guest");
}

static void no_memory(struct rpc_call *call)
{
	rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
}

static struct net_ip_text ip_text(const Types__IPAddress *a)
{
	return (struct net_ip_text){
	    .v6 = a->family == TYPES__IPFAMILY__v6,
	    .address = a->address,
	    .mask = a->mask,
	};
}

/* ---- UpdateInterface: waits for the NIC to be plugged in, when it is said where or may be in a
 * virtio-mmio slot */

struct interface_op {
	struct agent *agent;
	struct arena arena; /* the request is in it */
	const Grpc__UpdateInterfaceRequest *req;
	struct rpc_call *call; /* NULL: cancelled */
};

static void interface_cancelled(void *data)
{
	((struct interface_op *)data)->call = NULL;
}

static int apply_interface(struct agent *agent, const Types__Interface *in, struct arena *arena,
                           struct error *err)
{
	struct net_ip_text *addresses = arena_array(arena, in->n_ipaddresses, sizeof(*addresses));
	struct net_interface_request want = {
	    .device = in->device,
	    .name = in->name,
	    .addresses = addresses,
	    .n_addresses = in->n_ipaddresses,
	    .mtu = in->mtu,
	    .hw_addr = in->hwaddr,
	    .raw_flags = in->raw_flags,
	};

	if (!addresses)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < in->n_ipaddresses; i++)
		addresses[i] = ip_text(in->ipaddresses[i]);
	return net_interface_update(agent->netlink, &want, err);
}

static void answer_interface(struct agent *agent, struct rpc_call *call, const Types__Interface *in)
{
	struct error err = ERROR_INIT;

	if (apply_interface(agent, in, rpc_call_arena(call), &err) < 0)
		rpc_call_fail_error(call, &err);
	else
		rpc_call_reply(call, &in->base); /* what was asked for, as Kata's agent answers */
}

static void link_found(int result, const char *name, void *data)
{
	struct interface_op *op = data;

	if (op->call && result < 0 && *op->req->interface->devicepath)
		rpc_call_fail(op->call, RPC_DEADLINE_EXCEEDED,
		              "no network interface at PCI path %s",
		              op->req->interface->devicepath);
	else if (op->call) /* one by its hardware address is found now, or the answer says it */
		answer_interface(op->agent, op->call, op->req->interface);
	arena_free(&op->arena);
	free(op);
}

/* A slot that nobody has may have been filled since: the wait looks at it again (mmio_slots.h). */
static bool may_be_in_slot(const struct agent *agent, const Types__Interface *in)
{
	struct device_key key;

	return !*in->devicepath && *in->hwaddr && strlen(in->hwaddr) < sizeof(key.name) &&
	       agent->uevents && mmio_slots_empty("/sys");
}

static int wait_link(struct agent *agent, struct interface_op *op, struct error *err)
{
	const struct uevent_matcher *matcher = &device_pci_net;
	const Types__Interface *in = op->req->interface;
	struct device_key key;
	int r = 0;

	memset(&key, 0, sizeof(key));
	if (!agent->uevents)
		return error_set(err, ENODEV, "no devices can be added here");
	if (*in->devicepath) {
		r = pci_path_parse(&key.pci, in->devicepath, err);
	} else {
		matcher = &device_mac_net;
		strcpy(key.name, in->hwaddr);
	}
	if (r < 0)
		return r;
	return uevents_wait(agent->uevents, matcher, &key, sizeof(key),
	                    agent->config.hotplug_timeout_ms, link_found, op, NULL, err);
}

void rpc_update_interface(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__UpdateInterfaceRequest *req = (const void *)request;
	struct agent *agent = data;
	struct error err = ERROR_INIT;
	struct interface_op *op;

	if (!req->interface)
		error_set(&err, EINVAL, "the request has no interface");
	if (err.code || need_netlink(agent, &err) < 0) {
		rpc_call_fail_error(call, &err);
		return;
	}
	if (!*req->interface->devicepath && !may_be_in_slot(agent, req->interface)) {
		answer_interface(agent, call, req->interface);
		return;
	}
	op = calloc(1, sizeof(*op));
	if (!op) {
		no_memory(call);
		return;
	}
	op->agent = agent;
	op->req = req;
	if (wait_link(agent, op, &err) < 0) {
		free(op);
		rpc_call_fail_error(call, &err);
		return;
	}
	op->call = call;
	op->arena = rpc_call_take_arena(call);
	rpc_call_on_cancel(call, interface_cancelled, op);
}

/* ---- lists as messages */

static int fill_interface(struct arena *a, const struct net_interface *in, Types__Interface *out)
{
	types__interface__init(out);
	out->name = out->device = (char *)in->name;
	out->hwaddr = (char *)in->hw_addr;
	out->type = (char *)in->type;
	out->mtu = in->mtu;
	out->raw_flags = in->raw_flags;
	out->ipaddresses = arena_array(a, in->n_addresses, sizeof(*out->ipaddresses));
	if (!out->ipaddresses)
		return -ENOMEM;
	for (size_t i = 0; i < in->n_addresses; i++) {
		Types__IPAddress *ip = arena_alloc(a, sizeof(*ip));

		if (!ip)
			return -ENOMEM;
		types__ipaddress__init(ip);
		ip->family = in->addresses[i].v6 ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4;
		ip->address = in->addresses[i].address;
		ip->mask = in->addresses[i].mask;
		out->ipaddresses[out->n_ipaddresses++] = ip;
	}
	return 0;
}

void rpc_list_interfaces(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	struct arena *a = rpc_call_arena(call);
	struct agent *agent = data;
	Grpc__Interfaces m = GRPC__INTERFACES__INIT;
	struct net_interface *list = NULL;
	struct error err = ERROR_INIT;
	size_t n = 0;
	int r = need_netlink(agent, &err);

	if (r == 0)
		r = net_interfaces_list(agent->netlink, &list, &n, &err);
	if (r < 0) {
		rpc_call_fail_error(call, &err);
		return;
	}
	m.interfaces = arena_array(a, n, sizeof(*m.interfaces));
	for (; m.interfaces && m.n_interfaces < n; m.n_interfaces++) {
		Types__Interface *out = arena_alloc(a, sizeof(*out));

		if (!out || fill_interface(a, &list[m.n_interfaces], out) < 0)
			break;
		m.interfaces[m.n_interfaces] = out;
	}
	if (m.n_interfaces < n)
		no_memory(call);
	else
		rpc_call_reply(call, &m.base);
	net_interfaces_free(list, n);
}

/* ---- routes */

static void reply_routes(struct rpc_call *call, struct agent *agent)
{
	struct arena *a = rpc_call_arena(call);
	Grpc__Routes m = GRPC__ROUTES__INIT;
	struct net_route_info *list = NULL;
	struct error err = ERROR_INIT;
	size_t n = 0;

	if (net_routes_list(agent->netlink, &list, &n, &err) < 0) {
		rpc_call_fail_error(call, &err);
		return;
	}
	m.routes = arena_array(a, n, sizeof(*m.routes));
	for (; m.routes && m.n_routes < n; m.n_routes++) {
		struct net_route_info *in = &list[m.n_routes];
		Types__Route *out = arena_alloc(a, sizeof(*out));

		if (!out)
			break;
		types__route__init(out);
		out->dest = in->dest;
		out->gateway = in->gateway;
		out->device = in->device;
		out->source = in->source;
		out->scope = in->scope;
		out->family = in->v6 ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4;
		out->flags = in->flags;
		out->mtu = in->mtu;
		m.routes[m.n_routes] = out;
	}
	if (m.n_routes < n)
		no_memory(call);
	else
		rpc_call_reply(call, &m.base);
	free(list);
}

void rpc_list_routes(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	struct agent *agent = data;
	struct error err = ERROR_INIT;

	if (need_netlink(agent, &err) < 0)
		rpc_call_fail_error(call, &err);
	else
		reply_routes(call, agent);
}

void rpc_update_routes(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__UpdateRoutesRequest *req = (const void *)request;
	size_t n = req->routes ? req->routes->n_routes : 0;
	struct agent *agent = data;
	struct net_route_request *v = arena_array(rpc_call_arena(call), n, sizeof(*v));
	struct error err = ERROR_INIT;
	int r = v ? need_netlink(agent, &err) : error_set(&err, ENOMEM, "out of memory");

	if (r == 0 && !req->routes) /* which is not the same as a list of none */
		r = error_set(&err, EINVAL, "the request has no routes");
	for (size_t i = 0; i < n && r == 0; i++) {
		const Types__Route *in = req->routes->routes[i];

		v[i] = (struct net_route_request){
		    .dest = in->dest,
		    .gateway = in->gateway,
		    .device = in->device,
		    .source = in->source,
		    .scope = in->scope,
		    .v6 = in->family == TYPES__IPFAMILY__v6,
		    .flags = in->flags,
		    .mtu = in->mtu,
		};
	}
	if (r == 0)
		r = net_routes_update(agent->netlink, v, n, &err);
	if (r < 0)
		rpc_call_fail_error(call, &err);
	else
		reply_routes(call, agent);
}

/* ---- neighbours */

void rpc_add_arp_neighbors(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__AddARPNeighborsRequest *req = (const void *)request;
	size_t n = req->neighbors ? req->neighbors->n_arpneighbors : 0;
	struct agent *agent = data;
	struct net_neighbor_request *v = arena_array(rpc_call_arena(call), n, sizeof(*v));
	struct error err = ERROR_INIT;
	int r = v ? need_netlink(agent, &err) : error_set(&err, ENOMEM, "out of memory");

	if (r == 0 && !req->neighbors)
		r = error_set(&err, EINVAL, "the request has no neighbours");
	for (size_t i = 0; i < n && r == 0; i++) {
		const Types__ARPNeighbor *in = req->neighbors->arpneighbors[i];

		if (!in->toipaddress) {
			r = error_set(&err, EINVAL, "a neighbour has no address");
			break;
		}
		v[i] = (struct net_neighbor_request){
		    .to = ip_text(in->toipaddress),
		    .device = in->device,
		    .lladdr = in->lladdr,
		    .state = in->state,
		    .flags = in->flags,
		};
	}
	if (r == 0)
		r = net_neighbors_add(agent->netlink, v, n, &err);
	if (r < 0)
		rpc_call_fail_error(call, &err);
	else
		rpc_call_reply(call, NULL);
}
