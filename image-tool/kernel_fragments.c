/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_fragments: reads the profiles and fragments of kernel-config/. */
#include "image-tool/kernel_fragments.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/guestimg/kconfig.h"

#define FILE_MAX    (1u << 20)
#define SPDX        "# SPDX-License-Identifier:"
#define UNSET       " is not set"
#define MAX_INCLUDE 2 /* as build-kernel: a profile, and one that it includes */

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory to read kernel-config");
}

/* ---------------------------------------------------------------- lines of a fragment */

struct parse {
	struct kernel_catalogue *c;
	struct fragment *f;
	const char *path;
	size_t number;
	struct buffer comment; /* of the lines right above */
	const char *reason;    /* made of it, for the group that follows */
	bool in_head, cut;     /* the head ends at a line without words */
	struct error *err;
};

static int bad_line(const struct parse *p, const char *line)
{
	return error_set_kind(p->err, ERROR_INPUT, EINVAL,
	                      "%s line %zu: '%.80s' is not CONFIG_NAME=value", p->path, p->number,
	                      line);
}

/* Cuts "# since 6.12" off the line. */
static int take_since(struct parse *p, char *line, const char **since)
{
	char *hash = strrchr(line, '#');
	size_t n;

	*since = NULL;
	if (!hash || hash == line || (hash[-1] != ' ' && hash[-1] != '\t'))
		return 0;
	n = strspn(hash + 1, " \t");
	if (!str_starts(hash + 1 + n, "since "))
		return bad_line(p, line);
	*since = hash + 1 + n + strlen("since ");
	if (!**since || strspn(*since, "0123456789.") != strlen(*since))
		return bad_line(p, line);
	while (hash > line && (hash[-1] == ' ' || hash[-1] == '\t'))
		hash--;
	*hash = 0;
	return 0;
}

static int add_line(struct parse *p, const char *symbol, const char *value, const char *since)
{
	struct fragment *f = p->f;

	if (f->n == f->room) {
		size_t room = f->room ? 2 * f->room : 64;
		struct fragment_line *more =
		    arena_new_array(&p->c->arena, room, struct fragment_line);

		if (!more)
			return no_memory(p->err);
		if (f->n > 0)
			memcpy(more, f->lines, f->n * sizeof(*more));
		f->lines = more;
		f->room = room;
	}
	f->lines[f->n++] = (struct fragment_line){symbol, value, since, p->reason, p->number};
	return 0;
}

/* One of "A=y | B=y". */
static int take_symbol(struct parse *p, char *part, const char *since)
{
	_cleanup_kconfig_ struct kconfig *one = NULL;
	char *equals = strchr(part, '=');

	/* What a configuration's line may be is known to its reader. */
	if (!equals || kconfig_parse(part, strlen(part), p->path, &one, NULL) < 0)
		return bad_line(p, part);
	*equals = 0;
	return add_line(p, part, equals + 1, since);
}

static void end_comment(struct parse *p)
{
	if (p->comment.size > 0)
		p->reason = arena_strdup(&p->c->arena, buffer_cstr(&p->comment));
	if (p->in_head && p->comment.size > 0) {
		size_t n = strlen(p->f->name);

		/* "name: what it is for" */
		if (strncmp(p->reason, p->f->name, n) == 0 && p->reason[n] == ':')
			p->reason += n + 1 + strspn(p->reason + n + 1, " ");
		p->f->reason = p->reason;
		p->in_head = false;
	}
	buffer_clear(&p->comment);
	p->cut = false;
}

static void take_comment(struct parse *p, const char *line)
{
	line += 1 + strspn(line + 1, " \t");
	if (!*line)
		p->cut = p->in_head;
	else if (!p->cut)
		buffer_printf(&p->comment, "%s%s", p->comment.size > 0 ? " " : "", line);
}

static int take_line(struct parse *p, char *line)
{
	const char *since;
	char *part, *save = line;
	size_t n = strlen(line);
	int e;

	if (str_starts(line, "# CONFIG_") && str_ends(line, UNSET) && !strchr(line + 2, '=') &&
	    strcspn(line + 2, " ") == n - 2 - strlen(UNSET)) {
		end_comment(p);
		line[n - strlen(UNSET)] = 0;
		return add_line(p, line + 2, "n", NULL);
	}
	if (str_starts(line, SPDX))
		return 0;
	if (line[0] == '#') {
		take_comment(p, line);
		return 0;
	}
	end_comment(p);
	if (line[strspn(line, " \t")] == 0) {
		p->reason = p->f->reason;
		return 0;
	}
	e = take_since(p, line, &since);
	while (e == 0 && save) {
		part = save;
		save = strstr(part, " | ");
		if (save) {
			*save = 0;
			save += 3;
		}
		e = take_symbol(p, part, since);
	}
	return e;
}

static int read_fragment(struct kernel_catalogue *c, const char *path, const char *name,
                         struct fragment **out, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct parse p = {.c = c, .path = path, .in_head = true, .err = err};
	char *copy, *line;
	int e = fs_read_file(AT_FDCWD, path, FILE_MAX, &text, err);

	if (e < 0)
		return e;
	copy = arena_strndup(&c->arena, buffer_cstr(&text), text.size);
	p.f = arena_new(&c->arena, struct fragment);
	if (!copy || !p.f)
		return no_memory(err);
	p.f->name = arena_strdup(&c->arena, name);
	while (e == 0 && (line = strsep(&copy, "\n"))) {
		p.number++;
		e = take_line(&p, line);
	}
	buffer_free(&p.comment);
	*out = p.f;
	return e < 0 ? e : c->arena.failed ? no_memory(err) : 0;
}

/* ---------------------------------------------------------------- profiles */

static int find_fragment(struct kernel_catalogue *c, const char *data, const char *name,
                         struct fragment **out, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/kernel-config/fragments/%s.config", data, name);
	int e;

	for (size_t i = 0; i < c->n_fragments; i++)
		if (strcmp(c->fragments[i]->name, name) == 0) {
			*out = c->fragments[i];
			return 0;
		}
	if (!path)
		return no_memory(err);
	if (c->n_fragments == KERNEL_MAX_FRAGMENTS)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "kernel-config has more than %u fragments",
		                      KERNEL_MAX_FRAGMENTS);
	e = read_fragment(c, path, name, out, err);
	if (e == 0)
		c->fragments[c->n_fragments++] = *out;
	return e;
}

static int add_fragment(struct kernel_catalogue *c, const char *data, struct kernel_profile *p,
                        const char *name, struct error *err)
{
	struct fragment *f = NULL;
	int e = find_fragment(c, data, name, &f, err);

	if (e < 0)
		return e;
	if (p->n == KERNEL_MAX_FRAGMENTS)
		return error_set_kind(err, ERROR_INPUT, EFBIG, "profile %s has too many fragments",
		                      p->name);
	p->fragments[p->n++] = f;
	return 0;
}

/* Lines: a fragment's name, `include PROFILE`, a comment; the second line says what it is for. */
static int read_profile(struct kernel_catalogue *c, const char *data, struct kernel_profile *p,
                        const char *name, int depth, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/kernel-config/profiles/%s", data, name);
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	char *line, *save = NULL, empty[] = "";
	int e = path ? fs_read_file(AT_FDCWD, path, FILE_MAX, &text, err) : no_memory(err);

	if (e < 0)
		return e;
	if (depth >= MAX_INCLUDE)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "profile '%s' is included by an included profile", name);
	for (line = strtok_r(text.data ? (char *)text.data : empty, "\n", &save); e == 0 && line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (line[0] == '#') {
			const char *colon = strstr(line, ": ");

			if (!p->summary && colon && !str_starts(line, SPDX))
				p->summary = arena_strdup(&c->arena, colon + 2);
		} else if (str_starts(line, "include ")) {
			e = read_profile(c, data, p, line + strlen("include "), depth + 1, err);
		} else if (line[strspn(line, " \t")]) {
			e = add_fragment(c, data, p, line, err);
		}
	}
	return e;
}

static int by_name(const void *a, const void *b)
{
	const struct kernel_profile *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int by_fragment(const void *a, const void *b)
{
	const struct fragment *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int read_profiles(struct kernel_catalogue *c, const char *data, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/kernel-config/profiles", data);
	_cleanup_closedir_ DIR *d = path ? opendir(path) : NULL;
	struct dirent *entry;
	int e = 0;

	if (!d)
		return error_errno(err, path ? errno : ENOMEM,
		                   "cannot read the kernel profiles in %s", path ?: data);
	while (e == 0 && (entry = readdir(d))) {
		struct kernel_profile *p = &c->profiles[c->n_profiles];

		if (entry->d_name[0] == '.')
			continue;
		if (c->n_profiles == KERNEL_MAX_PROFILES)
			return error_set_kind(err, ERROR_INPUT, EFBIG,
			                      "there are more than %u kernel profiles",
			                      KERNEL_MAX_PROFILES);
		p->name = arena_strdup(&c->arena, entry->d_name);
		p->fragments = arena_new_array(&c->arena, KERNEL_MAX_FRAGMENTS, struct fragment *);
		if (!p->name || !p->fragments)
			return no_memory(err);
		c->n_profiles++;
		e = read_profile(c, data, p, p->name, 0, err);
	}
	qsort(c->profiles, c->n_profiles, sizeof(*c->profiles), by_name);
	qsort(c->fragments, c->n_fragments, sizeof(*c->fragments), by_fragment);
	return e;
}

int kernel_catalogue_load(const char *data, struct kernel_catalogue **out, struct error *err)
{
	_cleanup_catalogue_ struct kernel_catalogue *c = calloc(1, sizeof(*c));
	int e;

	if (!c)
		return no_memory(err);
	c->profiles = arena_new_array(&c->arena, KERNEL_MAX_PROFILES, struct kernel_profile);
	c->fragments = arena_new_array(&c->arena, KERNEL_MAX_FRAGMENTS, struct fragment *);
	e = c->arena.failed ? no_memory(err) : read_profiles(c, data, err);
	if (e < 0)
		return e;
	*out = steal_ptr(&c);
	return 0;
}

int kernel_catalogue_extend(struct kernel_catalogue *c, const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	struct fragment *f = NULL;
	int e;

	if (c->n_fragments == KERNEL_MAX_FRAGMENTS)
		return error_set_kind(err, ERROR_INPUT, EFBIG, "there are more than %u fragments",
		                      KERNEL_MAX_FRAGMENTS);
	e = read_fragment(c, path, slash ? slash + 1 : path, &f, err);
	if (e < 0)
		return e;
	c->fragments[c->n_fragments++] = f;
	for (size_t i = 0; i < c->n_profiles; i++)
		if (c->profiles[i].n < KERNEL_MAX_FRAGMENTS)
			c->profiles[i].fragments[c->profiles[i].n++] = f;
	return 0;
}

void kernel_catalogue_free(struct kernel_catalogue *c)
{
	if (!c)
		return;
	arena_free(&c->arena);
	free(c);
}

/* ---------------------------------------------------------------- questions */

const struct kernel_profile *kernel_profile_find(const struct kernel_catalogue *c, const char *name)
{
	for (size_t i = 0; i < c->n_profiles; i++)
		if (strcmp(c->profiles[i].name, name) == 0)
			return &c->profiles[i];
	return NULL;
}

int kernel_profile_need(const struct kernel_catalogue *c, const char *name,
                        const struct kernel_profile **out, struct error *err)
{
	_cleanup_buffer_ struct buffer known = BUFFER_INIT;

	*out = kernel_profile_find(c, name);
	if (*out)
		return 0;
	for (size_t i = 0; i < c->n_profiles; i++)
		buffer_printf(&known, "%s%s", i ? ", " : "", c->profiles[i].name);
	return error_set_kind(err, ERROR_USAGE, EINVAL,
	                      "there is no kernel profile '%s'; profiles: %s", name,
	                      buffer_cstr(&known));
}

const struct fragment_line *kernel_profile_line(const struct kernel_profile *p, const char *symbol,
                                                const struct fragment **fragment)
{
	const struct fragment_line *found = NULL;

	for (size_t i = 0; i < p->n; i++)
		for (size_t j = 0; j < p->fragments[i]->n; j++)
			if (strcmp(p->fragments[i]->lines[j].symbol, symbol) == 0) {
				found = &p->fragments[i]->lines[j];
				*fragment = p->fragments[i];
			}
	return found;
}

void kernel_profile_format(const struct kernel_profile *p, struct buffer *out)
{
	for (size_t i = 0; i < p->n; i++)
		for (size_t j = 0; j < p->fragments[i]->n; j++)
			buffer_printf(out, "%s=%s\n", p->fragments[i]->lines[j].symbol,
			              p->fragments[i]->lines[j].value);
}
