/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plug: puts devices into the empty slots of a guest that runs, and takes them out again: what
 * `kihon volume` and `kihon network` share. The guest's monitor gets the descriptor; its agent is
 * told to look, or to let go.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "host-shim/hypervisor/control.h"
#include "lib/rpc/client.h"

/* What a verb is about. */
struct plug_class {
	const char *verb;
	uint32_t flags; /* CONTROL_NETWORKS, or 0: of its requests */
	/* `data` is the verb's; `what` follows the guest's name, NULL without attach_what. */
	int (*attach)(const void *data, const char *dir, const char *what, struct error *err);
	const char *attach_usage; /* "attach NAME FILE" */
	bool attach_what;
};

/* The request with `id`, or, where it is NULL, an id made of the end of `name`. -EINVAL. */
int plug_request(struct control_request *req, const char *id, const char *name, struct error *err);

/* The agent has looked: `names` are what its kernel calls what it found ("vdb", "eth1"). */
typedef int (*plug_told_fn)(int agent, char *const *names, size_t n, void *data, struct error *err);

/* Puts what `fd` is into a slot, has the agent look, calls told (NULL is fine), and prints the id
 * and the names; what fails takes the device out again. The agent is not everybody's: where none
 * answers that is said, and the device is left there. */
int plug_attach(const char *dir, const struct control_request *req, int fd, plug_told_fn told,
                void *data, struct error *err);

/* A call to the agent: what its answer is not OK for is an error. */
int plug_call(int agent, const ProtobufCServiceDescriptor *service, const char *method,
              const ProtobufCMessage *request, struct rpc_reply *reply, struct error *err);

/* "VERB attach|detach|ls NAME [WHAT]": finds the action and the guest's runtime folder; `force` is
 * for detach. The exit status. */
int plug_run(int argc, char **argv, const struct plug_class *c, bool force, const void *data);
