/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-tar: an archive reads the same in whole and in pieces, and gives as many bytes as it says.
 */
#include <stdlib.h>

#include "lib/base/bytes.h"
#include "lib/image/tar.h"
#include "tests/fuzz/tar_fix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	struct buffer text;
	uint64_t left; /* of the content that the entry promised */
};

static int on_entry(void *data, const struct tar_entry *e, struct error *err)
{
	struct seen *s = data;

	if (strlen(e->path) > 1 << 16 || e->mtime_ns > 999999999 || e->mode > 07777)
		abort();
	buffer_printf(&s->text, "%d %s %s %o %u %lld %llu %zu\n", e->type, e->path, e->link,
	              e->mode, e->uid, (long long)e->mtime, (unsigned long long)e->size,
	              e->n_xattrs);
	s->left = e->size;
	return 0;
}

static int on_content(void *data, const uint8_t *p, uint64_t n, struct error *err)
{
	struct seen *s = data;

	if (n > s->left)
		abort();
	s->left -= n;
	if (p)
		buffer_append(&s->text, p, (size_t)n);
	return 0;
}

static int on_end(void *data, struct error *err)
{
	struct seen *s = data;

	if (s->left)
		abort();
	return 0;
}

static int run(const uint8_t *data, size_t size, size_t step, struct seen *seen)
{
	static const struct tar_sink sink = {on_entry, on_content, on_end};
	static const struct tar_limits limits = {1 << 30, 1000, 65536};
	_cleanup_tar_ struct tar *t = NULL;
	struct error err = ERROR_INIT;
	int r = tar_new(&sink, seen, &limits, &t, &err);

	for (size_t i = 0; !r && i < size; i += step)
		r = tar_feed(t, data + i, size - i < step ? size - i : step, &err);
	r = r ? r : tar_end(t, &err);
	if (r && (!err.text[0] || err.kind != ERROR_INPUT))
		abort();
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = {BUFFER_INIT, 0}, pieces = {BUFFER_INIT, 0};
	uint8_t *tar = malloc(size + 1);

	tar_fix(tar, data, size);
	if (run(tar, size, SIZE_MAX / 2, &whole) != run(tar, size, 7, &pieces) ||
	    whole.text.size != pieces.text.size ||
	    (whole.text.size && memcmp(whole.text.data, pieces.text.data, whole.text.size)))
		abort();
	buffer_free(&whole.text);
	buffer_free(&pieces.text);
	free(tar);
	return 0;
}
