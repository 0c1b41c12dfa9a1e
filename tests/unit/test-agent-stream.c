/* SPDX-License-Identifier: Apache-2.0 */
/* agent-stream: output through ReadStdout in requests of all sizes, read ahead or not, to its end.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/agent/read_ahead.h"
#include "guest/agent/stream.h"
#include "lib/rpc/client.h"
#include "lib/rpc/proto/agent.pb-c.h"
#include "tests/unit/check.h"

#define AGENT (&grpc__agent_service__descriptor)
#define PIPE  (1u << 20)

/* A stream behind a server, and one who reads it: requests of the sizes in turn. */
struct world {
	struct loop *loop;
	struct rpc_server *server;
	struct rpc_client *client;
	struct stream *stream;
	int in; /* where the process would write */
	const uint32_t *sizes;
	unsigned int n_sizes, asked;
	uint64_t want, got; /* bytes */
	bool at_eof;
};

static void do_stdout(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	struct world *w = data;

	stream_read(w->stream, call, ((const Grpc__ReadStreamRequest *)request)->len);
}

static const struct rpc_handler handlers[] = {{"ReadStdout", do_stdout, NULL}, {NULL, NULL, NULL}};

static void guard(struct loop_source *src, void *data)
{
	check_fail(__FILE__, __LINE__, "nothing happened for 100 s");
}

static void world_open(struct world *w, enum agent_eof eof)
{
	int sv[2], pipes[2];

	memset(w, 0, sizeof(*w));
	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	check_int(pipe2(pipes, O_CLOEXEC), 0);
	check(fcntl(pipes[0], F_SETPIPE_SZ, PIPE) >= (int)PIPE);
	w->in = pipes[1];
	check_int(loop_new(&w->loop, NULL), 0);
	check_int(loop_add_timer(w->loop, 100000, guard, NULL, NULL, NULL), 0);
	check_int(rpc_server_new(w->loop, NULL, &w->server, NULL), 0);
	check_int(rpc_server_add_service(w->server, AGENT, handlers, w, NULL), 0);
	check_int(rpc_server_add_connection(w->server, sv[0], NULL), 0);
	check_int(rpc_client_new(w->loop, sv[1], NULL, w, &w->client, NULL), 0);
	check_int(stream_new(w->loop, pipes[0], eof, NULL, NULL, &w->stream, NULL), 0);
}

static void world_close(struct world *w)
{
	stream_free(w->stream);
	rpc_client_free(w->client);
	rpc_server_free(w->server);
	loop_free(w->loop);
	if (w->in >= 0)
		close(w->in);
}

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at * 7 + at / 251);
}

/* Writes the next bytes of the pattern. */
static void produce(struct world *w, uint64_t from, size_t size)
{
	for (size_t done = 0; done < size;) {
		uint8_t bytes[4096];
		size_t n = size - done < sizeof(bytes) ? size - done : sizeof(bytes);

		for (size_t i = 0; i < n; i++)
			bytes[i] = pattern(from + done + i);
		check_int(write(w->in, bytes, n), n);
		done += n;
	}
}

static void ask(struct world *w);

static void on_answer(const struct rpc_result *result, void *data)
{
	struct world *w = data;
	const Grpc__ReadStreamResponse *m = (const void *)result->reply;

	if (result->code != RPC_OK) {
		check_str(result->message, "read meet eof");
		w->at_eof = true;
	} else {
		for (size_t i = 0; i < m->data.len; i++)
			check_int(m->data.data[i], pattern(w->got + i));
		w->got += m->data.len;
	}
	if (w->at_eof || (w->want && w->got >= w->want))
		loop_exit(w->loop, 0);
	else
		ask(w);
}

static void ask(struct world *w)
{
	Grpc__ReadStreamRequest req = GRPC__READ_STREAM_REQUEST__INIT;

	req.container_id = (char *)"c";
	req.len = w->sizes[w->asked++ % w->n_sizes];
	check_int(rpc_client_call(w->client, AGENT, "ReadStdout", &req.base, 0, on_answer, w, NULL),
	          0);
}

TEST(all_sizes_to_the_end)
{
	static const uint32_t whole[] = {32768}, more[] = {1u << 20},
	                      mixed[] = {32768, 1, 32768, 0, 40000, 777, 32767, 32768, 32768, 5};
	static const struct {
		const uint32_t *sizes;
		unsigned int n;
	} cases[] = {{whole, 1}, {more, 1}, {mixed, sizeof(mixed) / sizeof(mixed[0])}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const size_t size = 900001;
		struct world w;

		world_open(&w, AGENT_EOF_ERROR);
		w.sizes = cases[i].sizes;
		w.n_sizes = cases[i].n;
		produce(&w, 0, size);
		close_fd(&w.in);
		stream_ended(w.stream);
		check(!stream_at_end(w.stream));
		ask(&w);
		loop_run(w.loop, NULL);
		check_int(w.got, size);
		check(w.at_eof && stream_at_end(w.stream));
		world_close(&w);
	}
}

/* Several requests wait before there is anything: each byte comes once, in order. */
TEST(parked_readers)
{
	static const uint32_t sizes[] = {32768, 100, 32768};
	const size_t size = 500000;
	struct world w;

	world_open(&w, AGENT_EOF_ERROR);
	w.sizes = sizes;
	w.n_sizes = 3;
	w.want = 1;
	produce(&w, 0, 1);
	for (int i = 0; i < 5; i++)
		ask(&w);
	loop_run(w.loop, NULL); /* one is answered, the others wait */
	check_int(w.got, 1);
	produce(&w, w.got, size - 1);
	w.want = size;
	loop_run(w.loop, NULL);
	check_int(w.got, size);
	world_close(&w);
}

/* What is held when the process ends is told, also when a descendant keeps the pipe open. */
TEST(held_bytes_outlive_the_process)
{
	static const uint32_t first[] = {32768};
	const size_t size = 32768 + 10000;
	struct world w;

	world_open(&w, AGENT_EOF_ERROR);
	w.sizes = first;
	w.n_sizes = 1;
	w.want = 32768;
	produce(&w, 0, size);
	ask(&w);
	loop_run(w.loop, NULL);
	check_int(w.got, 32768);
	stream_ended(w.stream);
	w.want = 0;
	ask(&w);
	loop_run(w.loop, NULL); /* the end comes with the patience, not with the pipe */
	check_int(w.got, size);
	check(w.at_eof);
	world_close(&w);
}

static void stop(struct loop_source *src, void *data)
{
	loop_exit(data, 0);
}

/* Memory goes back when nobody asks; but not with bytes in it. */
TEST(memory_when_idle)
{
	struct read_ahead a = {0};
	uint8_t bytes[1000] = {1, 2, 3};
	struct loop_source *timer;
	struct loop *loop;
	size_t size = 400;
	int pipes[2];

	check_int(loop_new(&loop, NULL), 0);
	check_int(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
	check_int(write(pipes[1], bytes, sizeof(bytes)), sizeof(bytes));
	check_int(read_ahead_fill(&a, pipes[0]), -1);
	check(!read_ahead_take(&a, &size));
	read_ahead_begin(&a, loop);
	check_int(read_ahead_fill(&a, pipes[0]), sizeof(bytes));
	check_int(read_ahead_fill(&a, pipes[0]), -1);
	check_int(loop_add_timer(loop, 3 * READ_AHEAD_IDLE_MS, stop, loop, &timer, NULL), 0);
	loop_run(loop, NULL);
	check(a.memory != NULL);
	check_mem(read_ahead_take(&a, &size), bytes, 400);
	size = 4000;
	check(read_ahead_take(&a, &size) != NULL);
	check_int(size, 600);
	check(!read_ahead_take(&a, &size));
	for (int i = 0; i < 10 && a.memory; i++) {
		loop_set_timer(timer, 3 * READ_AHEAD_IDLE_MS);
		loop_run(loop, NULL);
	}
	check(!a.memory);
	read_ahead_free(&a);
	loop_free(loop);
	close(pipes[0]);
	close(pipes[1]);
}

TEST_MAIN()
