/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-erofs-reader: whatever an image holds, looking at all of it ends.
 *
 * Block 0 up to the superblock is not in the input: seeds stay small. Input: superblock
 * (128 bytes), then the image from block 1 on.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/erofs/format.h"
#include "lib/erofs/reader.h"
#include "lib/erofs/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A run is decompressed for each read: thousands of names of one file are not worth the time. */
#define READS_MAX 200

struct looking {
	struct erofs_image *image;
	unsigned int reads;
};

static int look(const char *path, const struct erofs_stat *st, void *data)
{
	struct looking *l = data;
	struct erofs_image *image = l->image;
	struct erofs_stat found;
	char buf[5000];

	erofs_lookup(image, path, strlen(path), &found, NULL);
	if (l->reads++ > READS_MAX)
		return 0;
	erofs_pread(image, st, buf, sizeof(buf), 0, NULL);
	erofs_pread(image, st, buf, sizeof(buf), st->size / 2, NULL);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	struct erofs_image *image;
	size_t image_size;
	uint8_t *bytes;

	if (size < EROFS_SUPER_SIZE || size > 1u << 16)
		return 0;
	image_size = EROFS_BLOCK_SIZE + size - EROFS_SUPER_SIZE;
	bytes = calloc(1, image_size);
	if (!bytes)
		return 0;
	memcpy(bytes + EROFS_SUPER_OFFSET, data, EROFS_SUPER_SIZE);
	memcpy(bytes + EROFS_BLOCK_SIZE, data + EROFS_SUPER_SIZE, size - EROFS_SUPER_SIZE);
	if (erofs_open_memory(&image, bytes, image_size, &err) == 0) {
		struct looking l = {image, 0};

		erofs_walk(image, look, &l, &err);
		erofs_check(image, NULL, &err);
		erofs_close(image);
	}
	free(bytes);
	return 0;
}
