/* SPDX-License-Identifier: Apache-2.0 */
/* fd_readdir: all entries once, with buffers of every size, from any cookie. */
#include "wasi.h"

enum { FILES = 300 };

static u8 buf[70000];

/* "name-NNN" */
static void name_of(u32 n, char name[9])
{
	memcpy_(name, "name-", 5);
	name[5] = (char)('0' + n / 100);
	name[6] = (char)('0' + n / 10 % 10);
	name[7] = (char)('0' + n % 10);
	name[8] = 0;
}

/* Counts the entries when read `size` bytes at a time; each name must come once. */
static u32 count(u32 dir, u32 size)
{
	static u8 seen[FILES + 2];
	struct dirent d;
	u64 cookie = 0;
	u32 used, entries = 0;

	for (u32 i = 0; i < sizeof(seen); i++)
		seen[i] = 0;
	do {
		OK(fd_readdir(dir, buf, size, cookie, &used));
		CHECK(used <= size);
		for (u32 at = 0; at + sizeof(d) <= used; at += sizeof(d) + d.namlen) {
			const char *name = (char *)buf + at + sizeof(d);
			u32 n;

			memcpy_(&d, buf + at, sizeof(d));
			if (at + sizeof(d) + d.namlen > used)
				break;
			cookie = d.next;
			entries++;
			n = name[0] == '.'
			        ? FILES + d.namlen - 1
			        : (name[5] - '0') * 100 + (name[6] - '0') * 10 + (name[7] - '0');
			CHECK(n < sizeof(seen) && !seen[n]);
			seen[n] = 1;
			CHECK_IS(d.type, name[0] == '.' ? DIRECTORY : REGULAR_FILE);
			CHECK(d.ino != 0);
		}
	} while (used == size);
	return entries;
}

void test(void)
{
	static const u32 sizes[] = {40, 41, 64, 100, 256, 4096, 4097, sizeof(buf)};
	char name[9];
	u32 dir, used, file;

	OK(path_create_directory(ROOT, PATH("many")));
	dir = open_at(ROOT, "many", O_DIRECTORY);
	CHECK_IS(count(dir, 4096), 2);
	for (u32 i = 0; i < FILES; i++) {
		name_of(i, name);
		make_file(dir, name, "");
	}
	for (u32 i = 0; i < ITEMS(sizes); i++)
		CHECK_IS(count(dir, sizes[i]), FILES + 2);
	/* A buffer too small for a name: it is cut, and the caller sees that from the length. */
	OK(fd_readdir(dir, buf, 25, 0, &used));
	CHECK_IS(used, 25);
	OK(fd_readdir(dir, buf, 0, 0, &used));
	CHECK_IS(used, 0);
	CHECK_IS(fd_readdir(dir, buf, 100, ~0ull, &used), INVAL);
	CHECK_IS(fd_readdir(dir, OUTSIDE, 100, 0, &used), FAULT);
	CHECK_IS(fd_readdir(dir, buf, 100, 0, OUTSIDE), FAULT);
	CHECK_IS(fd_readdir(NO_FD, buf, 100, 0, &used), BADF);
	file = open_at(dir, "name-000", 0);
	CHECK_IS(fd_readdir(file, buf, 100, 0, &used), NOTDIR);
	/* As `rm -r` does: what is not yet read still comes. */
	for (u32 i = 0; i < FILES; i++) {
		name_of(i, name);
		OK(path_unlink_file(dir, PATH(name)));
	}
	CHECK_IS(count(dir, 64), 2);
}
