/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror: keeps a small directory like another one, so that inotify(7) works in the copy: the
 * original is on a share, where the host's changes raise no events.
 *
 * Nothing is remembered between calls: what differs by type, size, time, mode, owner or link text
 * is replaced by rename(2), one name at a time: directories first, then files, then symbolic links,
 * so that the "..data" link of a Kubernetes volume turns only when what it points to is there. May
 * block on the share: for helpers.
 */
#pragma once

#include "lib/base/error.h"

#define MIRROR_ENTRIES_MAX 16         /* files, links and directories, as Kata's agent has it */
#define MIRROR_BYTES_MAX   (1u << 20) /* content of all files */

/* 0: `to` is like `from`; 1: `from` is too large for this (entries or bytes), nothing was changed.
 * -EAGAIN: `from` changed meanwhile, try again later. Both are existing directories; `to` belongs
 * to nobody else. */
int mirror_sync(const char *from, const char *to, struct error *err);
