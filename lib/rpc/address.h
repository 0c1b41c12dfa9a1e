/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address: the places an agent is found at, as text.
 *
 *	vsock://CID:PORT	AF_VSOCK; CID -1 is any (listening)
 *	unix:///PATH		a unix socket
 *	unix://@NAME		an abstract one
 *	hvsock:///PATH:PORT	"hybrid vsock": a unix socket of the VMM on which
 *				"CONNECT PORT\n" is answered by a line with OK (dialling only)
 */
#pragma once

#include <stdint.h>

#include "lib/base/error.h"

enum rpc_address_kind { RPC_ADDRESS_VSOCK, RPC_ADDRESS_UNIX, RPC_ADDRESS_HYBRID };

struct rpc_address {
	enum rpc_address_kind kind;
	uint32_t cid, port; /* vsock and hybrid (port) */
	char path[108];     /* unix and hybrid; "@name" for an abstract one */
};

int rpc_address_parse(const char *text, struct rpc_address *out, struct error *err);

/* A listening, non-blocking, close-on-exec socket, or a negative errno value. A unix
 * socket left by a server that is gone is replaced; one in use is not. */
int rpc_listen(const struct rpc_address *address, struct error *err);

/* A connected, non-blocking socket. Waits at most timeout_ms, but does not retry a refusal. */
int rpc_dial(const struct rpc_address *address, uint64_t timeout_ms, struct error *err);
