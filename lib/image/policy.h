/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: which images may be used - policy.json as containers-policy.json(5) has it:
 *
 *	{"default":[REQ...],"transports":{"docker":{"SCOPE":[REQ...]}}}
 *
 * The scope that fits best counts: the image with tag or digest, its repository, the
 * parents of that, the host, "*.domain", then "", then the default. All of its
 * requirements must hold. insecureAcceptAnything and reject are evaluated; signedBy and
 * sigstoreSigned are not supported and refuse, as does anything unknown and an empty list.
 */
#pragma once

#include <stddef.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/oci/reference.h"

#define POLICY_MAX_FILE (1024 * 1024)

struct policy;

int policy_parse(const char *json, size_t size, struct policy **out, struct error *err);
void policy_free(struct policy *p);
DEFINE_CLEANUP(struct policy, policy, policy_free)
#define _cleanup_policy_ _cleanup_(cleanup_policy)

/* 0: the image may be used; -EACCES (kind verification) names the scope that refuses. A
 * NULL policy accepts all. */
int policy_check(const struct policy *p, const struct reference *ref, struct error *err);
