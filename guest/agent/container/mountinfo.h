/* SPDX-License-Identifier: Apache-2.0 */
/* mountinfo: /proc/self/mountinfo (proc(5)), one entry after the other. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

struct mountinfo {
	struct buffer text;
	char *next;
};

struct mountinfo_entry {
	const char *root;  /* of the mount inside its file system */
	const char *point; /* unescaped */
	const char *type;
	const char *options; /* of the superblock */
	bool shared;
};

int mountinfo_open(struct mountinfo *m, struct error *err);
/* False at the end. The entry's strings live as long as m. */
bool mountinfo_next(struct mountinfo *m, struct mountinfo_entry *e);
void mountinfo_close(struct mountinfo *m);
#define _cleanup_mountinfo_ __attribute__((cleanup(mountinfo_close)))
