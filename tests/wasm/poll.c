/* SPDX-License-Identifier: Apache-2.0 */
/* poll_oneoff: run with a pipe that has "input\n" and stays open as standard input. */
#include "wasi.h"

static struct subscription in[8];
static struct event out[8];
static u32 n;

static struct subscription clock_in(u64 userdata, u32 id, u64 timeout, u16 flags)
{
	struct subscription s = {.userdata = userdata, .tag = CLOCK};

	s.clock.id = id;
	s.clock.timeout = timeout;
	s.clock.flags = flags;
	return s;
}

static struct subscription fd_in(u64 userdata, u8 tag, u32 fd)
{
	return (struct subscription){.userdata = userdata, .tag = tag, .fd = fd};
}

static const struct event *event_of(u64 userdata)
{
	for (u32 i = 0; i < n; i++)
		if (out[i].userdata == userdata)
			return &out[i];
	CHECK(!"there is an event");
	return 0;
}

static void clocks(void)
{
	u64 before, after, real;

	OK(clock_time_get(MONOTONIC, 0, &before));
	in[0] = clock_in(77, MONOTONIC, 20000000, 0);
	in[1] = clock_in(78, REALTIME, 1ull << 62, 0);
	OK(poll_oneoff(in, out, 2, &n));
	OK(clock_time_get(MONOTONIC, 0, &after));
	CHECK_IS(n, 1);
	CHECK_IS(out[0].userdata, 77);
	CHECK_IS(out[0].error, SUCCESS);
	CHECK_IS(out[0].type, CLOCK);
	CHECK(after - before >= 20000000);
	/* A time that has come already, and one 10 ms from now. */
	in[0] = clock_in(1, MONOTONIC, before, 1);
	OK(poll_oneoff(in, out, 1, &n));
	CHECK_IS(n, 1);
	OK(clock_time_get(REALTIME, 0, &real));
	in[0] = clock_in(1, REALTIME, real + 10000000, 1);
	OK(poll_oneoff(in, out, 1, &n));
	CHECK_IS(n, 1);
	OK(clock_time_get(REALTIME, 0, &after));
	CHECK(after >= real + 9000000);
	/* All that are due. */
	in[0] = clock_in(1, MONOTONIC, 0, 0);
	in[1] = clock_in(2, MONOTONIC, 0, 0);
	OK(poll_oneoff(in, out, 2, &n));
	CHECK_IS(n, 2);
	/* So far away that the sum does not fit, beside one that is not. */
	in[0] = clock_in(1, MONOTONIC, ~0ull, 0);
	in[1] = clock_in(2, MONOTONIC, 1, 0);
	OK(poll_oneoff(in, out, 2, &n));
	CHECK_IS(n, 1);
	CHECK_IS(out[0].userdata, 2);
}

static void descriptors(void)
{
	u32 file = open_at(ROOT, "file", O_CREAT), written;

	OK(fd_write(file, IOV("12345678", 8), &written));
	OK(fd_seek(file, 3, SET, &(u64){0}));
	in[0] = fd_in(10, FD_READ, 0);
	in[1] = fd_in(11, FD_WRITE, 2);
	in[2] = fd_in(12, FD_READ, file);
	in[3] = fd_in(13, FD_WRITE, file);
	in[4] = clock_in(14, MONOTONIC, 60000000000, 0);
	OK(poll_oneoff(in, out, 5, &n));
	CHECK_IS(n, 4);
	CHECK_IS(event_of(10)->error, SUCCESS);
	CHECK_IS(event_of(10)->type, FD_READ);
	CHECK_IS(event_of(10)->nbytes, 6);
	CHECK_IS(event_of(11)->type, FD_WRITE);
	CHECK_IS(event_of(12)->nbytes, 5);
	CHECK_IS(event_of(13)->error, SUCCESS);
	/* Emptied, it does not become ready: the clock does. */
	OK(fd_read(0, IOV((char[16]){0}, 16), &written));
	in[1] = clock_in(15, MONOTONIC, 1000000, 0);
	OK(poll_oneoff(in, out, 2, &n));
	CHECK_IS(n, 1);
	CHECK_IS(out[0].userdata, 15);
}

static void errors(void)
{
	u32 file;

	in[0] = fd_in(1, FD_READ, NO_FD);
	in[1] = clock_in(2, MONOTONIC, 60000000000, 0);
	OK(poll_oneoff(in, out, 2, &n));
	CHECK_IS(n, 1);
	CHECK_IS(out[0].userdata, 1);
	CHECK_IS(out[0].error, BADF);
	CHECK_IS(out[0].type, FD_READ);
	in[0] = clock_in(3, 9, 0, 0);
	OK(poll_oneoff(in, out, 1, &n));
	CHECK_IS(out[0].error, INVAL);
	in[0] = clock_in(3, PROCESS_CPU, 0, 0);
	OK(poll_oneoff(in, out, 1, &n));
	CHECK_IS(out[0].error, NOTSUP);
	in[0] = fd_in(4, 7, 0);
	OK(poll_oneoff(in, out, 1, &n));
	CHECK_IS(out[0].error, INVAL);
	OK(path_open(ROOT, 0, PATH("file"), 0, RIGHT_FD_READ, 0, 0, &file));
	in[0] = fd_in(5, FD_READ, file);
	OK(poll_oneoff(in, out, 1, &n));
	CHECK_IS(out[0].error, NOTCAPABLE);
	CHECK_IS(poll_oneoff(in, out, 0, &n), INVAL);
	CHECK_IS(poll_oneoff(OUTSIDE, out, 1, &n), FAULT);
	CHECK_IS(poll_oneoff(in, OUTSIDE, 1, &n), FAULT);
	CHECK_IS(poll_oneoff(in, out, 1, OUTSIDE), FAULT);
	CHECK(poll_oneoff(in, out, 0x10000000, &n) != SUCCESS);
}

void test(void)
{
	clocks();
	descriptors();
	errors();
}
