/* SPDX-License-Identifier: Apache-2.0 */
/* rpc: client and server over a socket pair; order, cancelling, deadlines, peers that lie. */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "lib/rpc/address.h"
#include "lib/rpc/client.h"
#include "lib/rpc/proto/agent.pb-c.h"
#include "lib/rpc/proto/health.pb-c.h"
#include "lib/rpc/proto/ttrpc.pb-c.h"
#include "lib/rpc/server.h"
#include "tests/unit/check.h"

#define AGENT (&grpc__agent_service__descriptor)

/* A service with one call parked, and what became of it. */
struct world {
	struct loop *loop;
	struct rpc_server *server;
	struct rpc_client *client;
	struct rpc_call *parked[64];
	unsigned int n_parked, n_cancelled, n_results, n_closed;
	struct rpc_result last;
	char text[256];
	int32_t status;
	unsigned int want, want_cancelled;
	int raw; /* the client's end without a client */
	bool free_client;
};

static void park_cancel(void *data)
{
	struct world *w = data;

	w->n_cancelled++;
	if (w->want_cancelled && w->n_cancelled == w->want_cancelled)
		loop_exit(w->loop, 0);
}

static void do_wait(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	struct world *w = data;

	w->parked[w->n_parked++] = call;
	rpc_call_on_cancel(call, park_cancel, w);
}

static void answer_wait(struct rpc_call *call, int32_t status)
{
	Grpc__WaitProcessResponse m = GRPC__WAIT_PROCESS_RESPONSE__INIT;

	m.status = status;
	rpc_call_reply(call, &m.base);
}

/* Answers all that is parked, the last first. */
static void do_start(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	struct world *w = data;
	const Grpc__StartContainerRequest *req = (const void *)request;

	while (w->n_parked > 0) {
		w->n_parked--;
		answer_wait(w->parked[w->n_parked], (int32_t)w->n_parked);
	}
	if (strcmp(req->container_id, "bad") == 0)
		rpc_call_fail(call, RPC_NOT_FOUND, "no container %s", req->container_id);
	else
		rpc_call_reply(call, NULL);
}

static void do_forget(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
}

static void do_stdout(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	const Grpc__ReadStreamRequest *req = (const void *)request;
	Grpc__ReadStreamResponse m = GRPC__READ_STREAM_RESPONSE__INIT;

	m.data.len = req->len;
	m.data.data = arena_alloc(rpc_call_arena(call), req->len);
	rpc_call_reply(call, &m.base);
}

static const struct rpc_handler handlers[] = {
    {"WaitProcess", do_wait, NULL},           {"StartContainer", do_start, NULL},
    {"PauseContainer", do_forget, NULL},      {"ReadStdout", do_stdout, NULL},
    {"AddSwap", NULL, "not on this machine"}, {NULL, NULL, NULL},
};

static void on_closed(struct rpc_client *client, const char *why, void *data)
{
	struct world *w = data;

	w->n_closed++;
	loop_exit(w->loop, 0);
}

static void guard(struct loop_source *src, void *data)
{
	check_fail(__FILE__, __LINE__, "nothing happened for 100 s");
}

static void world_open(struct world *w, const struct rpc_limits *limits, bool with_client)
{
	struct loop_source *timer;
	int sv[2];

	memset(w, 0, sizeof(*w));
	w->raw = -1;
	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	check_int(loop_new(&w->loop, NULL), 0);
	check_int(loop_add_timer(w->loop, 100000, guard, NULL, &timer, NULL), 0);
	check_int(rpc_server_new(w->loop, limits, &w->server, NULL), 0);
	check_int(rpc_server_add_service(w->server, AGENT, handlers, w, NULL), 0);
	check_int(rpc_server_add_connection(w->server, sv[0], NULL), 0);
	if (with_client)
		check_int(rpc_client_new(w->loop, sv[1], on_closed, w, &w->client, NULL), 0);
	else
		w->raw = sv[1];
}

static void world_close(struct world *w)
{
	rpc_client_free(w->client);
	rpc_server_free(w->server);
	loop_free(w->loop);
	close_fd(&w->raw);
}

static void on_result(const struct rpc_result *r, void *data)
{
	struct world *w = data;

	w->n_results++;
	w->last = *r;
	snprintf(w->text, sizeof(w->text), "%s", r->message);
	if (r->reply && r->reply->descriptor == &grpc__wait_process_response__descriptor)
		w->status = ((const Grpc__WaitProcessResponse *)r->reply)->status;
	if (w->n_results == w->want)
		loop_exit(w->loop, 0);
	if (w->free_client) {
		rpc_client_free(w->client);
		w->client = NULL;
	}
}

static void call_wait(struct world *w, uint64_t ms)
{
	Grpc__WaitProcessRequest req = GRPC__WAIT_PROCESS_REQUEST__INIT;

	check_int(
	    rpc_client_call(w->client, AGENT, "WaitProcess", &req.base, ms, on_result, w, NULL), 0);
}

static void call_start(struct world *w, const char *id)
{
	Grpc__StartContainerRequest req = GRPC__START_CONTAINER_REQUEST__INIT;

	req.container_id = (char *)id;
	check_int(
	    rpc_client_call(w->client, AGENT, "StartContainer", &req.base, 0, on_result, w, NULL),
	    0);
}

static void run(struct world *w, unsigned int results)
{
	w->want = w->n_results + results;
	check_int(loop_run(w->loop, NULL), 0);
}

TEST(answers_out_of_order)
{
	struct world w;

	world_open(&w, NULL, true);
	for (int i = 0; i < 10; i++)
		call_wait(&w, 0);
	call_start(&w, "c1");
	run(&w, 11);
	check_int(w.status, 0); /* the first call was answered last */
	check_int(w.n_results, 11);
	check_int(rpc_client_pending(w.client), 0);
	check_int(w.n_cancelled, 0);
	world_close(&w);
}

TEST(errors_have_code_and_text)
{
	struct world w;
	Grpc__AddSwapRequest swap = GRPC__ADD_SWAP_REQUEST__INIT;
	Grpc__SetPolicyRequest policy = GRPC__SET_POLICY_REQUEST__INIT;
	Grpc__PauseContainerRequest pause = GRPC__PAUSE_CONTAINER_REQUEST__INIT;
	Grpc__CheckRequest health = GRPC__CHECK_REQUEST__INIT;

	world_open(&w, NULL, true);
	call_start(&w, "bad");
	run(&w, 1);
	check_int(w.last.code, RPC_NOT_FOUND);
	check_str(w.text, "no container bad");
	check_int(rpc_client_call(w.client, AGENT, "AddSwap", &swap.base, 0, on_result, &w, NULL),
	          0);
	run(&w, 1);
	check_int(w.last.code, RPC_UNIMPLEMENTED);
	check_str(w.text, "AddSwap is not implemented: not on this machine");
	check_int(
	    rpc_client_call(w.client, AGENT, "SetPolicy", &policy.base, 0, on_result, &w, NULL), 0);
	run(&w, 1);
	check_int(w.last.code, RPC_UNIMPLEMENTED);
	check_int(
	    rpc_client_call(w.client, AGENT, "PauseContainer", &pause.base, 0, on_result, &w, NULL),
	    0);
	run(&w, 1);
	check_int(w.last.code, RPC_INTERNAL);
	check_int(rpc_client_call(w.client, &grpc__health__descriptor, "Check", &health.base, 0,
	                          on_result, &w, NULL),
	          0);
	run(&w, 1);
	check_int(w.last.code, RPC_INVALID_ARGUMENT); /* this server has no such service */
	check_int(rpc_client_call(w.client, AGENT, "AddSwap", &policy.base, 0, on_result, &w, NULL),
	          -EINVAL);
	check_int(rpc_client_call(w.client, AGENT, "NoSuch", &policy.base, 0, on_result, &w, NULL),
	          -EINVAL);
	world_close(&w);
}

TEST(deadline_is_the_servers)
{
	struct world w;

	world_open(&w, NULL, true);
	call_wait(&w, 20);
	run(&w, 1);
	check_int(w.last.code, RPC_DEADLINE_EXCEEDED);
	check_str(w.text, "timeout");
	check_int(w.n_cancelled, 1);
	w.n_parked = 0; /* that call is gone */
	call_start(&w, "c1");
	run(&w, 1);
	check_int(w.last.code, RPC_OK);
	world_close(&w);
}

TEST(disconnect_cancels_only_its_own)
{
	struct world w;
	int sv[2];

	world_open(&w, NULL, true);
	call_wait(&w, 0);
	call_wait(&w, 60000);
	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	check_int(rpc_server_add_connection(w.server, sv[0], NULL), 0);
	{
		struct rpc_client *other;
		Grpc__WaitProcessRequest req = GRPC__WAIT_PROCESS_REQUEST__INIT;

		check_int(rpc_client_new(w.loop, sv[1], NULL, NULL, &other, NULL), 0);
		check_int(
		    rpc_client_call(other, AGENT, "WaitProcess", &req.base, 0, on_result, &w, NULL),
		    0);
		call_start(&w, "sync");
		/* Everything sent on one connection is handled in order; give the other
		 * its turn by a round trip. */
		run(&w, 3);
		call_wait(&w, 0);
		rpc_client_free(other);
	}
	check(rpc_server_connections(w.server) >= 1);
	rpc_client_free(w.client);
	w.client = NULL;
	w.want_cancelled = w.n_cancelled + 1;
	check_int(loop_run(w.loop, NULL), 0);
	check(w.n_cancelled >= 1);
	world_close(&w);
}

TEST(server_gone_answers_everything)
{
	struct world w;

	world_open(&w, NULL, true);
	call_wait(&w, 0);
	call_wait(&w, 0);
	call_start(&w, "c1");
	run(&w, 3);
	call_wait(&w, 0);
	call_wait(&w, 0);
	rpc_server_free(w.server);
	w.server = NULL;
	w.want = 0;
	check_int(loop_run(w.loop, NULL), 0);
	check_int(w.n_closed, 1);
	check_int(w.n_results, 5);
	check_int(w.last.code, RPC_UNAVAILABLE);
	{
		Grpc__WaitProcessRequest req = GRPC__WAIT_PROCESS_REQUEST__INIT;

		check_int(rpc_client_call(w.client, AGENT, "WaitProcess", &req.base, 0, on_result,
		                          &w, NULL),
		          -ENOTCONN);
	}
	world_close(&w);
}

TEST(client_may_be_freed_in_its_callback)
{
	struct world w;

	world_open(&w, NULL, true);
	call_wait(&w, 0);
	call_start(&w, "c1");
	w.free_client = true;
	run(&w, 1);
	check(w.client == NULL);
	world_close(&w);
}

/* ---- raw peers */

static void turn(struct world *w, int ms);

static void turn_over(struct loop_source *src, void *data)
{
	struct world *w = data;

	loop_exit(w->loop, 0);
}

static void leave(void *data)
{
	loop_exit(data, 0);
}

/* Lets the loop handle what is ready and what comes of that, and run for a while. */
static void turn(struct world *w, int ms)
{
	struct loop_source *t;

	for (int i = 0; i < 8; i++) {
		check_int(loop_defer(w->loop, leave, w->loop), 0);
		check_int(loop_run(w->loop, NULL), 0);
	}
	check_int(loop_add_timer(w->loop, (uint64_t)ms, turn_over, w, &t, NULL), 0);
	check_int(loop_run(w->loop, NULL), 0);
	loop_source_free(t);
}

/* Sends bytes and returns the first answer's stream and status code; -1: none. */
static int raw_exchange(struct world *w, const void *bytes, size_t size, uint32_t *stream)
{
	uint8_t in[512];
	struct arena arena = arena_init(1 << 16);
	Ttrpc__Response *r;
	ssize_t n;
	int code = -1;

	check_int(send(w->raw, bytes, size, MSG_NOSIGNAL), size);
	turn(w, 50);
	n = recv(w->raw, in, sizeof(in), MSG_DONTWAIT);
	if (n < TTRPC_HEADER_SIZE)
		return n == 0 ? -2 : -1;
	*stream = get_be32(in + 4);
	check_int(in[8], TTRPC_RESPONSE);
	r = (Ttrpc__Response *)rpc_unpack(&ttrpc__response__descriptor, &arena,
	                                  in + TTRPC_HEADER_SIZE, get_be32(in));
	check(r != NULL);
	code = r->status ? r->status->code : 0;
	check(code == 0 || r->payload.len == 0);
	arena_free(&arena);
	return code;
}

TEST(lying_frames)
{
	struct world w;
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	Grpc__StartContainerRequest req = GRPC__START_CONTAINER_REQUEST__INIT;
	static const uint8_t unknown[] = {0, 0, 0, 2, 0, 0, 0, 1, 9, 0, 1, 2};
	static const uint8_t data_frame[] = {0, 0, 0, 1, 0, 0, 0, 1, 3, 1, 1};
	static const uint8_t garbage[] = {0, 0, 0, 3, 0, 0, 0, 5, 1, 0, 0xff, 0xff, 0xff};
	uint32_t stream = 0;

	world_open(&w, NULL, false);
	check_int(raw_exchange(&w, unknown, sizeof(unknown), &stream), -1);
	check_int(raw_exchange(&w, data_frame, sizeof(data_frame), &stream), -1);
	check_int(raw_exchange(&w, garbage, sizeof(garbage), &stream), RPC_INVALID_ARGUMENT);
	check_int(stream, 5);
	ttrpc_put_request(&b, 4, "grpc.AgentService", "StartContainer", 0, &req.base);
	check_int(raw_exchange(&w, b.data, b.size, &stream), RPC_INVALID_ARGUMENT);
	check_int(stream, 4);
	buffer_clear(&b);
	ttrpc_put_request(&b, 7, "grpc.AgentService", "StartContainer", 0, &req.base);
	check_int(raw_exchange(&w, b.data, b.size, &stream), RPC_OK);
	check_int(stream, 7);
	buffer_clear(&b);
	ttrpc_put_request(&b, 9, "grpc.AgentService", "Frobnicate", 0, &req.base);
	check_int(raw_exchange(&w, b.data, b.size, &stream), RPC_UNIMPLEMENTED);
	/* A request of the right envelope whose inside is not what the method takes. */
	buffer_clear(&b);
	buffer_append(&b,
	              "\0\0\0\x27\0\0\0\x0b\1\0\x0a\x11grpc."
	              "AgentService\x12\x0eStartContainer\x1a\x02\x0a\x7f",
	              TTRPC_HEADER_SIZE + 19 + 16 + 4);
	check_int(raw_exchange(&w, b.data, b.size, &stream), RPC_INVALID_ARGUMENT);
	world_close(&w);
}

TEST(peer_that_does_not_read)
{
	const struct rpc_limits limits = {.output_pause = 64 << 10, .output_limit = 1 << 20};
	struct world w;
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	Grpc__ReadStreamRequest req = GRPC__READ_STREAM_REQUEST__INIT;
	int sent = 0;

	world_open(&w, &limits, false);
	check_int(fcntl(w.raw, F_SETFL, O_NONBLOCK), 0);
	req.len = 32768;
	ttrpc_put_request(&b, 1, "grpc.AgentService", "ReadStdout", 0, &req.base);
	/* Requests of small batches: the server must stop reading, not grow. */
	for (int i = 0; i < 20000; i++) {
		if (send(w.raw, b.data, b.size, MSG_NOSIGNAL) < 0)
			break;
		sent++;
		if (i % 8 == 7)
			turn(&w, 1);
	}
	check(sent < 20000);
	check_int(rpc_server_connections(w.server), 1);
	world_close(&w);
}

TEST(too_much_unread_output_ends_the_connection)
{
	const struct rpc_limits limits = {.output_pause = 64 << 10, .output_limit = 1 << 20};
	struct world w;
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	Grpc__ReadStreamRequest req = GRPC__READ_STREAM_REQUEST__INIT;

	world_open(&w, &limits, false);
	req.len = 3 << 20;
	ttrpc_put_request(&b, 1, "grpc.AgentService", "ReadStdout", 0, &req.base);
	check_int(send(w.raw, b.data, b.size, 0), b.size);
	turn(&w, 100);
	check_int(rpc_server_connections(w.server), 0);
	world_close(&w);
}

TEST(limits_on_calls_and_connections)
{
	const struct rpc_limits limits = {.connections = 1, .calls = 3};
	struct world w;
	int sv[2];

	world_open(&w, &limits, true);
	for (int i = 0; i < 4; i++)
		call_wait(&w, 0);
	run(&w, 1);
	check_int(w.last.code, RPC_RESOURCE_EXHAUSTED);
	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	check_int(rpc_server_add_connection(w.server, sv[0], NULL), -EMFILE);
	close(sv[0]);
	close(sv[1]);
	world_close(&w);
	check_int(w.n_cancelled, 3);
}

/* ---- addresses, and the client that waits */

TEST(addresses)
{
	struct rpc_address a;

	check_int(rpc_address_parse("vsock://-1:1024", &a, NULL), 0);
	check_int(a.kind, RPC_ADDRESS_VSOCK);
	check_int(a.cid, 0xffffffffu);
	check_int(a.port, 1024);
	check_int(rpc_address_parse("unix:///run/x.sock", &a, NULL), 0);
	check_str(a.path, "/run/x.sock");
	check_int(rpc_address_parse("unix://@name", &a, NULL), 0);
	check_str(a.path, "@name");
	check_int(rpc_address_parse("hvsock:///run/v.sock:1024", &a, NULL), 0);
	check_str(a.path, "/run/v.sock");
	check_int(a.port, 1024);
	check_int(rpc_address_parse("unix://relative", &a, NULL), -EINVAL);
	check_int(rpc_address_parse("vsock://3", &a, NULL), -EINVAL);
	check_int(rpc_address_parse("tcp://1.2.3.4:5", &a, NULL), -EINVAL);
	check_int(rpc_address_parse("", &a, NULL), -EINVAL);
}

static void serve(const char *path)
{
	struct world w = {0};
	struct rpc_address a = {.kind = RPC_ADDRESS_UNIX};
	int fd;

	snprintf(a.path, sizeof(a.path), "%s", path);
	fd = rpc_listen(&a, NULL);
	check(fd >= 0);
	check_int(loop_new(&w.loop, NULL), 0);
	check_int(rpc_server_new(w.loop, NULL, &w.server, NULL), 0);
	check_int(rpc_server_add_service(w.server, AGENT, handlers, &w, NULL), 0);
	check_int(rpc_server_listen(w.server, fd, NULL), 0);
	loop_run(w.loop, NULL);
}

TEST(waiting_client)
{
	struct rpc_address a = {.kind = RPC_ADDRESS_UNIX};
	Grpc__StartContainerRequest start = GRPC__START_CONTAINER_REQUEST__INIT;
	Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
	struct error err = ERROR_INIT;
	struct rpc_reply reply;
	uint32_t stream = 0;
	pid_t pid;
	int fd;

	snprintf(a.path, sizeof(a.path), "%s/s", check_tmpdir());
	pid = fork();
	if (pid == 0) {
		serve(a.path);
		_exit(0);
	}
	for (;;) {
		fd = rpc_dial(&a, 1000, NULL);
		if (fd >= 0)
			break;
		poll(NULL, 0, 5);
	}
	check_int(
	    rpc_call_wait(fd, &stream, AGENT, "StartContainer", &start.base, 60000, &reply, &err),
	    0);
	check_int(reply.code, RPC_OK);
	check(reply.message && reply.message->descriptor == &google__protobuf__empty__descriptor);
	rpc_reply_free(&reply);
	start.container_id = (char *)"bad";
	check_int(rpc_call_wait_ok(fd, &stream, AGENT, "StartContainer", &start.base, 60000, &reply,
	                           &err),
	          -ENOENT);
	check_str(err.text, "StartContainer: NOT_FOUND: no container bad");
	rpc_reply_free(&reply);
	check_int(rpc_call_wait(fd, &stream, AGENT, "WaitProcess", &wait.base, 30, &reply, &err),
	          0);
	check_int(reply.code, RPC_DEADLINE_EXCEEDED);
	rpc_reply_free(&reply);
	kill(pid, SIGKILL);
	check_int(rpc_call_wait(fd, &stream, AGENT, "WaitProcess", &wait.base, 60000, &reply, &err),
	          -ECONNRESET);
	rpc_reply_free(&reply);
	close(fd);
}

TEST_MAIN()
