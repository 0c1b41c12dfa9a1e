/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uevent: devices coming and going, as the kernel tells it.
 *
 * The socket is opened before the first request is served, so that no event is missed: events are
 * kept by device path (UEVENTS_MAX_KEPT, the oldest go first), and a wait looks at those first,
 * then at sysfs (a device that was there from the start had no event), then waits. Only messages
 * of the kernel count. Memory blocks that appear are brought online at once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

#define UEVENT_MAX       8192 /* bytes of a message; the kernel's buffer is 2048 */
#define UEVENTS_MAX_KEPT 512

struct uevent {
	const char *action;    /* "add", "remove", "change", ... */
	const char *devpath;   /* "/devices/...", without /sys */
	const char *subsystem; /* "" when absent, as below */
	const char *devname;   /* "vda", without /dev */
	const char *devtype;
	const char *interface; /* of a network link */
};

/* Takes one message apart; the strings point into `data`, which must outlive *out. -EBADMSG when
 * it is not "ACTION@DEVPATH" followed by KEY=VALUE strings, each ended by NUL, naming the same
 * action and path. */
int uevent_parse(struct uevent *out, const uint8_t *data, size_t size);

struct uevents;
struct uevent_waiter;

/* sysfs is "/sys" but for tests; copied. */
int uevents_new(struct uevents **out, struct loop *loop, const char *sysfs, struct error *err);
void uevents_free(struct uevents *u);
DEFINE_CLEANUP(struct uevents, uevents, uevents_free)
#define _cleanup_uevents_ _cleanup_(cleanup_uevents)

/* What a wait is for: both are given the waiter's `match_data`. */
struct uevent_matcher {
	/* Is this (added) device the one? */
	bool (*match)(const struct uevent *ev, const void *match_data, const char *sysfs);
	/* Is it in sysfs already? Writes its name ("vda", "eth0") of at most room - 1 bytes and
	 * returns 0, or -ENOENT. May be NULL. */
	int (*lookup)(const void *match_data, const char *sysfs, char *name, size_t room);
	/* Makes the kernel look for it when it is not there yet; called in a helper, may block
	 * there. May be NULL. */
	int (*prompt)(const void *match_data, const char *sysfs, struct error *err);
};

/* name: devname, or the network link's name; NULL unless result is 0. result: 0, -ETIMEDOUT. */
typedef void (*uevent_done_fn)(int result, const char *name, void *data);

/* Calls done once, never from inside this call. match_data (match_size bytes) is copied. */
int uevents_wait(struct uevents *u, const struct uevent_matcher *m, const void *match_data,
                 size_t match_size, uint64_t timeout_ms, uevent_done_fn done, void *data,
                 struct uevent_waiter **out, struct error *err);
/* done will not be called. NULL is fine; not for a waiter whose done was called. */
void uevent_waiter_cancel(struct uevent_waiter *w);
/* The time of all waits that were given `data` is up: done is called soon, never from inside this
 * call. Takes no memory. */
void uevents_hurry(struct uevents *u, const void *data);

/* As the socket does, for a message that came from elsewhere (tests). */
void uevents_feed(struct uevents *u, const uint8_t *data, size_t size);
