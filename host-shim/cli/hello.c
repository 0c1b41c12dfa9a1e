/* SPDX-License-Identifier: Apache-2.0 */
/* hello: the first calls to a guest's agent. */
#include "host-shim/cli/hello.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "host-shim/cli/clone.h"
#include "host-shim/cli/requests.h"
#include "host-shim/hypervisor/dial.h"
#include "lib/rpc/client.h"

#define AGENT_PORT   1024
#define CALL_TIMEOUT 60000 /* ms */
#define ARENA_MAX    65536

struct hello {
	struct loop *loop;
	struct dial *dial;
	struct rpc_client *client;
	struct arena arena;
	struct spec_options spec;
	bool told;
	unsigned int step;
	hello_fn fn;
	void *data;
};

static void tell(struct hello *h, int result, const char *why)
{
	rpc_client_free(h->client);
	h->client = NULL;
	if (!h->told)
		h->fn(h->data, result, why);
	h->told = true;
}

static void on_answer(const struct rpc_result *result, void *data);

static bool is_clone(const struct hello *h)
{
	return h->spec.net;
}

static bool has_net(const struct hello *h)
{
	return is_clone(h) && h->spec.net->kind != GUEST_NET_NONE;
}

static bool has_route(const struct hello *h)
{
	return has_net(h) && h->spec.net->gateway[0];
}

static const struct {
	const char *method;
	const ProtobufCServiceDescriptor *service;
	request_fn make;
	bool (*wanted)(const struct hello *h); /* NULL: always */
} calls[] = {
    {"Check", &grpc__health__descriptor, request_check, NULL},
    {"ReseedRandomDev", &grpc__agent_service__descriptor, request_seed, is_clone},
    {"SetGuestDateTime", &grpc__agent_service__descriptor, request_time, is_clone},
    {"UpdateInterface", &grpc__agent_service__descriptor, request_interface, has_net},
    {"UpdateRoutes", &grpc__agent_service__descriptor, request_routes, has_route},
};

#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

static int call(struct hello *h, unsigned int n, struct error *err)
{
	const ProtobufCMessage *m = calls[n].make(&h->arena, &h->spec);

	if (!m)
		return error_set(err, ENOMEM, "no memory or random numbers for a request");
	return rpc_client_call(h->client, calls[n].service, calls[n].method, m, CALL_TIMEOUT,
	                       on_answer, h, err);
}

static void next(struct hello *h)
{
	struct error err = ERROR_INIT;

	while (h->step < N_CALLS && calls[h->step].wanted && !calls[h->step].wanted(h))
		h->step++;
	if (h->step == N_CALLS)
		tell(h, 0, "");
	else if (call(h, h->step++, &err) < 0)
		tell(h, err.code, err.text);
}

static void on_answer(const struct rpc_result *result, void *data)
{
	struct hello *h = data;

	if (result->code == RPC_OK)
		next(h);
	else
		tell(h, -EPROTO, result->message);
}

static void on_closed(struct rpc_client *client, const char *why, void *data)
{
	struct hello *h = data;

	/* The client is not to be freed in here. */
	if (!h->told)
		h->fn(h->data, -ECONNRESET, why);
	h->told = true;
}

static void on_dialled(void *data, int fd)
{
	struct hello *h = data;
	struct error err = ERROR_INIT;

	if (fd < 0) {
		tell(h, fd, "its agent did not answer in time");
		return;
	}
	if (rpc_client_new(h->loop, fd, on_closed, h, &h->client, &err) < 0) {
		close(fd);
		tell(h, err.code, err.text);
		return;
	}
	next(h);
}

int hello_start(struct hello **out, struct loop *loop, struct hypervisor *hv,
                const struct guest_net *clone, hello_fn fn, void *data, struct error *err)
{
	struct hello *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return error_set(err, ENOMEM, "no memory to call a guest's agent");
	*h = (struct hello){.loop = loop,
	                    .spec = {.net = clone, .interface = CLONE_INTERFACE},
	                    .arena = arena_init(ARENA_MAX),
	                    .fn = fn,
	                    .data = data};
	r = dial_start(&h->dial, loop, hv, AGENT_PORT, HELLO_BOOT_TIMEOUT, on_dialled, h, err);
	if (r < 0) {
		hello_free(h);
		return r;
	}
	*out = h;
	return 0;
}

void hello_free(struct hello *h)
{
	if (!h)
		return;
	rpc_client_free(h->client);
	dial_free(h->dial);
	arena_free(&h->arena);
	free(h);
}
