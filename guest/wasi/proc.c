/* SPDX-License-Identifier: Apache-2.0 */
/* proc: arguments, environment, the end, signals. */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/wasi/errno.h"
#include "guest/wasi/memory.h"
#include "lib/base/bytes.h"

static uint32_t count_strings(char *const *strings, uint64_t *bytes)
{
	uint32_t n = 0;

	*bytes = 0;
	for (; strings[n]; n++)
		*bytes += strlen(strings[n]) + 1;
	return n;
}

static uint32_t put_sizes(const struct wasi *w, char *const *strings, uint32_t count, uint32_t size)
{
	uint64_t bytes;
	uint32_t n = count_strings(strings, &bytes), e;

	if (bytes > UINT32_MAX)
		return WASI_OVERFLOW;
	e = wasi_put_u32(w, count, n);
	return e != WASI_SUCCESS ? e : wasi_put_u32(w, size, (uint32_t)bytes);
}

static uint32_t put_strings(const struct wasi *w, char *const *strings, uint32_t pointers,
                            uint32_t buf)
{
	uint64_t bytes;
	uint32_t n = count_strings(strings, &bytes);
	uint8_t *text = wasi_bytes(w, buf, bytes);
	uint8_t *p = wasi_bytes(w, pointers, n * UINT64_C(4));

	/* All or nothing: neither wraps round where the memory is of all 4 GiB. */
	if (!text || !p)
		return WASI_FAULT;
	for (uint32_t i = 0; i < n; i++, p += 4) {
		size_t size = strlen(strings[i]) + 1;

		put_le32(p, buf);
		memcpy(text, strings[i], size);
		text += size;
		buf += (uint32_t)size;
	}
	return WASI_SUCCESS;
}

uint32_t wasi_args_sizes_get(struct wasi *w, uint32_t count, uint32_t size)
{
	return put_sizes(w, w->argv, count, size);
}

uint32_t wasi_args_get(struct wasi *w, uint32_t argv, uint32_t buf)
{
	return put_strings(w, w->argv, argv, buf);
}

uint32_t wasi_environ_sizes_get(struct wasi *w, uint32_t count, uint32_t size)
{
	return put_sizes(w, w->envp, count, size);
}

uint32_t wasi_environ_get(struct wasi *w, uint32_t envp, uint32_t buf)
{
	return put_strings(w, w->envp, envp, buf);
}

uint32_t wasi_sched_yield(struct wasi *w)
{
	return wasi_result(sched_yield());
}

uint32_t wasi_proc_exit(struct wasi *w, uint32_t code)
{
	/* A status has 8 bits. What is not 0 must not become 0. */
	_exit(code != 0 && (code & 0xff) == 0 ? 0xff : (int)(code & 0xff));
}

uint32_t wasi_proc_raise(struct wasi *w, uint32_t sig)
{
	static const int signals[] = {
	    0,       SIGHUP,    SIGINT,  SIGQUIT,  SIGILL,  SIGTRAP, SIGABRT, SIGBUS,
	    SIGFPE,  SIGKILL,   SIGUSR1, SIGSEGV,  SIGUSR2, SIGPIPE, SIGALRM, SIGTERM,
	    SIGCHLD, SIGCONT,   SIGSTOP, SIGTSTP,  SIGTTIN, SIGTTOU, SIGURG,  SIGXCPU,
	    SIGXFSZ, SIGVTALRM, SIGPROF, SIGWINCH, SIGPOLL, SIGPWR,  SIGSYS,
	};

	if (sig >= sizeof(signals) / sizeof(*signals))
		return WASI_INVAL;
	if (sig == 0)
		return WASI_SUCCESS;
	/* Ours (SIGPIPE, SIGSEGV, SIGBUS, SIGFPE) are for the module's own memory and writes. */
	signal(signals[sig], SIG_DFL);
	return wasi_result(kill(getpid(), signals[sig]));
}
