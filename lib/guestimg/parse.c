/* SPDX-License-Identifier: Apache-2.0 */
/* parse: image.json into struct guestimg. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/str.h"
#include "lib/base/utf8.h"
#include "lib/guestimg/guestimg.h"

enum form {
	FORM_TEXT,   /* any, without control characters */
	FORM_FILE,   /* a name in the folder */
	FORM_SHA256, /* 64 hex digits */
	FORM_ROOT,   /* a format */
	FORM_TYPE,   /* a file system */
};

/* A string member of an object and where it goes. */
struct field {
	const char *key;
	size_t offset;
	enum form form;
	bool required;
};

struct section {
	const char *key; /* member that holds the object; NULL: the document itself */
	const char *what;
	const struct field *fields;
};

#define FIELD(type, member, form, required)                                                        \
	{                                                                                          \
#member, offsetof(struct type, member), form, required                             \
	}
#define IN(section, key, form, required)                                                           \
	{                                                                                          \
#key, offsetof(struct guestimg, section.key), form, required                       \
	}

static const struct field top_fields[] = {
    FIELD(guestimg, name, FORM_TEXT, true),
    FIELD(guestimg, version, FORM_TEXT, true),
    FIELD(guestimg, profile, FORM_TEXT, true),
    FIELD(guestimg, arch, FORM_TEXT, true),
    FIELD(guestimg, cmdline, FORM_TEXT, true),
    FIELD(guestimg, program, FORM_TEXT, false),
    {NULL},
};

static const struct field kernel_fields[] = {
    IN(kernel, vmlinux, FORM_FILE, true),
    IN(kernel, bzimage, FORM_FILE, false),
    IN(kernel, version, FORM_TEXT, true),
    IN(kernel, config, FORM_FILE, false),
    IN(kernel, config_sha256, FORM_SHA256, false),
    IN(kernel, compiler, FORM_TEXT, false),
    {NULL},
};

static const struct field rootfs_fields[] = {
    IN(rootfs, file, FORM_FILE, true),
    IN(rootfs, format, FORM_ROOT, true),
    IN(rootfs, type, FORM_TYPE, false),
    IN(rootfs, compress, FORM_TEXT, false),
    IN(rootfs, words_blk, FORM_TEXT, false),
    IN(rootfs, words_pmem, FORM_TEXT, false),
    {NULL},
};

static const struct field verity_fields[] = {
    IN(verity, root_hash, FORM_SHA256, true),
    IN(verity, salt, FORM_SHA256, true),
    {NULL},
};

static const struct field agent_fields[] = {
    IN(agent, version, FORM_TEXT, true),
    IN(agent, min_version, FORM_TEXT, true),
    IN(agent, protocol, FORM_TEXT, true),
    {NULL},
};

static const struct field file_fields[] = {
    FIELD(guestimg_file, name, FORM_FILE, true),
    FIELD(guestimg_file, sha256, FORM_SHA256, true),
    {NULL},
};

static const struct field package_fields[] = {
    FIELD(guestimg_package, name, FORM_TEXT, true),
    FIELD(guestimg_package, version, FORM_TEXT, true),
    FIELD(guestimg_package, source, FORM_TEXT, true),
    FIELD(guestimg_package, licence, FORM_TEXT, true),
    FIELD(guestimg_package, sha256, FORM_SHA256, false),
    {NULL},
};

static const struct section sections[] = {
    {NULL, "image.json", top_fields},
    {"kernel", "image.json: kernel", kernel_fields},
    {"rootfs", "image.json: rootfs", rootfs_fields},
    {"agent", "image.json: agent", agent_fields},
};

static bool is_sha256(const char *s)
{
	return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

/* s is one of the words between the bars. */
static bool one_of(const char *s, const char *words)
{
	size_t n = strlen(s);

	for (const char *p = words; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
		if (n > 0 && strncmp(p, s, n) == 0 && (p[n] == '|' || p[n] == 0))
			return true;
	return false;
}

/* What is wrong with the string, or NULL. Nobody's terminal or kernel command line gets control
 * characters from here. */
static const char *form_problem(const char *s, enum form form)
{
	if (strlen(s) > GUESTIMG_MAX_STRING)
		return "is too long";
	if (!utf8_valid(s, strlen(s)))
		return "is not UTF-8";
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return "has control characters";
	switch (form) {
	case FORM_FILE:
		if (str_empty(s) || strchr(s, '/') || strcmp(s, ".") == 0 || strcmp(s, "..") == 0 ||
		    strlen(s) > 255)
			return "is not the name of a file in the image's folder";
		return NULL;
	case FORM_SHA256:
		return is_sha256(s) ? NULL : "is not a SHA-256 digest (64 hex digits)";
	case FORM_ROOT:
		return one_of(s, "erofs|initrd|ext4|kata")
		           ? NULL
		           : "is not a format that is known (erofs, initrd, ext4, kata)";
	case FORM_TYPE:
		return one_of(s, "erofs|ext4") ? NULL : "is not a type that is known (erofs, ext4)";
	case FORM_TEXT:
		break;
	}
	return NULL;
}

static int read_fields(struct arena *arena, const cJSON *obj, const struct field *fields,
                       const char *what, void *base, struct error *err)
{
	for (const struct field *f = fields; f->key; f++) {
		const char *s = NULL, *problem;
		int r = json_string(obj, f->key, f->required, &s, what, err);

		if (r < 0)
			return r;
		if (r > 0)
			continue;
		problem = form_problem(s, f->form);
		if (problem)
			return error_set_kind(err, ERROR_INPUT, EINVAL, "%s: \"%s\" %s", what,
			                      f->key, problem);
		s = arena_strdup(arena, s);
		if (!s)
			return error_set(err, ENOMEM, "no memory to read image.json");
		memcpy((char *)base + f->offset, &s, sizeof(s));
	}
	return 0;
}

/* An array of objects; *n is how many there are. The caller's `item` has `size` bytes each. */
static int read_array(struct guestimg *img, const cJSON *doc, const char *key, size_t max,
                      size_t size, void **items, size_t *n, const cJSON **array, struct error *err)
{
	int r = json_array(doc, key, true, array, "image.json", err);

	if (r < 0)
		return r;
	*n = (size_t)cJSON_GetArraySize(*array);
	if (*n > max)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "image.json: \"%s\" has more than %zu entries", key, max);
	*items = arena_array(&img->arena, *n, size);
	if (!*items)
		return error_set(err, ENOMEM, "no memory to read image.json");
	return 0;
}

static int read_files(struct guestimg *img, const cJSON *doc, struct error *err)
{
	const cJSON *array, *item;
	void *items = NULL;
	size_t n = 0;
	int r = read_array(img, doc, "files", GUESTIMG_MAX_FILES, sizeof(*img->files), &items, &n,
	                   &array, err);

	if (r < 0)
		return r;
	img->files = items;
	cJSON_ArrayForEach(item, array)
	{
		struct guestimg_file *f = &img->files[img->n_files];

		if (!cJSON_IsObject(item))
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "image.json: an entry of \"files\" is no object");
		r = read_fields(&img->arena, item, file_fields, "image.json: files", f, err);
		if (r == 0)
			r = json_u64(item, "size", true, &f->size, "image.json: files", err);
		if (r < 0)
			return r;
		if (guestimg_find(img, f->name))
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "image.json: \"files\" names %s twice", f->name);
		img->n_files++;
	}
	return 0;
}

static int read_packages(struct guestimg *img, const cJSON *doc, struct error *err)
{
	const cJSON *array, *item;
	void *items = NULL;
	size_t n = 0;
	int r = read_array(img, doc, "packages", GUESTIMG_MAX_PACKAGES, sizeof(*img->packages),
	                   &items, &n, &array, err);

	if (r < 0)
		return r;
	img->packages = items;
	cJSON_ArrayForEach(item, array)
	{
		if (!cJSON_IsObject(item))
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "image.json: an entry of \"packages\" is no object");
		r = read_fields(&img->arena, item, package_fields, "image.json: packages",
		                &img->packages[img->n_packages], err);
		if (r < 0)
			return r;
		img->n_packages++;
	}
	return 0;
}

static int read_verity(struct guestimg *img, const cJSON *doc, struct error *err)
{
	static const char what[] = "image.json: verity";
	struct guestimg_verity *v = &img->verity;
	const cJSON *obj = NULL;
	int r = json_object(doc, "verity", false, &obj, "image.json", err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = read_fields(&img->arena, obj, verity_fields, what, img, err);
	if (r == 0)
		r = json_u64(obj, "data_blocks", true, &v->data_blocks, what, err);
	if (r == 0)
		r = json_u64(obj, "data_offset", true, &v->data_offset, what, err);
	if (r == 0)
		r = json_u64(obj, "hash_offset", true, &v->hash_offset, what, err);
	return r;
}

static int read_size(struct guestimg *img, const cJSON *doc, struct error *err)
{
	const cJSON *obj = NULL;
	int r = json_object(doc, "rootfs", true, &obj, "image.json", err);

	if (r == 0)
		r = json_u64(obj, "size", false, &img->rootfs.size, "image.json: rootfs", err);
	return r < 0 ? r : 0;
}

static int read_hot(struct guestimg *img, const cJSON *doc, struct error *err)
{
	const cJSON *obj = NULL, *array = NULL, *item;
	int r = json_object(doc, "rootfs", true, &obj, "image.json", err);

	if (r == 0)
		r = json_array(obj, "hot", false, &array, "image.json: rootfs", err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (cJSON_GetArraySize(array) > GUESTIMG_MAX_HOT)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "image.json: rootfs: \"hot\" has more than %d entries",
		                      GUESTIMG_MAX_HOT);
	img->rootfs.hot =
	    arena_new_array(&img->arena, (size_t)cJSON_GetArraySize(array), const char *);
	cJSON_ArrayForEach(item, array)
	{
		const char *problem = cJSON_IsString(item)
		                          ? form_problem(item->valuestring, FORM_TEXT)
		                          : "is no string";

		if (problem)
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "image.json: rootfs: an entry of \"hot\" %s",
			                      problem);
		if (img->rootfs.hot)
			img->rootfs.hot[img->rootfs.n_hot++] =
			    arena_strdup(&img->arena, item->valuestring);
	}
	return img->arena.failed ? error_set(err, ENOMEM, "no memory to read image.json") : 0;
}

static int check_schema(const cJSON *doc, struct error *err)
{
	uint64_t schema = 0;
	int r = json_u64(doc, "schema", true, &schema, "image.json", err);

	if (r < 0 || schema == GUESTIMG_SCHEMA)
		return r;
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "image.json has schema %llu, this program reads schema %d: %s",
	                      (unsigned long long)schema, GUESTIMG_SCHEMA,
	                      schema > GUESTIMG_SCHEMA
	                          ? "the image was made by a newer Kihon, use that one's programs"
	                          : "the image was made by an older Kihon, build it again");
}

static int check_named(const struct guestimg *img, const char *name, struct error *err)
{
	if (!name || guestimg_find(img, name))
		return 0;
	return error_set_kind(err, ERROR_INPUT, EINVAL, "image.json: %s is not among \"files\"",
	                      name);
}

static int read_document(struct guestimg *img, const cJSON *doc, struct error *err)
{
	int r;

	if (!cJSON_IsObject(doc))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "image.json is no JSON object");
	r = check_schema(doc, err);
	for (size_t i = 0; r == 0 && i < sizeof(sections) / sizeof(*sections); i++) {
		const struct section *s = &sections[i];
		const cJSON *obj = doc;

		if (s->key)
			r = json_object(doc, s->key, true, &obj, "image.json", err);
		if (r == 0)
			r = read_fields(&img->arena, obj, s->fields, s->what, img, err);
	}
	if (r == 0)
		r = json_u64(doc, "timestamp", true, &img->timestamp, "image.json", err);
	if (r == 0)
		r = json_u64(doc, "memory_min", false, &img->memory_min, "image.json", err);
	if (r >= 0)
		r = read_size(img, doc, err);
	if (r == 0)
		r = read_hot(img, doc, err);
	if (r == 0)
		r = read_verity(img, doc, err);
	if (r == 0)
		r = read_files(img, doc, err);
	if (r == 0)
		r = read_packages(img, doc, err);
	if (r == 0)
		r = check_named(img, img->kernel.vmlinux, err);
	if (r == 0)
		r = check_named(img, img->kernel.bzimage, err);
	if (r == 0)
		r = check_named(img, img->kernel.config, err);
	if (r == 0)
		r = check_named(img, img->rootfs.file, err);
	return r;
}

int guestimg_parse(const char *text, size_t size, struct guestimg **out, struct error *err)
{
	_cleanup_cjson_ cJSON *doc = NULL;
	_cleanup_guestimg_ struct guestimg *img = calloc(1, sizeof(*img));
	int r;

	if (!img)
		return error_set(err, ENOMEM, "no memory to read image.json");
	r = json_parse(text, size, GUESTIMG_MAX_SIZE, "image.json", &doc, err);
	if (r == 0)
		r = read_document(img, doc, err);
	if (r < 0)
		return r;
	*out = steal_ptr(&img);
	return 0;
}

int guestimg_load(const char *dir, struct guestimg **out, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_free_ char *path = str_printf("%s/" GUESTIMG_FILE, dir);
	int r;

	if (!path)
		return error_set(err, ENOMEM, "no memory to read image.json");
	r = fs_read_file(AT_FDCWD, path, GUESTIMG_MAX_SIZE, &text, err);
	if (r == -ENOENT || r == -ENOTDIR)
		return error_set_kind(err, ERROR_ENVIRONMENT, -r,
		                      "%s is no guest image: there is no " GUESTIMG_FILE
		                      " in it; build one with kata-image-tool build -o %s",
		                      dir, dir);
	if (r == 0)
		r = guestimg_parse((const char *)text.data, text.size, out, err);
	return r < 0 ? error_prefix(err, r, "%s", dir) : 0;
}

void guestimg_free(struct guestimg *img)
{
	if (!img)
		return;
	arena_free(&img->arena);
	free(img);
}

bool guestimg_is_confidential(const struct guestimg *img)
{
	return img->profile && str_starts(img->profile, "confidential");
}

const struct guestimg_file *guestimg_find(const struct guestimg *img, const char *name)
{
	for (size_t i = 0; i < img->n_files; i++)
		if (strcmp(img->files[i].name, name) == 0)
			return &img->files[i];
	return NULL;
}
