/* SPDX-License-Identifier: Apache-2.0 */
/* process: one process of a container: its messages, its signals, its end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/agent/container/calls.h"
#include "guest/agent/container/internal.h"
#include "guest/agent/container/sync.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"
#include "lib/base/process.h"
#include "lib/base/str.h"

void process_init(struct container_process *p, struct container *c)
{
	*p = (struct container_process){
	    .container = c, .pidfd = -1, .sync_fd = -1, .console_fd = -1, .listener_fd = -1};
}

void process_close(struct container_process *p)
{
	close_fd(&p->pidfd);
	close_fd(&p->sync_fd);
	close_fd(&p->console_fd);
	close_fd(&p->listener_fd);
}

void container_process_free(struct container_process *p)
{
	if (!p || p == &p->container->init)
		return;
	for (struct container_process **at = &p->container->others; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			break;
		}
	}
	process_close(p);
	free(p);
}

pid_t container_process_pid(const struct container_process *p)
{
	return p->pid;
}

uint64_t container_process_start_time(const struct container_process *p)
{
	return process_start_time(p->pid);
}

int container_process_fd(const struct container_process *p)
{
	return p->sync_fd;
}

/* ---- outcome ---- */

static const char *what_of(const struct container_process *p)
{
	return p == &p->container->init ? "the first process of" : "a process of";
}

static void keep_fd(int *where, int *fd)
{
	close_fd(where);
	*where = steal_fd(fd);
}

/* 1: go on reading; 0 or negative: the outcome. */
static int take(struct container_process *p, const struct sync_message *m, int *fd,
                struct error *err)
{
	switch (m->type) {
	case SYNC_ERROR:
		close_fd(&p->sync_fd);
		return sync_take_error(m, err);
	case SYNC_PROGRAM:
		keep_fd(&p->container->filter_fd, fd);
		return 1;
	case SYNC_CONSOLE:
		keep_fd(&p->console_fd, fd);
		return 1;
	case SYNC_LISTENER:
		keep_fd(&p->listener_fd, fd);
		return 1;
	case SYNC_EXECUTING:
		p->executing = true;
		return 1;
	case SYNC_READY:
		p->ready = true;
		return 0;
	default:
		close_fd(&p->sync_fd);
		return error_set(err, EPROTO, "%s container %s sent message %u", what_of(p),
		                 p->container->id, m->type);
	}
}

int container_process_handle(struct container_process *p, struct error *err)
{
	struct sync_message m;
	int fd = -1, r;

	if (p->running || (p->ready && !p->started))
		return 0;
	if (p->sync_fd < 0)
		return error_set(err, ESRCH, "%s container %s is gone", what_of(p),
		                 p->container->id);
	for (;;) {
		r = sync_recv(p->sync_fd, &m, &fd, MSG_DONTWAIT);
		if (r == -EAGAIN)
			return 1;
		if (r <= 0)
			break;
		r = take(p, &m, &fd, err);
		close_fd(&fd);
		if (r <= 0)
			return r;
	}
	close_fd(&p->sync_fd);
	if (r == 0 && p->executing) {
		p->running = true;
		return 0;
	}
	if (r < 0)
		return error_errno(err, -r, "hearing from %s container %s", what_of(p),
		                   p->container->id);
	return error_set(err, EPIPE, "%s container %s was killed while it set itself up%s",
	                 what_of(p), p->container->id,
	                 p->container->cgroup.fd >= 0 ? " (is the memory limit too low?)" : "");
}

int container_process_wait_ready(struct container_process *p, int timeout_ms, struct error *err)
{
	uint64_t deadline = loop_now_ms() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms);
	int r;

	while ((r = container_process_handle(p, err)) == 1) {
		struct pollfd fds = {.fd = p->sync_fd, .events = POLLIN};
		uint64_t now = loop_now_ms();

		if (timeout_ms >= 0 && now >= deadline)
			return error_set(err, ETIMEDOUT, "%s container %s is not ready in time",
			                 what_of(p), p->container->id);
		poll(&fds, 1, timeout_ms < 0 ? -1 : (int)(deadline - now));
	}
	return r;
}

int container_process_take_console(struct container_process *p)
{
	return steal_fd(&p->console_fd);
}

int container_process_take_seccomp(struct container_process *p)
{
	return steal_fd(&p->listener_fd);
}

/* ---- signals ---- */

int container_process_signal(struct container_process *p, int signo, struct error *err)
{
	int r;

	if (p->exited || p->pid <= 0)
		return 0;
	r = p->pidfd >= 0 ? call_pidfd_send_signal(p->pidfd, signo) : kill(p->pid, signo);
	if (r < 0 && errno != ESRCH)
		return error_errno(err, errno, "sending signal %d to %s container %s", signo,
		                   what_of(p), p->container->id);
	return 0;
}

bool container_process_handles(const struct container_process *p, int signo)
{
	static const char *const sets[] = {"SigBlk:", "SigIgn:", "SigCgt:"};
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	char path[64], *line, *save = NULL;

	if (signo < 1 || signo > 64)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/status", p->pid);
	if (fs_read_file(AT_FDCWD, path, 65536, &text, NULL) < 0 || !text.data)
		return false;
	for (line = strtok_r((char *)text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
			if (str_starts(line, sets[i]) &&
			    strtoull(line + strlen(sets[i]), NULL, 16) >> (signo - 1) & 1)
				return true;
	return false;
}

/* While a process waits in sigwait(3), the kernel shows what it waits for as not blocked. */
static bool waits_for(const struct container_process *p, int signo)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_close_ int memory = -1;
	char path[64], *end;
	uint64_t set;

	snprintf(path, sizeof(path), "/proc/%d/syscall", p->pid);
	if (fs_read_file(AT_FDCWD, path, 4096, &text, NULL) < 0 || !text.data ||
	    strtol((char *)text.data, &end, 10) != SYS_rt_sigtimedwait)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/mem", p->pid);
	memory = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	return memory >= 0 &&
	       pread(memory, &set, sizeof(set), (off_t)strtoull(end, NULL, 16)) == sizeof(set) &&
	       set >> (signo - 1) & 1;
}

bool container_process_awaits(const struct container_process *p, int signo)
{
	/* One that goes in and out of the wait shows itself in one way or the other. */
	for (int i = 0; i < 3 && signo >= 1 && signo <= 64; i++)
		if (waits_for(p, signo) || container_process_handles(p, signo))
			return true;
	return false;
}

uint64_t process_start_time(pid_t pid)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	char path[64], *word, *save = NULL;
	uint64_t value = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (pid <= 0 || fs_read_file(AT_FDCWD, path, 4096, &text, NULL) < 0 || !text.data)
		return 0;
	/* "pid (name) S ...": the name may hold anything, so from its last ")". */
	word = strrchr((char *)text.data, ')');
	if (!word || word[1] != ' ' || word[2] == 'Z' || word[2] == 'X')
		return 0;
	word = strtok_r(word + 2, " ", &save);
	for (int field = 3; word && field < 22; field++)
		word = strtok_r(NULL, " ", &save);
	return word && parse_u64(word, &value) == 0 ? value : 0;
}

/* ---- the end ---- */

void container_process_exited(struct container_process *p, int status)
{
	p->exited = true;
	p->status = status;
	close_fd(&p->pidfd);
}

bool container_process_has_exited(const struct container_process *p)
{
	return p->exited;
}

int container_process_exit_code(const struct container_process *p)
{
	return p->exited ? process_exit_code(p->status) : -1;
}
