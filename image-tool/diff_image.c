/* SPDX-License-Identifier: Apache-2.0 */
/* diff_image: two folders with image.json: members, files, packages, kernels, then the roots. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "image-tool/diff.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/guestimg/guestimg.h"

struct side {
	const char *path;
	int dir;
	struct guestimg *img; /* owned */
	cJSON *doc;           /* owned; the same with members that this program does not know */
};

static void side_free(struct side *s)
{
	close_fd(&s->dir);
	guestimg_free(s->img);
	cJSON_Delete(s->doc);
}
#define _cleanup_side_ __attribute__((cleanup(side_free)))

static int side_load(struct side *s, const char *path, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int e = guestimg_load(path, &s->img, err);

	s->path = path;
	if (e < 0)
		return e;
	s->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return error_errno(err, errno, "cannot read %s", path);
	e = fs_read_file(s->dir, GUESTIMG_FILE, GUESTIMG_MAX_SIZE, &text, err);
	return e < 0 ? e
	             : json_parse((const char *)text.data, text.size, GUESTIMG_MAX_SIZE,
	                          GUESTIMG_FILE, &s->doc, err);
}

/* ---------------------------------------------------------------- members */

/* Members that are compared elsewhere, and the topics of the others: the first prefix counts. */
static const struct member_topic {
	const char *prefix;
	int topic; /* -1: not here */
} member_topics[] = {
    {"files", -1},
    {"packages", -1},
    {"kernel.", DIFF_KERNEL},
    {"cmdline", DIFF_CMDLINE},
    {"rootfs.words_", DIFF_CMDLINE},
    {"", DIFF_MEMBERS},
};

static int topic_of(const char *name)
{
	const struct member_topic *t = member_topics;

	while (!str_starts(name, t->prefix))
		t++;
	return t->topic;
}

static int compare_member(struct diff *d, const char *name, const cJSON *a, const cJSON *b,
                          struct error *err)
{
	int topic = topic_of(name);
	_cleanup_buffer_ struct buffer quoted = BUFFER_INIT;
	char *x, *y;

	if (topic < 0 || (a && b && cJSON_Compare(a, b, true)))
		return 0;
	x = a ? cJSON_PrintUnformatted(a) : NULL;
	y = b ? cJSON_PrintUnformatted(b) : NULL;
	d->counts[topic]++;
	report_quote(&quoted, name);
	buffer_str(&quoted, ": ");
	report_quote(&quoted, x ?: "(none)");
	buffer_str(&quoted, " became ");
	report_quote(&quoted, y ?: "(none)");
	report_item(d->r, "%s", buffer_cstr(&quoted));
	report_string(d->r, "name", name);
	if (x)
		report_raw(d->r, "a", x);
	if (y)
		report_raw(d->r, "b", y);
	report_end(d->r);
	if ((a && !x) || (b && !y))
		error_set(err, ENOMEM, "no memory to compare");
	cJSON_free(x);
	cJSON_free(y);
	return (a && !x) || (b && !y) ? -ENOMEM : 0;
}

/* All of A's members, then those that only B has; one level of objects is gone into. */
static int compare_objects(struct diff *d, const char *prefix, const cJSON *a, const cJSON *b,
                           struct error *err)
{
	const cJSON *item;
	int e = 0;

	for (int pass = 0; e == 0 && pass < 2; pass++) {
		const cJSON *from = pass == 0 ? a : b, *to = pass == 0 ? b : a;

		cJSON_ArrayForEach(item, from)
		{
			const cJSON *other = cJSON_GetObjectItemCaseSensitive(to, item->string);
			_cleanup_free_ char *name = str_printf("%s%s", prefix, item->string);

			if (pass == 1 && other)
				continue;
			if (!name)
				return error_set(err, ENOMEM, "no memory to compare");
			if (!*prefix && cJSON_IsObject(item) && (!other || cJSON_IsObject(other))) {
				_cleanup_free_ char *inner = str_printf("%s.", name);

				e = inner ? compare_objects(d, inner, pass == 0 ? item : other,
				                            pass == 0 ? other : item, err)
				          : error_set(err, ENOMEM, "no memory to compare");
			} else {
				e = compare_member(d, name, pass == 0 ? item : other,
				                   pass == 0 ? other : item, err);
			}
			if (e < 0)
				return e;
		}
	}
	return 0;
}

/* ---------------------------------------------------------------- files and packages */

static bool is_kernel(const struct guestimg *img, const char *name)
{
	return strcmp(name, img->kernel.vmlinux) == 0 ||
	       (img->kernel.bzimage && strcmp(name, img->kernel.bzimage) == 0);
}

static void report_file(struct diff *d, const struct guestimg_file *a,
                        const struct guestimg_file *b)
{
	const char *name = a ? a->name : b->name;

	if (!a)
		report_item(d->r, "+ %s (%" PRIu64 " bytes)", name, b->size);
	else if (!b)
		report_item(d->r, "- %s (%" PRIu64 " bytes)", name, a->size);
	else
		report_item(d->r, "~ %s: %" PRIu64 " bytes became %" PRIu64 " (%+" PRId64 ")", name,
		            a->size, b->size, (int64_t)(b->size - a->size));
	report_string(d->r, "name", name);
	if (a)
		report_number(d->r, "size_a", a->size);
	if (b)
		report_number(d->r, "size_b", b->size);
	report_end(d->r);
}

static void compare_files(struct diff *d, const struct guestimg *a, const struct guestimg *b)
{
	uint64_t size_a = 0, size_b = 0;

	report_list(d->r, "files");
	for (size_t i = 0; i < a->n_files; i++) {
		const struct guestimg_file *x = &a->files[i], *y = guestimg_find(b, x->name);

		size_a += x->size;
		if (y && strcmp(x->sha256, y->sha256) == 0)
			continue;
		d->counts[DIFF_KERNEL] += is_kernel(a, x->name);
		report_file(d, x, y);
	}
	for (size_t i = 0; i < b->n_files; i++) {
		size_b += b->files[i].size;
		if (!guestimg_find(a, b->files[i].name))
			report_file(d, NULL, &b->files[i]);
	}
	report_end(d->r);
	d->size_a = size_a;
	d->size_b = size_b;
}

static const struct guestimg_package *find_package(const struct guestimg *img, const char *name)
{
	for (size_t i = 0; i < img->n_packages; i++)
		if (strcmp(img->packages[i].name, name) == 0)
			return &img->packages[i];
	return NULL;
}

static void report_package(struct diff *d, const struct guestimg_package *a,
                           const struct guestimg_package *b)
{
	const char *name = a ? a->name : b->name;

	d->counts[DIFF_PACKAGES]++;
	if (!a)
		report_item(d->r, "+ %s %s", name, b->version);
	else if (!b)
		report_item(d->r, "- %s %s", name, a->version);
	else if (strcmp(a->version, b->version) != 0)
		report_item(d->r, "~ %s: %s became %s", name, a->version, b->version);
	else
		report_item(d->r, "~ %s %s: another source or licence", name, a->version);
	report_string(d->r, "name", name);
	report_string(d->r, "version_a", a ? a->version : NULL);
	report_string(d->r, "version_b", b ? b->version : NULL);
	report_end(d->r);
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void compare_packages(struct diff *d, const struct guestimg *a, const struct guestimg *b)
{
	report_list(d->r, "packages");
	for (size_t i = 0; i < a->n_packages; i++) {
		const struct guestimg_package *x = &a->packages[i], *y = find_package(b, x->name);

		if (!y || !same(x->version, y->version) || !same(x->source, y->source) ||
		    !same(x->licence, y->licence) || !same(x->sha256, y->sha256))
			report_package(d, x, y);
	}
	for (size_t i = 0; i < b->n_packages; i++)
		if (!find_package(a, b->packages[i].name))
			report_package(d, NULL, &b->packages[i]);
	report_end(d->r);
}

/* ---------------------------------------------------------------- kernels */

struct symbols {
	struct report *r;
	uint64_t *count;
};

static int report_symbol(const char *name, const char *a, const char *b, void *data)
{
	struct symbols *s = data;

	(*s->count)++;
	report_item(s->r, "CONFIG_%s: %s became %s", name, a, b);
	report_stringf(s->r, "symbol", "CONFIG_%s", name);
	report_string(s->r, "a", a);
	report_string(s->r, "b", b);
	report_end(s->r);
	return 0;
}

int diff_kconfig(struct report *r, const char *list, const struct kconfig *a,
                 const struct kconfig *b, uint64_t *count, struct error *err)
{
	struct symbols s = {r, count};

	report_list(r, list);
	kconfig_diff(a, b, report_symbol, &s);
	report_end(r);
	return 0;
}

/* Of kernels whose configurations the images do not hold, only the digests can be told apart. */
static int compare_kernels(struct diff *d, const struct side *a, const struct side *b,
                           struct error *err)
{
	_cleanup_kconfig_ struct kconfig *x = NULL, *y = NULL;
	int e;

	if (!a->img->kernel.config || !b->img->kernel.config)
		return 0;
	e = kconfig_load(a->dir, a->img->kernel.config, &x, err);
	if (e < 0)
		return error_prefix(err, e, "%s", a->path);
	e = kconfig_load(b->dir, b->img->kernel.config, &y, err);
	if (e < 0)
		return error_prefix(err, e, "%s", b->path);
	return diff_kconfig(d->r, "kernel_config", x, y, &d->counts[DIFF_KERNEL], err);
}

/* ---------------------------------------------------------------- all together */

static int compare_roots(struct diff *d, const struct side *a, const struct side *b,
                         struct error *err)
{
	_cleanup_free_ char *x = str_printf("%s/%s", a->path, a->img->rootfs.file);
	_cleanup_free_ char *y = str_printf("%s/%s", b->path, b->img->rootfs.file);
	struct diff roots = *d;
	int e;

	if (!x || !y)
		return error_set(err, ENOMEM, "no memory to compare");
	e = diff_contents(&roots, x, y, err);
	d->counts[DIFF_FILES] = roots.counts[DIFF_FILES];
	return e;
}

int diff_images(struct diff *d, struct error *err)
{
	_cleanup_side_ struct side a = {.dir = -1}, b = {.dir = -1};
	int e = side_load(&a, d->a, err);

	if (e == 0)
		e = side_load(&b, d->b, err);
	if (e < 0)
		return e;
	report_list(d->r, "members");
	e = compare_objects(d, "", a.doc, b.doc, err);
	report_end(d->r);
	if (e < 0)
		return e;
	compare_files(d, a.img, b.img);
	compare_packages(d, a.img, b.img);
	e = compare_kernels(d, &a, &b, err);
	return e < 0 ? e : compare_roots(d, &a, &b, err);
}
