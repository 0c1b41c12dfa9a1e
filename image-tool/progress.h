/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress: the steps of long work, a line each on standard error.
 *
 * On a terminal the line of the step at hand has a bar, drawn by a thread from what is in the stage
 * so far, or from a number; elsewhere, and with TERM=dumb, lines are plain. No colours are used
 * (NO_COLOR is always kept).
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "image-tool/stage.h"

struct progress {
	bool quiet, terminal;
	bool drawing; /* the thread runs */
	bool stop;    /* under the mutex */
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	char line[96];
	const char *dir; /* whose files grow; NULL: there is a counter */
	const atomic_uint_fast64_t *counter;
	uint64_t expected; /* bytes */
};

void progress_init(struct progress *p, bool quiet);
/* The next step begins. `expected` bytes will be added to the stage's files; 0: no bar, as for
 * what draws one itself. */
void progress_step(struct progress *p, const char *what, const char *detail,
                   const struct stage *stage, uint64_t expected);
/* The same, of a number that grows from 0. */
void progress_count(struct progress *p, const char *what, const char *detail,
                    const atomic_uint_fast64_t *counter, uint64_t expected);
/* All steps are over. */
void progress_end(struct progress *p);
