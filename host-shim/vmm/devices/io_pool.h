/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_pool: a few threads for what can block on storage, so that the thread of the loop never does.
 *
 * A job is worked on by some thread, in no order, and finished on the loop. One pool serves
 * all devices of a machine; the threads are started with it, before a jail closes.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

#define IO_POOL_THREADS_MAX 16

struct io_pool;

/* The first member of a device's own job. Must live until done() was called. */
struct io_job {
	void (*work)(
	    struct io_job *job); /* on a thread of the pool: system calls, nothing shared */
	void (*done)(struct io_job *job); /* on the loop's thread; may free the job */
	const void *owner;                /* for io_pool_wait() */
	struct io_job *next;              /* the pool's */
};

/* threads 0: jobs are worked on where they are submitted (tests and fuzzers want no threads). */
int io_pool_new(struct io_pool **out, struct loop *loop, unsigned int threads, struct error *err);
/* The same; each thread calls enter() first (its jail). When that fails the process ends: jobs
 * would be done outside. */
int io_pool_new_entered(struct io_pool **out, struct loop *loop, unsigned int threads,
                        int (*enter)(void), struct error *err);
/* Waits for what is being worked on; done() of what is left is called. NULL is fine. */
void io_pool_free(struct io_pool *pool);
DEFINE_CLEANUP(struct io_pool, io_pool, io_pool_free)
#define _cleanup_io_pool_ _cleanup_(cleanup_io_pool)

void io_pool_submit(struct io_pool *pool, struct io_job *job);

/* Blocks until none of the owner's jobs is left, done() called for each: the memory they
 * read or write is theirs no more. Takes as long as the storage takes. */
void io_pool_wait(struct io_pool *pool, const void *owner);
