/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of images are frozen: see tests/erofs/golden.h. */
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/erofs/reader.h"
#include "tests/erofs/golden.h"
#include "tests/unit/check.h"

static void hash_file(int fd, char hex[65])
{
	uint8_t digest[32];
	struct stat st;
	void *map;

	check(fstat(fd, &st) == 0 && st.st_size > 0);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	check(map != MAP_FAILED);
	check(EVP_Digest(map, (size_t)st.st_size, digest, NULL, EVP_sha256(), NULL) == 1);
	munmap(map, (size_t)st.st_size);
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void check_golden(const char *name)
{
	const struct golden *g = golden_find(name);
	int fd = open(check_tmpdir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct erofs_check_result result;
	struct erofs_image *image;
	struct error err = ERROR_INIT;
	char hex[65];

	check(g && fd >= 0);
	/* Twice: the second run starts from a file that has other bytes in it. */
	for (int i = 0; i < 2; i++) {
		check_ok(golden_write(g, fd, &err), &err);
		hash_file(fd, hex);
		check_str(hex, g->sha256);
		check(lseek(fd, 0, SEEK_SET) == 0);
		check(ftruncate(fd, 0) == 0);
		for (int n = 0; n < 2000; n++)
			check(write(fd, hex, 64) == 64);
	}
	check_ok(golden_write(g, fd, &err), &err);
	check_ok(erofs_open_fd(&image, fd, &err), &err);
	check_ok(erofs_check(image, &result, &err), &err);
	check_int(result.huge_files,
	          g->flags & EROFS_WRITE_HUGE ? result.huge_files_aligned : result.huge_files);
	erofs_close(image);
	close(fd);
}

#define GOLDEN(id, name)                                                                           \
	TEST(id)                                                                                   \
	{                                                                                          \
		check_golden(name);                                                                \
	}

GOLDEN(empty, "empty")
GOLDEN(empty_layer, "empty-layer")
GOLDEN(types, "types")
GOLDEN(types_layer, "types-layer")
GOLDEN(xattrs, "xattrs")
GOLDEN(xattrs_layer, "xattrs-layer")
GOLDEN(folders, "folders")
GOLDEN(folders_layer, "folders-layer")
GOLDEN(huge, "huge")
GOLDEN(huge_layer, "huge-layer")

TEST_MAIN()
