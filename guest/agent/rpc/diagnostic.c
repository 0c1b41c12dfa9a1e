/* SPDX-License-Identifier: Apache-2.0 */
/* diagnostic: GetDiagnosticData, the termination message that a container left. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/rpc/handlers.h"
#include "guest/agent/sandbox_container.h"
#include "lib/base/helper.h"
#include "lib/base/utf8.h"
#include "lib/rpc/proto/agent.pb-c.h"

#define TERMINATION_MAX 4096u /* as much as Kubernetes takes */
#define READ_MS         30000u

/* The file may be on a share of the host's, which can hang: a helper reads it, into memory that it
 * has in common with us (a helper's answer has less room). */
struct read_op {
	struct rpc_call *call; /* NULL: cancelled */
	char *path;
	char *text; /* TERMINATION_MAX + 1 bytes */
};

static void op_free(struct read_op *op)
{
	if (op->text)
		munmap(op->text, TERMINATION_MAX + 1);
	free(op->path);
	free(op);
}

static struct read_op *op_new(const char *path)
{
	struct read_op *op = calloc(1, sizeof(*op));
	void *text;

	if (!op)
		return NULL;
	text = mmap(NULL, TERMINATION_MAX + 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	            -1, 0);
	op->text = text == MAP_FAILED ? NULL : text;
	op->path = strdup(path);
	if (op->text && op->path)
		return op;
	op_free(op);
	return NULL;
}

/* The file belongs to the container: it may be anything, so only a regular one is read. */
static int read_message(void *data, void *out, struct error *err)
{
	struct read_op *op = data;
	_cleanup_close_ int fd =
	    open(op->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "termination message %s", op->path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "termination message %s is no regular file",
		                 op->path);
	if (pread(fd, op->text, TERMINATION_MAX, 0) < 0)
		return error_errno(err, errno, "termination message %s", op->path);
	return 0;
}

static void answer(struct rpc_call *call, char *text)
{
	Grpc__GetDiagnosticDataResponse m = GRPC__GET_DIAGNOSTIC_DATA_RESPONSE__INIT;

	utf8_clean(text); /* a protobuf string */
	m.data = text;
	rpc_call_reply(call, &m.base);
}

static void message_read(int result, const void *out, const struct error *err, void *data)
{
	struct read_op *op = data;

	if (op->call && result < 0)
		rpc_call_fail_error(op->call, err);
	else if (op->call)
		answer(op->call, op->text);
	op_free(op);
}

static void cancelled(void *data)
{
	((struct read_op *)data)->call = NULL;
}

static int start_reading(struct agent *agent, struct rpc_call *call, const char *path,
                         struct error *err)
{
	struct read_op *op = op_new(path);
	int r;

	if (!op)
		return error_set(err, ENOMEM, "out of memory for a termination message");
	r = helper_run(agent->loop, "reading a termination message", read_message, op, READ_MS,
	               message_read, op, err);
	if (r < 0) {
		op_free(op);
		return r;
	}
	op->call = call;
	rpc_call_on_cancel(call, cancelled, op);
	return 0;
}

void rpc_get_diagnostic_data(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__GetDiagnosticDataRequest *req = (const void *)request;
	struct agent *agent = data;
	struct error err = ERROR_INIT;
	struct sandbox_container *c;
	int r;

	if (strcmp(req->log_type, "termination_log") != 0) {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "log type \"%s\" is not termination_log",
		              req->log_type);
		return;
	}
	r = sandbox_container_find(&agent->sandbox, req->container_id, &c, &err);
	if (r == 0 && !c->termination_log)
		answer(call, (char *)"");
	else if (r == 0)
		r = start_reading(agent, call, c->termination_log, &err);
	if (r < 0)
		rpc_call_fail_error(call, &err);
}
