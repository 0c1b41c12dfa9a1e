/* SPDX-License-Identifier: Apache-2.0 */
/* rootview: an EROFS image, mapped; links are followed one by one. */
#include "image-tool/rootview.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/erofs/writer.h"

#define LINKS_MAX 40 /* as many as Linux follows */

struct rootview {
	struct erofs_image *image;
	void *map;
	size_t size;
};

int rootview_open(struct rootview **out, int fd, struct error *err)
{
	_cleanup_rootview_ struct rootview *v = calloc(1, sizeof(*v));
	struct stat st;

	if (!v)
		return error_set(err, ENOMEM, "no memory to look at the root file system");
	v->map = MAP_FAILED;
	if (fstat(fd, &st) == 0 && st.st_size > 0) {
		v->size = (size_t)st.st_size;
		v->map = mmap(NULL, v->size, PROT_READ, MAP_SHARED, fd, 0);
	}
	if (v->map == MAP_FAILED)
		return error_errno(err, errno, "cannot look at the root file system");
	if (erofs_open_memory(&v->image, v->map, v->size, err) < 0)
		return err ? err->code : -EINVAL;
	*out = steal_ptr(&v);
	return 0;
}

void rootview_close(struct rootview *v)
{
	if (!v)
		return;
	erofs_close(v->image);
	if (v->map != MAP_FAILED)
		munmap(v->map, v->size);
	free(v);
}

/* What is still to be walked: the components after the present place. */
struct walk {
	struct image_path at;
	char rest[2 * PATH_ROOM];
	unsigned int links;
};

static int too_long(struct error *err)
{
	return error_set_kind(err, ERROR_INPUT, ENAMETOOLONG, "a path that is too long");
}

/* The link at w->at is taken: its target comes before the rest. */
static int follow(struct rootview *v, struct walk *w, const struct erofs_stat *st,
                  const char *after, struct error *err)
{
	char target[PATH_ROOM];
	char joined[sizeof(w->rest)];
	ssize_t n = erofs_pread(v->image, st, target, sizeof(target) - 1, 0, err);

	if (n < 0)
		return (int)n;
	target[n] = '\0';
	if (++w->links > LINKS_MAX)
		return error_set_kind(err, ERROR_INPUT, ELOOP,
		                      "/%s is a symbolic link that leads in a circle", w->at.text);
	if (snprintf(joined, sizeof(joined), "%s/%s", target, after) >= (int)sizeof(joined))
		return too_long(err);
	memcpy(w->rest, joined, sizeof(joined));
	if (target[0] == '/')
		return image_path_set(&w->at, "", err);
	image_path_up(&w->at);
	return 0;
}

/* One component: 0 and *st of what is there now, 1 when there is nothing. */
static int step(struct rootview *v, struct walk *w, struct erofs_stat *st, struct error *err)
{
	char name[PATH_ROOM], *after = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(after, "/");
	int r;

	if (n >= sizeof(name))
		return too_long(err);
	memcpy(name, after, n);
	name[n] = '\0';
	after += n;
	r = image_path_add(&w->at, name, err);
	if (r == 0)
		r = erofs_lookup(v->image, w->at.text, w->at.len, st, err);
	if (r == -ENOENT || r == -ENOTDIR || r == -ENAMETOOLONG) {
		error_clear(err);
		return 1;
	}
	if (r < 0)
		return r;
	if (S_ISLNK(st->mode))
		return follow(v, w, st, after, err);
	memmove(w->rest, after, strlen(after) + 1);
	return 0;
}

static int content(struct rootview *v, struct rootview_file *f, struct error *err)
{
	uint64_t at = (uint64_t)f->st.block * EROFS_BLOCK_SIZE, end;

	f->data = (const uint8_t *)"";
	f->size = 0;
	if (!S_ISREG(f->st.mode) || f->st.size == 0)
		return 0;
	if (f->st.layout != EROFS_LAYOUT_PLAIN || __builtin_add_overflow(at, f->st.size, &end) ||
	    end > v->size)
		return error_set(err, EUCLEAN, "%s cannot be looked at", f->path);
	f->data = (const uint8_t *)v->map + at;
	f->size = f->st.size;
	return 0;
}

int rootview_find(struct rootview *v, const char *dir, const char *path, struct rootview_file *out,
                  struct error *err)
{
	struct walk w = {.links = 0};
	int r;

	if (snprintf(w.rest, sizeof(w.rest), "%s/%s", path[0] == '/' ? "" : dir, path) >=
	    (int)sizeof(w.rest))
		return too_long(err);
	r = erofs_lookup(v->image, "", 0, &out->st, err);
	while (r == 0 && w.rest[strspn(w.rest, "/")])
		r = step(v, &w, &out->st, err);
	if (r != 0)
		return r;
	/* The last step may have gone up a link's folder. */
	r = erofs_lookup(v->image, w.at.text, w.at.len, &out->st, err);
	if (r < 0)
		return r;
	snprintf(out->path, sizeof(out->path), "/%s", w.at.text);
	return content(v, out, err);
}

struct search {
	const char *name;
};

static int has_name(const char *path, const struct erofs_stat *st, void *data)
{
	const struct search *s = data;
	const char *slash = strrchr(path, '/');

	return !S_ISDIR(st->mode) && strcmp(slash ? slash + 1 : path, s->name) == 0;
}

int rootview_has_name(struct rootview *v, const char *name, bool *found, struct error *err)
{
	struct search s = {name};
	int r = erofs_walk(v->image, has_name, &s, err);

	*found = r > 0;
	return r < 0 ? r : 0;
}
