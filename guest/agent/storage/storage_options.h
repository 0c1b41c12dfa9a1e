/* SPDX-License-Identifier: Apache-2.0 */
/* storage_options: the words of storages, one by one, and their mount points as paths are. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/error.h"
#include "lib/rpc/proto/agent.pb-c.h"

/* Kata's runtimes also send several words in one string ("pagesize=2097152,size=4194304"), as
 * mount(8) takes them. Each becomes an option of its own, in the arena. What begins with "X-" is
 * for an agent and has its own grammar; a comma after a backslash or within quotes belongs to a
 * word. -ENOMEM.
 *
 * Mount points, by whose names storages are counted and found in mountinfo, lose the slashes that
 * mean nothing: the Rust runtime sends "/run/kata-containers/shared/containers/". */
int storage_options_split(Grpc__Storage *const *v, size_t n, struct arena *arena,
                          struct error *err);
