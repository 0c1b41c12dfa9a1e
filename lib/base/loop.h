/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop: a single-threaded event loop over epoll, timers and child processes.
 *
 * Callbacks may add and free any source, their own included: a freed source
 * is never called again, also not later in the same turn. Nothing blocks but
 * loop_run(). Timers are CLOCK_MONOTONIC milliseconds.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

#include "cleanup.h"
#include "error.h"

struct loop;
struct loop_source;
struct signalfd_siginfo;

typedef void (*loop_fd_fn)(struct loop_source *src, int fd, uint32_t events, void *data);
typedef void (*loop_timer_fn)(struct loop_source *src, void *data);
typedef void (*loop_signal_fn)(struct loop_source *src, const struct signalfd_siginfo *si,
                               void *data);
/* status is waitpid(2)'s. The child is reaped when this is called. */
typedef void (*loop_child_fn)(struct loop_source *src, pid_t pid, int status, void *data);

int loop_new(struct loop **out, struct error *err);
void loop_free(struct loop *loop); /* frees its sources; closes none of the callers' descriptors */
DEFINE_CLEANUP(struct loop, loop, loop_free)
#define _cleanup_loop_ _cleanup_(cleanup_loop)

/* events: EPOLLIN | EPOLLOUT, level triggered. The descriptor stays the caller's
 * and must outlive the source. */
int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *data,
                struct loop_source **out, struct error *err);
int loop_set_events(struct loop_source *src, uint32_t events);

/* Fires once, `ms` from now; loop_set_timer() arms it again, which takes no memory. LOOP_NEVER: not
 * until then. */
#define LOOP_NEVER UINT64_MAX
int loop_add_timer(struct loop *loop, uint64_t ms, loop_timer_fn fn, void *data,
                   struct loop_source **out, struct error *err);
int loop_set_timer(struct loop_source *src, uint64_t ms);

/* Blocks the signal for the process and delivers it here. */
int loop_add_signal(struct loop *loop, int signo, loop_signal_fn fn, void *data,
                    struct loop_source **out, struct error *err);

/* Children. With an `orphan` callback the loop reaps every child (PID 1, subreapers):
 * the watcher of that pid is called, or else `orphan` with a NULL source. Without one
 * only watched children are reaped. A child's source is spent once called: free it. */
int loop_watch_children(struct loop *loop, loop_child_fn orphan, void *data, struct error *err);
int loop_add_child(struct loop *loop, pid_t pid, loop_child_fn fn, void *data,
                   struct loop_source **out, struct error *err);

/* A source made for pid 0 watches nobody until it is told whom. Takes no memory. */
void loop_set_child(struct loop_source *src, pid_t pid);

/* Runs fn once after the present callback returns. */
int loop_defer(struct loop *loop, void (*fn)(void *data), void *data);

/* Frees a source (NULL is fine); its callback will not be called again. */
void loop_source_free(struct loop_source *src);

/* Runs until loop_exit(); returns its value, or a negative errno value. */
int loop_run(struct loop *loop, struct error *err);
void loop_exit(struct loop *loop, int value);

/* A non-blocking eventfd(2), by which other threads wake a loop. Signalling never waits: when it is
 * full the other side has one to take already. Taking takes all; false: there was none. */
void loop_event_signal(int event_fd);
bool loop_event_take(int event_fd);

uint64_t loop_now_ns(void); /* CLOCK_MONOTONIC */
uint64_t loop_now_ms(void);
