/* SPDX-License-Identifier: Apache-2.0 */
/* io_pool: threads that work on jobs, a mutex round two lists, an eventfd to the loop. */
#include "io_pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STACK_SIZE (64u * 1024) /* bytes: a job is a few system calls */

struct job_list {
	struct io_job *first, **last;
};

struct worker {
	struct io_pool *pool;
	pthread_t thread;
	const void *owner; /* of the job in hand; NULL: idle */
};

struct io_pool {
	pthread_mutex_t lock;
	pthread_cond_t work_there, work_done;
	struct job_list todo, done;
	struct worker workers[IO_POOL_THREADS_MAX];
	unsigned int n_workers;
	int (*enter)(void); /* may be NULL */
	bool stop;
	int event_fd;
	struct loop_source *src;
};

static void list_init(struct job_list *l)
{
	l->first = NULL;
	l->last = &l->first;
}

static void list_add(struct job_list *l, struct io_job *job)
{
	job->next = NULL;
	*l->last = job;
	l->last = &job->next;
}

static struct io_job *list_take(struct job_list *l)
{
	struct io_job *job = l->first;

	if (!job)
		return NULL;
	l->first = job->next;
	if (!l->first)
		l->last = &l->first;
	return job;
}

/* Takes the owner's jobs (NULL: all) out of one list, into another. */
static void list_move(struct job_list *from, const void *owner, struct job_list *to)
{
	struct job_list keep;
	struct io_job *job;

	list_init(&keep);
	while ((job = list_take(from)))
		list_add(!owner || job->owner == owner ? to : &keep, job);
	list_init(from);
	while ((job = list_take(&keep)))
		list_add(from, job);
}

static bool list_has(const struct job_list *l, const void *owner)
{
	for (const struct io_job *job = l->first; job; job = job->next)
		if (job->owner == owner)
			return true;
	return false;
}

static void finish_all(struct job_list *l)
{
	struct io_job *job;

	while ((job = list_take(l)))
		job->done(job);
}

/* With the lock held. */
static void add_done(struct io_pool *pool, struct io_job *job)
{
	bool first = !pool->done.first;

	list_add(&pool->done, job);
	if (first)
		loop_event_signal(pool->event_fd);
}

static void *worker_main(void *data)
{
	struct worker *w = data;
	struct io_pool *pool = w->pool;

	if (pool->enter && pool->enter() < 0)
		_exit(1);
	pthread_mutex_lock(&pool->lock);
	while (!pool->stop) {
		struct io_job *job = list_take(&pool->todo);

		if (!job) {
			pthread_cond_wait(&pool->work_there, &pool->lock);
			continue;
		}
		w->owner = job->owner;
		pthread_mutex_unlock(&pool->lock);
		job->work(job);
		pthread_mutex_lock(&pool->lock);
		w->owner = NULL;
		add_done(pool, job);
		pthread_cond_broadcast(&pool->work_done);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void on_done(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct io_pool *pool = data;
	struct job_list mine;

	if (!loop_event_take(fd))
		return;
	list_init(&mine);
	pthread_mutex_lock(&pool->lock);
	list_move(&pool->done, NULL, &mine);
	pthread_mutex_unlock(&pool->lock);
	finish_all(&mine);
}

void io_pool_submit(struct io_pool *pool, struct io_job *job)
{
	if (pool->n_workers == 0)
		job->work(job);
	pthread_mutex_lock(&pool->lock);
	if (pool->n_workers == 0) {
		add_done(pool, job);
	} else {
		list_add(&pool->todo, job);
		pthread_cond_signal(&pool->work_there);
	}
	pthread_mutex_unlock(&pool->lock);
}

static bool busy(const struct io_pool *pool, const void *owner)
{
	for (unsigned int i = 0; i < pool->n_workers; i++)
		if (pool->workers[i].owner == owner)
			return true;
	return list_has(&pool->todo, owner);
}

void io_pool_wait(struct io_pool *pool, const void *owner)
{
	struct job_list mine;

	list_init(&mine);
	pthread_mutex_lock(&pool->lock);
	while (busy(pool, owner))
		pthread_cond_wait(&pool->work_done, &pool->lock);
	list_move(&pool->done, owner, &mine);
	pthread_mutex_unlock(&pool->lock);
	finish_all(&mine);
}

static int start_worker(struct io_pool *pool, struct error *err)
{
	struct worker *w = &pool->workers[pool->n_workers];
	pthread_attr_t attr;
	int r;

	w->pool = pool;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	r = pthread_create(&w->thread, &attr, worker_main, w);
	pthread_attr_destroy(&attr);
	if (r != 0)
		return error_errno(err, r, "starting a thread for storage");
	pthread_mutex_lock(&pool->lock);
	pool->n_workers++;
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

int io_pool_new(struct io_pool **out, struct loop *loop, unsigned int threads, struct error *err)
{
	return io_pool_new_entered(out, loop, threads, NULL, err);
}

int io_pool_new_entered(struct io_pool **out, struct loop *loop, unsigned int threads,
                        int (*enter)(void), struct error *err)
{
	_cleanup_io_pool_ struct io_pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (!pool)
		return error_set(err, ENOMEM, "no memory for the storage threads");
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work_there, NULL);
	pthread_cond_init(&pool->work_done, NULL);
	list_init(&pool->todo);
	list_init(&pool->done);
	pool->enter = enter;
	pool->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->event_fd < 0)
		return error_errno(err, errno, "eventfd of the storage threads");
	r = loop_add_fd(loop, pool->event_fd, EPOLLIN, on_done, pool, &pool->src, err);
	while (r == 0 && pool->n_workers < threads && pool->n_workers < IO_POOL_THREADS_MAX)
		r = start_worker(pool, err);
	if (r < 0)
		return r;
	*out = steal_ptr(&pool);
	return 0;
}

void io_pool_free(struct io_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work_there);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned int i = 0; i < pool->n_workers; i++)
		pthread_join(pool->workers[i].thread, NULL);
	list_move(&pool->todo, NULL, &pool->done);
	finish_all(&pool->done);
	loop_source_free(pool->src);
	close_fd(&pool->event_fd);
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->work_there);
	pthread_cond_destroy(&pool->work_done);
	free(pool);
}
