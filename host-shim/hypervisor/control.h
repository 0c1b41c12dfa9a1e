/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control: asking the built-in monitor of a guest that runs to change its machine.
 *
 * The monitor listens on a socket in the guest's runtime folder, for who may enter that. A
 * connection is one request, with a descriptor where it needs one, and one answer: fixed messages
 * between processes of one program on one host. The monitor opens nothing by name.
 */
#pragma once

#include <stdint.h>

#include "host-shim/vmm/devices/blk.h"
#include "lib/base/error.h"

#define CONTROL_SOCKET   "control"
#define CONTROL_ID_MAX   BLK_SERIAL_MAX /* bytes: the guest sees a disk's as its serial number */
#define CONTROL_TEXT_MAX 4096
#define CONTROL_VERSION  2u

enum control_verb {
	CONTROL_ATTACH, /* with a descriptor: answers the number of the slot */
	CONTROL_DETACH, /* -EBUSY: the guest's driver has it, and there is no CONTROL_FORCE */
	CONTROL_FIND,   /* the number of the slot that `id` is in */
	CONTROL_LIST,   /* as text: "ID KIND SLOT" and " read-only" or " down", a line each */
	CONTROL_RESIZE, /* to `size`: answers what the guest has now; it follows by and by */
	CONTROL_MEMORY, /* what it has now */
	CONTROL_VERBS
};

enum control_kind {
	CONTROL_DISK, /* a file or block device */
	CONTROL_PMEM, /* a file, mapped read-only into the guest */
	CONTROL_FS,   /* a vhost-user back end of a file system; `id` is its tag */
	CONTROL_USER, /* a network: a stream to passt; a guest has one at most */
	CONTROL_TAP,  /* a network: a tap interface */
	CONTROL_KINDS
};

#define CONTROL_READONLY 1u
#define CONTROL_FORCE    2u
#define CONTROL_NETWORKS 4u /* of CONTROL_FIND, _DETACH and _LIST: networks, not volumes */

struct control_request {
	uint32_t version, verb, kind, flags;
	uint64_t size;                /* bytes of memory */
	uint8_t mac[6];               /* of a network, as the next */
	uint16_t mtu;                 /* of a tap; 0: the guest is not told */
	char id[CONTROL_ID_MAX + 12]; /* ends with a NUL */
};

struct control_answer {
	int32_t result; /* negative: -errno, and `text` is the line that says it */
	uint32_t kind;  /* of an error: enum error_kind */
	uint64_t value;
	char text[CONTROL_TEXT_MAX]; /* ends with a NUL */
};

/* Makes the listening socket at `path`: a descriptor. */
int control_bind(const char *path, struct error *err);

/* Asks the guest whose runtime folder it is, and waits; fd -1: none goes with it. An answer that is
 * an error is one here, with its text. -ENOTSUP: the guest has no such monitor. */
int control_ask(const char *runtime_dir, const struct control_request *request, int fd,
                struct control_answer *answer, struct error *err);

/* Letters, digits, "-", "_" and ".", 1 to CONTROL_ID_MAX. */
int control_check_id(const char *id, struct error *err);
/* "disk", "pmem", "fs", "user", "tap". */
const char *control_kind_name(enum control_kind kind);
