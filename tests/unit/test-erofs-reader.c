/* SPDX-License-Identifier: Apache-2.0 */
/* lib/erofs/reader: damage is found and named; nothing is read out of bounds. */
#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/bytes.h"
#include "lib/erofs/format.h"
#include "lib/erofs/reader.h"
#include "tests/erofs/golden.h"
#include "tests/unit/check.h"

static struct error err;
static uint8_t *bytes;
static size_t size;

/* The golden image in memory; in a tight allocation, so that ASan sees the edge. */
static void load(const char *name)
{
	int fd = open(check_tmpdir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct stat st;

	check(fd >= 0);
	check_ok(golden_write(golden_find(name), fd, &err), &err);
	check(fstat(fd, &st) == 0);
	size = (size_t)st.st_size;
	bytes = malloc(size);
	check(bytes && pread(fd, bytes, size, 0) == (ssize_t)size);
	close(fd);
}

static void reseal(void)
{
	uint8_t *p = bytes + EROFS_SUPER_OFFSET;

	put_le32(p + SB_CHECKSUM, erofs_super_checksum(p, EROFS_BLOCK_SIZE - EROFS_SUPER_OFFSET));
}

static int check_image(void)
{
	struct erofs_image *image;
	int r = erofs_open_memory(&image, bytes, size, &err);

	if (r == 0)
		r = erofs_check(image, NULL, &err);
	erofs_close(image);
	return r;
}

/* Puts a byte somewhere, checks, and puts the old one back. */
static int with_byte(size_t at, uint8_t value)
{
	uint8_t old = bytes[at];
	int r;

	bytes[at] = value;
	r = check_image();
	bytes[at] = old;
	return r;
}

static uint64_t inode_of(const char *path, struct erofs_stat *st)
{
	struct erofs_image *image;

	check_ok(erofs_open_memory(&image, bytes, size, &err), &err);
	check_ok(erofs_lookup(image, path, strlen(path), st, &err), &err);
	erofs_close(image);
	return st->offset;
}

TEST(superblock)
{
	struct erofs_image *image;

	load("types");
	check_int(check_image(), 0);
	check_int(with_byte(EROFS_SUPER_OFFSET, 0), -EINVAL);
	check_int(with_byte(EROFS_SUPER_OFFSET + SB_UUID, 1), -EUCLEAN);
	check(strstr(err.text, "checksum"));
	check_int(with_byte(EROFS_SUPER_OFFSET + SB_BLOCK_BITS, 9), -EOPNOTSUPP);
	check_int(with_byte(EROFS_SUPER_OFFSET + SB_INCOMPAT + 2, 1), -EOPNOTSUPP);
	check_int(with_byte(EROFS_SUPER_OFFSET + SB_DIR_BLOCK_BITS, 1), -EOPNOTSUPP);
	/* Without the feature bit the checksum is not looked at. */
	check_int(with_byte(EROFS_SUPER_OFFSET + SB_COMPAT, 2), 0);
	for (size_t n = 0; n < EROFS_BLOCK_SIZE; n += 511)
		check_int(erofs_open_memory(&image, bytes, n, &err), -EINVAL);
	free(bytes);
}

TEST(cut_off)
{
	size_t whole;

	load("types-layer");
	whole = size;
	for (size = EROFS_BLOCK_SIZE; size < whole; size += 1000)
		check_int(check_image(), -EUCLEAN);
	size = whole;
	check_int(check_image(), 0);
	free(bytes);
}

TEST(inodes)
{
	struct erofs_stat st;
	uint64_t at;

	load("types");
	at = inode_of("bin/true", &st);
	check(S_ISREG(st.mode) && st.nlink == 3 && st.size == 5000 && !st.extended);
	check_int(st.mtime, 1700000000);
	check_int(with_byte(at + INODE_FORMAT, 0x10), -EUCLEAN);
	check_int(with_byte(at + INODE_FORMAT, 5 << 1), -EUCLEAN);
	check_int(with_byte(at + INODE_MODE + 1, 0x01), -EUCLEAN);
	check_int(with_byte(at + INODE_MODE + 1, 0x41), -EUCLEAN);
	check_int(with_byte(at + INODE_C_NLINK, 4), -EUCLEAN);
	check(strstr(err.text, "3 names and 4 links"));
	check_int(with_byte(at + INODE_U + 2, 0xff), -EUCLEAN);
	check_int(with_byte(at + INODE_SIZE + 3, 0x7f), -EUCLEAN);
	check(with_byte(at + INODE_XATTR_COUNT + 1, 0xff) < 0);
	/* Into another file's blocks. */
	check_int(with_byte(at + INODE_U, (uint8_t)(st.block + 1)), -EUCLEAN);
	check(strstr(err.text, "share block"));
	at = inode_of("owned", &st);
	check(st.extended && st.uid == 65536 && st.gid == 4294967294);
	check_int(with_byte(at + INODE_SIZE + 7, 0x80), -EUCLEAN);
	check_int(with_byte(at + INODE_X_MTIME_NS + 3, 0xff), -EUCLEAN);
	inode_of("dev/large", &st);
	check(st.rdev_major == 4095 && st.rdev_minor == 1048575);
	inode_of("old", &st);
	check(st.mtime == -1 && st.mtime_ns == 999999999);
	bytes[EROFS_SUPER_OFFSET + SB_INODES]++;
	reseal();
	check_int(check_image(), -EUCLEAN);
	free(bytes);
}

TEST(directories)
{
	struct erofs_stat st, other;
	uint64_t block;
	uint8_t *d;

	load("types");
	inode_of("names", &st);
	block = (uint64_t)st.block * EROFS_BLOCK_SIZE;
	d = bytes + block;
	check_int(with_byte(block + DIRENT_NAME_OFFSET, 0), -EUCLEAN);
	check_int(with_byte(block + DIRENT_NAME_OFFSET, d[DIRENT_NAME_OFFSET] + 1), -EUCLEAN);
	check_int(with_byte(block + DIRENT_NAME_OFFSET + 1, 0xff), -EUCLEAN);
	check_int(with_byte(block + DIRENT_SIZE + DIRENT_NAME_OFFSET + 1, 0xff), -EUCLEAN);
	check_int(with_byte(block + DIRENT_TYPE, 2), -EUCLEAN);
	check_int(with_byte(block + DIRENT_NID + 7, 0xff), -EUCLEAN);
	/* The first name: "!before-dot". */
	check_int(with_byte(block + d[DIRENT_NAME_OFFSET], '/'), -EUCLEAN);
	check_int(with_byte(block + d[DIRENT_NAME_OFFSET], '\0'), -EUCLEAN);
	check_int(with_byte(block + d[DIRENT_NAME_OFFSET], 'z'), -EUCLEAN);
	check(strstr(err.text, "not sorted"));
	/* A directory inside of itself: "usr" leads back to the root. */
	inode_of("", &st);
	block = (uint64_t)st.block * EROFS_BLOCK_SIZE;
	inode_of("usr", &other);
	for (size_t i = 0; i < st.size; i += DIRENT_SIZE)
		if (get_le64(bytes + block + i) == other.nid) {
			put_le64(bytes + block + i, st.nid);
			break;
		}
	check_int(check_image(), -EUCLEAN);
	free(bytes);
}

TEST(xattrs_damaged)
{
	struct erofs_stat st;
	uint64_t at;

	load("xattrs");
	check_int(check_image(), 0);
	at = inode_of("one", &st) + INODE_COMPACT_SIZE;
	check(st.xattr_size > 65535);
	check(with_byte(at + XATTR_HEADER_SHARED_COUNT, 255) < 0);
	at += XATTR_HEADER_SIZE;
	check_int(with_byte(at + XATTR_ENTRY_INDEX, 77), -EOPNOTSUPP);
	check_int(with_byte(at + XATTR_ENTRY_VALUE_SIZE + 1, 0xff), -EUCLEAN);
	check_int(with_byte(at + XATTR_ENTRY_SIZE, 0), -EUCLEAN);
	at = inode_of("many/1", &st) + INODE_COMPACT_SIZE + XATTR_HEADER_SIZE;
	check_int(with_byte(at + 3, 0xff), -EUCLEAN);
	free(bytes);
}

/* Any one byte of the metadata turned over: an answer, and no more than that. */
TEST(every_byte)
{
	static const char *const names[] = {"types", "types-layer", "empty-layer"};

	for (int i = 0; i < 3; i++) {
		load(names[i]);
		bytes[EROFS_SUPER_OFFSET + SB_COMPAT] = 0;
		for (size_t at = EROFS_SUPER_OFFSET; at < size && at < 40000; at++)
			if (bytes[at] || at % 61 == 0)
				with_byte(at, (uint8_t)~bytes[at]);
		free(bytes);
	}
}

struct names {
	char text[4096];
	size_t used;
};

static int note(const char *path, const struct erofs_stat *st, void *data)
{
	struct names *n = data;

	n->used += (size_t)snprintf(n->text + n->used, sizeof(n->text) - n->used, "%s ", path);
	return strcmp(path, "dev/null") == 0 ? 42 : 0;
}

TEST(walking)
{
	struct erofs_image *image;
	struct names n = {""};
	struct erofs_stat st;

	load("types");
	check_ok(erofs_open_memory(&image, bytes, size, &err), &err);
	/* Stops where the callback says so. */
	check_int(erofs_walk(image, note, &n, &err), 42);
	check_str(n.text, " bin bin/false bin/su bin/true dev dev/fifo dev/large dev/null ");
	check_int(erofs_lookup(image, "bin/nothing", 11, &st, &err), -ENOENT);
	check_int(erofs_lookup(image, "bin/true/x", 10, &st, &err), -ENOTDIR);
	check_int(erofs_lookup(image, "//bin/./true", 12, &st, &err), 0);
	check_int(erofs_lookup(image, "dev/fifo", 8, &st, &err), 0);
	check_int(erofs_pread(image, &st, n.text, 1, 0, &err), -EINVAL);
	erofs_close(image);
	free(bytes);
}

TEST_MAIN()
