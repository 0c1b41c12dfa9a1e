/* SPDX-License-Identifier: Apache-2.0 */
/* tar_pax: see the header. */
#include "lib/image/tar_pax.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/image/base64.h"

void tar_pax_clear(struct tar_pax *x)
{
	struct buffer body = x->body, decoded = x->decoded;
	struct tar_sparse map = x->map;

	buffer_clear(&body);
	buffer_clear(&decoded);
	tar_sparse_clear(&map);
	*x = (struct tar_pax){.body = body, .decoded = decoded, .map = map};
}

void tar_pax_free(struct tar_pax *x)
{
	buffer_free(&x->body);
	buffer_free(&x->decoded);
	tar_sparse_free(&x->map);
}

static int bad(const char *key, struct error *err)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "a pax header with a \"%.40s\" that makes no sense", key);
}

/* A value's size is known: it may hold NUL bytes. */
struct record {
	char *key;
	char *value; /* NUL-terminated besides */
	size_t size;
};

typedef int (*record_fn)(struct tar_pax *x, const struct record *r, struct error *err);

static int text(const struct record *r, const char **out, struct error *err)
{
	if (strlen(r->value) != r->size)
		return bad(r->key, err);
	*out = r->value;
	return 0;
}

static int number(const struct record *r, uint64_t *out, bool *has, struct error *err)
{
	*has = r->size > 0;
	if (*has && (strlen(r->value) != r->size || parse_u64(r->value, out)))
		return bad(r->key, err);
	return 0;
}

static int on_path(struct tar_pax *x, const struct record *r, struct error *err)
{
	return text(r, &x->path, err);
}

static int on_linkpath(struct tar_pax *x, const struct record *r, struct error *err)
{
	return text(r, &x->linkpath, err);
}

static int on_size(struct tar_pax *x, const struct record *r, struct error *err)
{
	return number(r, &x->size, &x->has_size, err);
}

static int on_uid(struct tar_pax *x, const struct record *r, struct error *err)
{
	return number(r, &x->uid, &x->has_uid, err);
}

static int on_gid(struct tar_pax *x, const struct record *r, struct error *err)
{
	return number(r, &x->gid, &x->has_gid, err);
}

/* [-]seconds[.fraction]; -1.25 is a quarter of a second before -1. */
static int on_mtime(struct tar_pax *x, const struct record *r, struct error *err)
{
	bool negative = r->value[0] == '-';
	char *p = r->value + negative, *dot = strchr(p, '.');
	uint64_t seconds;
	uint32_t ns = 0, scale = 100000000;

	x->has_mtime = r->size > 0;
	if (!x->has_mtime)
		return 0;
	if (dot) {
		*dot = '\0';
		for (char *d = dot + 1; *d; d++, scale /= 10) {
			if (*d < '0' || *d > '9')
				return bad(r->key, err);
			ns += (uint32_t)(*d - '0') * scale;
		}
	}
	if (parse_u64(p, &seconds) || seconds > INT64_MAX - 1)
		return bad(r->key, err);
	x->mtime = negative ? -(int64_t)seconds : (int64_t)seconds;
	if (negative && ns) {
		x->mtime--;
		ns = 1000000000 - ns;
	}
	x->mtime_ns = ns;
	return 0;
}

/* Sets, replaces or (empty: pax cannot say "empty", it says "delete") drops one. */
static int set_xattr(struct tar_pax *x, const char *name, const void *value, size_t size,
                     struct error *err)
{
	size_t i;

	if (!*name || strlen(name) > TAR_XATTR_NAME_MAX)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "an extended attribute whose name is empty or too long");
	for (i = 0; i < x->n_xattrs; i++)
		if (!strcmp(x->xattrs[i].name, name))
			break;
	if (!size) {
		if (i < x->n_xattrs)
			x->xattrs[i] = x->xattrs[--x->n_xattrs];
		return 0;
	}
	if (i == TAR_XATTR_MAX)
		return error_set_kind(err, ERROR_INPUT, E2BIG,
		                      "a file of more than %d extended attributes", TAR_XATTR_MAX);
	x->xattrs[i] = (struct tar_xattr){name, value, size};
	if (i == x->n_xattrs)
		x->n_xattrs++;
	return 0;
}

static int on_schily_xattr(struct tar_pax *x, const struct record *r, struct error *err)
{
	return set_xattr(x, r->key + strlen("SCHILY.xattr."), r->value, r->size, err);
}

/* bsdtar's form: the name with %XX in it, the value in base64. */
static int on_libarchive_xattr(struct tar_pax *x, const struct record *r, struct error *err)
{
	char *name = r->key + strlen("LIBARCHIVE.xattr."), *to = name;
	size_t before = x->decoded.size;

	for (char *from = name; *from; from++) {
		unsigned int c;
		char hex[3] = {0};

		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		memcpy(hex, from + 1, strnlen(from + 1, 2));
		if (strspn(hex, "0123456789abcdefABCDEF") != 2)
			return bad("LIBARCHIVE.xattr", err);
		c = (unsigned int)strtoul(hex, NULL, 16);
		if (!c)
			return bad("LIBARCHIVE.xattr", err);
		*to++ = (char)c;
		from += 2;
	}
	*to = '\0';
	/* `decoded` was given its whole room at the start: pointers into it stay. */
	if (base64_decode(&x->decoded, r->value, r->size))
		return bad("LIBARCHIVE.xattr", err);
	return set_xattr(x, name, x->decoded.data + before, x->decoded.size - before, err);
}

static int on_sparse_major(struct tar_pax *x, const struct record *r, struct error *err)
{
	x->sparse = true;
	x->sparse_body = !strcmp(r->value, "1");
	return !x->sparse_body && strcmp(r->value, "0") ? bad(r->key, err) : 0;
}

static int on_sparse_name(struct tar_pax *x, const struct record *r, struct error *err)
{
	return text(r, &x->sparse_name, err);
}

static int on_sparse_size(struct tar_pax *x, const struct record *r, struct error *err)
{
	bool has;

	x->sparse = true;
	return number(r, &x->map.real_size, &has, err);
}

static int on_sparse_map(struct tar_pax *x, const struct record *r, struct error *err)
{
	return tar_sparse_text(&x->map, r->value, err);
}

static int on_sparse_offset(struct tar_pax *x, const struct record *r, struct error *err)
{
	return number(r, &x->sparse_offset, &x->has_sparse_offset, err);
}

static int on_sparse_bytes(struct tar_pax *x, const struct record *r, struct error *err)
{
	uint64_t size = 0;
	bool has;
	int e = number(r, &size, &has, err);

	if (e)
		return e;
	if (!has || !x->has_sparse_offset)
		return bad(r->key, err);
	x->has_sparse_offset = false;
	return tar_sparse_add(&x->map, x->sparse_offset, size, err);
}

static const struct {
	const char *key;
	bool prefix;
	record_fn fn;
} keys[] = {
    {"path", false, on_path},
    {"linkpath", false, on_linkpath},
    {"size", false, on_size},
    {"uid", false, on_uid},
    {"gid", false, on_gid},
    {"mtime", false, on_mtime},
    {"SCHILY.xattr.", true, on_schily_xattr},
    {"LIBARCHIVE.xattr.", true, on_libarchive_xattr},
    {"GNU.sparse.major", false, on_sparse_major},
    {"GNU.sparse.name", false, on_sparse_name},
    {"GNU.sparse.size", false, on_sparse_size},
    {"GNU.sparse.realsize", false, on_sparse_size},
    {"GNU.sparse.map", false, on_sparse_map},
    {"GNU.sparse.offset", false, on_sparse_offset},
    {"GNU.sparse.numbytes", false, on_sparse_bytes},
};

/* Cuts the next record off [p, end): "27 mtime=1700000000.123456\n". */
static int cut(char **p, char *end, struct record *r, struct error *err)
{
	char *digits = *p, *equals, *last;
	uint64_t size = 0;

	for (; *p < end && **p >= '0' && **p <= '9' && *p - digits < 10; (*p)++)
		size = size * 10 + (uint64_t)(**p - '0');
	if (*p == digits || *p == end || **p != ' ' || size > (uint64_t)(end - digits) ||
	    (uint64_t)(*p - digits) + 2 > size)
		return bad("length", err);
	r->key = *p + 1;
	last = digits + size - 1;
	equals = memchr(r->key, '=', (size_t)(last - r->key));
	if (*last != '\n' || !equals || equals == r->key)
		return bad("record", err);
	*equals = *last = '\0';
	r->value = equals + 1;
	r->size = (size_t)(last - r->value);
	if (strlen(r->key) != (size_t)(equals - r->key))
		return bad("key", err);
	*p = last + 1;
	return 0;
}

int tar_pax_parse(struct tar_pax *x, struct error *err)
{
	char *p = (char *)x->body.data, *end;
	struct record r;

	if (x->body.failed || !buffer_reserve(&x->decoded, x->body.size + 4))
		return error_set(err, ENOMEM, "out of memory");
	if (!x->body.size)
		return 0;
	end = p + x->body.size;
	while (p < end) {
		int e = cut(&p, end, &r, err);

		for (size_t i = 0; !e && i < sizeof(keys) / sizeof(keys[0]); i++)
			if (keys[i].prefix ? str_starts(r.key, keys[i].key)
			                   : !strcmp(r.key, keys[i].key))
				e = keys[i].fn(x, &r, err);
		if (e)
			return e;
	}
	return 0;
}
