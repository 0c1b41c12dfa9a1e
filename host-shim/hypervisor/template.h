/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template: a folder with a guest that was saved once its agent answered, from which others begin.
 *
 *	template.json  what it is and what it needs (struct vm_template)
 *	state          the machine without its memory (host-shim/vmm/snapshot.h)
 *	memory         its memory (host-shim/vmm/snapshot_memory.h), mapped privately by every clone
 *	pages          what a clone touches of it first (host-shim/vmm/snapshot_pages.h); may be
 *missing
 *
 * A clone begins with what the template's guest knew: one belongs to the user who made it and is
 * refused to all others. Errors are of kind ERROR_INPUT, with one line that says what is wrong.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/guestimg/guestimg.h"

#define TEMPLATE_SCHEMA   1
#define TEMPLATE_FILE     "template.json"
#define TEMPLATE_STATE    "state"
#define TEMPLATE_MEMORY   "memory"
#define TEMPLATE_PAGES    "pages"
#define TEMPLATE_MAX_SIZE (64u << 10) /* bytes of template.json */
#define TEMPLATE_SHA256   65          /* 64 hex digits and a NUL */

#define TEMPLATE_LACKS_UNKNOWN UINT32_MAX /* of a template that does not say */

struct vm_template {
	char version[32]; /* of Kihon that made it */
	char arch[16];    /* as uname(1) */
	char image[4096]; /* absolute path of the image's folder when it was made */
	char kernel_sha256[TEMPLATE_SHA256], root_sha256[TEMPLATE_SHA256]; /* as in image.json */
	char net[16];                                                      /* "none" or "user" */
	char cpu[32];                                                      /* "host", or a model */
	uint32_t cpus;                                                     /* 1 to 32 */
	uint32_t slots;                   /* empty places for devices of clones; 0 when not said */
	uint32_t lacks;                   /* enum hypervisor_lacks, of the image's kernel */
	uint64_t memory;                  /* bytes */
	uint64_t uid;                     /* of the user whose it is */
	uint64_t state_size, memory_size; /* of the two files, bytes */
	char memory_id[64]; /* inode and time of change: while they are these, nobody has written */
};

/* The files of a template that is made or used. */
struct template_files {
	int state, memory, pages; /* -1: not open */
	bool untouched; /* the memory is as it was written: its checksums need not be read */
	bool record;    /* a clone is to write `pages` when it is saved, not to read it */
};

#define TEMPLATE_FILES_INIT                                                                        \
	{                                                                                          \
		.state = -1, .memory = -1, .pages = -1                                             \
	}

/* -EPROTONOSUPPORT: a newer Kihon's. */
int template_parse(const char *text, size_t size, struct vm_template *t, struct error *err);
void template_format(const struct vm_template *t, struct buffer *out);

/* Reads DIR and opens its files, for reading. -EPERM: it is not `uid`'s, or others may write to it;
 * -EINVAL: a file is not what template.json says. Their content is not looked at. */
int template_open(const char *dir, uid_t uid, struct vm_template *t, struct template_files *f,
                  struct error *err);

/* Makes a folder beside DIR, which must not be there, and in it the files, empty, for writing.
 * *staged: its name, in fresh memory; it is the caller's to remove until it is committed. */
int template_create(const char *dir, char **staged, struct template_files *f, struct error *err);
/* The files are written: adds template.json, with their sizes, and gives the folder its name. */
int template_commit(const char *staged, const char *dir, struct vm_template *t,
                    const struct template_files *f, struct error *err);

/* What the image in dir says of itself goes into t; and the other way round: -EINVAL when it is not
 * the one that t was made of. -ENOTSUP: a confidential guest's. */
int template_take_image(struct vm_template *t, const struct guestimg *img, const char *dir,
                        struct error *err);
int template_check_image(const struct vm_template *t, const struct guestimg *img, const char *dir,
                         struct error *err);

void template_files_close(struct template_files *f);
#define _cleanup_template_files_ _cleanup_(template_files_close)
