/* SPDX-License-Identifier: Apache-2.0 */
/* convert: what the parts of `kata-image-tool convert` know of each other. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/base/fs.h"
#include "lib/image/encrypt.h"
#include "lib/image/oci_dest.h"
#include "lib/image/oci_source.h"
#include "lib/verity/verity.h"

/* A layer on its way from a tar to a blob of the destination. */
struct convert_layer {
	const struct image_descriptor *source;
	const struct digest *source_diff_id;
	struct oci_blob blob;
	struct image_descriptor desc; /* of the blob */
	struct digest diff_id;        /* of the EROFS image, hash tree included */
	bool ready;                   /* it was an EROFS image already, and is taken as it is ... */
	bool has_tree;                /* ... with a hash tree, as its annotations say */
	uint64_t data_size;           /* of the EROFS image alone */
	bool has_verity;
	struct verity verity;
	struct encrypted encrypted; /* when recipients were given */
};

struct convert {
	struct oci_source *source;
	struct oci_dest *dest;
	const struct oci_image *image;
	const struct recipients *recipients; /* NULL: nothing is encrypted */
	bool verity, dedupe;
	const atomic_bool *stop;
	struct convert_layer *layers; /* as many as the image has, lowest first */
};

/* All layers, several at a time: they become blobs of the destination. */
int convert_layers(struct convert *c, struct error *err);
void convert_layers_clear(struct convert_layer *layers, size_t n);

/* Calls fn for each annotation org.erofs.* of a layer of the source's manifest; stops at a non-zero
 * return. */
int convert_each_annotation(const struct oci_image *image, size_t layer,
                            int (*fn)(void *data, const char *key, const char *value), void *data,
                            struct error *err);
/* Whether a ready layer (`size` bytes in fd) has the hash tree that its annotations tell of:
 * -EINVAL (kind input) when they do not make sense, -EBADMSG (kind verification) when it does not
 * hold, those of verity.h. */
int convert_check_tree(const struct convert *c, size_t layer, int fd, uint64_t size,
                       struct error *err);
/* The config and the manifest that go with the layers, as JSON: what the source says stays, but
 * for what is about the layers. Same layers, same bytes. */
int convert_config(const struct convert *c, struct buffer *out, struct error *err);
int convert_manifest(const struct convert *c, const struct image_descriptor *config,
                     struct buffer *out, struct error *err);
/* The platform of an entry of index.json. */
int convert_platform(const struct convert *c, struct buffer *out, struct error *err);

struct convert_signing {
	const char *key;      /* a file (PEM), else what gpg knows a key by */
	const char *identity; /* the docker-reference that is signed */
	const char *store;    /* GPG: folder of signatures; NULL: in the layout */
};

/* What the signature is of, and where it is: members of the report. */
struct convert_signature {
	bool cosign;
	struct digest manifest; /* cosign: of the signature's manifest */
	char place[512];        /* its tag, or its path in the store */
	struct buffer bytes;    /* GPG */
};

/* Whether there is such a key, and a place for its signatures, as far as can be told before there
 * is something to sign. */
int convert_check_key(const char *key, const char *store, const struct oci_dest *dest,
                      struct error *err);
/* Signs the manifest; cosign's goes into the destination under its tag. */
int convert_sign(const struct convert *c, const struct convert_signing *s,
                 const struct image_descriptor *manifest, struct convert_signature *out,
                 struct error *err);
/* GPG: the signature in its store, whose caller commits it when the destination is committed. */
int convert_store_signature(const struct convert_signing *s, const struct convert_signature *sig,
                            struct fs_temp *out, struct error *err);
