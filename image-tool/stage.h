/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage: a hidden folder inside the output folder where the files of an image are made, to
 * be moved into place together. A build that ends early leaves the output as it was.
 *
 * One build at a time writes to an output folder (flock); what an earlier, killed build left is
 * removed. Errors are of kind ERROR_ENVIRONMENT.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/guestimg/guestimg.h"

#define STAGE_PREFIX ".build-" /* of the hidden folder's name */

struct stage {
	char *dir;  /* the output folder; owned */
	char *path; /* the hidden folder; owned */
	int lock_fd;
	bool made_dir;
};

#define STAGE_INIT                                                                                 \
	{                                                                                          \
		.lock_fd = -1                                                                      \
	}

int stage_open(struct stage *s, const char *dir, struct error *err);
/* A new file of the stage, mode 0644 whatever the umask; *fd is the caller's. */
int stage_create(struct stage *s, const char *name, int *fd, struct error *err);
/* Size and digest of a file of the stage; strings go into the arena. */
int stage_measure(struct stage *s, const char *name, struct arena *arena, struct guestimg_file *out,
                  struct error *err);
/* Moves the files of img, image.json.sig and image.lock where there are some, and then its
 * image.json to the output folder. image.json is taken away first: while files of two builds may be
 * mixed there is none. Other files stay. */
int stage_publish(struct stage *s, const struct guestimg *img, struct error *err);
/* The same for a folder without image.json: `names` from the stage's folder `sub`, the last of them
 * in its place: it says that the others are whole. */
int stage_publish_files(struct stage *s, const char *sub, const char *const *names, size_t n,
                        struct error *err);
/* Removes the hidden folder, and the output folder when this made it and it is empty. */
void stage_close(struct stage *s);
#define _cleanup_stage_ __attribute__((cleanup(stage_close)))

/* SHA-256 of a file as 64 hex digits and a NUL, and its size in bytes. */
int measure_file(int dirfd, const char *name, char sha256[65], uint64_t *size, struct error *err);
/* The same of any file of the host, links followed; without its path the error is of kind
 * environment. */
int measure_path(const char *path, char sha256[65], uint64_t *size, struct error *err);
