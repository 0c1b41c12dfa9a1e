/* SPDX-License-Identifier: Apache-2.0 */
/* iptables: the guest's packet filter as text, through the tools of the image where it has them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/agent/rpc/handlers.h"
#include "guest/init/init.h"
#include "lib/base/fs.h"
#include "lib/base/process.h"
#include "lib/rpc/proto/agent.pb-c.h"

#define RULES_MAX (2u << 20)
#define RULES_MS  15000u

/* A tool that gets text and gives text, neither of which is known to fit a pipe. */
struct rules_op {
	struct agent *agent;
	struct rpc_call *call; /* NULL: cancelled */
	bool set;
	pid_t pid;
	int fd; /* its output */
	struct buffer text;
	struct loop_source *source, *child, *timer;
};

static const char *find_tool(const char *const *paths)
{
	for (; *paths; paths++)
		if (access(*paths, X_OK) == 0)
			return *paths;
	return NULL;
}

static void cancelled(void *data)
{
	struct rules_op *op = data;

	op->call = NULL;
	kill(op->pid, SIGKILL);
}

static void read_output(struct rules_op *op)
{
	uint8_t buf[4096];
	ssize_t n;

	while ((n = read(op->fd, buf, sizeof(buf))) > 0)
		buffer_append(&op->text, buf, (size_t)n);
	if (n == 0 && op->source) {
		loop_source_free(op->source);
		op->source = NULL;
	}
}

static void on_output(struct loop_source *src, int fd, uint32_t events, void *data)
{
	read_output(data);
}

static void on_deadline(struct loop_source *src, void *data)
{
	kill(((struct rules_op *)data)->pid, SIGKILL);
}

static void answer(struct rules_op *op, int status)
{
	Grpc__GetIPTablesResponse got = GRPC__GET_IPTABLES_RESPONSE__INIT;
	Grpc__SetIPTablesResponse set = GRPC__SET_IPTABLES_RESPONSE__INIT;

	got.data.data = set.data.data = op->text.data;
	got.data.len = set.data.len = op->text.size;
	if (!op->call)
		return;
	if (status != 0)
		rpc_call_fail(op->call, RPC_INTERNAL,
		              "the packet filter's tool failed (status %d): %.200s", status,
		              buffer_cstr(&op->text));
	else if (op->text.failed)
		rpc_call_fail(op->call, RPC_RESOURCE_EXHAUSTED, "the rules are too long");
	else
		rpc_call_reply(op->call, op->set ? &set.base : &got.base);
}

static void op_free(struct rules_op *op)
{
	loop_source_free(op->source);
	loop_source_free(op->child);
	loop_source_free(op->timer);
	close_fd(&op->fd);
	buffer_free(&op->text);
	free(op);
}

static void on_child(struct loop_source *src, pid_t pid, int status, void *data)
{
	struct rules_op *op = data;

	read_output(op);
	answer(op, process_exit_code(status));
	op_free(op);
}

/* The rules go through a file: the tool may write before it has read everything. */
static int input_file(const uint8_t *data, size_t size, struct error *err)
{
	int fd = open("/run", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_errno(err, errno, "a temporary file in /run");
	if (fs_pwrite_all(fd, data, size, 0) < 0) {
		close(fd);
		return error_set(err, EIO, "writing a temporary file in /run");
	}
	return fd;
}

static int watch(struct rules_op *op, struct error *err)
{
	int r;

	fs_set_nonblock(op->fd, true);
	r = loop_add_fd(op->agent->loop, op->fd, EPOLLIN, on_output, op, &op->source, err);
	if (r == 0)
		r = loop_add_timer(op->agent->loop, RULES_MS, on_deadline, op, &op->timer, err);
	if (r == 0)
		r = loop_add_child(op->agent->loop, op->pid, on_child, op, &op->child, err);
	if (r < 0)
		kill(op->pid, SIGKILL);
	return r;
}

static int start(struct rules_op *op, char *const *argv, int input, struct error *err)
{
	struct process_opts o = {
	    .path = argv[0],
	    .argv = argv,
	    .n_fds = 3,
	    .before_drop = getpid() == 1 ? init_child_reset : NULL,
	};
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(err, errno, "a pipe");
	op->fd = fds[0];
	o.fds[0] = input;
	o.fds[1] = o.fds[2] = fds[1];
	r = process_spawn(&o, &op->pid, err);
	close(fds[1]);
	return r < 0 ? r : watch(op, err);
}

static void run_tool(struct agent *agent, struct rpc_call *call, char *const *argv, int input,
                     bool set)
{
	struct rules_op *op = calloc(1, sizeof(*op));
	struct error err = ERROR_INIT;

	if (!op) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	op->agent = agent;
	op->set = set;
	op->fd = -1;
	op->text.limit = RULES_MAX;
	if (start(op, argv, input, &err) < 0) {
		op_free(op);
		rpc_call_fail_error(call, &err);
		return;
	}
	op->call = call;
	rpc_call_on_cancel(call, cancelled, op);
}

static const char *need_tool(struct rpc_call *call, const char *const *paths)
{
	const char *tool = find_tool(paths);

	if (!tool)
		rpc_call_fail(call, RPC_UNIMPLEMENTED, "the guest image has no %s", paths[0]);
	return tool;
}

void rpc_get_ip_tables(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	static const char *const v4[] = {"/usr/sbin/iptables-save", "/sbin/iptables-save", NULL};
	static const char *const v6[] = {"/usr/sbin/ip6tables-save", "/sbin/ip6tables-save", NULL};
	bool is_v6 = ((const Grpc__GetIPTablesRequest *)request)->is_ipv6;
	const char *tool = need_tool(call, is_v6 ? v6 : v4);
	char *argv[] = {(char *)tool, NULL};

	if (tool)
		run_tool(data, call, argv, -1, false);
}

void rpc_set_ip_tables(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	static const char *const v4[] = {"/usr/sbin/iptables-restore", "/sbin/iptables-restore",
	                                 NULL};
	static const char *const v6[] = {"/usr/sbin/ip6tables-restore", "/sbin/ip6tables-restore",
	                                 NULL};
	const Grpc__SetIPTablesRequest *req = (const void *)request;
	const char *tool = need_tool(call, req->is_ipv6 ? v6 : v4);
	char *argv[] = {(char *)tool, (char *)"--wait", (char *)"5", NULL};
	struct error err = ERROR_INIT;
	_cleanup_close_ int input = -1;

	if (!tool)
		return;
	input = input_file(req->data.data, req->data.len, &err);
	if (input < 0)
		rpc_call_fail_error(call, &err);
	else
		run_tool(data, call, argv, input, true);
}
