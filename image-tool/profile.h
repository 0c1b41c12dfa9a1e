/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile: rootfs/profiles/NAME.files, the list of what is in a guest's root.
 *
 * One entry a line, in the words of the kernel's usr/gen_init_cpio; '#' starts a comment:
 *
 *	dir   PATH MODE UID GID
 *	file  PATH SOURCE MODE UID GID
 *	slink PATH TARGET MODE UID GID
 *	nod   PATH MODE UID GID c|b MAJOR MINOR
 *	pipe  PATH MODE UID GID
 *	tree  PATH SOURCE          a folder of plain files, 0644 root:root
 *	include NAME               another profile's list, at most 4 deep
 *	cmdline WORD...            added to the kernel command line
 *
 * A SOURCE is "guest:X" (X in the folder of guest programs, see locate.h), "-" (an empty file),
 * or a path below rootfs/. Later entries replace earlier ones.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/erofs/tree.h"
#include "lib/guestimg/locate.h"

struct profile_source {
	const struct locations *where;
	const char *agent; /* takes the place of guest:bin/kihon-agent; NULL: none does */
	int64_t mtime;     /* of everything */
	/* Takes the names of files that are not there, instead of an error for the first; may be
	 * NULL. */
	struct strv *missing;
};

struct profile {
	struct erofs_tree *tree; /* owned */
	struct strv cmdline;     /* owned */
	struct strv parts;       /* what came from "guest:", such as bin/kihon-agent; owned */
	struct strv lists;       /* paths of the lists that were read; owned, as are the next */
	struct strv sources;     /* SOURCE of each file, "guest:bin/kihon-agent" ... */
	struct strv paths;       /* ... and where it is on the host */
};

#define PROFILE_INIT                                                                               \
	{                                                                                          \
		0                                                                                  \
	}

int profile_load(struct profile *p, const char *name, const struct profile_source *src,
                 struct error *err);
void profile_free(struct profile *p);
#define _cleanup_profile_ __attribute__((cleanup(profile_free)))

/* Comma-separated names of the profiles that there are; "" when the folder cannot be read. */
char *profile_names(const struct locations *where);
