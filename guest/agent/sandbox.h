/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox: the one sandbox of a guest: its containers, storages and shared namespaces.
 *
 * A sandbox exists from the start of the agent; CreateSandbox names it and sets it up.
 * Everything here runs on the agent's loop. Who finds a container by id gets it until
 * the next return to the loop, not longer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/agent/agent_config.h"
#include "guest/agent/call_queue.h"
#include "guest/agent/device/uevent.h"
#include "guest/agent/net/net.h"
#include "lib/base/loop.h"
#include "lib/oci/runtime_spec.h"

#define SANDBOX_ROOT           "/run/kata-containers"
#define SANDBOX_SHARED_DIR     SANDBOX_ROOT "/shared/containers"
#define SANDBOX_DIR            SANDBOX_ROOT "/sandbox"
#define SANDBOX_NS_DIR         "/run/sandbox-ns"
#define SANDBOX_ID_MAX         256u
#define SANDBOX_MAX_OOM        64u /* events kept while nobody asks */
#define SANDBOX_UMOUNT_MS      10000u
#define SANDBOX_MOUNT_MS       60000u
#define SANDBOX_MAX_REAPED     32u
#define SANDBOX_MAX_CONTAINERS 1024u

struct passfd;
struct sandbox_container;
struct storage;
struct image_layer;

struct sandbox {
	struct loop *loop;
	const struct agent_config *config;
	struct uevents *uevents; /* NULL in tests without devices */
	struct passfd *passfd;   /* NULL: streams go by calls */
	struct net *net;         /* NULL: no network of ours */
	char id[SANDBOX_ID_MAX]; /* "" before CreateSandbox */
	bool created, creating;
	char *hook_path;     /* folder of the guest's own hooks; NULL: none */
	bool has_namespaces; /* SANDBOX_NS_DIR/{ipc,uts} are there */
	struct sandbox_container *containers;
	unsigned int n_containers;
	struct storage *storages;
	struct image_layer *layers;
	unsigned int next_layer;
	/* The first container's pid namespace, for those that share it; -1. */
	int pidns_fd;
	/* Children that ended before anybody knew their number, newest last. */
	struct {
		pid_t pid;
		int status;
	} reaped[SANDBOX_MAX_REAPED];
	unsigned int next_reaped;
	struct call_queue oom_waiters;
	char *oom_events[SANDBOX_MAX_OOM]; /* container ids, oldest first */
	unsigned int n_oom_events;
};

void sandbox_init(struct sandbox *s, struct loop *loop, const struct agent_config *config);
/* Frees memory; kills and unmounts nothing (sandbox_destroy() does). */
void sandbox_release(struct sandbox *s);

/* Letters, digits, '.', '_', '-', the first alphanumeric, at least `shortest` of them: Kata's agent
 * wants two of a sandbox or a container, of a process whatever the user has chosen. */
#define SANDBOX_ID_MIN 2u
int sandbox_id_check(const char *id, size_t shortest, const char *what, struct error *err);

/* What CreateSandbox asks for, besides storages. Runs in a helper. */
struct sandbox_setup {
	const char *hostname;   /* "": as it is */
	const char *const *dns; /* lines of resolv.conf */
	size_t n_dns;
	const char *const *modprobe; /* argument vectors one after the other, each ended by NULL */
	size_t n_modules;
};
int sandbox_setup_run(const struct sandbox_setup *setup, struct error *err);

/* loop_watch_children()'s callback for pid 1; data is the sandbox. */
void sandbox_orphan(struct loop_source *src, pid_t pid, int status, void *data);
/* Was this child reaped already? Then its status, once. */
bool sandbox_claim_reaped(struct sandbox *s, pid_t pid, int *status);

/* An OOM kill in a container: told to the longest waiter, or kept. */
void sandbox_oom_event(struct sandbox *s, const char *container_id);

/* Removes all containers and storages; done runs when all are gone or `ms` have passed. */
void sandbox_destroy(struct sandbox *s, uint64_t ms, void (*done)(void *data), void *data);
