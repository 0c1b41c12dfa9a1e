/* SPDX-License-Identifier: Apache-2.0 */
/* cat FILE..., or -l FOLDER: what a small program of a C library does, for wasm32-wasi. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(const char *path)
{
	DIR *d = opendir(path);
	char *names[256], line[512];
	int n = 0;

	if (!d)
		return -1;
	for (struct dirent *e; n < 256 && (e = readdir(d));) {
		struct stat st;

		if (e->d_name[0] == '.' ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		snprintf(line, sizeof(line), "%c %s", S_ISDIR(st.st_mode) ? 'd' : 'f', e->d_name);
		names[n++] = strdup(line);
	}
	closedir(d);
	qsort(names, (size_t)n, sizeof(*names), by_name);
	for (int i = 0; i < n; i++)
		puts(names[i]);
	return 0;
}

static int copy(const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	char buf[5000];
	size_t n;

	if (!f)
		return -1;
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		fwrite(buf, 1, n, stdout);
	return f == stdin ? 0 : fclose(f);
}

int main(int argc, char **argv)
{
	int listing = argc > 1 && strcmp(argv[1], "-l") == 0;

	for (int i = 1 + listing; i < argc; i++) {
		if ((listing ? list(argv[i]) : copy(argv[i])) < 0) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(errno));
			return 1;
		}
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
