/* SPDX-License-Identifier: Apache-2.0 */
/* hot: lists of hot files: read, matched with a tree, and learned from a boot. */
#include "image-tool/hot.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image-tool/tool.h"
#include "lib/base/fs.h"
#include "lib/base/process.h"
#include "lib/base/utf8.h"
#include "lib/erofs/writer.h"

#define LIST_MAX    (1u << 20) /* bytes of a list */
#define CONSOLE_MAX (8u << 20) /* of what the traced guest says */
#define PROBE       "/.kihon-hot"
#define PROBE_PART  "bin/kihon-hot" /* of the guest's programs */
#define SAYS        "kihon-hot "
#define TRACE_DIR   "hot.tmp"
#define TRACE_ROOT  "rootfs.erofs"
/* An emulated guest on a loaded machine takes its time. */
#define TRACE_TIMEOUT "300s"

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory for a list of hot files");
}

/* ---------------------------------------------------------------- lists */

int hot_read(const char *file, struct strv *out, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int r = fs_read_file(AT_FDCWD, file, LIST_MAX, &text, err);

	if (r < 0)
		return error_prefix(err, r, "--hot");
	if (memchr(text.data, '\0', text.size))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "--hot %s: a NUL byte: this is no list of files", file);
	for (char *at = (char *)text.data, *line; r == 0 && (line = strsep(&at, "\n"));) {
		line[strcspn(line, "\r")] = '\0';
		if (!utf8_valid(line, strlen(line)))
			return error_set_kind(
			    err, ERROR_INPUT, EILSEQ,
			    "--hot %s: a line that is not UTF-8 cannot be kept in "
			    "image.json; use a pattern",
			    file);
		if (*line && *line != '#')
			r = strv_add(out, line);
	}
	if (r < 0)
		return no_memory(err);
	if (out->n > GUESTIMG_MAX_HOT)
		return error_set_kind(err, ERROR_INPUT, E2BIG,
		                      "--hot %s has %zu lines, at most %d can be kept", file,
		                      out->n, GUESTIMG_MAX_HOT);
	return out->n ? 0
	              : error_set_kind(err, ERROR_INPUT, EINVAL, "--hot %s names no file", file);
}

static bool matches(const char *pattern, const char *path)
{
	return fnmatch(pattern, path, FNM_PATHNAME | FNM_LEADING_DIR) == 0;
}

/* Patterns as they are compared: without slashes at the ends. */
static int trim(const struct strv *patterns, struct strv *out, struct error *err)
{
	for (size_t i = 0; i < patterns->n; i++) {
		const char *p = patterns->v[i];
		size_t n;

		p += strspn(p, "/");
		n = strlen(p);
		while (n > 0 && p[n - 1] == '/')
			n--;
		/* The root itself: all of it. */
		if (strv_addf(out, "%.*s", n ? (int)n : 1, n ? p : "*") < 0)
			return no_memory(err);
	}
	return 0;
}

int hot_mark(struct erofs_tree *tree, const struct strv *patterns, const char *what,
             struct error *err)
{
	_cleanup_strv_ struct strv list = STRV_INIT;
	_cleanup_free_ bool *used = calloc(patterns->n + 1, sizeof(*used));
	char path[EROFS_PATH_MAX + 1];
	int r = used ? trim(patterns, &list, err) : no_memory(err);

	if (r < 0)
		return r;
	for (struct erofs_entry *e = NULL; (e = erofs_tree_walk(tree, e)) != NULL;) {
		if (erofs_entry_path(e, path, sizeof(path)) < 0)
			continue;
		for (size_t i = 0; i < list.n; i++)
			if (matches(list.v[i], path)) {
				erofs_node_set_hot(erofs_entry_node(e));
				used[i] = true;
			}
	}
	for (size_t i = 0; i < list.n; i++)
		if (!used[i])
			return error_set_kind(err, ERROR_INPUT, ENOENT,
			                      "--hot %s: nothing in the root matches '%s'", what,
			                      patterns->v[i]);
	return 0;
}

int hot_former(const struct guestimg *img, struct strv *out, struct error *err)
{
	for (size_t i = 0; i < img->rootfs.n_hot; i++)
		if (strv_add(out, img->rootfs.hot[i]) < 0)
			return no_memory(err);
	return 0;
}

int hot_keep(struct guestimg *img, const struct strv *patterns, struct error *err)
{
	img->rootfs.hot = arena_new_array(&img->arena, patterns->n, const char *);
	for (size_t i = 0; i < patterns->n && img->rootfs.hot; i++)
		img->rootfs.hot[img->rootfs.n_hot++] = arena_strdup(&img->arena, patterns->v[i]);
	return img->arena.failed ? no_memory(err) : 0;
}

/* ---------------------------------------------------------------- a traced image */

static int add_probe(const struct hot_trace *t, struct error *err)
{
	const struct erofs_attr attr = {.mode = S_IFREG | 0755};
	_cleanup_free_ char *program = str_printf("%s/" PROBE_PART, t->where->guest);
	struct erofs_node *node;
	struct stat st;
	int r;

	if (!program)
		return no_memory(err);
	if (stat(program, &st) < 0) {
		r = error_set_kind(err, ERROR_ENVIRONMENT, errno, "cannot read %s: %s", program,
		                   strerror(errno));
		return error_hint(err, r, "run make guest");
	}
	r = erofs_tree_add(t->tree, PROBE, strlen(PROBE), &attr, &node, err);
	return r < 0 ? r : erofs_node_set_path(t->tree, node, program, (uint64_t)st.st_size, err);
}

static int write_root(const struct hot_trace *t, struct error *err)
{
	struct erofs_write_opts opts = EROFS_WRITE_OPTS_IMAGE;
	_cleanup_close_ int fd = -1;
	int r = add_probe(t, err);

	opts.interrupted = tool_interrupted;
	if (r == 0)
		r = stage_create(t->stage, TRACE_DIR "/" TRACE_ROOT, &fd, err);
	if (r == 0)
		r = erofs_write_tree(t->tree, fd, &opts, NULL, err);
	(void)erofs_tree_remove(t->tree, PROBE, strlen(PROBE), NULL);
	return r;
}

static int write_json(const struct hot_trace *t, const char *dir, struct error *err)
{
	struct guestimg_file files[2];
	_cleanup_buffer_ struct buffer cmdline = BUFFER_INIT;
	struct guestimg img = {
	    .name = "kihon-hot",
	    .version = "0",
	    .profile = "hot",
	    .arch = "x86_64",
	    .kernel = {.vmlinux = "vmlinux", .version = t->kernel_version},
	    .rootfs = {.file = TRACE_ROOT, .format = "erofs"},
	    .agent = {.version = "0", .min_version = "0", .protocol = "0"},
	    .files = files,
	    .n_files = 2,
	};
	int r;

	buffer_str(&cmdline, "ro rootfstype=erofs");
	for (size_t i = 0; i < t->cmdline->n; i++)
		buffer_printf(&cmdline, " %s", t->cmdline->v[i]);
	img.cmdline = buffer_cstr(&cmdline);
	r = stage_measure(t->stage, TRACE_DIR "/vmlinux", &img.arena, &files[0], err);
	if (r == 0)
		r = stage_measure(t->stage, TRACE_DIR "/" TRACE_ROOT, &img.arena, &files[1], err);
	files[0].name = img.kernel.vmlinux;
	files[1].name = img.rootfs.file;
	if (r == 0)
		r = guestimg_save(&img, dir, err);
	arena_free(&img.arena);
	return r;
}

static int make_image(const struct hot_trace *t, const char *dir, struct error *err)
{
	_cleanup_free_ char *from = str_printf("%s/%s", t->stage->path, t->vmlinux);
	_cleanup_free_ char *to = str_printf("%s/vmlinux", dir);
	int r;

	if (!from || !to)
		return no_memory(err);
	if (mkdir(dir, 0700) < 0 || link(from, to) < 0)
		return error_errno(err, errno, "cannot write %s", to);
	r = write_root(t, err);
	return r < 0 ? r : write_json(t, dir, err);
}

/* ---------------------------------------------------------------- a traced boot */

/* The program beside this one, or of PATH. */
static char *find_kihon(void)
{
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash, *path = NULL;

	exe[n > 0 ? n : 0] = '\0';
	slash = strrchr(exe, '/');
	if (slash)
		path = str_printf("%.*s/kihon", (int)(slash - exe), exe);
	if (path && access(path, X_OK) == 0)
		return path;
	free(path);
	return strdup("kihon");
}

/* The last line that says something. */
static const char *last_line(struct buffer *text)
{
	char *end;

	while (text->size > 0 && strchr("\r\n ", text->data[text->size - 1]))
		text->data[--text->size] = '\0';
	end = strrchr(buffer_cstr(text), '\n');
	return end ? end + 1 : buffer_cstr(text);
}

static int boot(const struct hot_trace *t, const char *dir, struct buffer *console,
                struct error *err)
{
	_cleanup_buffer_ struct buffer stderr_text = BUFFER_INIT;
	_cleanup_free_ char *kihon = find_kihon(), *words = NULL;
	const char *init = "";
	int status = 0, r;

	for (size_t i = 0; i < t->cmdline->n; i++)
		if (str_starts(t->cmdline->v[i], "init="))
			init = t->cmdline->v[i] + strlen("init=");
	words = str_printf("init=" PROBE "%s%s", *init ? " KIHON_HOT_INIT=" : "", init);
	if (!kihon || !words)
		return no_memory(err);
	r = process_run((char *[]){kihon, "boot", "--machine", "microvm", "--verbose", "--timeout",
	                           TRACE_TIMEOUT, "--append", words, (char *)dir, NULL},
	                console, &stderr_text, CONSOLE_MAX, &status, err);
	if (tool_interrupted())
		return error_set(err, EINTR, "interrupted");
	if (r == 0 && process_exit_code(status) != 0)
		r = error_set(err, EIO, "%s", last_line(&stderr_text));
	if (r < 0 && err)
		err->kind = ERROR_ENVIRONMENT;
	return r < 0 ? error_prefix(err, r, "--hot auto: the traced boot (%s boot)", kihon) : 0;
}

/* Names that look like patterns stand for themselves; one that image.json cannot hold is cold. */
static int add_path(struct strv *out, const char *path)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	if (!utf8_valid(path, strlen(path)))
		return 0;
	for (; *path; path++) {
		if (strchr("*?[\\", *path))
			buffer_str(&b, "\\");
		buffer_append(&b, path, 1);
	}
	return b.failed ? -ENOMEM : strv_add(out, buffer_cstr(&b));
}

static int garbled(struct error *err)
{
	return error_set_kind(err, ERROR_ENVIRONMENT, EIO,
	                      "--hot auto: the traced guest did not say which files it read; try "
	                      "again, or give a list");
}

/* Lines of guest/hot/main.c. */
static int read_console(struct buffer *console, struct strv *out, struct error *err)
{
	uint64_t files = 0, wanted = UINT64_MAX;

	for (char *at = (char *)console->data, *line; at && (line = strsep(&at, "\n"));) {
		char *says = strstr(line, SAYS);
		int path = 0;

		if (!says)
			continue;
		line[strcspn(line, "\r")] = '\0';
		says += strlen(SAYS);
		if (sscanf(says, "file %*u %*u %n", &path) == 0 && path > 0) {
			files++;
			if (add_path(out, says + path) < 0)
				return no_memory(err);
		} else if (str_starts(says, "end ") && parse_u64(says + 4, &wanted) < 0) {
			return garbled(err);
		} else if (str_starts(says, "failed")) {
			return error_set_kind(err, ERROR_ENVIRONMENT, EIO, "--hot auto: %s", says);
		}
	}
	return files && files == wanted && files <= GUESTIMG_MAX_HOT ? 0 : garbled(err);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int hot_learn(const struct hot_trace *trace, struct strv *out, struct error *err)
{
	_cleanup_free_ char *dir = str_printf("%s/" TRACE_DIR, trace->stage->path);
	_cleanup_buffer_ struct buffer console = BUFFER_INIT;
	int r = dir ? make_image(trace, dir, err) : no_memory(err);

	if (r == 0)
		r = boot(trace, dir, &console, err);
	if (r == 0)
		r = read_console(&console, out, err);
	if (r == 0)
		qsort(out->v, out->n, sizeof(*out->v), by_name);
	return r;
}
