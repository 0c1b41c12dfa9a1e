/* SPDX-License-Identifier: Apache-2.0 */
/* stage: see the header. */
#include "lib/image/stage.h"

#include <errno.h>

#include "lib/image/hash.h"
#include "lib/image/inflate.h"

int stage_feed(struct stage *s, const uint8_t *p, size_t n, struct error *err)
{
	return s->ops->feed(s, p, n, err);
}

int stage_end(struct stage *s, struct error *err)
{
	for (; s; s = s->next) {
		int r = s->ops->end(s, err);

		if (r)
			return r;
	}
	return 0;
}

void stage_free(struct stage *s)
{
	while (s) {
		struct stage *next = s->next;

		s->ops->free(s);
		s = next;
	}
}

/* ---- verify */

struct verify {
	struct stage stage;
	struct hash *hash;
	struct digest want;
	uint64_t size, seen;
	bool exact;
	const char *what;
};

static int verify_feed(struct stage *s, const uint8_t *p, size_t n, struct error *err)
{
	struct verify *v = (struct verify *)s;
	int r;

	if (n > v->size - v->seen)
		return error_set_kind(err, v->exact ? ERROR_VERIFICATION : ERROR_INPUT, EFBIG,
		                      "%s is larger than %llu bytes%s", v->what,
		                      (unsigned long long)v->size, v->exact ? "" : " (limit)");
	v->seen += n;
	r = hash_update(v->hash, p, n, err);
	return r ? r : stage_feed(s->next, p, n, err);
}

static int verify_end(struct stage *s, struct error *err)
{
	struct verify *v = (struct verify *)s;
	struct digest got;
	int r = hash_final(v->hash, &got, err);

	if (r)
		return r;
	if (v->exact && v->seen != v->size)
		return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
		                      "%s ends after %llu of %llu bytes", v->what,
		                      (unsigned long long)v->seen, (unsigned long long)v->size);
	return digest_equal(&v->want, &got) ? 0 : hash_mismatch(&v->want, &got, v->what, err);
}

static void verify_free(struct stage *s)
{
	struct verify *v = (struct verify *)s;

	hash_free(v->hash);
	free(v);
}

int stage_verify_new(const struct digest *want, uint64_t size, bool exact, const char *what,
                     struct stage **next, struct stage **out, struct error *err)
{
	static const struct stage_ops ops = {verify_feed, verify_end, verify_free};
	_cleanup_free_ struct verify *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return error_set(err, ENOMEM, "out of memory");
	r = hash_new(digest_algorithm(want), &v->hash, err);
	if (r)
		return r;
	v->want = *want;
	v->size = size;
	v->exact = exact;
	v->what = what;
	v->stage = (struct stage){&ops, steal_ptr(next)};
	*out = &steal_ptr(&v)->stage;
	return 0;
}

/* ---- inflate */

struct inflate_stage {
	struct stage stage;
	struct inflate *z;
};

static int inflate_out(void *data, const uint8_t *p, size_t n, struct error *err)
{
	return stage_feed(((struct stage *)data)->next, p, n, err);
}

static int inflate_stage_feed(struct stage *s, const uint8_t *p, size_t n, struct error *err)
{
	return inflate_feed(((struct inflate_stage *)s)->z, p, n, err);
}

static int inflate_stage_end(struct stage *s, struct error *err)
{
	return inflate_end(((struct inflate_stage *)s)->z, err);
}

static void inflate_stage_free(struct stage *s)
{
	inflate_free(((struct inflate_stage *)s)->z);
	free(s);
}

int stage_inflate_new(enum image_compression how, struct stage **next, struct stage **out,
                      struct error *err)
{
	static const struct stage_ops ops = {inflate_stage_feed, inflate_stage_end,
	                                     inflate_stage_free};
	_cleanup_free_ struct inflate_stage *z = calloc(1, sizeof(*z));
	int r;

	if (!z)
		return error_set(err, ENOMEM, "out of memory");
	r = inflate_new(how, inflate_out, &z->stage, &z->z, err);
	if (r)
		return r;
	z->stage = (struct stage){&ops, steal_ptr(next)};
	*out = &steal_ptr(&z)->stage;
	return 0;
}

/* ---- tar */

struct tar_stage {
	struct stage stage;
	struct tar *tar;
};

static int tar_stage_feed(struct stage *s, const uint8_t *p, size_t n, struct error *err)
{
	return tar_feed(((struct tar_stage *)s)->tar, p, n, err);
}

static int tar_stage_end(struct stage *s, struct error *err)
{
	return tar_end(((struct tar_stage *)s)->tar, err);
}

static void tar_stage_free(struct stage *s)
{
	tar_free(((struct tar_stage *)s)->tar);
	free(s);
}

int stage_tar_new(const struct tar_sink *sink, void *data, const struct tar_limits *limits,
                  struct stage **out, struct error *err)
{
	static const struct stage_ops ops = {tar_stage_feed, tar_stage_end, tar_stage_free};
	_cleanup_free_ struct tar_stage *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return error_set(err, ENOMEM, "out of memory");
	r = tar_new(sink, data, limits, &t->tar, err);
	if (r)
		return r;
	t->stage = (struct stage){&ops, NULL};
	*out = &steal_ptr(&t)->stage;
	return 0;
}
