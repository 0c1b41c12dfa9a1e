/* SPDX-License-Identifier: Apache-2.0 */
/* lock: pins, written, read and compared. */
#include "image-tool/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/str.h"
#include "lib/base/utf8.h"

#define LOCK_SCHEMA 1

/* Known before the kernel and the libraries have been looked at. */
static const char *const sources[] = {"kihon", "profile", "file", "fragment", "extra"};

void lock_free(struct lock *l)
{
	arena_free(&l->arena);
	free(l->pins);
	*l = (struct lock){0};
}

int lock_add(struct lock *l, const char *kind, const char *name, const char *version,
             const char *sha256, struct error *err)
{
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		struct lock_pin *pins = reallocarray(l->pins, room, sizeof(*pins));

		if (!pins)
			return error_set(err, ENOMEM, "no memory for " LOCK_FILE);
		l->pins = pins;
		l->room = room;
	}
	l->pins[l->n++] = (struct lock_pin){
	    arena_strdup(&l->arena, kind),
	    arena_strdup(&l->arena, name),
	    arena_strdup(&l->arena, version),
	    arena_strdup(&l->arena, sha256),
	};
	return l->arena.failed ? error_set(err, ENOMEM, "no memory for " LOCK_FILE) : 0;
}

/* ---------------------------------------------------------------- text */

static void member(struct buffer *out, const char *key, const char *value)
{
	if (!value)
		return;
	buffer_printf(out, "%s\"%s\": ", out->data[out->size - 1] == '{' ? "" : ", ", key);
	buffer_json_string(out, value);
}

void lock_format(const struct lock *l, struct buffer *out)
{
	buffer_printf(out, "{\"schema\": %d, \"pins\": [", LOCK_SCHEMA);
	for (size_t i = 0; i < l->n; i++) {
		buffer_str(out, i > 0 ? ",\n  {" : "\n  {");
		member(out, "kind", l->pins[i].kind);
		member(out, "name", l->pins[i].name);
		member(out, "version", l->pins[i].version);
		member(out, "sha256", l->pins[i].sha256);
		buffer_str(out, "}");
	}
	buffer_str(out, "\n]}\n");
}

static bool is_plain(const char *s)
{
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return utf8_valid(s, strlen(s));
}

static int parse_pin(struct lock *l, const cJSON *item, const char *what, struct error *err)
{
	const char *kind = NULL, *name = NULL, *version = NULL, *sha256 = NULL;
	int r = cJSON_IsObject(item)
	            ? json_string(item, "kind", true, &kind, what, err)
	            : error_set_kind(err, ERROR_INPUT, EINVAL, "%s: a pin is no object", what);

	if (r == 0)
		r = json_string(item, "name", true, &name, what, err);
	if (r == 0)
		r = json_string(item, "version", false, &version, what, err);
	if (r >= 0)
		r = json_string(item, "sha256", false, &sha256, what, err);
	if (r < 0)
		return r;
	if (!is_plain(kind) || !is_plain(name) || (version && !is_plain(version)))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s: a pin has control characters in it", what);
	if (sha256 && (strlen(sha256) != 64 || strspn(sha256, "0123456789abcdef") != 64))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s: the sha256 of %s %s is not 64 hex digits", what, kind,
		                      name);
	return lock_add(l, kind, name, version, sha256, err);
}

int lock_parse(struct lock *l, const char *text, size_t size, const char *what, struct error *err)
{
	_cleanup_cjson_ cJSON *doc = NULL;
	const cJSON *pins = NULL, *item;
	uint64_t schema = 0;
	int r = json_parse(text, size, LOCK_MAX_SIZE, what, &doc, err);

	if (r == 0 && !cJSON_IsObject(doc))
		r = error_set_kind(err, ERROR_INPUT, EINVAL, "%s is no JSON object", what);
	if (r == 0)
		r = json_u64(doc, "schema", true, &schema, what, err);
	if (r == 0 && schema != LOCK_SCHEMA)
		r = error_set_kind(err, ERROR_INPUT, EINVAL,
		                   "%s has schema %llu, this program reads schema %d", what,
		                   (unsigned long long)schema, LOCK_SCHEMA);
	if (r == 0)
		r = json_array(doc, "pins", true, &pins, what, err);
	if (r == 0 && (size_t)cJSON_GetArraySize(pins) > LOCK_MAX_PINS)
		r = error_set_kind(err, ERROR_INPUT, EINVAL, "%s has more than %u pins", what,
		                   LOCK_MAX_PINS);
	if (r < 0)
		return r;
	cJSON_ArrayForEach(item, pins)
	{
		r = parse_pin(l, item, what, err);
		if (r < 0)
			break;
	}
	return r;
}

int lock_load(struct lock *l, const char *path, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int r = fs_read_file(AT_FDCWD, path, LOCK_MAX_SIZE, &text, err);

	if (r < 0 && err && r != -EFBIG)
		err->kind = ERROR_ENVIRONMENT;
	return r < 0 ? r : lock_parse(l, buffer_cstr(&text), text.size, path, err);
}

/* ---------------------------------------------------------------- comparing */

static bool is_source(const char *kind)
{
	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++)
		if (strcmp(sources[i], kind) == 0)
			return true;
	return false;
}

static bool is_compared(enum lock_part part, const char *kind, const struct lock *now)
{
	if (part != LOCK_KNOWN)
		return part == LOCK_ALL || is_source(kind);
	for (size_t i = 0; i < now->n; i++)
		if (strcmp(now->pins[i].kind, kind) == 0)
			return true;
	return false;
}

static bool same_pin(const struct lock_pin *a, const struct lock_pin *b)
{
	return strcmp(a->kind, b->kind) == 0 && strcmp(a->name, b->name) == 0;
}

/* The pin of that kind and name, the n-th where several have it (--extra of one name twice). */
static const struct lock_pin *find(const struct lock *in, const struct lock *of, size_t i)
{
	size_t before = 0;

	for (size_t j = 0; j < i; j++)
		before += same_pin(&of->pins[j], &of->pins[i]);
	for (size_t j = 0; j < in->n; j++)
		if (same_pin(&in->pins[j], &of->pins[i]) && before-- == 0)
			return &in->pins[j];
	return NULL;
}

static bool equal(const char *a, const char *b)
{
	return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

/* What changed, from `a` to `b`; one of them NULL: gone or new. */
static char *line(const struct lock_pin *a, const struct lock_pin *b)
{
	const struct lock_pin *p = a ?: b;
	const char *version = p->version ?: "", *sha256 = p->sha256 ?: "";

	if (!a || !b)
		return str_printf("%s %s%s%s: %s", p->kind, p->name, *version ? " " : "", version,
		                  a ? "is not used any more" : "is new");
	if (!equal(a->version, b->version))
		return str_printf("%s %s: version %s became %s", p->kind, p->name,
		                  *version ? version : "(none)", b->version ?: "(none)");
	return str_printf("%s %s%s%s: sha256 %.16s... became %.16s...", p->kind, p->name,
	                  *version ? " " : "", version, *sha256 ? sha256 : "(none)",
	                  b->sha256 ?: "(none)");
}

static int tell(const struct lock_pin *a, const struct lock_pin *b, lock_diff_fn fn, void *data)
{
	_cleanup_free_ char *text = line(a, b);

	return text ? fn(text, data) : -ENOMEM;
}

int lock_diff(const struct lock *former, const struct lock *now, enum lock_part part,
              lock_diff_fn fn, void *data)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < former->n; i++) {
		const struct lock_pin *a = &former->pins[i], *b;

		if (!is_compared(part, a->kind, now))
			continue;
		b = find(now, former, i);
		if (!b || !equal(a->version, b->version) || !equal(a->sha256, b->sha256))
			r = tell(a, b, fn, data);
	}
	for (size_t i = 0; r == 0 && i < now->n; i++)
		if (is_compared(part, now->pins[i].kind, now) && !find(former, now, i))
			r = tell(NULL, &now->pins[i], fn, data);
	return r;
}
