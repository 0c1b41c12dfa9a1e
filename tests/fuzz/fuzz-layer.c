/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-layer: whatever an archive says, the layer made of it is a sound EROFS image, also
 * on top of another.
 *
 * Input: a byte that says where the archive of the layer below ends, then both archives.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/erofs/reader.h"
#include "lib/image/layer.h"
#include "tests/fuzz/tar_fix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 0, and the layer in fd; what is refused must say why. */
static int make(int fd, const uint8_t *tar, size_t size, const char *below)
{
	static const struct tar_limits limits = {1 << 24, 500, 65536};
	_cleanup_layer_ struct layer *layer = NULL;
	_cleanup_lower_ struct lower *lower = NULL;
	_cleanup_tar_ struct tar *t = NULL;
	struct error err = ERROR_INIT;
	bool needs_lower;
	int r = layer_new(fd, &limits, &layer, &err);

	if (!r)
		r = tar_new(&layer_sink, layer, &limits, &t, &err);
	if (!r)
		r = tar_feed(t, tar, size, &err);
	if (!r)
		r = tar_end(t, &err);
	if (!r)
		r = layer_settle(layer, &needs_lower, &err);
	if (!r && below)
		r = lower_open(&below, 1, &lower, &err);
	if (!r)
		r = layer_finish(layer, lower, &err);
	if (r && !err.text[0])
		abort();
	return r;
}

static void check(int fd)
{
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	struct erofs_check_result result;
	struct error err = ERROR_INIT;

	if (erofs_open_fd(&image, fd, &err) || erofs_check(image, &result, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int lower = memfd_create("lower", 0), upper = memfd_create("upper", 0);
	size_t cut = size ? (size_t)data[0] * 512 : 0;
	uint8_t *tar = malloc(size + 1);
	char below[64];

	if (size) {
		size--;
		tar_fix(tar, data + 1, size);
	}
	cut = cut < size ? cut : size;
	snprintf(below, sizeof(below), "/proc/self/fd/%d", lower);
	if (make(lower, tar, cut, NULL) == 0) {
		check(lower);
		if (make(upper, tar + cut, size - cut, below) == 0)
			check(upper);
	}
	free(tar);
	return 0;
}
