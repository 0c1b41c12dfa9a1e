/* SPDX-License-Identifier: Apache-2.0 */
/* user: whom a process runs as, with names looked up in the rootfs (passwd(5), group(5)). */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

struct user_identity {
	uid_t uid;
	gid_t gid;
	gid_t *gids; /* owned; additional groups */
	size_t n_gids;
	char *home; /* owned; from passwd, NULL when there is no entry */
};

/* root_fd is the container's root. With u->name the names decide, as they do for image
 * configurations: "user", "uid", "user:group", "uid:gid" ...; a user without a group gets
 * the one of passwd (or 0) and every group that lists it. Unknown names are -ENOENT,
 * unknown numbers are taken as they are. */
int user_resolve(int root_fd, const struct oci_user *u, struct user_identity *out,
                 struct error *err);
void user_identity_free(struct user_identity *id);
