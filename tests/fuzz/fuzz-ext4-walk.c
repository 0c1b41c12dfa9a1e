/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-ext4-walk: whatever an ext4 image holds, looking at all of it ends.
 *
 * Input: the image; it is filled up with zeros to the size that its superblock says.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/ext4/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SUPER     1024u
#define IMAGE_MAX (512u << 10)
#define READ_MAX  (1u << 20) /* a sparse file may say that it is long */

struct seen {
	struct ext4_image *image;
	uint64_t read;
};

static int piece(const uint8_t *p, size_t n, void *data, struct error *err)
{
	struct seen *s = data;

	s->read += n;
	return s->read > READ_MAX ? error_set(err, EFBIG, "enough") : 0;
}

static int xattr(const char *name, const void *value, size_t size, void *data, struct error *err)
{
	return strlen(name) + size == 0;
}

static int entry(const struct ext4_entry *e, void *data, struct error *err)
{
	struct seen *s = data;

	s->read = 0;
	ext4_read(s->image, e->ino, piece, s, NULL);
	ext4_xattrs(s->image, e->ino, xattr, NULL, NULL);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	struct ext4_summary summary;
	struct seen s = {0};
	uint64_t want;
	int fd;

	if (size < SUPER + 64 || size > IMAGE_MAX)
		return 0;
	want = (uint64_t)get_le32(data + SUPER + 4) << (10 + (get_le32(data + SUPER + 24) & 3));
	want = want > IMAGE_MAX ? IMAGE_MAX : want < size ? size : want;
	fd = memfd_create("ext4", MFD_CLOEXEC);
	if (fd < 0 || fs_write_all(fd, data, size) < 0 || ftruncate(fd, (off_t)want) < 0)
		abort();
	if (ext4_open(&s.image, fd, 0, want, &err) == 0) {
		ext4_summarize(s.image, &summary);
		ext4_walk(s.image, entry, &s, &err);
		ext4_check(s.image, &err);
	}
	ext4_close(s.image);
	close(fd);
	return 0;
}
