/* SPDX-License-Identifier: Apache-2.0 */
/* helper: fork, a pipe for one fixed-size report, and the supervision of the child. */
#include "lib/base/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
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

struct helper {
	struct loop *loop;
	char what[96];
	pid_t pid;
	int fd; /* the report comes here */
	struct loop_source *child, *timer;
	helper_done_fn done; /* NULL: told; only reaping is left */
	void *data;
};

static void helper_free(struct helper *h)
{
	loop_source_free(h->child);
	loop_source_free(h->timer);
	close_fd(&h->fd);
	free(h);
}

static void tell(struct helper *h, int result, const void *out, const struct error *err)
{
	helper_done_fn done = h->done;

	h->done = NULL;
	if (done)
		done(result, out, err, h->data);
}

static void on_child_exit(struct loop_source *src, pid_t pid, int status, void *data)
{
	struct helper *h = data;
	struct error err = ERROR_INIT;
	struct report rep;
	ssize_t n = read(h->fd, &rep, sizeof(rep));

	loop_source_free(h->timer);
	h->timer = NULL;
	if (n != (ssize_t)sizeof(rep)) {
		memset(&rep, 0, sizeof(rep));
		rep.result =
		    error_set(&err, EIO, "%s: the helper ended with %s %d", h->what,
		              WIFSIGNALED(status) ? "signal" : "status",
		              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	} else if (rep.result < 0) {
		rep.text[sizeof(rep.text) - 1] = '\0';
		error_set_kind(&err, rep.kind, -rep.result, "%s", rep.text);
	}
	tell(h, rep.result, rep.out, &err);
	helper_free(h);
}

static void on_deadline(struct loop_source *src, void *data)
{
	struct helper *h = data;
	struct error err = ERROR_INIT;

	kill(h->pid, SIGKILL);
	error_set(&err, ETIMEDOUT, "%s: no result in time", h->what);
	tell(h, -ETIMEDOUT, NULL, &err);
	/* on_child_exit() frees it, once the kernel lets the child go. */
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

int helper_run(struct loop *loop, const char *what, helper_fn fn, void *fn_data,
               uint64_t deadline_ms, helper_done_fn done, void *done_data, struct error *err)
{
	struct helper *h = calloc(1, sizeof(*h));
	int fds[2], r;

	if (!h)
		return error_set(err, ENOMEM, "%s: out of memory", what);
	if (pipe2(fds, O_CLOEXEC) < 0) {
		free(h);
		return error_errno(err, errno, "%s: a pipe", what);
	}
	h->loop = loop;
	h->fd = fds[0];
	h->done = done;
	h->data = done_data;
	snprintf(h->what, sizeof(h->what), "%s", what);
	h->pid = fork();
	if (h->pid == 0)
		child_main(fn, fn_data, fds[1]);
	r = h->pid < 0 ? error_errno(err, errno, "%s: cannot fork", what) : 0;
	close(fds[1]);
	if (r == 0) {
		fcntl(h->fd, F_SETFL, O_NONBLOCK);
		r = loop_add_timer(loop, deadline_ms, on_deadline, h, &h->timer, err);
		if (r == 0)
			r = loop_add_child(loop, h->pid, on_child_exit, h, &h->child, err);
		if (r < 0) {
			kill(h->pid, SIGKILL);
			waitpid(h->pid, NULL, 0);
		}
	}
	if (r < 0) {
		helper_free(h);
		return r;
	}
	return 0;
}
