/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen-tree: a file tree from a seed, for measuring and testing image writers.
 *
 *	gen-tree DIR [FILES [MIB [SEED]]]
 *
 * About FILES files (40000) of MIB MiB (700) together: mostly small, some large, in folders
 * up to twelve deep, with xattrs on one file in sixteen, hard links and symbolic links on
 * one in thirty each. The same seed gives the same tree, times included.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static uint64_t state;
static uint8_t bytes[1 << 20];

static uint64_t rnd(void)
{
	/* splitmix64 */
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void die(const char *what)
{
	fprintf(stderr, "gen-tree: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Many files of some KiB, few of some MiB: sizes double with falling likelihood. */
static uint64_t file_size(void)
{
	unsigned int bits = 5 + (unsigned int)(rnd() % 9);

	while (bits < 16 && rnd() % 3 == 0)
		bits++;
	return rnd() % (2ull << bits);
}

static void stamp(int dirfd, const char *path)
{
	int64_t s = 1500000000 + (int64_t)(rnd() % 100000000);
	struct timespec t[2] = {{s, 0}, {s, (long)(rnd() % 1000000000)}};

	if (utimensat(dirfd, path, t, AT_SYMLINK_NOFOLLOW) < 0)
		die(path);
}

static void write_file(const char *path, uint64_t size)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, rnd() % 8 ? 0644 : 0755);

	if (fd < 0)
		die(path);
	while (size) {
		size_t at = (size_t)(rnd() % (sizeof(bytes) / 2));
		size_t n = sizeof(bytes) / 2;

		if (n > size)
			n = (size_t)size;
		if (write(fd, bytes + at, n) != (ssize_t)n)
			die(path);
		size -= n;
	}
	if (rnd() % 16 == 0) {
		char value[40];
		int n = snprintf(value, sizeof(value), "value-%" PRIu64, rnd() % 8);

		/* Not every file system has them. */
		(void)!fsetxattr(fd, "user.kihon", value, (size_t)n, 0);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	unsigned long files = argc > 2 ? strtoul(argv[2], NULL, 10) : 40000;
	uint64_t mib = argc > 3 ? strtoull(argv[3], NULL, 10) : 700;
	uint64_t wanted = mib << 20, total = 0;
	char dir[4096] = "", path[4200], last[4200] = "";
	unsigned int depth = 0;

	if (argc < 2 || argc > 5) {
		fprintf(stderr, "usage: gen-tree DIR [FILES [MIB [SEED]]]\n");
		return 2;
	}
	state = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
	for (size_t i = 0; i < sizeof(bytes); i += 8) {
		uint64_t v = rnd();

		memcpy(bytes + i, &v, 8);
	}
	if (mkdir(argv[1], 0755) < 0 || chdir(argv[1]) < 0)
		die(argv[1]);
	strcpy(dir, ".");
	for (unsigned long i = 0; i < files; i++) {
		if (rnd() % 10 == 0) {
			size_t n = strlen(dir);

			if (depth == 12 || (depth && rnd() % 2)) {
				for (unsigned int up = 1 + (unsigned int)(rnd() % depth); up;
				     up--, depth--)
					*strrchr(dir, '/') = '\0';
				n = strlen(dir);
			}
			snprintf(dir + n, sizeof(dir) - n, "/folder-%lu", i);
			depth++;
			if (mkdir(dir, 0755) < 0)
				die(dir);
		}
		snprintf(path, sizeof(path), "%s/file-%" PRIx64 ".%lu", dir, rnd() % 4096, i);
		if (*last && rnd() % 30 == 0) {
			if (link(last, path) < 0)
				die(path);
		} else if (*last && rnd() % 30 == 0) {
			if (symlink(strrchr(last, '/') + 1, path) < 0)
				die(path);
			stamp(AT_FDCWD, path);
		} else {
			uint64_t size = file_size();

			/* One in four hundred is large: what is missing goes there. */
			if (i % 400 == 399) {
				uint64_t due = wanted / files * i;

				size = due > total ? due - total : size;
				size = size / 2 + rnd() % (size + 1);
			}
			write_file(path, size);
			total += size;
			stamp(AT_FDCWD, path);
			strcpy(last, path);
		}
	}
	printf("%lu files, %" PRIu64 " MiB\n", files, total >> 20);
	return 0;
}
