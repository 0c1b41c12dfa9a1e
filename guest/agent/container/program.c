/* SPDX-License-Identifier: Apache-2.0 */
/* program: a search in PATH. The error texts hold the words by which engines tell 126 from 127. */
#include "guest/agent/container/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/str.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *environment(const struct oci_process *p, const char *name)
{
	size_t n = strlen(name);
	const char *value = NULL;

	for (size_t i = 0; i < p->env.n; i++)
		if (strncmp(p->env.v[i], name, n) == 0 && p->env.v[i][n] == '=')
			value = p->env.v[i] + n + 1;
	return value;
}

/* 0, or the errno that execve would give as far as a look at the file tells. */
static int executable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	if (!S_ISREG(st.st_mode))
		return EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? errno : 0;
}

static int search(struct arena *a, const char *name, const char *path, const char **found)
{
	int worst = ENOENT;

	while (*path) {
		size_t n = strcspn(path, ":");
		char *candidate = arena_printf(a, "%.*s%s%s", (int)n, path, n ? "/" : "./", name);
		int r;

		if (!candidate)
			return ENOMEM;
		r = executable(candidate);
		if (r == 0) {
			*found = candidate;
			return 0;
		}
		if (r == EACCES)
			worst = EACCES;
		path += n;
		path += *path == ':';
	}
	return worst;
}

static int find(struct arena *a, const struct oci_process *p, const char **found, struct error *err)
{
	const char *name = p->args.v[0], *path = environment(p, "PATH");
	int r;

	if (strchr(name, '/')) {
		*found = name;
		r = executable(name);
		if (r)
			return error_errno(err, r, "open executable \"%s\"", name);
		return 0;
	}
	r = *name ? search(a, name, path ? path : DEFAULT_PATH, found) : ENOENT;
	if (r == ENOENT)
		return error_errno(err, r, "executable file not found in $PATH: \"%s\"", name);
	if (r)
		return error_errno(err, r, "open executable \"%s\"", name);
	return 0;
}

/* A name and where its assignment stands. */
struct assignment {
	char *text;
	size_t at;
};

static size_t name_length(const char *text)
{
	return strcspn(text, "=");
}

/* By name; the last one of a name first. */
static int by_name(const void *a, const void *b)
{
	const struct assignment *x = a, *y = b;
	size_t n = name_length(x->text), m = name_length(y->text);
	int r = memcmp(x->text, y->text, n < m ? n : m);

	if (r == 0 && n != m)
		r = n < m ? -1 : 1;
	return r ? r : x->at < y->at ? 1 : -1;
}

/* Of two assignments to a name the later one holds, as when a shell does them in turn: getenv(3)
 * would find the first. */
static int drop_repeated(struct arena *a, char **env, size_t *n)
{
	struct assignment *sorted = arena_new_array(a, *n + 1, struct assignment);
	size_t kept = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < *n; i++)
		sorted[i] = (struct assignment){env[i], i};
	qsort(sorted, *n, sizeof(*sorted), by_name);
	for (size_t i = 1; i < *n; i++) {
		size_t k = name_length(sorted[i].text);

		if (name_length(sorted[i - 1].text) == k &&
		    memcmp(sorted[i - 1].text, sorted[i].text, k) == 0)
			env[sorted[i].at] = NULL;
	}
	for (size_t i = 0; i < *n; i++)
		if (env[i])
			env[kept++] = env[i];
	env[ *n = kept] = NULL;
	return 0;
}

static int complete_environment(struct arena *a, const struct oci_process *p, const char *home,
                                struct program *out)
{
	size_t n = p->env.n;

	out->envp = arena_new_array(a, n + 2, char *);
	if (!out->envp)
		return -ENOMEM;
	if (n)
		memcpy(out->envp, p->env.v, n * sizeof(char *));
	if (drop_repeated(a, out->envp, &n) < 0)
		return -ENOMEM;
	if (!environment(p, "HOME")) {
		out->envp[n] = arena_printf(a, "HOME=%s", str_empty(home) ? "/" : home);
		if (!out->envp[n])
			return -ENOMEM;
	}
	return 0;
}

int program_prepare(struct arena *a, const struct oci_process *p, const char *home,
                    struct program *out, struct error *err)
{
	int r = find(a, p, &out->path, err);

	if (r < 0)
		return r;
	out->argv = p->args.v;
	if (complete_environment(a, p, home, out) < 0)
		return error_set(err, ENOMEM, "preparing the environment: no memory");
	return 0;
}
