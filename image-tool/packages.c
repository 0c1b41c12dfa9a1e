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

/* Archives of all programs, one a word; *all when one program does not say. */
static int read_libraries(const struct locations *where, const struct strv *programs,
                          struct strv *out, bool *all, struct error *err)
{
	*all = false;
	for (size_t i = 0; i < programs->n; i++) {
		_cleanup_buffer_ struct buffer text = BUFFER_INIT;
		_cleanup_free_ char *path =
		    str_printf("%s/bin/%s.libs", where->guest, programs->v[i]);

		if (!path)
			return error_set(err, ENOMEM, "no memory for the list of packages");
		if (fs_read_file(AT_FDCWD, path, PACKAGES_JSON_MAX, &text, NULL) < 0)
			*all = true;
		else if (text.size > 0 && strv_split(out, (char *)text.data, " \n") < 0)
			return error_set(err, ENOMEM, "no memory for the list of packages");
	}
	return 0;
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

int packages_fill(struct guestimg *img, const struct locations *where, const struct strv *programs,
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
		r = read_libraries(where, programs, &libraries, &all, err);
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
