/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount: single mounts of a container, made detached and attached by descriptor.
 *
 * A mount is built without a name (fsmount, open_tree), given its attributes, and
 * then put on a destination that was opened inside the rootfs: no path is resolved
 * twice, so a link that the image (or another container) puts in the way leads
 * nowhere outside.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "guest/agent/container/mount_options.h"
#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/oci/runtime_spec.h"

/* A new file system, detached. `data` are its words (others are skipped), `attr` is
 * MOUNT_ATTR_*. `context`: SELinux label or NULL. Returns a descriptor. */
int mount_new(const char *type, const char *source, const struct oci_strings *data, uint64_t attr,
              const char *context, struct error *err);
/* The words of the file system itself, with commas between. -ENOMEM. */
int mount_words_join(const struct oci_strings *words, struct buffer *out, struct error *err);
/* The other way to make one, where mount_new() answers -E2BIG: an option that is longer than
 * fsconfig(2) takes (overlay's lowerdir). mount(2) has a page for all of them; "." spares it the
 * resolving of a path. Mounts on the directory `at`, and changes to "/" afterwards: for children.
 * Attributes are the caller's to set, on what he opens by the name anew. */
int mount_by_name(int at, const char *type, const char *source, const struct oci_strings *words,
                  const char *what, struct error *err);
/* A copy of the mount at a path (or of the descriptor, with path ""), detached. */
int mount_clone(int dirfd, const char *path, bool recursive, struct error *err);
/* mount_setattr; all zero is fine. `what` names the mount in errors. */
int mount_change(int fd, uint64_t set, uint64_t clear, uint64_t propagation, bool recursive,
                 const char *what, struct error *err);
/* Attributes, recursive attributes and propagation of parsed options. */
int mount_change_options(int fd, const struct mount_options *o, const char *what,
                         struct error *err);
int mount_attach(int fd, int destination, const char *what, struct error *err);

/* Opens (O_PATH) where something is to be mounted, inside the root, creating what is
 * missing: a directory, or an empty file. Refuses the inside of procfs but for the files
 * that are customarily covered, and the root itself. */
int mount_open_destination(int root_fd, const char *path, bool directory, struct error *err);
