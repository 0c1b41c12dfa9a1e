/* SPDX-License-Identifier: Apache-2.0 */
/* idmap: id-mapped mounts (mount_setattr(2), MOUNT_ATTR_IDMAP). */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

/* Maps the ids of a detached mount by the mount's own mappings or, when it has none, the
 * container's. Needs the runtime's capabilities. -ENOTSUP when the file system cannot. */
int idmap_apply(int mount_fd, const struct oci_spec *spec, const struct oci_mount *m,
                bool recursive, struct error *err);
