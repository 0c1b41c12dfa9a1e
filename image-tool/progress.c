/* SPDX-License-Identifier: Apache-2.0 */
/* progress: lines, and a thread that draws a bar behind the last. */
#include "image-tool/progress.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

#define DRAW_MS   200
#define BAR_CELLS 20

static uint64_t bytes_in(const char *dir)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	const struct dirent *e;
	uint64_t sum = 0;
	struct stat st;

	while (d && (e = readdir(d)))
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_blocks * 512;
	return sum;
}

static uint64_t bytes_now(const struct progress *p)
{
	return p->dir ? bytes_in(p->dir) : atomic_load(p->counter);
}

static void draw(const struct progress *p, uint64_t begun)
{
	uint64_t now = bytes_now(p), done = now > begun ? now - begun : 0;
	unsigned int cells;
	char bar[BAR_CELLS + 1];

	done = done < p->expected ? done : p->expected;
	cells = (unsigned int)(done / (p->expected / BAR_CELLS + 1));
	memset(bar, '-', BAR_CELLS);
	memset(bar, '#', cells);
	bar[BAR_CELLS] = 0;
	fprintf(stderr, "\r\033[K%s  [%s] %" PRIu64 " of %" PRIu64 " MiB", p->line, bar, done >> 20,
	        p->expected >> 20);
}

static void *draw_until_stopped(void *data)
{
	struct progress *p = data;
	uint64_t begun = p->dir ? bytes_in(p->dir) : 0;

	pthread_mutex_lock(&p->mutex);
	while (!p->stop) {
		struct timespec at;

		clock_gettime(CLOCK_REALTIME, &at);
		at.tv_nsec += DRAW_MS * 1000000L;
		at.tv_sec += at.tv_nsec / 1000000000L;
		at.tv_nsec %= 1000000000L;
		pthread_cond_timedwait(&p->wake, &p->mutex, &at);
		if (!p->stop)
			draw(p, begun);
	}
	pthread_mutex_unlock(&p->mutex);
	return NULL;
}

/* Signals are for the thread that works. */
static void start_drawing(struct progress *p)
{
	sigset_t all, before;

	p->stop = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	p->drawing = pthread_create(&p->thread, NULL, draw_until_stopped, p) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void progress_init(struct progress *p, bool quiet)
{
	const char *term = getenv("TERM");

	*p = (struct progress){
	    .quiet = quiet,
	    .terminal = isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0,
	    .mutex = PTHREAD_MUTEX_INITIALIZER,
	    .wake = PTHREAD_COND_INITIALIZER,
	};
}

void progress_end(struct progress *p)
{
	if (!p->drawing)
		return;
	pthread_mutex_lock(&p->mutex);
	p->stop = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->mutex);
	pthread_join(p->thread, NULL);
	p->drawing = false;
	fprintf(stderr, "\r\033[K%s\n", p->line);
}

static void begin(struct progress *p, const char *what, const char *detail, bool bar)
{
	if (p->quiet)
		return;
	snprintf(p->line, sizeof(p->line), "  %-8s %s", what, detail);
	if (!p->terminal || !bar) {
		fprintf(stderr, "%s\n", p->line);
		return;
	}
	fputs(p->line, stderr);
	start_drawing(p);
}

void progress_step(struct progress *p, const char *what, const char *detail,
                   const struct stage *stage, uint64_t expected)
{
	progress_end(p);
	p->dir = stage->path;
	p->expected = expected;
	begin(p, what, detail, expected > 0 && stage->path);
}

void progress_count(struct progress *p, const char *what, const char *detail,
                    const atomic_uint_fast64_t *counter, uint64_t expected)
{
	progress_end(p);
	p->dir = NULL;
	p->counter = counter;
	p->expected = expected;
	begin(p, what, detail, expected > 0);
}
