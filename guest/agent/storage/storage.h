/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage: what the host asks to be mounted before containers start (A "Storage" of the
 * agent protocol), counted by mount point over all containers.
 *
 * A driver first says what device to wait for, then mounts in a helper. Nothing is left
 * mounted when it fails.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/agent/sandbox.h"
#include "lib/rpc/proto/agent.pb-c.h"

struct storage {
	struct storage *next;
	char *mount_point;
	unsigned int refs;
	bool shared;  /* survives its last container */
	bool mounted; /* else only a directory: nothing to unmount */
	/* image_guest_pull: layers below, scratch space, and what the image says. */
	struct image_root *image;
	/* Several layers: where they are mounted; NULL otherwise. */
	char *layers;
	char *root_hash;                 /* of what dm-verity protects; "": nothing is */
	struct storage_refresh *refresh; /* NULL: what was mounted stays as it is */
	struct helper *undo;             /* unmounts it, whatever memory is left then */
	void (*dropped)(void *data);
	void *data;
};

struct storage_job;

/* result 0: *storage has a reference for the caller. Otherwise err says why and nothing is left. */
typedef void (*storage_done_fn)(int result, struct storage *storage, const struct error *err,
                                void *data);

/* The storages of a request, one after the other. The layers of a root file system, wherever they
 * are in it, are one storage. */
struct storage_list {
	Grpc__Storage *const *v;
	size_t n, next;
	bool had_layers;
};

/* Is there something left to add? */
bool storage_list_more(struct storage_list *list);

/* Adds what comes next, of a list of which storage_list_more() is true. The request must stay until
 * done is called, which never happens from within. container_id "": of the sandbox. */
int storage_add(struct sandbox *s, struct storage_list *list, const char *container_id,
                storage_done_fn done, void *data, struct storage_job **out, struct error *err);
/* Makes it end soon: done is called with an error, and nothing is left. NULL is fine. */
void storage_cancel(struct storage_job *job);

/* Gives a reference back. True: it was the last, the storage is being unmounted in a helper, and
 * done (may be NULL) runs after that, never from within. False: there is nothing to wait for. */
bool storage_drop(struct sandbox *s, struct storage *storage, void (*done)(void *data), void *data);

/* Remounts what is there (UpdateEphemeralMounts): runs in a helper. */
int storage_remount_ephemeral(const Grpc__Storage *request, struct error *err);

/* Names of all drivers, NULL-terminated, for GetGuestDetails. */
const char *const *storage_driver_names(void);
