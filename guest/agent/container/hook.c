/* SPDX-License-Identifier: Apache-2.0 */
/* hook: spawn, wait with a deadline, judge. */
#include "guest/agent/container/hook.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/agent/container/calls.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"
#include "lib/base/process.h"

/* The state has any size and the hook may never read it: a file, not a pipe. */
static int state_file(const struct state *state)
{
	_cleanup_buffer_ struct buffer json = BUFFER_INIT;
	_cleanup_close_ int fd = memfd_create("state", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	state_write(state, &json);
	if (json.failed)
		return -ENOMEM;
	if (fs_pwrite_all(fd, json.data, json.size, 0) < 0)
		return -EIO;
	return steal_fd(&fd);
}

/* 0: it ended in time. The pidfd becomes readable when the process ends. */
static int wait_until(pid_t pid, int64_t timeout_s, int *status)
{
	_cleanup_close_ int pidfd = call_pidfd_open(pid);
	uint64_t start = loop_now_ms(), limit = (uint64_t)timeout_s * 1000;
	int r = 0;

	while (timeout_s > 0 && pidfd >= 0) {
		struct pollfd p = {.fd = pidfd, .events = POLLIN};
		uint64_t gone = loop_now_ms() - start;

		/* One that had ended by then is not late, though the caller may be. */
		if (gone >= limit && poll(&p, 1, 0) > 0)
			break;
		if (gone >= limit) {
			kill(pid, SIGKILL);
			r = -ETIMEDOUT;
			break;
		}
		if (limit - gone > 3600000)
			gone = limit - 3600000;
		if (poll(&p, 1, (int)(limit - gone)) > 0)
			break;
	}
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	return r;
}

/* The last line or so of what the hook said. */
static void read_complaint(int fd, char *text, size_t size)
{
	ssize_t n;
	off_t end = lseek(fd, 0, SEEK_END);

	text[0] = 0;
	if (end <= 0)
		return;
	n = pread(fd, text, size - 1, end > (off_t)size - 1 ? end - (off_t)size + 1 : 0);
	if (n <= 0)
		return;
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	text[n] = 0;
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
}

/* "status 1", "signal 31 (bad system call)" */
static void describe_end(int status, char *text, size_t size)
{
	if (!WIFSIGNALED(status)) {
		snprintf(text, size, "status %d", process_exit_code(status));
		return;
	}
	snprintf(text, size, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	for (char *p = text; *p; p++)
		*p = (char)tolower((unsigned char)*p);
}

static int run_one(const struct oci_hook *h, const char *point, const struct state *state,
                   struct error *err)
{
	_cleanup_close_ int in = state_file(state), out = memfd_create("stderr", MFD_CLOEXEC);
	char *lone[] = {(char *)h->path, NULL};
	struct process_opts o = {.path = h->path,
	                         .argv = h->args.n ? h->args.v : lone,
	                         .envp = h->env.n ? h->env.v : NULL,
	                         .fds = {in, -1, out},
	                         .n_fds = 3,
	                         .die_with_parent = true};
	char text[256], end[64];
	int status = 0, r;
	pid_t pid;

	if (in < 0 || out < 0)
		return error_errno(err, in < 0 ? -in : errno, "running the %s hook %s", point,
		                   h->path);
	r = process_spawn(&o, &pid, err);
	if (r < 0)
		return error_prefix(err, r, "%s hook", point);
	r = wait_until(pid, h->timeout.set ? h->timeout.value : 0, &status);
	if (r < 0)
		return error_set(err, ETIMEDOUT, "the %s hook %s did not end within %lld s", point,
		                 h->path, (long long)h->timeout.value);
	if (process_exit_code(status) == 0)
		return 0;
	read_complaint(out, text, sizeof(text));
	describe_end(status, end, sizeof(end));
	return error_set(err, EIO, "error running hook: the %s hook %s failed with %s%s%s", point,
	                 h->path, end, *text ? ": " : "", text);
}

int hooks_run(const struct oci_hooks *hooks, const char *point, const struct state *state,
              struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < hooks->n && r == 0; i++)
		r = run_one(&hooks->v[i], point, state, err);
	return r;
}
