/* SPDX-License-Identifier: Apache-2.0 */
/* loop: epoll, one timerfd for all timers, one signalfd, children by SIGCHLD. */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

enum source_type { SOURCE_FD, SOURCE_TIMER, SOURCE_SIGNAL, SOURCE_CHILD, SOURCE_DEFER };

struct loop_source {
	struct loop *loop;
	struct loop_source *next, *prev; /* in loop->sources, or in loop->dead */
	enum source_type type;
	bool dead;
	bool armed; /* timers */
	int fd;     /* descriptor, or signal number */
	pid_t pid;
	uint64_t due; /* timers: milliseconds */
	union {
		loop_fd_fn fd_fn;
		loop_timer_fn timer_fn;
		loop_signal_fn signal_fn;
		loop_child_fn child_fn;
		void (*defer_fn)(void *data);
	};
	void *data;
};

struct loop {
	int epoll_fd, timer_fd, signal_fd;
	sigset_t signals;
	struct loop_source *sources;
	struct loop_source *dead; /* freed at the end of the turn */
	unsigned int n_deferred;
	bool running;
	int value;
	loop_child_fn orphan;
	void *orphan_data;
};

#define EVENTS_A_TURN 32

void loop_event_signal(int event_fd)
{
	const uint64_t one = 1;

	if (write(event_fd, &one, sizeof(one)) < 0)
		return;
}

bool loop_event_take(int event_fd)
{
	uint64_t count;

	return read(event_fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

uint64_t loop_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t loop_now_ms(void)
{
	return loop_now_ns() / 1000000;
}

static int epoll_add(struct loop *loop, int fd, uint32_t events, void *ptr)
{
	struct epoll_event ev = {.events = events, .data.ptr = ptr};

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

int loop_new(struct loop **out, struct error *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return error_set(err, ENOMEM, "no memory for the event loop");
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	loop->signal_fd = -1;
	sigemptyset(&loop->signals);
	if (loop->epoll_fd < 0 || loop->timer_fd < 0 ||
	    epoll_add(loop, loop->timer_fd, EPOLLIN, &loop->timer_fd) < 0) {
		int r = error_errno(err, errno, "cannot make the event loop");

		loop_free(loop);
		return r;
	}
	*out = loop;
	return 0;
}

static void free_list(struct loop_source *s)
{
	while (s) {
		struct loop_source *next = s->next;

		free(s);
		s = next;
	}
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	free_list(loop->sources);
	free_list(loop->dead);
	close_fd(&loop->epoll_fd);
	close_fd(&loop->timer_fd);
	close_fd(&loop->signal_fd);
	free(loop);
}

static struct loop_source *source_new(struct loop *loop, enum source_type type, void *data)
{
	struct loop_source *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = loop;
	s->type = type;
	s->data = data;
	s->fd = -1;
	s->next = loop->sources;
	if (s->next)
		s->next->prev = s;
	loop->sources = s;
	return s;
}

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory for an event source");
}

void loop_source_free(struct loop_source *src)
{
	struct loop *loop;

	if (!src || src->dead)
		return;
	loop = src->loop;
	if (src->type == SOURCE_FD)
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
	if (src->type == SOURCE_DEFER)
		loop->n_deferred--;
	src->dead = true;
	if (src->prev)
		src->prev->next = src->next;
	else
		loop->sources = src->next;
	if (src->next)
		src->next->prev = src->prev;
	src->prev = NULL;
	src->next = loop->dead;
	loop->dead = src;
}

int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *data,
                struct loop_source **out, struct error *err)
{
	struct loop_source *s = source_new(loop, SOURCE_FD, data);
	int r;

	if (!s)
		return no_memory(err);
	s->fd_fn = fn;
	r = epoll_add(loop, fd, events, s);
	if (r < 0) {
		loop_source_free(s);
		return error_errno(err, -r, "cannot watch descriptor %d", fd);
	}
	s->fd = fd;
	if (out)
		*out = s;
	return 0;
}

int loop_set_events(struct loop_source *src, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = src};

	return epoll_ctl(src->loop->epoll_fd, EPOLL_CTL_MOD, src->fd, &ev) < 0 ? -errno : 0;
}

/* Sets the timerfd to the earliest armed timer, or off. */
static int timers_rearm(struct loop *loop)
{
	struct itimerspec t = {0};
	uint64_t due = UINT64_MAX;

	for (struct loop_source *s = loop->sources; s; s = s->next)
		if (s->type == SOURCE_TIMER && s->armed && s->due < due)
			due = s->due;
	if (due != UINT64_MAX) {
		t.it_value.tv_sec = (time_t)(due / 1000);
		t.it_value.tv_nsec = (long)(due % 1000 * 1000000);
		if (due == 0)
			t.it_value.tv_nsec = 1;
	}
	return timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &t, NULL) < 0 ? -errno : 0;
}

int loop_set_timer(struct loop_source *src, uint64_t ms)
{
	src->armed = ms != LOOP_NEVER;
	if (__builtin_add_overflow(loop_now_ms(), ms, &src->due))
		src->due = UINT64_MAX - 1;
	return timers_rearm(src->loop);
}

int loop_add_timer(struct loop *loop, uint64_t ms, loop_timer_fn fn, void *data,
                   struct loop_source **out, struct error *err)
{
	struct loop_source *s = source_new(loop, SOURCE_TIMER, data);
	int r;

	if (!s)
		return no_memory(err);
	s->timer_fn = fn;
	r = loop_set_timer(s, ms);
	if (r < 0) {
		loop_source_free(s);
		return error_errno(err, -r, "cannot set a timer");
	}
	if (out)
		*out = s;
	return 0;
}

static int signals_update(struct loop *loop, int signo, struct error *err)
{
	sigset_t one;
	int fd;

	sigaddset(&loop->signals, signo);
	sigemptyset(&one);
	sigaddset(&one, signo);
	if (sigprocmask(SIG_BLOCK, &one, NULL) < 0)
		return error_errno(err, errno, "cannot block signal %d", signo);
	fd = signalfd(loop->signal_fd, &loop->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return error_errno(err, errno, "cannot make a signalfd");
	if (loop->signal_fd < 0) {
		loop->signal_fd = fd;
		if (epoll_add(loop, fd, EPOLLIN, &loop->signal_fd) < 0)
			return error_errno(err, errno, "cannot watch signals");
	}
	return 0;
}

int loop_add_signal(struct loop *loop, int signo, loop_signal_fn fn, void *data,
                    struct loop_source **out, struct error *err)
{
	struct loop_source *s;
	int r = signals_update(loop, signo, err);

	if (r < 0)
		return r;
	s = source_new(loop, SOURCE_SIGNAL, data);
	if (!s)
		return no_memory(err);
	s->fd = signo;
	s->signal_fn = fn;
	if (out)
		*out = s;
	return 0;
}

int loop_watch_children(struct loop *loop, loop_child_fn orphan, void *data, struct error *err)
{
	loop->orphan = orphan;
	loop->orphan_data = data;
	return signals_update(loop, SIGCHLD, err);
}

int loop_add_child(struct loop *loop, pid_t pid, loop_child_fn fn, void *data,
                   struct loop_source **out, struct error *err)
{
	struct loop_source *s;

	if (!sigismember(&loop->signals, SIGCHLD)) {
		int r = loop_watch_children(loop, NULL, NULL, err);

		if (r < 0)
			return r;
	}
	s = source_new(loop, SOURCE_CHILD, data);
	if (!s)
		return no_memory(err);
	s->child_fn = fn;
	if (pid > 0)
		loop_set_child(s, pid);
	if (out)
		*out = s;
	return 0;
}

void loop_set_child(struct loop_source *src, pid_t pid)
{
	src->pid = pid;
	/* It may have died before anybody watched: look once without a signal. */
	raise(SIGCHLD);
}

int loop_defer(struct loop *loop, void (*fn)(void *data), void *data)
{
	struct loop_source *s = source_new(loop, SOURCE_DEFER, data);

	if (!s)
		return -ENOMEM;
	s->defer_fn = fn;
	loop->n_deferred++;
	return 0;
}

static struct loop_source *find_due(struct loop *loop, uint64_t now)
{
	struct loop_source *best = NULL;

	for (struct loop_source *s = loop->sources; s; s = s->next)
		if (s->type == SOURCE_TIMER && s->armed && s->due <= now &&
		    (!best || s->due < best->due))
			best = s;
	return best;
}

static void run_timers(struct loop *loop)
{
	uint64_t now = loop_now_ms(), expirations;
	struct loop_source *s;

	if (read(loop->timer_fd, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
		return;
	while (loop->running && (s = find_due(loop, now))) {
		s->armed = false;
		s->timer_fn(s, s->data);
	}
	timers_rearm(loop);
}

static struct loop_source *find_child(struct loop *loop, pid_t pid)
{
	for (struct loop_source *s = loop->sources; s; s = s->next)
		if (s->type == SOURCE_CHILD && s->pid == pid)
			return s;
	return NULL;
}

/* A loop without an orphan callback reaps only the children it was told of: others
 * belong to whoever waits for them. */
static void reap_watched(struct loop *loop)
{
	struct loop_source *s = loop->sources;

	while (s) {
		int status;
		struct loop_source *child = s;

		s = s->next;
		if (child->type != SOURCE_CHILD || child->pid <= 0 ||
		    waitpid(child->pid, &status, WNOHANG) != child->pid)
			continue;
		pid_t pid = child->pid;

		child->pid = -1;
		child->child_fn(child, pid, status, child->data);
		s = loop->sources; /* the callback may have changed the list */
	}
}

static void reap_all(struct loop *loop)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct loop_source *s = find_child(loop, pid);

		if (!s) {
			loop->orphan(NULL, pid, status, loop->orphan_data);
			continue;
		}
		s->pid = -1;
		s->child_fn(s, pid, status, s->data);
	}
}

static void run_signals(struct loop *loop)
{
	struct signalfd_siginfo si;

	while (loop->running && read(loop->signal_fd, &si, sizeof(si)) == sizeof(si)) {
		struct loop_source *s = loop->sources;

		if (si.ssi_signo == SIGCHLD) {
			if (loop->orphan)
				reap_all(loop);
			else
				reap_watched(loop);
		}
		while (s && !(s->type == SOURCE_SIGNAL && s->fd == (int)si.ssi_signo))
			s = s->next;
		if (s)
			s->signal_fn(s, &si, s->data);
	}
}

static void run_deferred(struct loop *loop)
{
	/* Oldest first; what they add runs in the next turn. */
	for (unsigned int n = loop->n_deferred; n > 0 && loop->running; n--) {
		struct loop_source *s = loop->sources, *oldest = NULL;

		for (; s; s = s->next)
			if (s->type == SOURCE_DEFER)
				oldest = s;
		if (!oldest)
			return;
		loop_source_free(oldest);
		oldest->defer_fn(oldest->data);
	}
}

static void dispatch(struct loop *loop, const struct epoll_event *ev)
{
	struct loop_source *s = ev->data.ptr;

	if (ev->data.ptr == &loop->timer_fd)
		run_timers(loop);
	else if (ev->data.ptr == &loop->signal_fd)
		run_signals(loop);
	else if (!s->dead)
		s->fd_fn(s, s->fd, ev->events, s->data);
}

int loop_run(struct loop *loop, struct error *err)
{
	struct epoll_event events[EVENTS_A_TURN];

	loop->running = true;
	while (loop->running) {
		int n =
		    epoll_wait(loop->epoll_fd, events, EVENTS_A_TURN, loop->n_deferred ? 0 : -1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot wait for events");
		for (int i = 0; i < n && loop->running; i++)
			dispatch(loop, &events[i]);
		run_deferred(loop);
		free_list(loop->dead);
		loop->dead = NULL;
	}
	return loop->value;
}

void loop_exit(struct loop *loop, int value)
{
	loop->running = false;
	loop->value = value;
}
