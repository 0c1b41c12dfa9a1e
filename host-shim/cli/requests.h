/* SPDX-License-Identifier: Apache-2.0 */
/*
 * requests: what `kihon` asks an agent, a function a request, all of one shape so that they can
 * stand in tables of calls.
 */
#pragma once

#include <stdbool.h>

#include "host-shim/cli/spec.h"
#include "lib/rpc/proto/health.pb-c.h"

/* In the arena; what the options point to must outlive it. NULL when memory is full. */
typedef ProtobufCMessage *(*request_fn)(struct arena *a, const struct spec_options *o);

ProtobufCMessage *request_check(struct arena *a, const struct spec_options *o);
/* For ReseedRandomDev, random bytes of this host, and for SetGuestDateTime, its time. */
ProtobufCMessage *request_seed(struct arena *a, const struct spec_options *o);
ProtobufCMessage *request_time(struct arena *a, const struct spec_options *o);
/* For UpdateInterface and UpdateRoutes: what a word `ip=` says to a guest that boots. There is a
 * route with a gateway only. */
ProtobufCMessage *request_interface(struct arena *a, const struct spec_options *o);
ProtobufCMessage *request_routes(struct arena *a, const struct spec_options *o);
ProtobufCMessage *request_sandbox(struct arena *a, const struct spec_options *o);
ProtobufCMessage *request_container(struct arena *a, const struct spec_options *o);
ProtobufCMessage *request_start(struct arena *a, const struct spec_options *o);
ProtobufCMessage *request_remove(struct arena *a, const struct spec_options *o);
ProtobufCMessage *request_destroy(struct arena *a, const struct spec_options *o);
