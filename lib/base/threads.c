/* SPDX-License-Identifier: Apache-2.0 */
/* threads: the same function on several threads, until all have returned. */
#include "threads.h"

#include <pthread.h>

int threads_run(size_t want, void *(*fn)(void *data), void *data, struct error *err)
{
	pthread_t threads[THREADS_MAX];
	pthread_attr_t attr;
	size_t n = 0;
	int r = 0;

	if (want > THREADS_MAX)
		want = THREADS_MAX;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREADS_STACK);
	while (n < want && !(r = pthread_create(&threads[n], &attr, fn, data)))
		n++;
	pthread_attr_destroy(&attr);
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	return n == 0 && want > 0 ? error_errno(err, r, "cannot start a thread") : 0;
}
