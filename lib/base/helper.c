/* SPDX-License-Identifier: Apache-2.0 */
/* helper: fork, a pipe for one fixed-size report, and the supervision of the child. */
#include "lib/base/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

/* One write(2) of at most PIPE_BUF bytes: whole or not at all. */
struct report {
	int result;
	enum error_kind kind;
	char text[ERROR_TEXT_MAX];
	uint8_t out[HELPER_OUT_MAX];
};
_Static_assert(sizeof(struct report) <= PIPE_BUF, "a report must be written whole");

/* When there was no process or descriptor to be had, or a reserved helper's child died. */
#define RETRY_MS 100u
#define RUNS_MAX 4u /* of a reserved helper whose child dies */

struct helper {
	struct loop *loop;
	char what[96];
	pid_t pid; /* 0: no child */
	int fd;    /* the report comes here */
	struct loop_source *child, *timer;
	helper_fn fn;
	void *fn_data;
	uint64_t deadline_ms;
	helper_done_fn done;
	void *data;
	bool reserved; /* stays after its end */
	bool released; /* ... but not this time */
	bool told;     /* of the deadline; only reaping is left */
	unsigned int runs;
};

static void helper_free(struct helper *h)
{
	loop_source_free(h->child);
	loop_source_free(h->timer);
	close_fd(&h->fd);
	free(h);
}

/* The caller may start or release it again from within `done`. */
static void tell(struct helper *h, int result, const void *out, const struct error *err)
{
	if (h->done && !h->told && !h->released)
		h->done(result, out, err, h->data);
}

static void start_again(struct helper *h);

/* Worth another child: it died, or there was no room for what it wanted. */
static bool is_passing(bool reported, int result)
{
	return !reported || result == -ENOMEM || result == -EMFILE || result == -ENFILE ||
	       result == -EAGAIN;
}

static void on_child_exit(struct loop_source *src, pid_t pid, int status, void *data)
{
	struct helper *h = data;
	struct error err = ERROR_INIT;
	struct report rep;
	ssize_t n = read(h->fd, &rep, sizeof(rep));
	bool keep = h->reserved && !h->released, reported = n == (ssize_t)sizeof(rep);

	h->pid = 0;
	close_fd(&h->fd);
	if (keep && !h->told && h->runs < RUNS_MAX && is_passing(reported, rep.result)) {
		loop_set_timer(h->timer, RETRY_MS);
		return;
	}
	loop_set_timer(h->timer, LOOP_NEVER);
	if (!reported) {
		memset(&rep, 0, sizeof(rep));
		rep.result =
		    error_set(&err, EIO, "%s: the helper ended with %s %d", h->what,
		              WIFSIGNALED(status) ? "signal" : "status",
		              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	} else if (rep.result < 0) {
		rep.text[sizeof(rep.text) - 1] = '\0';
		error_set_kind(&err, rep.kind, -rep.result, "%s", rep.text);
	}
	/* A kept one may be gone when this returns. */
	tell(h, rep.result, rep.out, &err);
	if (!keep)
		helper_free(h);
}

static void on_timer(struct loop_source *src, void *data)
{
	struct helper *h = data;
	struct error err = ERROR_INIT;

	if (h->pid == 0) {
		start_again(h);
		return;
	}
	kill(h->pid, SIGKILL);
	error_set(&err, ETIMEDOUT, "%s: no result in time", h->what);
	tell(h, -ETIMEDOUT, NULL, &err);
	h->told = true;
	/* on_child_exit() ends it, once the kernel lets the child go. */
}

static void __attribute__((noreturn)) child_main(helper_fn fn, void *data, int fd)
{
	struct error err = ERROR_INIT;
	struct report rep;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	memset(&rep, 0, sizeof(rep));
	rep.result = fn(data, rep.out, &err);
	rep.kind = err.kind;
	memcpy(rep.text, err.text, sizeof(rep.text));
	if (write(fd, &rep, sizeof(rep)) != (ssize_t)sizeof(rep))
		_exit(2);
	_exit(0);
}

/* Everything that can fail comes before the child. */
static int start(struct helper *h, struct error *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(err, errno, "%s: a pipe", h->what);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	h->pid = fork();
	if (h->pid == 0)
		child_main(h->fn, h->fn_data, fds[1]);
	if (h->pid < 0) {
		int r = error_errno(err, errno, "%s: cannot fork", h->what);

		h->pid = 0;
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	close(fds[1]);
	h->fd = fds[0];
	h->runs++;
	loop_set_timer(h->timer, h->deadline_ms);
	loop_set_child(h->child, h->pid);
	return 0;
}

static void start_again(struct helper *h)
{
	if (start(h, NULL) < 0)
		loop_set_timer(h->timer, RETRY_MS);
}

int helper_reserve(struct loop *loop, struct helper **out, struct error *err)
{
	struct helper *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return error_set(err, ENOMEM, "out of memory for a helper");
	h->loop = loop;
	h->fd = -1;
	h->reserved = true;
	r = loop_add_timer(loop, LOOP_NEVER, on_timer, h, &h->timer, err);
	if (r == 0)
		r = loop_add_child(loop, 0, on_child_exit, h, &h->child, err);
	if (r < 0) {
		helper_free(h);
		return r;
	}
	*out = h;
	return 0;
}

static void set_up(struct helper *h, const char *what, helper_fn fn, void *fn_data,
                   uint64_t deadline_ms, helper_done_fn done, void *done_data)
{
	snprintf(h->what, sizeof(h->what), "%s", what);
	h->fn = fn;
	h->fn_data = fn_data;
	h->deadline_ms = deadline_ms;
	h->done = done;
	h->data = done_data;
	h->told = false;
	h->runs = 0;
}

void helper_run_reserved(struct helper *h, const char *what, helper_fn fn, void *fn_data,
                         uint64_t deadline_ms, helper_done_fn done, void *done_data)
{
	set_up(h, what, fn, fn_data, deadline_ms, done, done_data);
	start_again(h);
}

void helper_release(struct helper *h)
{
	if (!h)
		return;
	h->released = true;
	if (h->pid == 0)
		helper_free(h);
}

int helper_run(struct loop *loop, const char *what, helper_fn fn, void *fn_data,
               uint64_t deadline_ms, helper_done_fn done, void *done_data, struct error *err)
{
	struct helper *h = NULL;
	int r = helper_reserve(loop, &h, err);

	if (r < 0)
		return error_prefix(err, r, "%s", what);
	h->reserved = false;
	set_up(h, what, fn, fn_data, deadline_ms, done, done_data);
	r = start(h, err);
	if (r < 0)
		helper_free(h);
	return r;
}
