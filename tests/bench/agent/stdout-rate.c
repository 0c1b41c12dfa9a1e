/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdout-rate: how fast ReadStdout is, 32 KiB a request.
 *
 *	stdout-rate ADDRESS CONTAINER IN_FLIGHT	of an agent, to the end of the container's output
 *	stdout-rate --floor BYTES IN_FLIGHT	of a process that does nothing but what any agent
 *						must: receive a request, read a pipe, send a frame
 *
 * IN_FLIGHT requests are on their way at a time. Prints the bytes and the microseconds. The
 * answer's data are not copied: what is measured is the other side.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/rpc/address.h"
#include "lib/rpc/proto/agent.pb-c.h"
#include "lib/rpc/proto/ttrpc.pb-c.h"
#include "lib/rpc/ttrpc.h"

#define READ_SIZE   32768u
#define BLOCK       65536u /* that the floor's producer writes at once */
#define GIVE_UP_S   300
#define IN_FLIGHT   16
#define DATA_FIELD  1u
#define STREAM_AT   4u /* of a frame's header */
#define SMALL_FRAME 1024u

struct client {
	int fd;
	uint32_t stream; /* of the latest request */
	struct buffer request;
	uint64_t bytes;
	bool ended; /* an answer had a status */
	int status;
};

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "stdout-rate: %s: %s\n", what, why);
	return 1;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- the client */

static int make_request(struct buffer *out, const char *container)
{
	Grpc__ReadStreamRequest req = GRPC__READ_STREAM_REQUEST__INIT;

	req.container_id = (char *)container;
	req.len = READ_SIZE;
	return ttrpc_put_request(out, 1, grpc__agent_service__descriptor.name, "ReadStdout", 0,
	                         &req.base);
}

static int ask(struct client *c)
{
	c->stream += c->stream ? 2 : 1;
	put_be32(c->request.data + STREAM_AT, c->stream);
	return fs_write_all(c->fd, c->request.data, c->request.size);
}

static uint64_t get_varint(struct reader *r)
{
	uint64_t v = 0;
	uint8_t byte = 0x80;

	for (unsigned int shift = 0; byte & 0x80 && shift < 64; shift += 7) {
		byte = reader_u8(r);
		v |= (uint64_t)(byte & 0x7f) << shift;
	}
	return v;
}

/* The content of a length-delimited field, which must be the next in r. */
static struct reader get_field(struct reader *r, unsigned int field)
{
	size_t size;

	if (reader_u8(r) != (field << 3 | 2))
		r->failed = true;
	size = get_varint(r);
	return r->failed || size > reader_left(r) ? (struct reader){.failed = true}
	                                          : reader_init(reader_bytes(r, size), size);
}

/* A frame with output, looked at where it lies: an OK status, and a payload with the data alone. */
static int take_data(struct client *c, const struct ttrpc_frame *frame)
{
	struct reader envelope = reader_init(frame->data, frame->size), payload, data;

	get_field(&envelope, 1);
	payload = get_field(&envelope, 2);
	data = get_field(&payload, DATA_FIELD);
	if (data.failed || reader_left(&payload) || reader_left(&envelope))
		return -EBADMSG;
	c->bytes += reader_left(&data);
	return 0;
}

static int take_frame(const struct ttrpc_frame *frame, void *data)
{
	struct client *c = data;
	_cleanup_arena_ struct arena arena = arena_init(RPC_ARENA_LIMIT);
	Ttrpc__Response *r;

	if (frame->type != TTRPC_RESPONSE)
		return -EBADMSG;
	if (frame->size <= SMALL_FRAME) {
		r = (Ttrpc__Response *)rpc_unpack(&ttrpc__response__descriptor, &arena, frame->data,
		                                  frame->size);
		if (!r)
			return -EBADMSG;
		if (r->status && r->status->code) {
			c->ended = true;
			c->status =
			    strcmp(r->status->message, "read meet eof") ? r->status->code : 0;
			return 0;
		}
	}
	return take_data(c, frame) < 0 ? -EBADMSG : c->ended ? 0 : ask(c);
}

/* Reads to the end of the output; 0 or a negative errno value. */
static int drain(struct client *c, unsigned int in_flight)
{
	struct ttrpc_parser parser = {0};
	static uint8_t in[2 * BLOCK];
	int r = 0;

	for (unsigned int i = 0; i < in_flight && r == 0; i++)
		r = ask(c);
	while (r == 0 && !c->ended) {
		ssize_t n = recv(c->fd, in, sizeof(in), 0);

		if (n <= 0)
			r = n < 0 ? -errno : -ECONNRESET;
		else
			r = ttrpc_parser_feed(&parser, in, (size_t)n, take_frame, c);
	}
	ttrpc_parser_free(&parser);
	return r;
}

static int measure(int fd, const char *container, unsigned int in_flight)
{
	struct client c = {.fd = fd};
	uint64_t begin = now_us();
	int r;

	fs_set_nonblock(fd, false);
	if (make_request(&c.request, container) < 0)
		return fail("request", "out of memory");
	r = drain(&c, in_flight);
	if (r < 0 || c.status)
		return fail("ReadStdout", r < 0 ? strerror(-r) : rpc_code_name(c.status));
	printf("%llu %llu\n", (unsigned long long)c.bytes, (unsigned long long)(now_us() - begin));
	buffer_free(&c.request);
	return 0;
}

/* ---- the floor */

static void produce(int fd, uint64_t bytes)
{
	static const uint8_t block[BLOCK];

	for (; bytes; bytes -= bytes < BLOCK ? bytes : BLOCK)
		if (fs_write_all(fd, block, bytes < BLOCK ? bytes : BLOCK) < 0)
			return;
}

/* Answers requests, which are all of one size, with what the pipe has. */
static void respond(int fd, int pipe_fd, size_t request_size)
{
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	uint8_t in[IN_FLIGHT * 256], *room = ttrpc_bytes_room(&out, READ_SIZE);
	const uint8_t *frame;
	size_t begun = 0, size;
	ssize_t n;

	while (room && (n = recv(fd, in, sizeof(in), 0)) > 0) {
		for (begun += (size_t)n; begun >= request_size; begun -= request_size) {
			n = read(pipe_fd, room, READ_SIZE);
			if (n <= 0) {
				buffer_clear(&out);
				ttrpc_put_status(&out, 1, RPC_INTERNAL, "read meet eof");
				n = fs_write_all(fd, out.data, out.size);
				if (n < 0)
					return;
				continue; /* for all that are on their way */
			}
			size = ttrpc_put_bytes(room, (size_t)n, 1, DATA_FIELD, &frame);
			if (fs_write_all(fd, frame, size) < 0)
				return;
		}
	}
}

static pid_t child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static int floor_of_machine(uint64_t bytes, unsigned int in_flight)
{
	_cleanup_buffer_ struct buffer request = BUFFER_INIT;
	int pipes[2], sockets[2], r;

	if (make_request(&request, "c1") < 0 || pipe(pipes) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) < 0)
		return fail("--floor", strerror(errno));
	if (child() == 0) {
		close(pipes[0]);
		produce(pipes[1], bytes);
		_exit(0);
	}
	close(pipes[1]);
	if (child() == 0) {
		close(sockets[0]);
		respond(sockets[1], pipes[0], request.size);
		_exit(0);
	}
	close(pipes[0]);
	close(sockets[1]);
	r = measure(sockets[0], "c1", in_flight);
	close(sockets[0]);
	while (wait(NULL) > 0)
		;
	return r;
}

int main(int argc, char **argv)
{
	struct rpc_address address;
	struct error err = ERROR_INIT;
	uint64_t bytes, in_flight;
	int fd;

	if (argc != 4 || parse_u64(argv[3], &in_flight) < 0 || !in_flight || in_flight > IN_FLIGHT)
		return fail("usage", "stdout-rate ADDRESS CONTAINER IN_FLIGHT (1 to 16)");
	alarm(GIVE_UP_S);
	signal(SIGPIPE, SIG_IGN);
	if (strcmp(argv[1], "--floor") == 0)
		return parse_u64(argv[2], &bytes) < 0
		           ? fail("usage", "--floor BYTES IN_FLIGHT")
		           : floor_of_machine(bytes, (unsigned int)in_flight);
	if (rpc_address_parse(argv[1], &address, &err) < 0)
		return fail("address", err.text);
	fd = rpc_dial(&address, 5000, &err);
	return fd < 0 ? fail("connect", err.text) : measure(fd, argv[2], (unsigned int)in_flight);
}
