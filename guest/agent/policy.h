/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: which requests the guest answers at all, for a host that is not trusted with
 * everything. An allow-list in JSON (docs/agent.md):
 *
 *	{"schema": 1,
 *	 "allow": {
 *	  "ReadStreamRequest": true,
 *	  "CreateContainerRequest": [
 *	   {"name": "web",
 *	    "where": {"OCI/Process/Args": ["/bin/web"],
 *	              "storages/WILD/source": {"prefix": "registry.example/"}}}]}}
 *
 * (WILD is an asterisk.) A request is allowed when its entry is true or one of its rules
 * holds; a rule holds when every field it names matches. What is not in the list is denied.
 * grpc.Health is always answered.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

#include "lib/base/error.h"

#define POLICY_MAX_SIZE (1u << 20) /* bytes of JSON */

struct policy;

/* -EINVAL when it is no policy of ours (Rego is not): the message says what is wrong. */
int policy_parse(const char *text, size_t size, struct policy **out, struct error *err);
/* A policy that denies everything, with this reason. NULL on a full memory. */
struct policy *policy_deny_all(const char *reason);
void policy_free(struct policy *p);

/* 0, or -EPERM with a text that names the request, the rule that came nearest and the field. */
int policy_check(const struct policy *p, const char *service, const ProtobufCMessage *request,
                 struct error *err);
