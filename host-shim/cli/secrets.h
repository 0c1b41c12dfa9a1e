/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secrets: certificate authority, credentials and policies for the guest, on an
 * init-data disk (lib/image/initdata.h) that has no name on this host. Never on a
 * command line, never in a log.
 */
#pragma once

#include "host-shim/cli/runtime_dir.h"
#include "lib/base/error.h"

struct secrets_options {
	/* Files; NULL: none. */
	const char *ca;           /* PEM */
	const char *authfile;     /* containers-auth.json(5) */
	const char *policy;       /* containers-policy.json(5) */
	const char *agent_policy; /* what the agent may be asked */
};

/* 0: *fd is the disk, to be closed by the caller; 1: no file was named, *fd is -1. */
int secrets_disk(const struct secrets_options *o, const struct runtime_dir *dir, int *fd,
                 struct error *err);
