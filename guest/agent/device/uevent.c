/* SPDX-License-Identifier: Apache-2.0 */
/* uevent: the netlink socket, the events kept, and who waits for one. */
#include "uevent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/agent/device/mmio_slots.h"
#include "lib/base/fs.h"
#include "lib/base/helper.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

#define KERNEL_GROUP    1
#define RECEIVE_BYTES   (1 << 20) /* a burst of hot-plugged devices */
#define MESSAGES_A_TURN 64
#define NAME_MAX_BYTES  64
#define PROBE_MS        10000

/* A message as it came; its strings are found again by parsing. */
struct kept {
	struct kept *next; /* older */
	size_t size;
	uint8_t data[];
};

struct uevent_waiter {
	struct uevents *owner;
	struct uevent_waiter *next;
	const struct uevent_matcher *matcher;
	struct loop_source *timer;
	uevent_done_fn done;
	void *data;
	uint64_t deadline_ms;
	bool found;
	char name[NAME_MAX_BYTES];
	uint8_t match_data[] __attribute__((aligned(16)));
};

struct uevents {
	struct loop *loop;
	char *sysfs;
	int fd;
	struct loop_source *io;
	struct kept *kept; /* newest first */
	size_t n_kept;
	struct uevent_waiter *waiters;
};

/* ---------------------------------------------------------------- messages */
static const char *take_string(struct reader *r)
{
	const uint8_t *nul = memchr(r->p, '\0', reader_left(r));

	return nul ? (const char *)reader_bytes(r, (size_t)(nul - r->p) + 1) : NULL;
}

static const char *after(const char *s, const char *prefix)
{
	return str_starts(s, prefix) ? s + strlen(prefix) : NULL;
}

int uevent_parse(struct uevent *out, const uint8_t *data, size_t size)
{
	struct reader r = reader_init(data, size);
	const char *head = take_string(&r), *at, *s;
	const char *action = NULL, *devpath = NULL;
	struct uevent ev = {.subsystem = "", .devname = "", .devtype = "", .interface = ""};
	struct {
		const char *prefix, **value;
	} keys[] = {
	    {"ACTION=", &action},      {"DEVPATH=", &devpath},    {"SUBSYSTEM=", &ev.subsystem},
	    {"DEVNAME=", &ev.devname}, {"DEVTYPE=", &ev.devtype}, {"INTERFACE=", &ev.interface},
	};

	at = head ? strchr(head, '@') : NULL;
	if (!at)
		return -EBADMSG;
	while (reader_left(&r) > 0) {
		s = take_string(&r);
		if (!s)
			return -EBADMSG;
		for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
			if (after(s, keys[i].prefix))
				*keys[i].value = after(s, keys[i].prefix);
	}
	if (!action || !devpath || strcmp(devpath, at + 1) != 0 || devpath[0] != '/' ||
	    strlen(action) != (size_t)(at - head) || memcmp(action, head, strlen(action)) != 0)
		return -EBADMSG;
	ev.action = action;
	ev.devpath = devpath;
	*out = ev;
	return 0;
}

/* ---------------------------------------------------------------- what is kept */
static struct kept **find_kept(struct uevents *u, const char *devpath)
{
	struct kept **p = &u->kept;

	for (; *p; p = &(*p)->next) {
		struct uevent ev;

		if (uevent_parse(&ev, (*p)->data, (*p)->size) == 0 &&
		    strcmp(ev.devpath, devpath) == 0)
			break;
	}
	return p;
}

static void forget(struct uevents *u, struct kept **p)
{
	struct kept *k = *p;

	if (!k)
		return;
	*p = k->next;
	free(k);
	u->n_kept--;
}

static void keep(struct uevents *u, const struct uevent *ev, const uint8_t *data, size_t size)
{
	struct kept *k;

	forget(u, find_kept(u, ev->devpath));
	if (strcmp(ev->action, "remove") == 0)
		return;
	if (u->n_kept == UEVENTS_MAX_KEPT) {
		struct kept **last = &u->kept;

		while ((*last)->next)
			last = &(*last)->next;
		forget(u, last);
	}
	k = malloc(sizeof(*k) + size);
	/* Without memory the device is still found in sysfs. */
	if (!k)
		return;
	k->size = size;
	memcpy(k->data, data, size);
	k->next = u->kept;
	u->kept = k;
	u->n_kept++;
}

/* ---------------------------------------------------------------- waiters */
static void drop_waiter(struct uevent_waiter *w)
{
	struct uevent_waiter **p = &w->owner->waiters;

	while (*p && *p != w)
		p = &(*p)->next;
	if (*p)
		*p = w->next;
	loop_source_free(w->timer);
	free(w);
}

void uevent_waiter_cancel(struct uevent_waiter *w)
{
	if (w)
		drop_waiter(w);
}

void uevents_hurry(struct uevents *u, const void *data)
{
	for (struct uevent_waiter *w = u->waiters; w; w = w->next)
		if (w->data == data)
			(void)loop_set_timer(w->timer, 0);
}

/* By its timer, so that done() is never called from inside a call of its owner. */
static void found(struct uevent_waiter *w)
{
	w->found = true;
	if (loop_set_timer(w->timer, 0) < 0)
		log_warn("uevents: cannot set a timer");
}

static bool offer(struct uevent_waiter *w, const struct uevent *ev)
{
	const char *name = *ev->devname ? ev->devname : ev->interface;

	if (strcmp(ev->action, "remove") == 0 || strlen(name) >= sizeof(w->name) ||
	    !w->matcher->match(ev, w->match_data, w->owner->sysfs))
		return false;
	strcpy(w->name, name);
	found(w);
	return true;
}

static bool look_up(struct uevent_waiter *w)
{
	if (!w->matcher->lookup ||
	    w->matcher->lookup(w->match_data, w->owner->sysfs, w->name, sizeof(w->name)) < 0)
		return false;
	found(w);
	return true;
}

static void on_timer(struct loop_source *src, void *data)
{
	struct uevent_waiter *w = data;
	uevent_done_fn done = w->done;
	void *arg = w->data;
	/* One last look: an event may have been lost where memory was short. */
	bool ok = w->found || look_up(w);
	char name[NAME_MAX_BYTES];

	memcpy(name, w->name, sizeof(name));
	drop_waiter(w);
	done(ok ? 0 : -ETIMEDOUT, ok ? name : NULL, arg);
}

static void look_at_kept(struct uevents *u, struct uevent_waiter *w)
{
	for (struct kept *k = u->kept; k; k = k->next) {
		struct uevent ev;

		if (uevent_parse(&ev, k->data, k->size) == 0 && offer(w, &ev))
			return;
	}
	(void)look_up(w);
}

/* A device that was put into a slot is not seen before the slot is looked at again. */
static int probe_slots(void *data, void *out, struct error *err)
{
	return mmio_slots_probe(data, err);
}

static void look_at_slots(struct uevents *u)
{
	struct error err = ERROR_INIT;

	if (mmio_slots_empty(u->sysfs) && helper_run(u->loop, "looking for devices", probe_slots,
	                                             u->sysfs, PROBE_MS, NULL, NULL, &err) < 0)
		log_warn("uevents: %s", err.text);
}

static int prompt_in_helper(void *data, void *out, struct error *err)
{
	const struct uevent_waiter *w = data;

	return w->matcher->prompt(w->match_data, w->owner->sysfs, err);
}

/* The waiter may be gone by now. */
static void prompted(int result, const void *out, const struct error *err, void *data)
{
	if (result < 0)
		log_warn("uevents: %s", err->text);
}

int uevents_wait(struct uevents *u, const struct uevent_matcher *m, const void *match_data,
                 size_t match_size, uint64_t timeout_ms, uevent_done_fn done, void *data,
                 struct uevent_waiter **out, struct error *err)
{
	struct uevent_waiter *w = calloc(1, sizeof(*w) + match_size);
	int r;

	if (!w)
		return error_set(err, ENOMEM, "wait for a device: no memory");
	w->owner = u;
	w->matcher = m;
	w->done = done;
	w->data = data;
	memcpy(w->match_data, match_data, match_size);
	r = loop_add_timer(u->loop, timeout_ms, on_timer, w, &w->timer, err);
	if (r < 0) {
		free(w);
		return r;
	}
	w->next = u->waiters;
	u->waiters = w;
	look_at_kept(u, w);
	if (!w->found)
		look_at_slots(u);
	if (!w->found && m->prompt)
		r = helper_run(u->loop, "making the kernel look for a device", prompt_in_helper, w,
		               PROBE_MS, prompted, NULL, err);
	if (r < 0) {
		drop_waiter(w);
		return r;
	}
	if (out)
		*out = w;
	return 0;
}

/* ---------------------------------------------------------------- the socket */
/* Kernels that do not online new memory themselves leave it to user space. */
static void online_memory(const struct uevents *u, const struct uevent *ev)
{
	char path[512];

	if (strcmp(ev->subsystem, "memory") != 0 || strcmp(ev->action, "add") != 0)
		return;
	if (snprintf(path, sizeof(path), "%s%s/state", u->sysfs, ev->devpath) < (int)sizeof(path))
		/* Refused when it is online already. */
		(void)fs_write_string(AT_FDCWD, path, "online", NULL);
}

void uevents_feed(struct uevents *u, const uint8_t *data, size_t size)
{
	struct uevent ev;

	if (size > UEVENT_MAX || uevent_parse(&ev, data, size) < 0)
		return;
	online_memory(u, &ev);
	keep(u, &ev, data, size);
	for (struct uevent_waiter *w = u->waiters; w; w = w->next)
		if (!w->found)
			(void)offer(w, &ev);
}

/* Events were lost: sysfs knows what is there. */
static void after_overrun(struct uevents *u)
{
	log_warn("uevents: the kernel dropped events; looking into sysfs");
	for (struct uevent_waiter *w = u->waiters; w; w = w->next)
		if (!w->found)
			(void)look_up(w);
}

static void on_readable(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct uevents *u = data;
	uint8_t message[UEVENT_MAX];

	for (int i = 0; i < MESSAGES_A_TURN; i++) {
		struct sockaddr_nl from = {.nl_family = AF_UNSPEC};
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, message, sizeof(message), MSG_TRUNC,
		                     (struct sockaddr *)&from, &len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) {
			after_overrun(u);
			continue;
		}
		if (n < 0)
			return;
		/* Anybody with the right capability may send to the group; only the kernel has
		 * port 0. */
		if (from.nl_family == AF_NETLINK && from.nl_pid == 0 && (size_t)n <= UEVENT_MAX)
			uevents_feed(u, message, (size_t)n);
	}
}

static int open_socket(struct uevents *u, struct error *err)
{
	struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
	int bytes = RECEIVE_BYTES;

	u->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (u->fd < 0)
		return error_errno(err, errno, "open the uevent socket");
	/* FORCE needs CAP_NET_ADMIN; without it the ordinary limit must do. */
	if (setsockopt(u->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (bind(u->fd, (struct sockaddr *)&group, sizeof(group)) < 0)
		return error_errno(err, errno, "join the kernel's uevent group");
	return loop_add_fd(u->loop, u->fd, EPOLLIN, on_readable, u, &u->io, err);
}

int uevents_new(struct uevents **out, struct loop *loop, const char *sysfs, struct error *err)
{
	struct uevents *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return error_set(err, ENOMEM, "uevents: no memory");
	u->loop = loop;
	u->fd = -1;
	u->sysfs = strdup(sysfs);
	r = u->sysfs ? open_socket(u, err) : error_set(err, ENOMEM, "uevents: no memory");
	if (r < 0) {
		uevents_free(u);
		return r;
	}
	*out = u;
	return 0;
}

void uevents_free(struct uevents *u)
{
	if (!u)
		return;
	while (u->waiters)
		drop_waiter(u->waiters);
	while (u->kept)
		forget(u, &u->kept);
	loop_source_free(u->io);
	close_fd(&u->fd);
	free(u->sysfs);
	free(u);
}
