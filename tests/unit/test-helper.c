/* SPDX-License-Identifier: Apache-2.0 */
/* helper: children that report, die, hang, or cannot be had. */
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/helper.h"
#include "tests/unit/check.h"

struct run {
	struct loop *loop;
	struct helper *helper; /* released by its end */
	struct loop_source *timer;
	struct rlimit limit;
	int result, value, times;
	char text[ERROR_TEXT_MAX];
	int pipe[2]; /* a byte for each child */
	int tries;   /* that fail first */
};

static int report(void *data, void *out, struct error *err)
{
	*(int *)out = 42;
	return *(int *)data ? error_set(err, *(int *)data, "as told") : 0;
}

static int hang(void *data, void *out, struct error *err)
{
	pause();
	return 0;
}

/* The first ones die, or say that they have no memory. */
static int count_children(const struct run *r)
{
	char c = 'x', seen[16];
	int n;

	check(write(r->pipe[1], &c, 1) == 1);
	n = (int)read(r->pipe[0], seen, sizeof(seen));
	check(write(r->pipe[1], seen, (size_t)n) == n);
	return n;
}

static int die_first(void *data, void *out, struct error *err)
{
	const struct run *r = data;

	if (count_children(r) <= r->tries)
		kill(getpid(), SIGKILL);
	return report((int[]){0}, out, err);
}

static int starve_first(void *data, void *out, struct error *err)
{
	const struct run *r = data;

	return report((int[]){count_children(r) <= r->tries ? ENOMEM : 0}, out, err);
}

static void ended(int result, const void *out, const struct error *err, void *data)
{
	struct run *r = data;

	r->times++;
	r->result = result;
	r->value = out ? *(const int *)out : 0;
	snprintf(r->text, sizeof(r->text), "%s", err->text);
	helper_release(r->helper);
	loop_exit(r->loop, 0);
}

static void run_init(struct run *r)
{
	struct error err = ERROR_INIT;

	*r = (struct run){.result = 99, .pipe = {-1, -1}};
	check(pipe(r->pipe) == 0);
	check_ok(loop_new(&r->loop, &err), &err);
	check_ok(loop_watch_children(r->loop, NULL, NULL, &err), &err);
}

static void stop(struct loop_source *src, void *data)
{
	loop_exit(((struct run *)data)->loop, 0);
	loop_source_free(src);
}

/* What was killed is reaped first. */
static void run_free(struct run *r)
{
	struct error err = ERROR_INIT;

	check_ok(loop_add_timer(r->loop, 100, stop, r, &r->timer, &err), &err);
	check_ok(loop_run(r->loop, &err), &err);
	close(r->pipe[0]);
	close(r->pipe[1]);
	loop_free(r->loop);
}

/* One run of a reserved helper, to its end. */
static void reserved(struct run *r, helper_fn fn, void *data, uint64_t ms)
{
	struct error err = ERROR_INIT;

	check_ok(helper_reserve(r->loop, &r->helper, &err), &err);
	helper_run_reserved(r->helper, "trying", fn, data, ms, ended, r);
	check_ok(loop_run(r->loop, &err), &err);
	check_int(r->times, 1);
}

TEST(a_result_and_an_error)
{
	struct error err = ERROR_INIT;
	struct run r;
	int code = 0;

	run_init(&r);
	check_ok(helper_run(r.loop, "trying", report, &code, 60000, ended, &r, &err), &err);
	check_ok(loop_run(r.loop, &err), &err);
	check_int(r.result, 0);
	check_int(r.value, 42);
	code = EXDEV;
	check_ok(helper_run(r.loop, "trying", report, &code, 60000, ended, &r, &err), &err);
	check_ok(loop_run(r.loop, &err), &err);
	check_int(r.result, -EXDEV);
	check_str(r.text, "as told");
	check_int(r.times, 2);
	run_free(&r);
}

TEST(a_child_that_hangs_is_killed)
{
	struct error err = ERROR_INIT;
	struct run r;

	run_init(&r);
	check_ok(helper_run(r.loop, "trying", hang, NULL, 50, ended, &r, &err), &err);
	check_ok(loop_run(r.loop, &err), &err);
	check_int(r.result, -ETIMEDOUT);
	run_free(&r);
}

TEST(a_child_that_dies_is_replaced_when_reserved)
{
	struct run r;

	run_init(&r);
	r.tries = 2;
	reserved(&r, die_first, &r, 60000);
	check_int(r.result, 0);
	check_int(r.value, 42);
	run_free(&r);
}

TEST(but_not_for_ever)
{
	struct run r;

	run_init(&r);
	r.tries = 100;
	reserved(&r, die_first, &r, 60000);
	check_int(r.result, -EIO);
	check(strstr(r.text, "trying: the helper ended with signal 9") != NULL);
	run_free(&r);
}

TEST(a_child_without_memory_is_replaced_when_reserved)
{
	struct run r;

	run_init(&r);
	r.tries = 1;
	reserved(&r, starve_first, &r, 60000);
	check_int(r.result, 0);
	run_free(&r);
}

TEST(a_reserved_helper_hangs)
{
	struct run r;

	run_init(&r);
	reserved(&r, hang, NULL, 50);
	check_int(r.result, -ETIMEDOUT);
	run_free(&r);
}

static void lift_limit(struct loop_source *src, void *data)
{
	struct run *r = data;

	check(r->times == 0);
	check(setrlimit(RLIMIT_NOFILE, &r->limit) == 0);
	loop_source_free(src);
}

TEST(waits_for_descriptors_when_reserved)
{
	struct error err = ERROR_INIT;
	struct rlimit none;
	struct run r;
	int code = 0;

	run_init(&r);
	check_ok(helper_reserve(r.loop, &r.helper, &err), &err);
	check_ok(loop_add_timer(r.loop, 250, lift_limit, &r, &r.timer, &err), &err);
	check(getrlimit(RLIMIT_NOFILE, &r.limit) == 0);
	none = r.limit;
	none.rlim_cur = 3;
	check(setrlimit(RLIMIT_NOFILE, &none) == 0);
	check(helper_run(r.loop, "trying", report, &code, 60000, ended, &r, &err) < 0);
	helper_run_reserved(r.helper, "trying", report, &code, 60000, ended, &r);
	check_ok(loop_run(r.loop, &err), &err);
	check_int(r.result, 0);
	run_free(&r);
}

TEST(a_released_one_tells_nobody)
{
	struct error err = ERROR_INIT;
	struct helper *unused = NULL;
	struct run r;
	int code = 0;

	run_init(&r);
	check_ok(helper_reserve(r.loop, &unused, &err), &err);
	helper_release(unused);
	helper_release(NULL);
	check_ok(helper_reserve(r.loop, &unused, &err), &err);
	helper_run_reserved(unused, "trying", report, &code, 60000, ended, &r);
	helper_release(unused);
	check_ok(helper_run(r.loop, "waiting", die_first, &r, 60000, ended, &r, &err), &err);
	check_ok(loop_run(r.loop, &err), &err);
	check_int(r.times, 1);
	run_free(&r);
}

TEST_MAIN()
