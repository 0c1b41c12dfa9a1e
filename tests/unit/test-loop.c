/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/base/loop. */
#include "lib/base/loop.h"

#include "tests/unit/check.h"

#include <sys/signalfd.h>
#include <sys/wait.h>

struct state {
	struct loop *loop;
	struct loop_source *a, *b;
	int order[8];
	int n;
};

static void on_timer(struct loop_source *src, void *data)
{
	struct state *s = data;

	s->order[s->n++] = src == s->a ? 1 : 2;
	if (s->n == 2)
		loop_exit(s->loop, 42);
}

TEST(timers_fire_in_order)
{
	_cleanup_loop_ struct loop *loop = NULL;
	struct error err = ERROR_INIT;
	struct state s = {0};
	uint64_t begin;

	check_ok(loop_new(&loop, &err), &err);
	s.loop = loop;
	/* Unless the machine stands still in between. */
	do {
		loop_source_free(s.a);
		loop_source_free(s.b);
		begin = loop_now_ms();
		check_ok(loop_add_timer(loop, 20, on_timer, &s, &s.a, &err), &err);
		check_ok(loop_add_timer(loop, 1, on_timer, &s, &s.b, &err), &err);
	} while (loop_now_ms() - begin > 15);
	check_int(loop_run(loop, &err), 42);
	check_int(s.order[0], 2);
	check_int(s.order[1], 1);
}

/* Both descriptors are ready in one turn; the first callback frees the other's source. */
static void on_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct state *s = data;

	s->n++;
	loop_source_free(src == s->a ? s->b : s->a);
	loop_source_free(src);
	loop_exit(s->loop, 0);
}

TEST(freed_source_is_not_called)
{
	_cleanup_loop_ struct loop *loop = NULL;
	struct error err = ERROR_INIT;
	struct state s = {0};
	int p[2], q[2];

	check(pipe(p) == 0 && pipe(q) == 0);
	check(write(p[1], "x", 1) == 1 && write(q[1], "x", 1) == 1);
	check_ok(loop_new(&loop, &err), &err);
	s.loop = loop;
	check_ok(loop_add_fd(loop, p[0], EPOLLIN, on_ready, &s, &s.a, &err), &err);
	check_ok(loop_add_fd(loop, q[0], EPOLLIN, on_ready, &s, &s.b, &err), &err);
	check_int(loop_run(loop, &err), 0);
	check_int(s.n, 1);
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(q[i]);
	}
}

static void on_child(struct loop_source *src, pid_t pid, int status, void *data)
{
	struct state *s = data;

	loop_source_free(src);
	loop_exit(s->loop, WEXITSTATUS(status));
}

TEST(child_that_died_before_being_watched)
{
	_cleanup_loop_ struct loop *loop = NULL;
	struct error err = ERROR_INIT;
	struct state s = {0};
	siginfo_t si;
	pid_t pid = fork();

	if (pid == 0)
		_exit(9);
	check(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT) == 0);
	check_ok(loop_new(&loop, &err), &err);
	s.loop = loop;
	check_ok(loop_add_child(loop, pid, on_child, &s, NULL, &err), &err);
	check_int(loop_run(loop, &err), 9);
}

static void on_orphan(struct loop_source *src, pid_t pid, int status, void *data)
{
	struct state *s = data;

	check(!src);
	s->order[0] = WEXITSTATUS(status);
	loop_exit(s->loop, 0);
}

TEST(orphans_are_reaped)
{
	_cleanup_loop_ struct loop *loop = NULL;
	struct error err = ERROR_INIT;
	struct state s = {0};

	check_ok(loop_new(&loop, &err), &err);
	s.loop = loop;
	check_ok(loop_watch_children(loop, on_orphan, &s, &err), &err);
	if (fork() == 0)
		_exit(5);
	check_int(loop_run(loop, &err), 0);
	check_int(s.order[0], 5);
}

static void on_signal(struct loop_source *src, const struct signalfd_siginfo *si, void *data)
{
	struct state *s = data;

	loop_exit(s->loop, (int)si->ssi_signo);
}

TEST(signals)
{
	_cleanup_loop_ struct loop *loop = NULL;
	struct error err = ERROR_INIT;
	struct state s = {0};

	check_ok(loop_new(&loop, &err), &err);
	s.loop = loop;
	check_ok(loop_add_signal(loop, SIGUSR1, on_signal, &s, NULL, &err), &err);
	raise(SIGUSR1);
	check_int(loop_run(loop, &err), SIGUSR1);
}

static void deferred(void *data)
{
	struct state *s = data;

	s->order[s->n] = s->n;
	if (++s->n == 3)
		loop_exit(s->loop, 0);
}

TEST(deferred_calls)
{
	_cleanup_loop_ struct loop *loop = NULL;
	struct error err = ERROR_INIT;
	struct state s = {0};

	check_ok(loop_new(&loop, &err), &err);
	s.loop = loop;
	for (int i = 0; i < 3; i++)
		check_int(loop_defer(loop, deferred, &s), 0);
	check_int(loop_run(loop, &err), 0);
	check_int(s.n, 3);
}

TEST_MAIN()
