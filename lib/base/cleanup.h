/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cleanup: resources that leave with their scope.
 *
 * `_cleanup_(fn)` calls fn(&variable) at the end of the scope. Hand a resource
 * on with steal_fd() or steal_ptr(), which leave -1 or NULL behind.
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <errno.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define _cleanup_free_     _cleanup_(cleanup_free)
#define _cleanup_close_    _cleanup_(cleanup_close)
#define _cleanup_fclose_   _cleanup_(cleanup_fclose)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)

static inline int steal_fd(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

/* Closes *fd if open and leaves -1. */
static inline void close_fd(int *fd)
{
	cleanup_close(fd);
	*fd = -1;
}

#define steal_ptr(pp)                                                                              \
	({                                                                                         \
		__typeof__(*(pp)) _p = *(pp);                                                      \
		*(pp) = NULL;                                                                      \
		_p;                                                                                \
	})

/* Defines `static inline void cleanup_NAME(TYPE **p)` calling FN(*p). */
#define DEFINE_CLEANUP(TYPE, NAME, FN)                                                             \
	static inline void cleanup_##NAME(TYPE **p)                                                \
	{                                                                                          \
		FN(*p);                                                                            \
	}
