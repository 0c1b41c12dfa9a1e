/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run-program ADDRESS PROGRAM NAME: runs a static program as a container of a guest without a
 * registry: its file is copied into the guest, NAME is the host name, what it prints goes to
 * stdout.
 */
#include <fcntl.h>
#include <stdio.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/rpc/address.h"
#include "lib/rpc/client.h"
#include "lib/rpc/proto/agent.pb-c.h"

#define ID          "identity"
#define ROOT        "/run/kata-containers/shared/containers/" ID "/rootfs"
#define TIMEOUT     60000u /* ms */
#define PROGRAM_MAX (2u << 20)

struct agent {
	int fd;
	uint32_t stream;
};

static int call(struct agent *a, const char *method, const ProtobufCMessage *request,
                struct rpc_reply *reply, struct error *err)
{
	return rpc_call_wait_ok(a->fd, &a->stream, &grpc__agent_service__descriptor, method,
	                        request, TIMEOUT, reply, err);
}

static int quiet(struct agent *a, const char *method, const ProtobufCMessage *request,
                 struct error *err)
{
	_cleanup_rpc_reply_ struct rpc_reply reply = {0};

	return call(a, method, request, &reply, err);
}

static int make_sandbox(struct agent *a, char *name, struct error *err)
{
	Grpc__CreateSandboxRequest req = GRPC__CREATE_SANDBOX_REQUEST__INIT;

	req.hostname = req.sandbox_id = name;
	return quiet(a, "CreateSandbox", &req.base, err);
}

static int copy(struct agent *a, const char *program, struct error *err)
{
	_cleanup_buffer_ struct buffer file = BUFFER_INIT;
	Grpc__CopyFileRequest req = GRPC__COPY_FILE_REQUEST__INIT;
	int r = fs_read_file(AT_FDCWD, program, PROGRAM_MAX, &file, err);

	if (r < 0)
		return r;
	req.path = (char *)ROOT "/program";
	req.file_size = (int64_t)file.size;
	req.file_mode = 0100755;
	req.dir_mode = 040755;
	req.data = (ProtobufCBinaryData){file.size, file.data};
	return quiet(a, "CopyFile", &req.base, err);
}

static int make_container(struct agent *a, char *name, struct error *err)
{
	Grpc__CreateContainerRequest req = GRPC__CREATE_CONTAINER_REQUEST__INIT;
	Grpc__StartContainerRequest start = GRPC__START_CONTAINER_REQUEST__INIT;
	Grpc__Spec spec = GRPC__SPEC__INIT;
	Grpc__Process process = GRPC__PROCESS__INIT;
	Grpc__Root root = GRPC__ROOT__INIT;
	Grpc__Linux linux_part = GRPC__LINUX__INIT;
	Grpc__LinuxNamespace ns[] = {GRPC__LINUX_NAMESPACE__INIT, GRPC__LINUX_NAMESPACE__INIT};
	Grpc__LinuxNamespace *all[] = {&ns[0], &ns[1]};
	char *args[] = {(char *)"/program"};
	int r;

	ns[0].type = (char *)"mount";
	ns[1].type = (char *)"uts";
	linux_part.namespaces = all;
	linux_part.n_namespaces = 2;
	linux_part.cgroupspath = (char *)"/kihon/" ID;
	process.args = args;
	process.n_args = 1;
	process.cwd = (char *)"/";
	root.path = (char *)ROOT;
	spec.version = (char *)"1.0.2";
	spec.hostname = name;
	spec.process = &process;
	spec.root = &root;
	spec.linux = &linux_part;
	req.container_id = req.exec_id = start.container_id = (char *)ID;
	req.oci = &spec;
	r = quiet(a, "CreateContainer", &req.base, err);
	return r < 0 ? r : quiet(a, "StartContainer", &start.base, err);
}

/* Its output; the end is an answer without data, or an error: "read meet eof". */
static int print(struct agent *a, struct error *err)
{
	for (;;) {
		_cleanup_rpc_reply_ struct rpc_reply reply = {0};
		Grpc__ReadStreamRequest req = GRPC__READ_STREAM_REQUEST__INIT;
		const Grpc__ReadStreamResponse *m;
		int r;

		req.container_id = req.exec_id = (char *)ID;
		req.len = 4096;
		r = rpc_call_wait(a->fd, &a->stream, &grpc__agent_service__descriptor, "ReadStdout",
		                  &req.base, TIMEOUT, &reply, err);
		m = (const void *)reply.message;
		if (r < 0 || !m || m->data.len == 0)
			return r;
		fs_write_all(1, m->data.data, m->data.len);
	}
}

int main(int argc, char **argv)
{
	struct rpc_address address;
	struct error err = ERROR_INIT;
	struct agent a = {.fd = -1};
	int r;

	if (argc != 4)
		return 2;
	r = rpc_address_parse(argv[1], &address, &err);
	if (r == 0)
		r = a.fd = rpc_dial(&address, TIMEOUT, &err);
	if (r >= 0)
		r = make_sandbox(&a, argv[3], &err);
	if (r == 0)
		r = copy(&a, argv[2], &err);
	if (r == 0)
		r = make_container(&a, argv[3], &err);
	if (r == 0)
		r = print(&a, &err);
	if (r < 0)
		fprintf(stderr, "run-program: %s\n", err.text);
	return r < 0;
}
