/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree-list: prints a tree in a canonical form, from inside a container or on the host, for
 *tests/tree.bats.
 *
 *	tree-list [-x PATH]... ROOT		-x: neither this path (relative to ROOT) nor what is
 *below it
 *
 * A line an entry, sorted by bytes: PATH TYPE MODE UID:GID MTIME, then for files SIZE and SHA-256,
 *for links the target, for devices MAJOR:MINOR; `same=PATH` names the first of several names of one
 *file; at last {NAME=HEX} for each extended attribute. Bytes that are not printable ASCII are \xHH.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

struct entry {
	char *path; /* relative to ROOT; "" is ROOT */
	struct stat st;
};

static struct entry *entries;
static size_t n_entries;
static const char *root;
static char **excluded;
static int n_excluded;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "tree-list: %s: %s\n", what, strerror(errno));
	exit(1);
}

static bool is_excluded(const char *path)
{
	for (int i = 0; i < n_excluded; i++)
		if (strcmp(excluded[i], path) == 0)
			return true;
	return false;
}

static const char *full(const char *path)
{
	static char name[16384];

	snprintf(name, sizeof(name), "%s/%s", root, path);
	return name;
}

static void add(char *path)
{
	struct entry *e;

	if (n_entries % 256 == 0) {
		entries = realloc(entries, (n_entries + 256) * sizeof(*entries));
		if (!entries)
			die("memory");
	}
	e = &entries[n_entries++];
	e->path = path;
	if (lstat(full(path), &e->st) < 0)
		die(path);
}

static void add_children(const char *parent)
{
	DIR *d = opendir(full(parent));
	struct dirent *child;

	if (!d)
		die(parent);
	while ((child = readdir(d))) {
		char *path = NULL;

		if (strcmp(child->d_name, ".") == 0 || strcmp(child->d_name, "..") == 0)
			continue;
		if (asprintf(&path, "%s%s%s", parent, *parent ? "/" : "", child->d_name) < 0)
			die("memory");
		if (is_excluded(path))
			free(path);
		else
			add(path);
	}
	closedir(d);
}

static void print_escaped(const char *text)
{
	for (const uint8_t *p = (const uint8_t *)text; *p; p++)
		if (*p > ' ' && *p < 0x7f && *p != '\\')
			putchar(*p);
		else
			printf("\\x%02x", *p);
}

static void print_hex(const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		printf("%02x", p[i]);
}

static void print_sha256(const struct entry *e)
{
	static uint8_t block[65536];
	uint8_t hash[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int fd = open(full(e->path), O_RDONLY | O_CLOEXEC);
	unsigned int size = 0;
	ssize_t n;

	if (fd < 0 || !ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
		die(e->path);
	while ((n = read(fd, block, sizeof(block))) > 0)
		EVP_DigestUpdate(ctx, block, (size_t)n);
	if (n < 0)
		die(e->path);
	EVP_DigestFinal_ex(ctx, hash, &size);
	EVP_MD_CTX_free(ctx);
	close(fd);
	print_hex(hash, size);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_xattrs(const char *path)
{
	static char names[65536];
	static uint8_t value[65536];
	char *sorted[1024];
	size_t n = 0;
	ssize_t size = llistxattr(path, names, sizeof(names));

	if (size < 0 && errno != ENOTSUP)
		die(path);
	for (char *name = names; name < names + size && n < 1024; name += strlen(name) + 1)
		sorted[n++] = name;
	qsort(sorted, n, sizeof(sorted[0]), by_name);
	for (size_t i = 0; i < n; i++) {
		ssize_t length = lgetxattr(path, sorted[i], value, sizeof(value));

		if (length < 0)
			die(sorted[i]);
		printf(" {");
		print_escaped(sorted[i]);
		putchar('=');
		print_hex(value, (size_t)length);
		putchar('}');
	}
}

/* The first name of the file that has others among the entries, or NULL. */
static const char *first_name(const struct entry *e)
{
	const struct entry *first = NULL;
	size_t names = 0;

	if (e->st.st_nlink < 2 || S_ISDIR(e->st.st_mode))
		return NULL;
	for (const struct entry *o = entries; o < entries + n_entries; o++) {
		if (o->st.st_dev != e->st.st_dev || o->st.st_ino != e->st.st_ino)
			continue;
		if (!first)
			first = o;
		names++;
	}
	return names > 1 ? first->path : NULL;
}

static void print_content(const struct entry *e)
{
	char target[8192];
	ssize_t n;

	switch (e->st.st_mode & S_IFMT) {
	case S_IFREG:
		printf(" %lld ", (long long)e->st.st_size);
		print_sha256(e);
		break;
	case S_IFLNK:
		n = readlink(full(e->path), target, sizeof(target) - 1);
		if (n < 0)
			die(e->path);
		target[n] = '\0';
		printf(" ->");
		print_escaped(target);
		break;
	case S_IFCHR:
	case S_IFBLK:
		printf(" %u:%u", major(e->st.st_rdev), minor(e->st.st_rdev));
		break;
	}
}

static void print(const struct entry *e)
{
	static const char types[16] = "?pc?d?b?f?l?s???";
	const char *same = first_name(e);

	print_escaped(*e->path ? e->path : ".");
	printf(" %c %04o %u:%u %lld.%09ld", types[e->st.st_mode >> 12 & 15], e->st.st_mode & 07777,
	       e->st.st_uid, e->st.st_gid, (long long)e->st.st_mtim.tv_sec, e->st.st_mtim.tv_nsec);
	print_content(e);
	if (same) {
		printf(" same=");
		print_escaped(same);
	}
	print_xattrs(full(e->path));
	putchar('\n');
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

int main(int argc, char **argv)
{
	int i = 1;

	excluded = calloc((size_t)argc, sizeof(*excluded));
	for (; excluded && i + 1 < argc && strcmp(argv[i], "-x") == 0; i += 2)
		excluded[n_excluded++] = argv[i + 1];
	if (!excluded || i + 1 != argc) {
		fputs("Usage: tree-list [-x PATH]... ROOT\n", stderr);
		return 2;
	}
	root = argv[i];
	add(strdup(""));
	for (size_t done = 0; done < n_entries; done++)
		if (S_ISDIR(entries[done].st.st_mode))
			add_children(entries[done].path);
	qsort(entries, n_entries, sizeof(entries[0]), by_path);
	for (size_t k = 0; k < n_entries; k++)
		print(&entries[k]);
	return ferror(stdout) || fclose(stdout) != 0;
}
