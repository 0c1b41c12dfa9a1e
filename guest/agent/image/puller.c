/* SPDX-License-Identifier: Apache-2.0 */
/* puller: two pipes, a deadline, and bounds on everything. */
#include "guest/agent/image/puller.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/init/init.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/process.h"

#define STDERR_MAX 4096u
#define LINE_MAX   600u

struct puller {
	struct loop *loop;
	pid_t pid;
	int fds[2]; /* its stdout and stderr */
	struct buffer texts[2];
	struct loop_source *sources[2], *child, *timer;
	bool too_much, timed_out, cancelled;
	puller_done_fn done;
	void *data;
};

static void puller_free(struct puller *p)
{
	for (int i = 0; i < 2; i++) {
		loop_source_free(p->sources[i]);
		close_fd(&p->fds[i]);
		buffer_free(&p->texts[i]);
	}
	loop_source_free(p->child);
	loop_source_free(p->timer);
	free(p);
}

static void stop_reading(struct puller *p, int i)
{
	loop_source_free(p->sources[i]);
	p->sources[i] = NULL;
}

/* Reads what is there; false at the end of the file. */
static bool read_some(struct puller *p, int i)
{
	for (;;) {
		uint8_t buf[4096];
		ssize_t n = read(p->fds[i], buf, sizeof(buf));

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0)
			return false;
		/* Of the error output the beginning is enough, and is no reason to fail. */
		buffer_append(&p->texts[i], buf, (size_t)n);
		if (p->texts[i].failed && i == 0) {
			p->too_much = true;
			kill(p->pid, SIGKILL);
			return false;
		}
		p->texts[i].failed = false;
	}
}

static void on_output(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct puller *p = data;
	int i = src == p->sources[1];

	if (!read_some(p, i))
		stop_reading(p, i);
}

/* Its last line of error output, without what a terminal or a log could stumble over. */
static int take_error(struct puller *p, struct error *err)
{
	char line[LINE_MAX + 1];
	const char *text = buffer_cstr(&p->texts[1]);
	size_t end = p->texts[1].size, start, n = 0;

	while (end > 0 && (text[end - 1] == '\n' || text[end - 1] == ' '))
		end--;
	start = end;
	while (start > 0 && text[start - 1] != '\n')
		start--;
	for (size_t i = start; i < end && n < LINE_MAX; i++)
		line[n++] = (unsigned char)text[i] < ' ' || text[i] == 127 ? '?' : text[i];
	line[n] = '\0';
	return error_set(err, EIO, "%s", n ? line : "the image puller failed without a word");
}

static void on_child(struct loop_source *src, pid_t pid, int status, void *data)
{
	struct puller *p = data;
	struct error err = ERROR_INIT;
	int r = 0;

	for (int i = 0; i < 2; i++)
		if (p->sources[i])
			read_some(p, i);
	if (p->cancelled)
		r = error_set(&err, ECANCELED, "the image puller was stopped");
	else if (p->timed_out)
		r = error_set(&err, ETIMEDOUT, "the image puller was stopped: no end in time");
	else if (p->too_much)
		r = error_set(&err, EIO,
		              "the image puller was stopped: it printed more than %u bytes",
		              PULLER_MAX_OUTPUT);
	else if (process_exit_code(status) != 0)
		r = take_error(p, &err);
	p->done(r, buffer_cstr(&p->texts[0]), p->texts[0].size, &err, p->data);
	puller_free(p);
}

static void on_deadline(struct loop_source *src, void *data)
{
	struct puller *p = data;

	p->timed_out = true;
	kill(p->pid, SIGKILL);
}

static int start(struct puller *p, char *const *argv, int stdin_fd, struct error *err)
{
	static char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/", NULL};
	int out[2] = {-1, -1}, errs[2] = {-1, -1}, r;
	struct process_opts o = {
	    .path = argv[0],
	    .argv = argv,
	    .envp = env,
	    .n_fds = 3,
	    .drop = geteuid() == 0,
	    .uid = PULLER_UID,
	    .gid = PULLER_UID,
	    .before_drop = getpid() == 1 ? init_child_reset : NULL,
	};

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(errs, O_CLOEXEC) < 0) {
		r = error_errno(err, errno, "pipes for the image puller");
	} else {
		o.fds[0] = stdin_fd;
		o.fds[1] = out[1];
		o.fds[2] = errs[1];
		r = process_spawn(&o, &p->pid, err);
	}
	close_fd(&out[1]);
	close_fd(&errs[1]);
	p->fds[0] = out[0];
	p->fds[1] = errs[0];
	return r;
}

static int watch(struct puller *p, uint64_t deadline_ms, struct error *err)
{
	int r = 0;

	for (int i = 0; i < 2 && r == 0; i++) {
		fs_set_nonblock(p->fds[i], true);
		r = loop_add_fd(p->loop, p->fds[i], EPOLLIN, on_output, p, &p->sources[i], err);
	}
	if (r == 0)
		r = loop_add_timer(p->loop, deadline_ms, on_deadline, p, &p->timer, err);
	if (r == 0)
		r = loop_add_child(p->loop, p->pid, on_child, p, &p->child, err);
	return r;
}

int puller_run(struct loop *loop, char *const *argv, int stdin_fd, uint64_t deadline_ms,
               puller_done_fn done, void *data, struct puller **out, struct error *err)
{
	struct puller *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return error_set(err, ENOMEM, "out of memory for the image puller");
	p->loop = loop;
	p->done = done;
	p->data = data;
	p->fds[0] = p->fds[1] = -1;
	p->texts[0].limit = PULLER_MAX_OUTPUT;
	p->texts[1].limit = STDERR_MAX;
	r = start(p, argv, stdin_fd, err);
	if (r == 0)
		r = watch(p, deadline_ms, err);
	if (r < 0) {
		if (p->pid > 0)
			kill(p->pid, SIGKILL);
		puller_free(p);
		return r;
	}
	*out = p;
	return 0;
}

void puller_cancel(struct puller *p)
{
	if (!p)
		return;
	p->cancelled = true;
	kill(p->pid, SIGKILL);
}
