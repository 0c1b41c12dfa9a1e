/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack_libraries: a dynamic program's interpreter and libraries, all of them, looked for as
 * ld.so(8) looks: DT_RPATH or DT_RUNPATH, LD_LIBRARY_PATH, the usual folders. Folders that only
 * ld.so.conf names are not read: a library that is anywhere in the image counts as found.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "image-tool/pack.h"
#include "lib/elf/elf.h"

#define LIBRARIES_MAX 1024
#define MISSING_SHOWN 5

static const char folders[] = "/lib:/lib64:/usr/lib:/usr/lib64:/lib/x86_64-linux-gnu:"
                              "/usr/lib/x86_64-linux-gnu:/usr/local/lib:"
                              "/usr/local/lib/x86_64-linux-gnu";

/* Programs and libraries that were found and whose own needs are to be looked at. */
struct closure {
	struct pack *p;
	struct strv names; /* as needed */
	struct strv paths; /* "" where only the name was found */
	size_t done;
	struct strv missing;
	bool musl;
	struct error *err;
	struct rootview_file file;
};

static int no_memory(struct closure *c)
{
	return error_set(c->err, ENOMEM, "no memory to look for libraries");
}

/* musl's loader is its C library, and answers to the names of the parts of others'. */
static bool is_loader_itself(const struct closure *c, const char *name)
{
	static const char *const parts[] = {"c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet."};

	if (str_starts(name, "ld-linux") || str_starts(name, "ld-musl"))
		return true;
	for (size_t i = 0; c->musl && i < sizeof(parts) / sizeof(*parts); i++)
		if (str_starts(name, "lib") && str_starts(name + 3, parts[i]))
			return true;
	return false;
}

/* A folder of DT_RUNPATH, with $ORIGIN put in; NULL: no memory. */
static char *with_origin(const char *dir, const char *object)
{
	static const char *const words[] = {"${ORIGIN}", "$ORIGIN"};
	const char *slash = strrchr(object, '/');

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		const char *at = strstr(dir, words[i]);

		if (at)
			return str_printf("%.*s%.*s%s", (int)(at - dir), dir,
			                  (int)(slash ? slash - object : 0), object,
			                  at + strlen(words[i]));
	}
	return strdup(dir);
}

/* Looks in the folders of a list with colons. 0 found, in c->file; 1 not. */
static int search(struct closure *c, const char *list, const char *object, const char *name)
{
	_cleanup_strv_ struct strv dirs = STRV_INIT;
	int r = 1;

	if (!list)
		return 1;
	if (strv_split(&dirs, list, ":") < 0)
		return no_memory(c);
	for (size_t i = 0; r > 0 && i < dirs.n; i++) {
		_cleanup_free_ char *dir = with_origin(dirs.v[i], object);

		if (!dir)
			return no_memory(c);
		r = rootview_find(c->p->view, dir[0] == '/' ? dir : "/", name, &c->file, c->err);
		if (r == 0 && !S_ISREG(c->file.st.mode))
			r = 1;
	}
	return r;
}

static const char *library_path(const struct pack *p)
{
	for (size_t i = 0; i < p->run.env.n; i++)
		if (str_starts(p->run.env.v[i], "LD_LIBRARY_PATH="))
			return p->run.env.v[i] + strlen("LD_LIBRARY_PATH=");
	return NULL;
}

/* 0 found: c->file; 1: it is nowhere; 2: it is somewhere else. */
static int find_library(struct closure *c, const struct elf *e, const char *object,
                        const char *name)
{
	bool somewhere = false;
	int r;

	if (strchr(name, '/'))
		return rootview_find(c->p->view, c->p->run.cwd ?: "/", name, &c->file, c->err);
	r = search(c, e->runpath ? NULL : e->rpath, object, name);
	if (r > 0)
		r = search(c, library_path(c->p), object, name);
	if (r > 0)
		r = search(c, e->runpath, object, name);
	if (r > 0)
		r = search(c, folders, object, name);
	if (r <= 0)
		return r;
	r = rootview_has_name(c->p->view, name, &somewhere, c->err);
	return r < 0 ? r : somewhere ? 2 : 1;
}

static int note(struct closure *c, const char *name, const char *path)
{
	if (c->names.n == LIBRARIES_MAX)
		return error_set_kind(c->err, ERROR_INPUT, E2BIG, "%s: more than %d libraries",
		                      c->p->source, LIBRARIES_MAX);
	return strv_add(&c->names, name) < 0 || strv_add(&c->paths, path) < 0 ? no_memory(c) : 0;
}

static int need(struct closure *c, const struct elf *e, const char *object, const char *name)
{
	int r;

	if (strv_has(&c->names, name) || is_loader_itself(c, name))
		return 0;
	r = find_library(c, e, object, name);
	if (r == 1 && strv_addf(&c->missing, "%s (for %s)", name, object) < 0)
		return no_memory(c);
	if (r < 0)
		return r;
	return note(c, name, r == 0 ? c->file.path : "");
}

/* What an object of the closure needs. The file may be c->file: what is read of it points into
 * the view. */
static int look_at(struct closure *c, const char *object, const uint8_t *data, size_t size)
{
	struct elf e;
	int r = elf_open(&e, data, size, c->err);

	if (r < 0)
		return error_prefix(c->err, r, "%s: %s", c->p->source, object);
	c->p->needs |= pack_needs(&e);
	for (size_t i = 0; r == 0 && i < e.n_needed; i++)
		r = need(c, &e, object, e.needed[i]);
	return r;
}

static int look_at_next(struct closure *c)
{
	const char *path = c->paths.v[c->done++];
	_cleanup_free_ char *object = strdup(path);
	int r;

	if (!object)
		return no_memory(c);
	if (!*object)
		return 0;
	r = rootview_find(c->p->view, "/", object, &c->file, c->err);
	return r < 0 ? r : look_at(c, object, c->file.data, c->file.size);
}

static int say_missing(struct closure *c)
{
	_cleanup_buffer_ struct buffer list = BUFFER_INIT;

	if (c->missing.n == 0)
		return 0;
	for (size_t i = 0; i < c->missing.n && i < MISSING_SHOWN; i++)
		buffer_printf(&list, "%s%s", i > 0 ? ", " : "", c->missing.v[i]);
	if (c->missing.n > MISSING_SHOWN)
		buffer_printf(&list, " and %zu more", c->missing.n - MISSING_SHOWN);
	return error_set_kind(c->err, ERROR_INPUT, ENOENT, "%s lacks %s: add what is missing",
	                      c->p->source, buffer_cstr(&list));
}

static int check_interpreter(struct closure *c, const struct elf *e, const char *object)
{
	const char *base;
	int r;

	if (!e->interp)
		return 0;
	base = strrchr(e->interp, '/');
	c->musl = str_starts(base ? base + 1 : e->interp, "ld-musl");
	r = rootview_find(c->p->view, "/", e->interp, &c->file, c->err);
	if (r > 0)
		return error_set_kind(c->err, ERROR_INPUT, ENOENT,
		                      "%s: %s is loaded by %s, which is not there: add it and the "
		                      "libraries, or link the program with -static",
		                      c->p->source, object, e->interp);
	if (r == 0 && (!S_ISREG(c->file.st.mode) || !(c->file.st.mode & 0111)))
		return error_set_kind(c->err, ERROR_INPUT, EACCES,
		                      "%s: %s is loaded by %s, which is not executable",
		                      c->p->source, object, e->interp);
	if (r == 0)
		r = pack_check_place(c->p, c->file.path, e->interp, c->err);
	if (r == 0) {
		struct elf loader;

		r = elf_open(&loader, c->file.data, c->file.size, c->err);
		if (r < 0)
			return error_prefix(c->err, r, "%s: %s", c->p->source, e->interp);
	}
	return r;
}

int pack_libraries(struct pack *p, const struct rootview_file *program, struct error *err)
{
	struct closure *c = calloc(1, sizeof(*c));
	struct elf e;
	int r;

	if (!c)
		return error_set(err, ENOMEM, "no memory to look for libraries");
	c->p = p;
	c->err = err;
	r = elf_open(&e, program->data, program->size, err);
	if (r == 0)
		r = check_interpreter(c, &e, program->path);
	if (r == 0)
		r = look_at(c, program->path, program->data, program->size);
	while (r == 0 && c->done < c->paths.n)
		r = look_at_next(c);
	if (r == 0)
		r = say_missing(c);
	strv_free(&c->names);
	strv_free(&c->paths);
	strv_free(&c->missing);
	free(c);
	return r;
}
