/* SPDX-License-Identifier: Apache-2.0 */
/* answer_by_helper: calls whose work can block and whose result is their whole answer. */
#pragma once

#include "guest/agent/agent.h"
#include "lib/base/helper.h"

/* In the helper. `out` has HELPER_OUT_MAX bytes for what finish() makes the answer from. */
typedef int (*answer_work_fn)(const ProtobufCMessage *request, void *out, struct error *err);
/* On the loop, after work() gave 0: answers the call. */
typedef void (*answer_finish_fn)(struct rpc_call *call, const void *out);

/* Runs work() in a helper and answers with its failure, or by finish() (NULL: an empty message). */
void answer_by_helper(struct agent *agent, struct rpc_call *call, const ProtobufCMessage *request,
                      answer_work_fn work, answer_finish_fn finish, uint64_t deadline_ms);
