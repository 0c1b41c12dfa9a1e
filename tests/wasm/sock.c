/* SPDX-License-Identifier: Apache-2.0 */
/* sock_accept, sock_recv, sock_send, sock_shutdown: a server on the preopened socket 3, with two
 * clients one after the other (tests/wasm.bats). Directories come after the sockets. */
#include "wasi.h"

enum { LISTENER = 3, DIRECTORY_FD = 4 };

static char buf[64];
static u32 n;
static u16 flags;

static void what_is_preopened(void)
{
	struct prestat s;
	struct fdstat f;

	OK(fd_fdstat_get(LISTENER, &f));
	CHECK_IS(f.type, STREAM);
	CHECK(f.base & RIGHT_SOCK_ACCEPT);
	/* A search for directories goes on past it. */
	OK(fd_prestat_get(LISTENER, &s));
	CHECK(s.tag != 0);
	CHECK_IS(fd_prestat_dir_name(LISTENER, buf, sizeof(buf)), NOTDIR);
	OK(fd_prestat_get(DIRECTORY_FD, &s));
	CHECK_IS(s.tag, 0);
	CHECK_IS(fd_prestat_get(DIRECTORY_FD + 1, &s), BADF);
}

/* Sends "hello", then reads to the end, then sends no more. */
static void first_client(void)
{
	const struct iovec v[2] = {{buf, 2}, {buf + 10, 3}};
	struct fdstat f;
	u32 s;

	OK(sock_accept(LISTENER, 0, &s));
	OK(fd_fdstat_get(s, &f));
	CHECK_IS(f.type, STREAM);
	CHECK_IS(f.flags & NONBLOCK, 0);
	OK(sock_recv(s, IOV(buf, 5), 3, &n, &flags));
	CHECK(n == 5 && memcmp(buf, "hello", 5) == 0);
	CHECK_IS(flags, 0);
	OK(sock_recv(s, v, 2, 2, &n, &flags));
	CHECK_IS(n, 5);
	CHECK(memcmp(buf, "he", 2) == 0 && memcmp(buf + 10, "llo", 3) == 0);
	OK(sock_send(s, IOV("from the module\n", 16), 0, &n));
	CHECK_IS(n, 16);
	OK(fd_write(s, IOV("written\n", 8), &n));
	OK(sock_shutdown(s, 2));
	CHECK_IS(sock_send(s, IOV("x", 1), 0, &n), PIPE);
	OK(sock_recv(s, IOV(buf, 5), 0, &n, &flags));
	CHECK_IS(n, 0);
	OK(fd_close(s));
}

static void second_client(void)
{
	struct subscription in = {.userdata = 5, .tag = FD_READ, .fd = LISTENER};
	struct event out;
	u32 s, e;

	OK(poll_oneoff(&in, &out, 1, &n));
	CHECK_IS(out.error, SUCCESS);
	CHECK(out.nbytes > 0);
	OK(sock_accept(LISTENER, NONBLOCK, &s));
	while ((e = sock_recv(s, IOV(buf, 64), 0, &n, &flags)) == AGAIN) {
		in.fd = s;
		OK(poll_oneoff(&in, &out, 1, &n));
	}
	OK(e);
	CHECK(n == 5 && memcmp(buf, "again", 5) == 0);
	OK(fd_fdstat_set_flags(LISTENER, NONBLOCK));
	CHECK_IS(sock_accept(LISTENER, 0, &n), AGAIN);
	CHECK_IS(sock_accept(s, 0, &n), NOTCAPABLE);
	OK(sock_shutdown(s, 3));
}

static void errors(void)
{
	CHECK_IS(sock_accept(NO_FD, 0, &n), BADF);
	CHECK_IS(sock_accept(1, 0, &n), NOTSOCK);
	CHECK_IS(sock_accept(LISTENER, APPEND, &n), INVAL);
	CHECK_IS(sock_accept(LISTENER, 0, OUTSIDE), FAULT);
	CHECK_IS(sock_recv(NO_FD, IOV(buf, 5), 0, &n, &flags), BADF);
	CHECK_IS(sock_recv(DIRECTORY_FD, IOV(buf, 5), 0, &n, &flags), NOTSOCK);
	CHECK_IS(sock_recv(LISTENER, IOV(buf, 5), 4, &n, &flags), INVAL);
	CHECK_IS(sock_recv(LISTENER, IOV(buf, 5), 0, &n, &flags), NOTCONN);
	CHECK_IS(sock_recv(LISTENER, IOV(OUTSIDE, 50), 0, &n, &flags), FAULT);
	CHECK_IS(sock_recv(LISTENER, IOV(buf, 5), 0, &n, (u16 *)0xffffffff), FAULT);
	CHECK_IS(sock_send(NO_FD, IOV(buf, 5), 0, &n), BADF);
	CHECK_IS(sock_send(1, IOV(buf, 5), 0, &n), NOTSOCK);
	CHECK_IS(sock_send(LISTENER, IOV(buf, 5), 1, &n), INVAL);
	CHECK_IS(sock_shutdown(NO_FD, 3), BADF);
	CHECK_IS(sock_shutdown(1, 3), NOTSOCK);
	CHECK_IS(sock_shutdown(LISTENER, 0), INVAL);
	CHECK_IS(sock_shutdown(LISTENER, 4), INVAL);
}

void test(void)
{
	u32 size;
	char *env[8], text[512];

	OK(environ_sizes_get(&n, &size));
	OK(environ_get(env, text));
	CHECK(n == 1 && equal(env[0], "LISTEN_FDS=1"));
	what_is_preopened();
	errors();
	first_client();
	second_client();
}
