/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox_container: one container of the sandbox: the engine's object, its processes,
 * the storages it holds, its OOM watch and its removal.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "guest/agent/call_queue.h"
#include "guest/agent/container/container.h"
#include "guest/agent/sandbox.h"
#include "guest/agent/sandbox_process.h"

struct storage;
struct pci_name;

enum sandbox_container_state {
	SANDBOX_CONTAINER_CREATING, /* storages, then the engine */
	SANDBOX_CONTAINER_CREATED,
	SANDBOX_CONTAINER_STARTED,
	SANDBOX_CONTAINER_REMOVING,
};

struct container_storage {
	struct container_storage *next;
	struct storage *storage;
};

struct sandbox_container {
	struct sandbox_container *next;
	struct sandbox *sandbox;
	char *id;
	char *name; /* in its pod, by annotation; NULL: it has none */
	enum sandbox_container_state state;
	struct container *engine;          /* NULL until created */
	struct sandbox_process *processes; /* of which init is one, while it was not waited for */
	struct container_storage *storages;
	char *termination_log; /* path in the guest of annotation terminationMessagePath, or NULL */
	struct pci_name *pci_names; /* of its VFIO devices */
	size_t n_pci_names;
	int oom_fd;
	struct loop_source *oom_source;
	uint64_t oom_kills;
	struct container_removal *removal; /* made ready with the container */
	/* While it is being created: makes the creation fail soon, which removes it. */
	void (*cancel)(void *data);
	void *cancel_data;
	void *adding; /* of container_devices_add(), or NULL */
};

/* Makes the (empty) container and puts it into the sandbox. -EEXIST, -EINVAL, -ENOSPC. */
int sandbox_container_new(struct sandbox *s, const char *id, struct sandbox_container **out,
                          struct error *err);
/* -ENOENT with a text, also for one that is being removed. */
int sandbox_container_find(struct sandbox *s, const char *id, struct sandbox_container **out,
                           struct error *err);
/* exec_id "" and the container's id are the init process. -ENOENT. */
int sandbox_container_process(struct sandbox_container *c, const char *exec_id,
                              struct sandbox_process **out, struct error *err);
/* Both at once. */
int sandbox_find_process(struct sandbox *s, const char *id, const char *exec_id,
                         struct sandbox_process **out, struct error *err);

/* The container holds the storage from now on: released on removal. -ENOMEM. */
int sandbox_container_hold(struct sandbox_container *c, struct storage *storage, struct error *err);

/* Tells the sandbox of OOM kills from now on. */
int sandbox_container_watch_oom(struct sandbox_container *c, struct error *err);
/* Tells it now of those that nobody has noticed: what ended a process comes before its status. */
void sandbox_container_check_oom(struct sandbox_container *c);

/* Kills, destroys, runs poststop hooks, unmounts, removes the bundle, frees. Needs no memory for
 * the first caller without a timeout. done (may be NULL) is called once, with -ETIME when
 * timeout_ms (0: none) passed first, in which case the removal goes on. Several may wait. */
typedef void (*sandbox_removed_fn)(int result, const struct error *err, void *data);
int sandbox_container_remove(struct sandbox_container *c, uint64_t timeout_ms,
                             sandbox_removed_fn done, void *data, struct error *err);
