/* SPDX-License-Identifier: Apache-2.0 */
/* profile: file lists of guests into a tree. */
#include "image-tool/profile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"

#define LIST_MAX      (1u << 20) /* bytes of one list */
#define INCLUDE_DEPTH 4
#define MAX_WORDS     64

/* One list being read. */
struct reading {
	struct profile *p;
	const struct profile_source *src;
	const char *name; /* of the list */
	unsigned int line;
	unsigned int depth;
	char **word; /* the line's, without the directive */
	size_t n;
};

static int wrong(const struct reading *in, struct error *err, const char *what, const char *value)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "rootfs/profiles/%s.files line %u: %s '%s'",
	                      in->name, in->line, what, value);
}

static int at_line(const struct reading *in, int r, struct error *err)
{
	return r < 0 ? error_prefix(err, r, "rootfs/profiles/%s.files line %u", in->name, in->line)
	             : r;
}

/* Where a SOURCE is on the host; owned. */
static char *source_path(const struct reading *in, const char *source)
{
	const struct locations *where = in->src->where;

	if (in->src->agent && strcmp(source, "guest:bin/kihon-agent") == 0)
		return strdup(in->src->agent);
	if (str_starts(source, "guest:"))
		return str_printf("%s/%s", where->guest, source + strlen("guest:"));
	return str_printf("%s/rootfs/%s", where->data, source);
}

static int parse_attr(const struct reading *in, char *const *word, uint32_t type,
                      struct erofs_attr *out, struct error *err)
{
	*out = (struct erofs_attr){.mtime = in->src->mtime};
	if (parse_octal(word[0], &out->mode) < 0 || out->mode > 07777)
		return wrong(in, err, "no mode", word[0]);
	if (parse_u32(word[1], &out->uid) < 0)
		return wrong(in, err, "no user id", word[1]);
	if (parse_u32(word[2], &out->gid) < 0)
		return wrong(in, err, "no group id", word[2]);
	out->mode |= type;
	return 0;
}

static int add(const struct reading *in, const char *path, const struct erofs_attr *attr,
               struct erofs_node **node, struct error *err)
{
	return at_line(in, erofs_tree_add(in->p->tree, path, strlen(path), attr, node, err), err);
}

/* 1: it is not there, which is noted. */
static int note_missing(const struct reading *in, const char *path, struct error *err)
{
	if (!in->src->missing || (errno != ENOENT && errno != ENOTDIR))
		return 0;
	return strv_add(in->src->missing, path) < 0
	           ? error_set(err, ENOMEM, "no memory for %s", path)
	           : 1;
}

static int set_content(const struct reading *in, struct erofs_node *node, const char *source,
                       const char *path, struct error *err)
{
	struct stat st;

	if (strv_add(&in->p->sources, source) < 0 || strv_add(&in->p->paths, path) < 0)
		return error_set(err, ENOMEM, "no memory for %s", source);
	if (stat(path, &st) < 0) {
		int r = note_missing(in, path, err);

		if (r != 0)
			return r < 0 ? r : 0;
		error_errno(err, errno, "cannot read %s", path);
		if (err)
			err->kind = ERROR_ENVIRONMENT;
		return str_starts(path, in->src->where->guest)
		           ? error_hint(err, -ENOENT, "run make guest")
		           : -ENOENT;
	}
	if (!S_ISREG(st.st_mode))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is not a regular file", path);
	return erofs_node_set_path(in->p->tree, node, path, (uint64_t)st.st_size, err);
}

static int do_dir(struct reading *in, struct error *err)
{
	struct erofs_attr attr;
	int r = parse_attr(in, in->word + 1, S_IFDIR, &attr, err);

	return r < 0 ? r : add(in, in->word[0], &attr, NULL, err);
}

static int do_pipe(struct reading *in, struct error *err)
{
	struct erofs_attr attr;
	int r = parse_attr(in, in->word + 1, S_IFIFO, &attr, err);

	return r < 0 ? r : add(in, in->word[0], &attr, NULL, err);
}

static int do_nod(struct reading *in, struct error *err)
{
	const char *type = in->word[4];
	struct erofs_attr attr;
	int r;

	if (strcmp(type, "c") != 0 && strcmp(type, "b") != 0)
		return wrong(in, err, "neither c nor b", type);
	r = parse_attr(in, in->word + 1, *type == 'c' ? S_IFCHR : S_IFBLK, &attr, err);
	if (r < 0)
		return r;
	if (parse_u32(in->word[5], &attr.rdev_major) < 0 || attr.rdev_major >= 1u << 12)
		return wrong(in, err, "no major number", in->word[5]);
	if (parse_u32(in->word[6], &attr.rdev_minor) < 0 || attr.rdev_minor >= 1u << 20)
		return wrong(in, err, "no minor number", in->word[6]);
	return add(in, in->word[0], &attr, NULL, err);
}

static int do_slink(struct reading *in, struct error *err)
{
	struct erofs_attr attr;
	int r = parse_attr(in, in->word + 2, S_IFLNK, &attr, err);

	if (r < 0)
		return r;
	r = erofs_tree_add_symlink(in->p->tree, in->word[0], strlen(in->word[0]), &attr,
	                           in->word[1], strlen(in->word[1]), NULL, err);
	return at_line(in, r, err);
}

static int do_file(struct reading *in, struct error *err)
{
	const char *source = in->word[1];
	_cleanup_free_ char *path = NULL;
	struct erofs_node *node;
	struct erofs_attr attr;
	int r = parse_attr(in, in->word + 2, S_IFREG, &attr, err);

	if (r == 0)
		r = add(in, in->word[0], &attr, &node, err);
	if (r < 0 || strcmp(source, "-") == 0)
		return r;
	path = source_path(in, source);
	if (!path || (str_starts(source, "guest:") &&
	              strv_add(&in->p->parts, source + strlen("guest:")) < 0))
		return error_set(err, ENOMEM, "no memory for %s", source);
	return at_line(in, set_content(in, node, source, path, err), err);
}

/* Plain files of one folder; what is no plain file is left out. */
static int do_tree(struct reading *in, struct error *err)
{
	_cleanup_free_ char *from = source_path(in, in->word[1]);
	_cleanup_closedir_ DIR *d = from ? opendir(from) : NULL;
	struct erofs_attr dir = {.mode = S_IFDIR | 0755, .mtime = in->src->mtime};
	struct erofs_attr file = {.mode = S_IFREG | 0644, .mtime = in->src->mtime};
	struct dirent *e;
	int r;

	if (!d) {
		r = from ? note_missing(in, from, err) : 0;
		if (r != 0)
			return r < 0 ? r : 0;
		r = error_errno(err, from ? errno : ENOMEM, "cannot read %s", in->word[1]);
		return at_line(in, error_hint(err, r, "run make guest"), err);
	}
	r = add(in, in->word[0], &dir, NULL, err);
	while (r == 0 && (e = readdir(d))) {
		_cleanup_free_ char *to = str_printf("%s/%s", in->word[0], e->d_name);
		_cleanup_free_ char *path = str_printf("%s/%s", from, e->d_name);
		_cleanup_free_ char *source = str_printf("%s/%s", in->word[1], e->d_name);
		struct erofs_node *node;

		if (e->d_type != DT_REG)
			continue;
		if (!to || !path || !source)
			return error_set(err, ENOMEM, "no memory for %s", e->d_name);
		r = add(in, to, &file, &node, err);
		if (r == 0)
			r = at_line(in, set_content(in, node, source, path, err), err);
	}
	return r;
}

static int do_cmdline(struct reading *in, struct error *err)
{
	for (size_t i = 0; i < in->n; i++)
		if (strv_add(&in->p->cmdline, in->word[i]) < 0)
			return error_set(err, ENOMEM, "no memory for the command line");
	return 0;
}

static int read_list(struct profile *p, const char *name, const struct profile_source *src,
                     unsigned int depth, struct error *err);

static int do_include(struct reading *in, struct error *err)
{
	if (in->depth >= INCLUDE_DEPTH)
		return wrong(in, err, "includes are too deep at", in->word[0]);
	return read_list(in->p, in->word[0], in->src, in->depth + 1, err);
}

static const struct directive {
	const char *name;
	size_t min, max; /* words after it */
	int (*fn)(struct reading *in, struct error *err);
} directives[] = {
    {"dir", 4, 4, do_dir},         {"file", 5, 5, do_file},
    {"slink", 5, 5, do_slink},     {"nod", 7, 7, do_nod},
    {"pipe", 4, 4, do_pipe},       {"tree", 2, 2, do_tree},
    {"include", 1, 1, do_include}, {"cmdline", 1, MAX_WORDS, do_cmdline},
};

static int read_line(struct reading *in, char *line, struct error *err)
{
	_cleanup_strv_ struct strv words = STRV_INIT;

	line[strcspn(line, "#")] = 0;
	if (strv_split(&words, line, " \t\r") < 0)
		return error_set(err, ENOMEM, "no memory to read a file list");
	if (words.n == 0)
		return 0;
	in->word = words.v + 1;
	in->n = words.n - 1;
	for (size_t i = 0; i < sizeof(directives) / sizeof(*directives); i++) {
		const struct directive *d = &directives[i];

		if (strcmp(words.v[0], d->name) != 0)
			continue;
		if (in->n < d->min || in->n > d->max)
			return wrong(in, err, "wrong number of words after", d->name);
		return d->fn(in, err);
	}
	return wrong(in, err, "unknown directive", words.v[0]);
}

static bool is_profile_name(const char *s)
{
	return !str_empty(s) && strlen(s) < 64 &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-")] == 0;
}

static int read_list(struct profile *p, const char *name, const struct profile_source *src,
                     unsigned int depth, struct error *err)
{
	struct reading in = {.p = p, .src = src, .name = name, .depth = depth};
	_cleanup_free_ char *path =
	    str_printf("%s/rootfs/profiles/%s.files", src->where->data, name);
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int r;

	if (!path)
		return error_set(err, ENOMEM, "no memory to read profile %s", name);
	if (!is_profile_name(name) || !fs_exists(path)) {
		_cleanup_free_ char *names = profile_names(src->where);

		return error_set_kind(err, ERROR_USAGE, ENOENT,
		                      "there is no profile '%s'; profiles: %s", name,
		                      names ? names : "");
	}
	if (strv_add(&p->lists, path) < 0)
		return error_set(err, ENOMEM, "no memory to read profile %s", name);
	r = fs_read_file(AT_FDCWD, path, LIST_MAX, &text, err);
	for (char *at = (char *)text.data, *line; r == 0 && (line = strsep(&at, "\n"));) {
		in.line++;
		r = read_line(&in, line, err);
	}
	return r;
}

int profile_load(struct profile *p, const char *name, const struct profile_source *src,
                 struct error *err)
{
	struct erofs_attr root = {.mode = S_IFDIR | 0755, .mtime = src->mtime};
	int r;

	*p = (struct profile)PROFILE_INIT;
	r = erofs_tree_new(&p->tree, &root, err);
	if (r == 0)
		r = read_list(p, name, src, 0, err);
	if (r < 0)
		profile_free(p);
	return r;
}

void profile_free(struct profile *p)
{
	erofs_tree_free(p->tree);
	strv_free(&p->cmdline);
	strv_free(&p->parts);
	strv_free(&p->lists);
	strv_free(&p->sources);
	strv_free(&p->paths);
	*p = (struct profile)PROFILE_INIT;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *profile_names(const struct locations *where)
{
	_cleanup_free_ char *path = str_printf("%s/rootfs/profiles", where->data);
	_cleanup_closedir_ DIR *d = path ? opendir(path) : NULL;
	_cleanup_strv_ struct strv names = STRV_INIT;
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (str_ends(e->d_name, ".files"))
			strv_addf(&names, "%.*s", (int)(strlen(e->d_name) - strlen(".files")),
			          e->d_name);
	if (names.n > 0)
		qsort(names.v, names.n, sizeof(*names.v), by_name);
	buffer_str(&out, "");
	for (size_t i = 0; i < names.n; i++)
		buffer_printf(&out, "%s%s", i > 0 ? ", " : "", names.v[i]);
	return buffer_steal(&out);
}
