/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack_image: an OCI image as one tree. Each layer becomes an EROFS file of the stage, by the rules
 * of lib/image/layer.h; then they are laid over each other, contents staying where they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "image-tool/pack.h"
#include "image-tool/tool.h"
#include "image-tool/wasm.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/erofs/writer.h"
#include "lib/image/layer.h"
#include "lib/image/oci_source.h"

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory for the layers of an image");
}

/* ---- one layer over the tree */

struct link {
	uint64_t nid;
	struct erofs_node *node;
};

struct overlay {
	struct pack *p;
	struct erofs_image *image;
	const struct pack_map *map;
	void *links; /* tsearch(3): files of several names */
	struct erofs_node *node;
	bool opaque, unsaid; /* the marks of the entry at hand */
	struct error *err;
};

static int by_nid(const void *a, const void *b)
{
	const struct link *x = a, *y = b;

	return x->nid < y->nid ? -1 : x->nid > y->nid;
}

static int see_mark(const char *name, const void *value, size_t size, void *data)
{
	struct overlay *o = data;

	o->opaque |= strcmp(name, "trusted.overlay.opaque") == 0;
	o->unsaid |= strcmp(name, LAYER_ROOT_UNSAID) == 0;
	return 0;
}

static int copy_xattr(const char *name, const void *value, size_t size, void *data)
{
	struct overlay *o = data;
	const struct erofs_xattr x = {name, value, size};

	if (str_starts(name, "trusted.overlay.") || strcmp(name, LAYER_ROOT_UNSAID) == 0)
		return 0;
	return erofs_node_add_xattr(o->p->tree, o->node, &x, o->err);
}

static void fill_attr(const struct erofs_stat *st, struct erofs_attr *a)
{
	*a = (struct erofs_attr){.mode = st->mode,
	                         .uid = st->uid,
	                         .gid = st->gid,
	                         .rdev_major = st->rdev_major,
	                         .rdev_minor = st->rdev_minor,
	                         .mtime = st->mtime,
	                         .mtime_ns = st->mtime_ns};
}

/* A name of a file that this layer has under another name already. */
static int known_link(struct overlay *o, const char *path, const struct erofs_stat *st)
{
	const struct link key = {.nid = st->nid};
	struct link *const *found;

	if (S_ISDIR(st->mode) || st->nlink < 2)
		return 1;
	found = tfind(&key, &o->links, by_nid);
	return found ? erofs_tree_link_node(o->p->tree, path, strlen(path), (*found)->node, o->err)
	             : 1;
}

static int note_link(struct overlay *o, const struct erofs_stat *st)
{
	struct link *l;

	if (S_ISDIR(st->mode) || st->nlink < 2)
		return 0;
	l = malloc(sizeof(*l));
	if (!l)
		return no_memory(o->err);
	*l = (struct link){st->nid, o->node};
	if (tsearch(l, &o->links, by_nid))
		return 0;
	free(l);
	return no_memory(o->err);
}

static int add_symlink(struct overlay *o, const char *path, const struct erofs_stat *st,
                       const struct erofs_attr *attr)
{
	char target[EROFS_SYMLINK_MAX];
	ssize_t n = erofs_pread(o->image, st, target, sizeof(target), 0, o->err);

	return n < 0 ? (int)n
	             : erofs_tree_add_symlink(o->p->tree, path, strlen(path), attr, target,
	                                      (size_t)n, &o->node, o->err);
}

/* Our own writer put the content into one run of blocks. */
static int set_content(struct overlay *o, const struct erofs_stat *st)
{
	uint64_t at = (uint64_t)st->block * EROFS_BLOCK_SIZE, end;

	if (!S_ISREG(st->mode) || st->size == 0)
		return 0;
	if (st->layout != EROFS_LAYOUT_PLAIN || __builtin_add_overflow(at, st->size, &end) ||
	    end > o->map->size)
		return error_set(o->err, EUCLEAN, "a layer's file is not where it should be");
	return erofs_node_set_memory(o->p->tree, o->node, (uint8_t *)o->map->data + at, st->size,
	                             o->err);
}

static int add_new(struct overlay *o, const char *path, const struct erofs_stat *st)
{
	struct erofs_attr attr;
	int r;

	fill_attr(st, &attr);
	if (S_ISLNK(st->mode))
		r = add_symlink(o, path, st, &attr);
	else
		r = erofs_tree_add(o->p->tree, path, strlen(path), &attr, &o->node, o->err);
	if (r == 0)
		r = set_content(o, st);
	if (r == 0)
		r = erofs_xattrs(o->image, st, copy_xattr, o, o->err);
	return r < 0 ? r : note_link(o, st);
}

/* overlayfs.rst: a character device 0:0 hides what is below, an opaque directory all in it. */
static int put(const char *path, const struct erofs_stat *st, void *data)
{
	struct overlay *o = data;
	int r;

	o->opaque = o->unsaid = false;
	if (S_ISCHR(st->mode) && st->rdev_major == 0 && st->rdev_minor == 0) {
		r = erofs_tree_remove(o->p->tree, path, strlen(path), o->err);
		return r < 0 ? r : 0;
	}
	r = erofs_xattrs(o->image, st, see_mark, o, o->err);
	if (r == 0 && !*path && o->unsaid)
		return 0;
	if (r == 0 && *path && o->opaque)
		r = erofs_tree_remove(o->p->tree, path, strlen(path), o->err);
	if (r >= 0)
		r = known_link(o, path, st);
	return r > 0 ? add_new(o, path, st) : r;
}

static int lay_over(struct pack *p, int fd, struct error *err)
{
	struct overlay *o = calloc(1, sizeof(*o));
	struct pack_map *maps = reallocarray(p->maps, p->n_maps + 1, sizeof(*maps));
	struct stat st;
	int r = 0;

	if (maps)
		p->maps = maps;
	if (!o || !maps)
		r = no_memory(err);
	if (r == 0 && fstat(fd, &st) < 0)
		r = error_errno(err, errno, "cannot read a layer");
	if (r == 0) {
		maps += p->n_maps;
		maps->size = (size_t)st.st_size;
		maps->data = mmap(NULL, maps->size, PROT_READ, MAP_SHARED, fd, 0);
		if (maps->data == MAP_FAILED)
			r = error_errno(err, errno, "cannot read a layer");
		else
			p->n_maps++;
	}
	if (r == 0) {
		*o = (struct overlay){.p = p, .map = maps, .err = err};
		r = erofs_open_memory(&o->image, maps->data, maps->size, err);
	}
	if (r == 0)
		r = erofs_walk(o->image, put, o, err);
	if (o) {
		erofs_close(o->image);
		tdestroy(o->links, free);
	}
	free(o);
	return r;
}

/* ---- layers */

/* Fetches and unpacks one; its file in the stage goes to `file` (owned by the caller). */
static int make_layer(struct pack *p, struct oci_source *s, const struct image_descriptor *desc,
                      const struct digest *diff_id, const struct strv *below, char **file,
                      struct error *err)
{
	const struct tar_limits limits = TAR_LIMITS_DEFAULT;
	_cleanup_free_ char *name = str_printf("layer%zu.tmp", below->n);
	_cleanup_layer_ struct layer *layer = NULL;
	_cleanup_lower_ struct lower *lower = NULL;
	_cleanup_close_ int fd = -1;
	bool needs_lower = false;
	int r = name ? stage_create(&p->stage, name, &fd, err) : no_memory(err);

	if (r == 0)
		r = layer_new(fd, &limits, &layer, err);
	if (r == 0)
		r = oci_source_layer(s, desc, diff_id, &layer_sink, layer, &limits, err);
	if (r == 0)
		r = layer_settle(layer, &needs_lower, err);
	if (r == 0 && needs_lower && below->n > 0)
		r = lower_open((const char *const *)below->v, below->n, &lower, err);
	if (r == 0)
		r = layer_finish(layer, lower, err);
	if (r == 0)
		r = lay_over(p, fd, err);
	if (r < 0) {
		if (err && (r == -ENOSPC || r == -EDQUOT))
			err->kind = ERROR_ENVIRONMENT;
		return r;
	}
	*file = str_printf("%s/%s", p->stage.path, name);
	return *file ? 0 : no_memory(err);
}

static int take_layers(struct pack *p, struct oci_source *s, const struct oci_image *image,
                       struct error *err)
{
	_cleanup_strv_ struct strv files = STRV_INIT;
	int r = 0;

	for (size_t i = 0; r == 0 && i < image->manifest.n_layers; i++) {
		const struct image_descriptor *desc = &image->manifest.layers[i];
		char *file = NULL;

		pack_step(p, "LAYER", desc->digest.text, 3 * desc->size);
		r = make_layer(p, s, desc, &image->config.diff_ids[i], &files, &file, err);
		if (r == 0 && strv_add_take(&files, file) < 0)
			r = no_memory(err);
		if (r == 0 && tool_interrupted())
			r = error_set(err, EINTR, "interrupted");
		if (r < 0)
			return error_prefix(err, r, "%s: layer %zu (%s)", p->source, i + 1,
			                    desc->digest.text);
	}
	return 0;
}

/* ---- what the config runs (image-spec config.md) */

static int add_all(struct strv *to, const struct strv *from)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < from->n; i++)
		r = strv_add(to, from->v[i]);
	return r;
}

static int take_config(struct pack *p, const struct image_config *c, struct error *err)
{
	int r = add_all(&p->run.argv, &c->entrypoint);

	r = r ?: add_all(&p->run.argv, &c->cmd);
	for (size_t i = 0; r == 0 && i < c->env.n; i++)
		/* Linux knows no variable without a value; images have had them. */
		if (strchr(c->env.v[i], '=') && c->env.v[i][0] != '=')
			r = strv_add(&p->run.env, c->env.v[i]);
	if (r == 0 && !str_empty(c->working_dir) && c->working_dir[0] == '/')
		p->run.cwd = strdup(c->working_dir);
	if (r == 0 && !str_empty(c->user))
		p->run.user = strdup(c->user);
	return r < 0 ? no_memory(err) : 0;
}

/* ---- artifacts that carry a module */

static bool is_wasm_type(const char *type)
{
	return strcmp(type, "application/wasm") == 0 ||
	       strcmp(type, "application/vnd.wasm.content.layer.v1+wasm") == 0;
}

/* The descriptor of the manifest's module. 1: there is none. */
static int find_module(struct pack *p, const struct buffer *json, struct image_descriptor *out,
                       struct error *err)
{
	static const char what[] = "the manifest";
	_cleanup_cjson_ cJSON *doc = NULL;
	const cJSON *layers = NULL, *l;
	const char *type = NULL, *digest = NULL;
	int r =
	    json_parse((const char *)json->data, json->size, IMAGE_MAX_MANIFEST, what, &doc, err);

	if (r == 0)
		r = json_array(doc, "layers", false, &layers, what, err);
	if (r != 0)
		return r;
	cJSON_ArrayForEach(l, layers)
	{
		if (json_string(l, "mediaType", true, &type, what, NULL) < 0 || !is_wasm_type(type))
			continue;
		r = json_string(l, "digest", true, &digest, what, err);
		if (r == 0)
			r = json_u64(l, "size", true, &out->size, what, err);
		if (r == 0)
			r = digest_parse(digest, "the layer's digest", &out->digest, err);
		snprintf(out->media_type, sizeof(out->media_type), "%s", type);
		return r < 0 ? error_prefix(err, r, "%s", p->source) : 0;
	}
	return 1;
}

/* A name for the program: the repository's or folder's last word. */
static char *artifact_name(const struct pack *p)
{
	size_t end = strlen(p->source), begin;
	const char *at = strchr(p->source, '@'), *colon;

	if (at)
		end = (size_t)(at - p->source);
	while (end > 1 && p->source[end - 1] == '/')
		end--;
	for (begin = end; begin > 0 && p->source[begin - 1] != '/'; begin--)
		;
	colon = memchr(p->source + begin, ':', end - begin);
	if (colon)
		end = (size_t)(colon - p->source);
	return end > begin ? strndup(p->source + begin, end - begin) : strdup("module");
}

static int take_module(struct pack *p, struct oci_source *s, const struct image_descriptor *desc,
                       struct error *err)
{
	_cleanup_buffer_ struct buffer module = BUFFER_INIT;
	_cleanup_free_ char *name = artifact_name(p), *path = NULL;
	int r = name ? oci_source_bytes(s, desc, WASM_MODULE_MAX, "the module", &module, err)
	             : no_memory(err);

	if (r == 0 && !wasm_is_module(module.data, module.size))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s: the layer %s is no WebAssembly module", p->source,
		                      desc->digest.text);
	if (r == 0)
		r = pack_wasm(p, name, module.data, module.size, &path, err);
	return r < 0 ? r : pack_add_program(p, name, path, err);
}

/* ---- all of it */

static int take_image(struct pack *p, struct oci_source *s, const struct image_platform *platform,
                      struct error *err)
{
	_cleanup_oci_image_ struct oci_image image = {0};
	int r = oci_source_image(s, platform, &image, err);

	if (r == 0)
		r = take_layers(p, s, &image, err);
	return r < 0 ? r : take_config(p, &image.config, err);
}

static int take(struct pack *p, struct oci_source *s, struct error *err)
{
	struct image_platform platform = {0};
	const struct image_platform *want = NULL;
	_cleanup_buffer_ struct buffer json = BUFFER_INIT;
	struct image_descriptor manifest, module = {0};
	int r = 0;

	if (p->o->platform) {
		r = image_platform_parse(p->o->platform, &platform, err);
		want = &platform;
	}
	if (r == 0)
		r = oci_source_manifest(s, want, &manifest, &json, err);
	if (r == 0)
		r = find_module(p, &json, &module, err);
	if (r < 0)
		return r;
	return r == 0 ? take_module(p, s, &module, err) : take_image(p, s, want, err);
}

int pack_image(struct pack *p, struct error *err)
{
	_cleanup_oci_source_ struct oci_source *s = NULL;
	int r =
	    oci_source_open(p->source, p->o->offline ? NULL : &p->o->remote, tool_stop(), &s, err);

	return r < 0 ? r : take(p, s, err);
}
