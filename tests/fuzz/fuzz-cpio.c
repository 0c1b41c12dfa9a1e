/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-cpio: whatever an initrd holds, reading it ends, and its content is as long as it says. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/cpio/cpio.h"
#include "lib/cpio/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PLAIN_MAX (16u << 20) /* a few packed bytes make a lot of plain ones */

struct seen {
	struct cpio *cpio;
	uint64_t promised, got, plain;
};

static int member(const struct cpio_member *m, void *data, struct error *err)
{
	struct seen *s = data;

	if (s->promised != s->got)
		abort();
	s->promised += m->size;
	return 0;
}

static int content(const uint8_t *p, size_t n, void *data, struct error *err)
{
	struct seen *s = data;

	s->got += n;
	if (s->got > s->promised)
		abort();
	return 0;
}

static const struct cpio_ops ops = {member, content};

static int feed(void *data, const uint8_t *p, size_t n, struct error *err)
{
	struct seen *s = data;

	s->plain += n;
	if (s->plain > PLAIN_MAX)
		return error_set(err, EFBIG, "enough");
	return cpio_feed(s->cpio, p, n, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	struct seen s = {0};
	int fd = memfd_create("initrd", MFD_CLOEXEC);

	if (fd < 0 || fs_write_all(fd, data, size) < 0 || cpio_new(&ops, &s, &s.cpio, &err) < 0)
		abort();
	if (unpack_file(fd, 0, size, feed, &s, &err) == 0 && cpio_end(s.cpio, &err) == 0 &&
	    s.promised != s.got)
		abort();
	cpio_free(s.cpio);
	close(fd);
	return 0;
}
