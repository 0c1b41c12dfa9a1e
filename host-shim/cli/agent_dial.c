/* SPDX-License-Identifier: Apache-2.0 */
/* agent_dial: a connection to the agent of a guest that runs. */
#include "host-shim/cli/agent_dial.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/base/cleanup.h"
#include "lib/base/str.h"
#include "lib/rpc/address.h"

int agent_dial(const char *runtime_dir, unsigned int timeout_ms, struct error *err)
{
	_cleanup_free_ char *text = str_printf("hvsock://%s/vsock:%d", runtime_dir, AGENT_PORT);
	struct rpc_address address;
	int r;

	if (!text)
		return error_set(err, ENOMEM, "no memory for an address");
	r = rpc_address_parse(text, &address, err);
	return r < 0 ? r : rpc_dial(&address, timeout_ms, err);
}
