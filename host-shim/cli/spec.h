/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec: what `kihon run` asks the agent for: a sandbox, and a container with the
 * defaults that container engines agree on (capabilities, mounts, masked paths).
 */
#pragma once

#include <stdbool.h>

#include "host-shim/hypervisor/guest_net.h"
#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/rpc/proto/agent.pb-c.h"

struct spec_options {
	const char *id;         /* container and sandbox */
	const char *image;      /* reference, pulled inside the guest */
	char *const *args;      /* NULL-terminated; empty: the image's own command */
	const struct strv *env; /* "K=V" */
	const char *workdir;    /* NULL: the image's */
	bool terminal;
	unsigned short rows, columns; /* of the terminal; 0: not known */
	const struct guest_net *net;  /* the guest's: with one resolv.conf matters */
	const char *interface;        /* the guest's name of it, for UpdateInterface and -Routes */
	bool init_data;               /* a disk with it has come to a guest that was up before */
};

/* Requests in the arena; what the options point to must outlive them. NULL when memory is
 * full. */
Grpc__CreateContainerRequest *spec_container(struct arena *a, const struct spec_options *o);
/* A failure of CreateContainer in the words that a user knows: without the storage, which
 * spec_container() named and nobody else. Within message. */
const char *spec_failure(const struct spec_options *o, const char *message);
