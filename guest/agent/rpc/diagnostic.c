/* SPDX-License-Identifier: Apache-2.0 */
/* diagnostic: GetDiagnosticData, the termination message that a container left. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "guest/agent/rpc/handlers.h"
#include "guest/agent/sandbox_container.h"
#include "lib/base/fs.h"
#include "lib/rpc/proto/agent.pb-c.h"

#define TERMINATION_MAX 4096u

/* The file belongs to the container: it may be anything, so only a regular one is read. */
static ssize_t read_message(const char *path, char *out, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return pread(fd, out, size, 0);
}

void rpc_get_diagnostic_data(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__GetDiagnosticDataRequest *req = (const void *)request;
	struct agent *agent = data;
	Grpc__GetDiagnosticDataResponse m = GRPC__GET_DIAGNOSTIC_DATA_RESPONSE__INIT;
	struct error err = ERROR_INIT;
	struct sandbox_container *c;
	char text[TERMINATION_MAX + 1];
	ssize_t n;

	if (strcmp(req->log_type, "termination_log") != 0) {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "log type \"%s\" is not termination_log",
		              req->log_type);
		return;
	}
	if (sandbox_container_find(&agent->sandbox, req->container_id, &c, &err) < 0) {
		rpc_call_fail_error(call, &err);
		return;
	}
	n = c->termination_log ? read_message(c->termination_log, text, TERMINATION_MAX) : 0;
	if (n < 0) {
		error_errno(&err, (int)-n, "termination message of %s", c->id);
		rpc_call_fail_error(call, &err);
		return;
	}
	text[n] = '\0';
	m.data = text;
	rpc_call_reply(call, &m.base);
}
