/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-ttrpc: any bytes as a stream of frames, cut where the input says, through both envelopes
 * and through a server that has a method of each kind. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/rpc/proto/agent.pb-c.h"
#include "lib/rpc/proto/ttrpc.pb-c.h"
#include "lib/rpc/server.h"
#include "lib/rpc/ttrpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_frame(const struct ttrpc_frame *frame, void *data)
{
	struct arena arena = arena_init(1 << 20);

	rpc_unpack(&ttrpc__request__descriptor, &arena, frame->data, frame->size);
	rpc_unpack(&ttrpc__response__descriptor, &arena, frame->data, frame->size);
	arena_free(&arena);
	return 0;
}

static void cut(const uint8_t *data, size_t size)
{
	struct ttrpc_parser parser = {0};
	size_t step = size ? data[0] % 32 + 1u : 1;

	for (size_t at = 0; at < size; at += step)
		ttrpc_parser_feed(&parser, data + at, size - at < step ? size - at : step, on_frame,
		                  NULL);
	ttrpc_parser_free(&parser);
}

static void cancelled(void *data)
{
}

static void park(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	rpc_call_on_cancel(call, cancelled, NULL);
}

static void answer(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	rpc_call_reply(call, NULL);
}

static void end(struct loop_source *src, void *data)
{
	loop_exit(data, 0);
}

static void serve(const uint8_t *data, size_t size)
{
	static const struct rpc_handler handlers[] = {
	    {"WaitProcess", park, NULL},
	    {"StartContainer", answer, NULL},
	    {"AddSwap", NULL, "no"},
	    {NULL, NULL, NULL},
	};
	struct loop_source *timer;
	struct rpc_server *server;
	struct loop *loop;
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return;
	if (loop_new(&loop, NULL) < 0 || rpc_server_new(loop, NULL, &server, NULL) < 0 ||
	    rpc_server_add_service(server, &grpc__agent_service__descriptor, handlers, NULL, NULL) <
	        0 ||
	    rpc_server_add_connection(server, sv[0], NULL) < 0)
		abort();
	if (send(sv[1], data, size < 65536 ? size : 65536, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		abort();
	shutdown(sv[1], SHUT_WR);
	if (loop_add_timer(loop, 0, end, loop, &timer, NULL) < 0)
		abort();
	loop_run(loop, NULL);
	rpc_server_free(server);
	loop_free(loop);
	close(sv[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int null = -1;

	if (null < 0) {
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		log_set_fd(null);
	}
	cut(data, size);
	if (size)
		serve(data, size);
	return 0;
}
