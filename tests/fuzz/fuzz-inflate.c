/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-inflate: gzip and zstd give the same bytes in whole and in pieces.
 *
 * Input: a byte that chooses the format, then the stream. At most 4 MiB are unpacked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/image/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int collect(void *data, const uint8_t *p, size_t n, struct error *err)
{
	struct buffer *b = data;

	if (b->size + n > 4 << 20)
		return error_set_kind(err, ERROR_INPUT, EFBIG, "enough");
	buffer_append(b, p, n);
	return 0;
}

static int run(enum image_compression how, const uint8_t *data, size_t size, size_t step,
               struct buffer *out)
{
	_cleanup_inflate_ struct inflate *z = NULL;
	struct error err = ERROR_INIT;
	int r = inflate_new(how, collect, out, &z, &err);

	for (size_t i = 0; !r && i < size; i += step)
		r = inflate_feed(z, data + i, size - i < step ? size - i : step, &err);
	r = r ? r : inflate_end(z, &err);
	if (r && (!err.text[0] || err.kind != ERROR_INPUT))
		abort();
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer whole = BUFFER_INIT, pieces = BUFFER_INIT;
	enum image_compression how;
	int a, b;

	if (!size)
		return 0;
	how = data[0] & 1 ? IMAGE_GZIP : IMAGE_ZSTD;
	a = run(how, data + 1, size - 1, SIZE_MAX / 2, &whole);
	b = run(how, data + 1, size - 1, 5, &pieces);
	/* Where a damaged stream is noticed may differ, that it is may not. */
	if (!a != !b)
		abort();
	if (!a && (whole.size != pieces.size ||
	           (whole.size && memcmp(whole.data, pieces.data, whole.size))))
		abort();
	buffer_free(&whole);
	buffer_free(&pieces);
	return 0;
}
