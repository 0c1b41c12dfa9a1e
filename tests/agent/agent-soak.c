/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent-soak: containers and processes through an agent, again and again.
 *
 *	agent-soak cycles ADDRESS ROOTFS CGROUP N	create, start, exec, wait, remove
 *	agent-soak blocked ADDRESS CONTAINER N		N calls that wait at once, and one that does
 *not
 *
 * Prints the milliseconds that it took; exit status 1 when a call failed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/rpc/address.h"
#include "lib/rpc/client.h"
#include "lib/rpc/proto/agent.pb-c.h"

#define TIMEOUT_MS 60000u
#define SERVICE    (&grpc__agent_service__descriptor)

struct peer {
	int fd;
	uint32_t stream;
};

static int call(struct peer *p, const char *method, const ProtobufCMessage *request)
{
	struct error err = ERROR_INIT;
	struct rpc_reply reply;
	int r =
	    rpc_call_wait_ok(p->fd, &p->stream, SERVICE, method, request, TIMEOUT_MS, &reply, &err);

	rpc_reply_free(&reply);
	if (r < 0)
		fprintf(stderr, "agent-soak: %s\n", err.text);
	return r;
}

static int create(struct peer *p, const char *rootfs, const char *cgroup)
{
	Grpc__CreateContainerRequest req = GRPC__CREATE_CONTAINER_REQUEST__INIT;
	Grpc__Spec spec = GRPC__SPEC__INIT;
	Grpc__Process process = GRPC__PROCESS__INIT;
	Grpc__Root root = GRPC__ROOT__INIT;
	Grpc__Linux linux_part = GRPC__LINUX__INIT;
	Grpc__LinuxNamespace mnt = GRPC__LINUX_NAMESPACE__INIT, *namespaces[] = {&mnt};
	char *args[] = {(char *)"/bin/sleep", (char *)"1000"};
	char path[256];

	snprintf(path, sizeof(path), "%s/c1", cgroup);
	mnt.type = (char *)"mount";
	linux_part.namespaces = namespaces;
	linux_part.n_namespaces = 1;
	linux_part.cgroupspath = path;
	root.path = (char *)rootfs;
	process.args = args;
	process.n_args = 2;
	process.cwd = (char *)"/";
	spec.version = (char *)"1.0.2";
	spec.process = &process;
	spec.root = &root;
	spec.linux = &linux_part;
	req.container_id = (char *)"c1";
	req.oci = &spec;
	return call(p, "CreateContainer", &req.base);
}

static int exec_once(struct peer *p)
{
	Grpc__ExecProcessRequest req = GRPC__EXEC_PROCESS_REQUEST__INIT;
	Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
	Grpc__Process process = GRPC__PROCESS__INIT;
	char *args[] = {(char *)"/bin/true"};
	int r;

	process.args = args;
	process.n_args = 1;
	process.cwd = (char *)"/";
	req.container_id = wait.container_id = (char *)"c1";
	req.exec_id = wait.exec_id = (char *)"e1";
	req.process = &process;
	r = call(p, "ExecProcess", &req.base);
	return r < 0 ? r : call(p, "WaitProcess", &wait.base);
}

static int cycle(struct peer *p, const char *rootfs, const char *cgroup)
{
	Grpc__StartContainerRequest start = GRPC__START_CONTAINER_REQUEST__INIT;
	Grpc__SignalProcessRequest kill = GRPC__SIGNAL_PROCESS_REQUEST__INIT;
	Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
	Grpc__RemoveContainerRequest rm = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
	int r = create(p, rootfs, cgroup);

	start.container_id = kill.container_id = wait.container_id = rm.container_id = (char *)"c1";
	kill.signal = 9;
	if (r == 0)
		r = call(p, "StartContainer", &start.base);
	if (r == 0)
		r = exec_once(p);
	if (r == 0)
		r = call(p, "SignalProcess", &kill.base);
	if (r == 0)
		r = call(p, "WaitProcess", &wait.base);
	return r < 0 ? r : call(p, "RemoveContainer", &rm.base);
}

static int dial(const char *address, struct error *err)
{
	struct rpc_address a;
	int r = rpc_address_parse(address, &a, err);

	return r < 0 ? r : rpc_dial(&a, 5000, err);
}

static int cycles(int fd, const char *rootfs, const char *cgroup, uint32_t n)
{
	struct peer p = {fd, 0};

	for (uint32_t i = 0; i < n; i++) {
		if (cycle(&p, rootfs, cgroup) < 0) {
			fprintf(stderr, "agent-soak: in cycle %u\n", i);
			return 1;
		}
	}
	return 0;
}

/* ---- many that wait */

struct blocked {
	struct loop *loop;
	struct rpc_client *client;
	unsigned int n, answered, failed;
};

static void on_wait(const struct rpc_result *result, void *data)
{
	struct blocked *b = data;

	b->failed += result->code != RPC_OK;
	if (++b->answered == b->n)
		loop_exit(b->loop, 0);
}

static void on_details(const struct rpc_result *result, void *data)
{
	struct blocked *b = data;
	Grpc__SignalProcessRequest kill = GRPC__SIGNAL_PROCESS_REQUEST__INIT;

	/* All of them wait, and this was answered all the same. */
	b->failed += result->code != RPC_OK || b->answered != 0;
	kill.container_id = (char *)"c1";
	kill.signal = 9;
	rpc_client_call(b->client, SERVICE, "SignalProcess", &kill.base, TIMEOUT_MS, on_wait, b,
	                NULL);
}

static int blocked(int fd, const char *container, uint32_t n)
{
	struct blocked b = {.n = n + 1};
	Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
	Grpc__GuestDetailsRequest details = GRPC__GUEST_DETAILS_REQUEST__INIT;
	struct error err = ERROR_INIT;
	int r = loop_new(&b.loop, &err);

	wait.container_id = (char *)container;
	if (r == 0)
		r = rpc_client_new(b.loop, fd, NULL, NULL, &b.client, &err);
	for (uint32_t i = 0; i < n && r == 0; i++)
		r = rpc_client_call(b.client, SERVICE, "WaitProcess", &wait.base, 0, on_wait, &b,
		                    &err);
	if (r == 0)
		r = rpc_client_call(b.client, SERVICE, "GetGuestDetails", &details.base, TIMEOUT_MS,
		                    on_details, &b, &err);
	if (r == 0)
		r = loop_run(b.loop, &err);
	if (r < 0)
		fprintf(stderr, "agent-soak: %s\n", err.text);
	if (b.failed)
		fprintf(stderr, "agent-soak: %u of %u calls failed\n", b.failed, b.n);
	rpc_client_free(b.client);
	loop_free(b.loop);
	return r < 0 || b.failed;
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	uint64_t start;
	uint32_t n = 0;
	int fd, status;

	if (argc < 5 || parse_u32(argv[argc - 1], &n) < 0) {
		fprintf(stderr,
		        "usage: agent-soak cycles ADDRESS ROOTFS CGROUP N | blocked ADDRESS "
		        "CONTAINER N\n");
		return 2;
	}
	fd = dial(argv[2], &err);
	if (fd < 0) {
		fprintf(stderr, "agent-soak: %s\n", err.text);
		return 1;
	}
	start = loop_now_ms();
	if (strcmp(argv[1], "cycles") == 0 && argc == 6) {
		status = cycles(fd, argv[3], argv[4], n);
		close(fd);
	} else {
		status = blocked(fd, argv[3], n); /* takes the descriptor */
	}
	printf("%llu\n", (unsigned long long)(loop_now_ms() - start));
	return status;
}
