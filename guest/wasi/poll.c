/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll: waits for descriptors and clocks at once.
 *
 * Every subscription that is due when the wait ends gives an event; one that cannot be waited for
 * gives an event with its error at once (witx, poll_oneoff).
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "guest/wasi/errno.h"
#include "guest/wasi/filestat.h"
#include "guest/wasi/memory.h"
#include "guest/wasi/table.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"

/* Subscriptions of one call. */
#define SUBSCRIPTIONS_MAX 4096
#define NS_PER_S          UINT64_C(1000000000)
#define NEVER             UINT64_MAX

struct subscription {
	uint64_t userdata, deadline; /* of CLOCK_MONOTONIC */
	uint32_t error;
	uint8_t type;
};

static uint64_t now(clockid_t clock)
{
	struct timespec ts = {0};

	clock_gettime(clock, &ts);
	return wasi_timestamp(&ts);
}

/* A time of the given clock as one of CLOCK_MONOTONIC. */
static uint32_t clock_deadline(const uint8_t *s, uint64_t *deadline)
{
	uint32_t id = get_le32(s + 16);
	uint64_t timeout = get_le64(s + 24), mono = now(CLOCK_MONOTONIC), t;
	uint16_t flags = get_le16(s + 40);

	if (id > WASI_CLOCK_THREAD || flags & ~WASI_CLOCK_ABSTIME)
		return WASI_INVAL;
	if (id > WASI_CLOCK_MONOTONIC)
		return WASI_NOTSUP;
	if (flags & WASI_CLOCK_ABSTIME) {
		t = id == WASI_CLOCK_MONOTONIC ? mono : now(CLOCK_REALTIME);
		timeout = timeout > t ? timeout - t : 0;
	}
	*deadline = __builtin_add_overflow(mono, timeout, &t) ? NEVER : t;
	return WASI_SUCCESS;
}

static uint32_t subscribe(const struct wasi *w, const uint8_t *s, struct subscription *sub,
                          struct pollfd *pfd)
{
	uint64_t rights = WASI_RIGHT_POLL_FD_READWRITE;
	struct wasi_fd *f;
	uint32_t e;

	*sub = (struct subscription){get_le64(s), NEVER, WASI_SUCCESS, s[8]};
	*pfd = (struct pollfd){.fd = -1};
	if (sub->type == WASI_EVENT_CLOCK)
		return clock_deadline(s, &sub->deadline);
	if (sub->type > WASI_EVENT_FD_WRITE)
		return WASI_INVAL;
	/* witx, rights: to wait for what one may not do is no right. */
	rights |= sub->type == WASI_EVENT_FD_READ ? WASI_RIGHT_FD_READ : WASI_RIGHT_FD_WRITE;
	e = wasi_fd_get(w, get_le32(s + 16), rights, &f);
	if (e != WASI_SUCCESS)
		return e;
	pfd->fd = f->fd;
	pfd->events = sub->type == WASI_EVENT_FD_READ ? POLLIN : POLLOUT;
	return WASI_SUCCESS;
}

/* Bytes that can be read at once; of what cannot be asked (a listening socket) at least one. */
static uint64_t readable(int fd)
{
	struct stat st;
	int n = 0;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		off_t at = lseek(fd, 0, SEEK_CUR);

		return at >= 0 && at < st.st_size ? (uint64_t)(st.st_size - at) : 0;
	}
	return ioctl(fd, FIONREAD, &n) == 0 ? (uint64_t)n : 1;
}

static void put_event(uint8_t *p, const struct subscription *sub, const struct pollfd *pfd)
{
	memset(p, 0, WASI_EVENT_SIZE);
	put_le64(p, sub->userdata);
	put_le16(p + 8, (uint16_t)sub->error);
	p[10] = sub->type;
	if (sub->error != WASI_SUCCESS || pfd->fd < 0)
		return;
	if (sub->type == WASI_EVENT_FD_READ)
		put_le64(p + 16, readable(pfd->fd));
	if (pfd->revents & (POLLHUP | POLLERR))
		put_le16(p + 24, WASI_EVENT_HANGUP);
}

/* Waits until the deadline (NEVER: for ever); a past one only looks. */
static uint32_t wait_until(struct pollfd *fds, uint32_t n, uint64_t deadline)
{
	for (;;) {
		uint64_t t = now(CLOCK_MONOTONIC), left = deadline > t ? deadline - t : 0;
		struct timespec ts = {(time_t)(left / NS_PER_S), (long)(left % NS_PER_S)};
		int r = ppoll(fds, n, deadline == NEVER ? NULL : &ts, NULL);

		if (r >= 0)
			return WASI_SUCCESS;
		if (errno != EINTR)
			return wasi_errno(errno);
	}
}

uint32_t wasi_poll_oneoff(struct wasi *w, uint32_t in, uint32_t out, uint32_t n, uint32_t n_out)
{
	_cleanup_free_ struct subscription *subs = NULL;
	_cleanup_free_ struct pollfd *fds = NULL;
	const uint8_t *s = wasi_bytes(w, in, (uint64_t)n * WASI_SUBSCRIPTION_SIZE);
	uint8_t *events = wasi_bytes(w, out, (uint64_t)n * WASI_EVENT_SIZE);
	uint64_t first = NEVER, t;
	uint32_t e, ready = 0;

	if (n == 0 || n > SUBSCRIPTIONS_MAX)
		return WASI_INVAL;
	if (!s || !events || !wasi_bytes(w, n_out, sizeof(uint32_t)))
		return WASI_FAULT;
	subs = calloc(n, sizeof(*subs));
	fds = calloc(n, sizeof(*fds));
	if (!subs || !fds)
		return WASI_NOMEM;
	for (uint32_t i = 0; i < n; i++) {
		subs[i].error = subscribe(w, s + i * WASI_SUBSCRIPTION_SIZE, &subs[i], &fds[i]);
		t = subs[i].error != WASI_SUCCESS ? 0 : subs[i].deadline;
		first = t < first ? t : first;
	}
	e = wait_until(fds, n, first);
	if (e != WASI_SUCCESS)
		return e;
	t = now(CLOCK_MONOTONIC);
	for (uint32_t i = 0; i < n; i++)
		if (subs[i].error != WASI_SUCCESS || fds[i].revents != 0 || subs[i].deadline <= t)
			put_event(events + ready++ * WASI_EVENT_SIZE, &subs[i], &fds[i]);
	return wasi_put_u32(w, n_out, ready);
}
