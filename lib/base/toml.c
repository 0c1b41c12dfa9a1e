/* SPDX-License-Identifier: Apache-2.0 */
/* toml: a reader of TOML 1.0 (https://toml.io/en/v1.0.0) that never recurses. */
#include "toml.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "toml_scan.h"

/* How a table or an array came to be, kept in cJSON's `valueint`, which objects and
 * arrays do not use: TOML forbids adding to some of them later. */
enum {
	BY_HEADER = 1, /* [a]: may not be given twice */
	BY_DOTS = 2,   /* a.b = 1: no header may name it */
	CLOSED = 4,    /* inline table or array: complete where it stands */
	OF_TABLES = 8, /* [[a]] */
};

struct keypath {
	char *part[TOML_MAX_DEPTH];
	size_t n;
};

/* A container that is being filled by an inline value. */
struct frame {
	cJSON *container;
	cJSON *at;  /* the table the next value goes to (dotted keys descend) */
	char *name; /* and under which name; NULL in arrays; owned */
};

static void keypath_clear(struct keypath *k)
{
	for (size_t i = 0; i < k->n; i++)
		free(k->part[i]);
	k->n = 0;
}

static int add_item(struct toml_scan *s, cJSON *at, const char *name, cJSON *item,
                    struct error *err)
{
	bool ok;

	if (!name) {
		ok = cJSON_AddItemToArray(at, item);
	} else if (cJSON_GetObjectItemCaseSensitive(at, name)) {
		cJSON_Delete(item);
		return toml_scan_error(s, err, "the key \"%.64s\" is given twice", name);
	} else if (++s->keys > TOML_MAX_KEYS) {
		cJSON_Delete(item);
		return error_set_kind(err, ERROR_INPUT, EFBIG, "%s has more than %d keys", s->what,
		                      TOML_MAX_KEYS);
	} else {
		ok = cJSON_AddItemToObject(at, name, item);
	}
	if (!ok) {
		cJSON_Delete(item);
		return error_set(err, ENOMEM, "out of memory reading %s", s->what);
	}
	return 0;
}

static int new_container(struct toml_scan *s, cJSON *at, const char *name, bool table, int flags,
                         cJSON **out, struct error *err)
{
	cJSON *c = table ? cJSON_CreateObject() : cJSON_CreateArray();
	int r;

	if (!c)
		return error_set(err, ENOMEM, "out of memory reading %s", s->what);
	c->valueint = flags;
	r = add_item(s, at, name, c, err);
	if (r)
		return r;
	*out = c;
	return 0;
}

/* key = bare or quoted, joined by dots with blanks around them. */
static int read_keypath(struct toml_scan *s, struct keypath *k, struct error *err)
{
	for (;;) {
		int r;

		if (k->n == TOML_MAX_DEPTH)
			return toml_scan_error(s, err, "a key of more than %d parts",
			                       TOML_MAX_DEPTH);
		toml_scan_blanks(s);
		r = toml_scan_key(s, &k->part[k->n], err);
		if (r)
			return r;
		k->n++;
		toml_scan_blanks(s);
		if (toml_scan_peek(s) != '.')
			return 0;
		s->p++;
	}
}

/* From `table` down the dotted parts of a key but the last, making what is missing. */
static int descend_dots(struct toml_scan *s, cJSON *table, const struct keypath *k, cJSON **out,
                        struct error *err)
{
	for (size_t i = 0; i + 1 < k->n; i++) {
		cJSON *next = cJSON_GetObjectItemCaseSensitive(table, k->part[i]);

		if (!next) {
			int r = new_container(s, table, k->part[i], true, BY_DOTS, &next, err);

			if (r)
				return r;
		} else if (!cJSON_IsObject(next) || next->valueint & (CLOSED | BY_HEADER)) {
			return toml_scan_error(s, err, "the key \"%.64s\" cannot be added to",
			                       k->part[i]);
		}
		table = next;
	}
	*out = table;
	return 0;
}

/* From the root down a header's parts but the last: an array of tables means its last. */
static int descend_header(struct toml_scan *s, cJSON *root, const struct keypath *k, cJSON **out,
                          struct error *err)
{
	cJSON *table = root;

	for (size_t i = 0; i + 1 < k->n; i++) {
		cJSON *next = cJSON_GetObjectItemCaseSensitive(table, k->part[i]);

		if (!next) {
			int r = new_container(s, table, k->part[i], true, 0, &next, err);

			if (r)
				return r;
		} else if (cJSON_IsArray(next) && next->valueint & OF_TABLES) {
			next = next->child->prev; /* cJSON: the first's prev is the last */
		} else if (!cJSON_IsObject(next) || next->valueint & CLOSED) {
			return toml_scan_error(s, err, "the key \"%.64s\" is not a table",
			                       k->part[i]);
		}
		table = next;
	}
	*out = table;
	return 0;
}

static int open_table(struct toml_scan *s, cJSON *parent, const char *name, bool of_tables,
                      cJSON **out, struct error *err)
{
	cJSON *there = cJSON_GetObjectItemCaseSensitive(parent, name);
	int r;

	if (of_tables) {
		if (!there) {
			r = new_container(s, parent, name, false, OF_TABLES, &there, err);
			if (r)
				return r;
		} else if (!cJSON_IsArray(there) || !(there->valueint & OF_TABLES)) {
			return toml_scan_error(s, err, "the key \"%.64s\" is given twice", name);
		}
		return new_container(s, there, NULL, true, BY_HEADER, out, err);
	}
	if (!there)
		return new_container(s, parent, name, true, BY_HEADER, out, err);
	if (!cJSON_IsObject(there) || there->valueint & (BY_HEADER | BY_DOTS | CLOSED))
		return toml_scan_error(s, err, "the table \"%.64s\" is given twice", name);
	there->valueint |= BY_HEADER;
	*out = there;
	return 0;
}

static int read_header(struct toml_scan *s, cJSON *root, cJSON **current, struct error *err)
{
	_cleanup_(keypath_clear) struct keypath k = {0};
	bool of_tables;
	cJSON *parent = NULL;
	int r;

	s->p++;
	of_tables = toml_scan_peek(s) == '[';
	if (of_tables)
		s->p++;
	r = read_keypath(s, &k, err);
	if (r)
		return r;
	for (int i = 0; i <= of_tables; i++)
		if (toml_scan_peek(s) != ']')
			return toml_scan_error(s, err, "a table's header does not end in ']'");
		else
			s->p++;
	r = descend_header(s, root, &k, &parent, err);
	if (r)
		return r;
	return open_table(s, parent, k.part[k.n - 1], of_tables, current, err);
}

/* `key =` inside an inline table, or at the start of a line: sets where the value goes. */
static int read_assignment(struct toml_scan *s, struct frame *f, struct error *err)
{
	_cleanup_(keypath_clear) struct keypath k = {0};
	int r = read_keypath(s, &k, err);

	if (r)
		return r;
	if (toml_scan_peek(s) != '=')
		return toml_scan_error(s, err, "no '=' after the key \"%.64s\"", k.part[0]);
	s->p++;
	r = descend_dots(s, f->container, &k, &f->at, err);
	if (r)
		return r;
	free(f->name);
	f->name = k.part[--k.n];
	return 0;
}

/* After an opening bracket or a comma: 1 when the container ends here, else 0 with the
 * place of the next value in f. */
static int next_element(struct toml_scan *s, struct frame *f, bool after_comma, struct error *err)
{
	bool table = cJSON_IsObject(f->container);

	if (table)
		toml_scan_blanks(s);
	else
		toml_scan_blank_lines(s);
	if (toml_scan_peek(s) == (table ? '}' : ']') && !(table && after_comma)) {
		s->p++;
		return 1;
	}
	if (!table) {
		f->at = f->container;
		return 0;
	}
	return read_assignment(s, f, err);
}

/* After a value: 1 when its container ended too, 0 when another value follows. */
static int after_element(struct toml_scan *s, struct frame *f, struct error *err)
{
	bool table = cJSON_IsObject(f->container);
	int c;

	if (table)
		toml_scan_blanks(s);
	else
		toml_scan_blank_lines(s);
	c = toml_scan_peek(s);
	if (c == ',') {
		s->p++;
		return next_element(s, f, true, err);
	}
	if (c != (table ? '}' : ']'))
		return toml_scan_error(s, err, "an %s does not end in '%c'",
		                       table ? "inline table" : "array", table ? '}' : ']');
	s->p++;
	return 1;
}

struct frames {
	struct frame v[TOML_MAX_DEPTH];
	size_t n;
};

static void frames_clear(struct frames *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->v[i].name);
	f->n = 0;
}

/* The value of `key =`, which may hold arrays and tables to any depth allowed. The first
 * frame is the table that the line is in; the line ends when it is back on top. */
static int read_value(struct toml_scan *s, struct frames *fs, struct error *err)
{
	for (;;) {
		struct frame *f = &fs->v[fs->n - 1];
		int c, r;

		toml_scan_blanks(s);
		c = toml_scan_peek(s);
		if (c == '[' || c == '{') {
			cJSON *made = NULL;

			if (fs->n == TOML_MAX_DEPTH)
				return toml_scan_error(s, err, "nested deeper than %d",
				                       TOML_MAX_DEPTH);
			r = new_container(s, f->at, f->name, c == '{', 0, &made, err);
			if (r)
				return r;
			s->p++;
			fs->v[fs->n] = (struct frame){.container = made};
			r = next_element(s, &fs->v[fs->n++], false, err);
		} else {
			cJSON *item;

			r = toml_scan_scalar(s, &item, err);
			if (r)
				return r;
			r = add_item(s, f->at, f->name, item, err);
			if (r)
				return r;
			if (fs->n == 1)
				return 0;
			r = after_element(s, f, err);
		}
		while (r == 1) { /* one container done: its parent goes on */
			fs->v[fs->n - 1].container->valueint |= CLOSED;
			free(fs->v[--fs->n].name);
			if (fs->n == 1)
				return 0;
			r = after_element(s, &fs->v[fs->n - 1], err);
		}
		if (r < 0)
			return r;
	}
}

static int read_line(struct toml_scan *s, cJSON *root, cJSON **current, struct error *err)
{
	_cleanup_(frames_clear) struct frames fs = {.n = 1};
	int r;

	toml_scan_blank_lines(s);
	if (toml_scan_peek(s) < 0)
		return 1;
	if (toml_scan_peek(s) == '[') {
		r = read_header(s, root, current, err);
	} else {
		fs.v[0].container = *current;
		r = read_assignment(s, &fs.v[0], err);
		if (!r)
			r = read_value(s, &fs, err);
	}
	if (r)
		return r;
	return toml_scan_line_end(s, err);
}

int toml_parse(const char *text, size_t size, size_t max, const char *what, cJSON **out,
               struct error *err)
{
	struct toml_scan s = {.p = text, .end = text + size, .start = text, .what = what};
	_cleanup_cjson_ cJSON *root = NULL;
	cJSON *current;
	int r;

	if (size > max)
		return error_set_kind(err, ERROR_INPUT, EFBIG, "%s is larger than %zu bytes", what,
		                      max);
	root = cJSON_CreateObject();
	if (!root)
		return error_set(err, ENOMEM, "out of memory reading %s", what);
	current = root;
	do
		r = read_line(&s, root, &current, err);
	while (r == 0);
	if (r < 0)
		return r;
	*out = steal_ptr(&root);
	return 0;
}
