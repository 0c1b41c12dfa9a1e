/* SPDX-License-Identifier: Apache-2.0 */
/* oci_dest_private: a destination, for oci_dest.c and oci_dest_commit.c. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#include "lib/base/bytes.h"
#include "lib/image/oci_dest.h"
#include "lib/image/oci_dest_index.h"

#define DEST_BLOBS         "blobs/sha256"
#define DEST_LAYOUT_FILE   "oci-layout"
#define DEST_MANIFESTS_MAX 8
#define DEST_FILES_MAX     8
#define DEST_PATH_MAX      96 /* "blobs/sha256/<64 hex digits>" */

enum dest_kind { DEST_UNKNOWN, DEST_LAYOUT, DEST_ARCHIVE, DEST_REGISTRY };

struct dest_blob {
	struct digest digest;
	uint64_t size;
	bool moved; /* into a folder that was there, where it is new */
};

struct dest_file {
	char *path;
	struct buffer data;
};

struct oci_dest {
	enum dest_kind kind;
	bool adding; /* DEST_LAYOUT: to a folder that was there ... */
	bool fresh;  /* ... and was empty */
	char *path;  /* of the folder or file, owned */
	char *tag;   /* owned, may be NULL */
	char *repository;
	char *stage; /* the hidden folder, owned; locked by stage_fd */
	int stage_fd;
	int dir_fd; /* of the layout that is added to */
	struct remote remote;
	const atomic_bool *cancel;

	pthread_mutex_t lock; /* of all below */
	unsigned int serial;
	struct dest_blob *blobs; /* owned */
	size_t n_blobs, blobs_room;
	struct dest_manifest manifests[DEST_MANIFESTS_MAX];
	size_t n_manifests;
	struct dest_file files[DEST_FILES_MAX];
	size_t n_files;
};

static inline void dest_blob_path(const struct digest *digest, char out[DEST_PATH_MAX])
{
	snprintf(out, DEST_PATH_MAX, DEST_BLOBS "/%.64s", digest->text + sizeof("sha256:") - 1);
}

/* "cannot DOING WHAT: reason", of kind environment. */
int dest_cannot(struct error *err, int errnum, const char *doing, const char *what);
