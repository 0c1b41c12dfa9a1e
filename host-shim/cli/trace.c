/* SPDX-License-Identifier: Apache-2.0 */
/* trace: asks the agent of a guest that runs for a trace, and prints its lines until it ends. */
#include "host-shim/cli/trace.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host-shim/cli/agent_dial.h"
#include "host-shim/cli/guest.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/rpc/address.h"
#include "lib/rpc/client.h"
#include "lib/rpc/proto/trace.pb-c.h"

#define DIAL_TIMEOUT  10000u /* ms */
#define START_TIMEOUT 90000u /* more than the agent gives its program */
/* How long a call waits in the guest: so often is looked whether somebody still reads here. */
#define READ_WAIT    2000u
#define READ_TIMEOUT 60000u

struct trace_data {
	const char *kinds, *address, *container;
};

struct agent_call {
	int fd;
	uint32_t stream;
};

static int dial(const struct trace_data *d, const char *guest, struct error *err)
{
	_cleanup_free_ char *dir = NULL;
	struct rpc_address address;
	int r = d->address ? rpc_address_parse(d->address, &address, err)
	                   : runtime_dir_find(guest, &dir, err);

	if (r < 0)
		return r;
	return d->address ? rpc_dial(&address, DIAL_TIMEOUT, err)
	                  : agent_dial(dir, DIAL_TIMEOUT, err);
}

/* The id in fresh memory. */
static int start(struct agent_call *a, const struct trace_data *d, const char *container, char **id,
                 struct error *err)
{
	_cleanup_rpc_reply_ struct rpc_reply reply = {0};
	Kihon__StartTraceRequest req = KIHON__START_TRACE_REQUEST__INIT;
	char *kinds[] = {(char *)d->kinds};
	int r;

	req.container_id = (char *)container;
	req.kinds = kinds; /* the list as it is: whoever reads it names what is wrong */
	req.n_kinds = d->kinds ? 1 : 0;
	r = rpc_call_wait_ok(a->fd, &a->stream, &kihon__trace__descriptor, "Start", &req.base,
	                     START_TIMEOUT, &reply, err);
	if (r < 0)
		return r;
	*id = strdup(((const Kihon__StartTraceResponse *)reply.message)->trace_id);
	return *id ? 0 : error_set(err, ENOMEM, "no memory for an answer");
}

static bool somebody_reads(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	return poll(&out, 1, 0) < 0 || !(out.revents & (POLLERR | POLLNVAL));
}

/* 0: go on; 1: the trace has ended, or the guest has; else an error. */
static int print_some(struct agent_call *a, char *id, struct error *err)
{
	_cleanup_rpc_reply_ struct rpc_reply reply = {0};
	Kihon__ReadTraceRequest req = KIHON__READ_TRACE_REQUEST__INIT;
	const Kihon__ReadTraceResponse *m;
	int r;

	req.trace_id = id;
	req.timeout_ms = READ_WAIT;
	r = rpc_call_wait(a->fd, &a->stream, &kihon__trace__descriptor, "Read", &req.base,
	                  READ_TIMEOUT, &reply, err);
	if (r < 0)
		return r == -ECONNRESET || r == -EPIPE ? 1 : r;
	if (reply.code != RPC_OK)
		return error_set(err, rpc_code_to_errno(reply.code), "Read: %s", reply.text);
	m = (const void *)reply.message;
	r = fs_write_all(STDOUT_FILENO, m->lines.data, m->lines.len);
	if (r < 0)
		return error_errno(err, -r, "standard output");
	return m->ended;
}

static int run(int argc, char **argv, void *data)
{
	const struct trace_data *d = data;
	const char *container = d->container ? d->container : argv[0];
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *id = NULL;
	struct agent_call call = {0};
	struct error err = ERROR_INIT;
	int r;

	signal(SIGPIPE, SIG_DFL); /* as cat(1) ends when nobody reads */
	fd = dial(d, argv[0], &err);
	if (fd < 0)
		return cli_fail(&err);
	call.fd = fd;
	r = start(&call, d, container, &id, &err);
	while (r == 0 && somebody_reads())
		r = print_some(&call, id, &err);
	/* The agent ends the trace with the connection. */
	return r < 0 ? cli_fail(&err) : 0;
}

#define AT(m) offsetof(struct trace_data, m)

static const struct option options[] = {
    {"kinds", 0, OPTION_STRING, AT(kinds), "LIST", NULL,
     "fork, exec, exit, oom, open, connect, accept, separated by commas (default: all)"},
    {"container", 0, OPTION_STRING, AT(container), "ID", NULL,
     "another container than the one that the guest is called by"},
    {"address", 0, OPTION_STRING, AT(address), "ADDRESS", NULL,
     "of the agent: vsock://CID:PORT, unix:///PATH or hvsock:///PATH:PORT;\n"
     "NAME is the container then"},
    {0},
};

const struct verb trace_verb = {
    .name = "trace",
    .args = "NAME",
    .summary = "print what happens in a guest's container, as lines of JSON",
    .details =
        "NAME is the id of a guest of `kihon run`: the name of its folder below\n"
        "$XDG_RUNTIME_DIR/kihon or /run/kihon, and its host name. The guest's image must be of\n"
        "profile trace: the kernel of others cannot. Ends with the container. Processes, OOM\n"
        "kills, opened files and connections are told as objects with ts, event, pid (in the\n"
        "container), guest_pid, uid, comm and what belongs to the event.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run,
    .data_size = sizeof(struct trace_data),
};
