/* SPDX-License-Identifier: Apache-2.0 */
/* requests: what `kihon` asks an agent, a function a request. */
#include "host-shim/cli/requests.h"

#include <sys/random.h>
#include <time.h>

#include "lib/image/initdata.h"

/* Bytes; twice what the kernel's generator takes. */
#define SEED_SIZE 64

/* Where the agent keeps init-data that was not there at boot. */
#define INITDATA_DIR "/run/confidential-containers/initdata"

/* An initialised message in the arena. */
#define NEW(a, type, init)                                                                         \
	({                                                                                         \
		type *new_ = arena_new((a), type);                                                 \
		if (new_)                                                                          \
			*new_ = (type)init;                                                        \
		new_;                                                                              \
	})

/* As the message it is; a->failed is set when anything in it is missing. */
#define DONE(a, m) ((a)->failed ? NULL : &(m)->base)

/* A list of one element. */
static void *one(struct arena *a, void *element)
{
	void **list = arena_new_array(a, 1, void *);

	if (list)
		*list = element;
	return list;
}

ProtobufCMessage *request_check(struct arena *a, const struct spec_options *o)
{
	Grpc__CheckRequest *m = NEW(a, Grpc__CheckRequest, GRPC__CHECK_REQUEST__INIT);

	return DONE(a, m);
}

ProtobufCMessage *request_seed(struct arena *a, const struct spec_options *o)
{
	Grpc__ReseedRandomDevRequest *m =
	    NEW(a, Grpc__ReseedRandomDevRequest, GRPC__RESEED_RANDOM_DEV_REQUEST__INIT);
	uint8_t *seed = arena_alloc(a, SEED_SIZE);

	if (!m || !seed || getrandom(seed, SEED_SIZE, 0) != SEED_SIZE)
		return NULL;
	m->data = (ProtobufCBinaryData){SEED_SIZE, seed};
	return DONE(a, m);
}

ProtobufCMessage *request_time(struct arena *a, const struct spec_options *o)
{
	Grpc__SetGuestDateTimeRequest *m =
	    NEW(a, Grpc__SetGuestDateTimeRequest, GRPC__SET_GUEST_DATE_TIME_REQUEST__INIT);
	struct timespec now;

	if (!m)
		return NULL;
	clock_gettime(CLOCK_REALTIME, &now);
	m->sec = now.tv_sec;
	m->usec = now.tv_nsec / 1000;
	return DONE(a, m);
}

ProtobufCMessage *request_interface(struct arena *a, const struct spec_options *o)
{
	Grpc__UpdateInterfaceRequest *m =
	    NEW(a, Grpc__UpdateInterfaceRequest, GRPC__UPDATE_INTERFACE_REQUEST__INIT);
	Types__Interface *link = NEW(a, Types__Interface, TYPES__INTERFACE__INIT);
	Types__IPAddress *address = NEW(a, Types__IPAddress, TYPES__IPADDRESS__INIT);

	link->hwaddr = arena_alloc(a, GUEST_NET_MAC_TEXT);
	if (!m || !link || !address || !link->hwaddr)
		return NULL;
	guest_net_mac(o->net, link->hwaddr);
	address->address = (char *)o->net->address;
	address->mask = arena_printf(a, "%u", o->net->prefix);
	link->device = link->name = (char *)o->interface;
	link->ipaddresses = one(a, address);
	link->n_ipaddresses = o->net->address[0] ? 1 : 0;
	m->interface = link;
	return DONE(a, m);
}

ProtobufCMessage *request_routes(struct arena *a, const struct spec_options *o)
{
	Grpc__UpdateRoutesRequest *m =
	    NEW(a, Grpc__UpdateRoutesRequest, GRPC__UPDATE_ROUTES_REQUEST__INIT);
	Grpc__Routes *routes = NEW(a, Grpc__Routes, GRPC__ROUTES__INIT);
	Types__Route *route = NEW(a, Types__Route, TYPES__ROUTE__INIT);

	if (!m || !routes || !route)
		return NULL;
	route->gateway = (char *)o->net->gateway;
	route->device = (char *)o->interface;
	routes->routes = one(a, route);
	routes->n_routes = 1;
	m->routes = routes;
	return DONE(a, m);
}

ProtobufCMessage *request_sandbox(struct arena *a, const struct spec_options *o)
{
	Grpc__CreateSandboxRequest *m =
	    NEW(a, Grpc__CreateSandboxRequest, GRPC__CREATE_SANDBOX_REQUEST__INIT);
	Grpc__Storage *storage = NEW(a, Grpc__Storage, GRPC__STORAGE__INIT);

	if (!m || !storage)
		return NULL;
	m->hostname = (char *)o->id;
	m->sandbox_id = (char *)o->id;
	/* One by DHCP is the guest's own business. */
	if (o->net->dns[0]) {
		m->dns = one(a, arena_printf(a, "nameserver %s", o->net->dns));
		m->n_dns = 1;
	}
	if (o->init_data) {
		storage->driver = (char *)INITDATA_DRIVER;
		storage->mount_point = (char *)INITDATA_DIR;
		m->storages = one(a, storage);
		m->n_storages = 1;
	}
	return DONE(a, m);
}

ProtobufCMessage *request_container(struct arena *a, const struct spec_options *o)
{
	Grpc__CreateContainerRequest *m = spec_container(a, o);

	return m ? &m->base : NULL;
}

ProtobufCMessage *request_start(struct arena *a, const struct spec_options *o)
{
	Grpc__StartContainerRequest *m =
	    NEW(a, Grpc__StartContainerRequest, GRPC__START_CONTAINER_REQUEST__INIT);

	if (m)
		m->container_id = (char *)o->id;
	return DONE(a, m);
}

ProtobufCMessage *request_remove(struct arena *a, const struct spec_options *o)
{
	Grpc__RemoveContainerRequest *m =
	    NEW(a, Grpc__RemoveContainerRequest, GRPC__REMOVE_CONTAINER_REQUEST__INIT);

	if (m)
		m->container_id = (char *)o->id;
	return DONE(a, m);
}

ProtobufCMessage *request_destroy(struct arena *a, const struct spec_options *o)
{
	Grpc__DestroySandboxRequest *m =
	    NEW(a, Grpc__DestroySandboxRequest, GRPC__DESTROY_SANDBOX_REQUEST__INIT);

	return DONE(a, m);
}
