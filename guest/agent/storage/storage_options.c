/* SPDX-License-Identifier: Apache-2.0 */
/* storage_options: split where mount(8) would. */
#include "guest/agent/storage/storage_options.h"

#include <errno.h>
#include <string.h>

#include "lib/base/str.h"

static bool is_list(const char *option)
{
	return strchr(option, ',') && !str_starts(option, "X-") && !str_starts(option, "x-");
}

/* The length of the first word. */
static size_t word_length(const char *s)
{
	bool quoted = false;
	size_t n = 0;

	while (s[n] && (quoted || s[n] != ',')) {
		if (s[n] == '\\' && s[n + 1])
			n++;
		else if (s[n] == '"')
			quoted = !quoted;
		n++;
	}
	return n;
}

static size_t count_commas(const char *s)
{
	size_t n = 0;

	while ((s = strchr(s, ',')))
		n++, s++;
	return n;
}

static void split_one(const char *s, struct arena *arena, char **out, size_t *n)
{
	while (*s) {
		size_t length = word_length(s);

		if (length > 0) /* the arena remembers a failure */
			out[(*n)++] = arena_strndup(arena, s, length);
		s += length + (s[length] == ',');
	}
}

static int split(Grpc__Storage *s, struct arena *arena)
{
	size_t room = 0, n = 0;
	bool lists = false;
	char **out;

	for (size_t i = 0; i < s->n_options; i++) {
		room += 1 + count_commas(s->options[i]);
		lists = lists || is_list(s->options[i]);
	}
	if (!lists)
		return 0;
	out = arena_array(arena, room, sizeof(*out));
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_options; i++) {
		if (is_list(s->options[i]))
			split_one(s->options[i], arena, out, &n);
		else
			out[n++] = s->options[i];
	}
	s->options = out;
	s->n_options = n;
	return arena->failed ? -ENOMEM : 0;
}

/* In place: of several slashes one, and none at the end. */
static void tidy_path(char *path)
{
	size_t n = 0;

	if (!*path) /* may be the constant that absent strings are */
		return;
	for (const char *p = path; *p; p++)
		if (*p != '/' || n == 0 || path[n - 1] != '/')
			path[n++] = *p;
	if (n > 1 && path[n - 1] == '/')
		n--;
	path[n] = '\0';
}

int storage_options_split(Grpc__Storage *const *v, size_t n, struct arena *arena, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		tidy_path(v[i]->mount_point);
		if (split(v[i], arena) < 0)
			return error_set(err, ENOMEM, "out of memory for the options of storages");
	}
	return 0;
}
