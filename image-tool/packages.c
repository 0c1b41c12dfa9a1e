/* SPDX-License-Identifier: Apache-2.0 */
/* packages: packages.json of the guest libraries, cut down to what is in the image. */
#include "image-tool/packages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/json.h"

#define PACKAGES_JSON_MAX (4u << 20)

static int read_json(const char *path, cJSON **out, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int r = fs_read_file(AT_FDCWD, path, PACKAGES_JSON_MAX, &text, err);

	if (r < 0) {
		if (err)
			err->kind = ERROR_ENVIRONMENT;
		return error_hint(err, r, "run make guest");
	}
	r = json_parse((const char *)text.data, text.size, PACKAGES_JSON_MAX, path, out, err);
	if (r == 0 && !cJSON_IsArray(*out))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is no array", path);
	return r;
}

/* Archives that a program has code from, one a word; *all when nobody says. */
static int read_libraries(const struct locations *where, const char *program, struct strv *out,
                          bool *all, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_free_ char *path = str_printf("%s/%s.libs", where->guest, program);
	int r = path ? fs_read_file(AT_FDCWD, path, PACKAGES_JSON_MAX, &text, NULL) : -ENOMEM;

	if (r == 0 && text.size > 0)
		r = strv_split(out, (char *)text.data, " \n");
	else if (r < 0 && r != -ENOMEM)
		*all = true;
	return r == -ENOMEM ? error_set(err, ENOMEM, "no memory for the list of packages") : 0;
}

/* File names of packages that the parts hold: archives of programs, data as it is. */
static int read_parts(const struct locations *where, const struct strv *parts, struct strv *out,
                      bool *all, struct error *err)
{
	int r = 0;

	*all = false;
	for (size_t i = 0; r == 0 && i < parts->n; i++) {
		const char *part = parts->v[i];

		if (str_starts(part, "bin/"))
			r = read_libraries(where, part, out, all, err);
		else if (str_starts(part, "share/") && strv_add(out, part + strlen("share/")) < 0)
			r = error_set(err, ENOMEM, "no memory for the list of packages");
	}
	return r;
}

static bool is_used(const cJSON *package, const struct strv *libraries)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(package, "libraries"), *l;

	cJSON_ArrayForEach(l, list)
	{
		if (cJSON_IsString(l) && strv_has(libraries, l->valuestring))
			return true;
	}
	return false;
}

/* The source package's .dsc stands for it: it holds the digests of the others. */
static const char *source_digest(const cJSON *package)
{
	const cJSON *files = cJSON_GetObjectItemCaseSensitive(package, "files"), *f;
	const char *first = NULL;

	cJSON_ArrayForEach(f, files)
	{
		const char *name = "", *sha256 = NULL;

		json_string(f, "name", false, &name, "", NULL);
		json_string(f, "sha256", false, &sha256, "", NULL);
		if (str_ends(name, ".dsc"))
			return sha256;
		first = first ?: sha256;
	}
	return first;
}

static int read_package(struct arena *arena, const cJSON *item, struct guestimg_package *p,
                        struct error *err)
{
	static const char what[] = "packages.json";
	int r = json_string(item, "name", true, &p->name, what, err);

	if (r == 0)
		r = json_string(item, "version", true, &p->version, what, err);
	if (r == 0)
		r = json_string(item, "source", true, &p->source, what, err);
	if (r == 0)
		r = json_string(item, "licence", true, &p->licence, what, err);
	if (r < 0)
		return r;
	*p = (struct guestimg_package){
	    .name = arena_strdup(arena, p->name),
	    .version = arena_strdup(arena, p->version),
	    .source = arena_strdup(arena, p->source),
	    .licence = arena_strdup(arena, p->licence),
	    .sha256 = arena_strdup(arena, source_digest(item)),
	};
	return arena->failed ? error_set(err, ENOMEM, "no memory for the list of packages") : 0;
}

static int by_name(const void *a, const void *b)
{
	const struct guestimg_package *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int packages_fill(struct guestimg *img, const struct locations *where, const struct strv *parts,
                  const struct guestimg_package *kernel, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/packages.json", where->guest);
	_cleanup_strv_ struct strv libraries = STRV_INIT;
	_cleanup_cjson_ cJSON *doc = NULL;
	const cJSON *item;
	size_t first = 0;
	bool all = true;
	int r = path ? read_json(path, &doc, err) : error_set(err, ENOMEM, "no memory");

	if (r == 0)
		r = read_parts(where, parts, &libraries, &all, err);
	if (r < 0)
		return r;
	img->packages = arena_new_array(&img->arena, (size_t)cJSON_GetArraySize(doc) + 1,
	                                struct guestimg_package);
	if (!img->packages)
		return error_set(err, ENOMEM, "no memory for the list of packages");
	if (kernel->name)
		img->packages[first++] = *kernel;
	img->n_packages = first;
	cJSON_ArrayForEach(item, doc)
	{
		if (!all && !is_used(item, &libraries))
			continue;
		r = read_package(&img->arena, item, &img->packages[img->n_packages], err);
		if (r < 0)
			return r;
		img->n_packages++;
	}
	qsort(img->packages + first, img->n_packages - first, sizeof(*img->packages), by_name);
	return 0;
}

int packages_pin_builds(struct lock *lock, const struct guestimg *img,
                        const struct locations *where, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/packages.json", where->guest);
	_cleanup_cjson_ cJSON *doc = NULL;
	const cJSON *item;
	int r = path ? read_json(path, &doc, err) : error_set(err, ENOMEM, "no memory");

	cJSON_ArrayForEach(item, doc)
	{
		const char *name = "", *recipe = "";
		bool used = false;

		if (r < 0)
			break;
		json_string(item, "name", false, &name, "", NULL);
		json_string(item, "recipe", false, &recipe, "", NULL);
		for (size_t i = 0; i < img->n_packages; i++)
			used = used || strcmp(img->packages[i].name, name) == 0;
		if (used && *recipe)
			r = lock_add(lock, "package-build", name, recipe, NULL, err);
	}
	return r;
}
