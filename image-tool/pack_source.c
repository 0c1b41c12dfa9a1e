/* SPDX-License-Identifier: Apache-2.0 */
/* pack_source: what SOURCE is - a program, a module, a folder, an image - and its files. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "image-tool/pack.h"
#include "image-tool/tool.h"
#include "image-tool/wasm.h"
#include "lib/base/fs.h"
#include "lib/elf/elf.h"
#include "lib/erofs/fromdir.h"

#define HEAD_SIZE 512 /* a tar header: the largest mark that is looked for */

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory to read the source");
}

/* ---- a program of its own */

/* The last word of a path, as the name of a program in /bin. */
static char *base_name(const char *path, const char *suffix)
{
	_cleanup_free_ char *copy = strdup(path);
	size_t n = copy ? strlen(copy) : 0;
	char *slash;

	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = '\0';
	if (!copy)
		return NULL;
	slash = strrchr(copy, '/');
	slash = slash ? slash + 1 : copy;
	n = strlen(slash);
	if (n > strlen(suffix) && str_ends(slash, suffix))
		n -= strlen(suffix);
	return n > 0 && strcmp(slash, "..") != 0 && strcmp(slash, ".") != 0 ? strndup(slash, n)
	                                                                    : strdup("program");
}

int pack_add_program(struct pack *p, const char *name, const char *path, struct error *err)
{
	struct erofs_attr dir = {.mode = S_IFDIR | 0755, .mtime = p->mtime};
	struct erofs_attr file = {.mode = S_IFREG | 0755, .mtime = p->mtime};
	struct erofs_node *node;
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return error_errno(err, errno, "cannot read %s", path);
	p->run.alone = str_printf("/bin/%s", name);
	if (!p->run.alone || strv_add(&p->run.argv, p->run.alone) < 0)
		return no_memory(err);
	r = erofs_tree_add(p->tree, "/bin", 4, &dir, NULL, err);
	if (r == 0)
		r = erofs_tree_add(p->tree, p->run.alone, strlen(p->run.alone), &file, &node, err);
	return r < 0 ? r : erofs_node_set_path(p->tree, node, path, (uint64_t)st.st_size, err);
}

/* ---- modules */

static void say_stage(void *data, const char *what)
{
	pack_step(data, "WASM", what, 0);
}

int pack_wasm(struct pack *p, const char *name, const uint8_t *data, size_t size, char **path,
              struct error *err)
{
	const struct wasm_request rq = {
	    .data = data,
	    .size = size,
	    .name = name,
	    .where = &p->where,
	    .interrupted = tool_interrupted,
	    .stage = say_stage,
	    .stage_data = p,
	};
	struct wasm_needs needs = {0};
	_cleanup_close_ int fd = -1;
	int r = stage_create(&p->stage, "module.tmp", &fd, err);

	if (r == 0)
		r = wasm_compile(&rq, fd, &needs, err);
	if (r < 0)
		return r;
	if (needs.sockets)
		p->needs |= PACK_NEEDS_NET;
	*path = str_printf("%s/module.tmp", p->stage.path);
	return *path ? 0 : no_memory(err);
}

static int take_module(struct pack *p, struct error *err)
{
	_cleanup_free_ char *name = base_name(p->source, ".wasm"), *path = NULL;
	_cleanup_buffer_ struct buffer module = BUFFER_INIT;
	int r;

	if (!name)
		return no_memory(err);
	r = fs_read_file(AT_FDCWD, p->source, WASM_MODULE_MAX, &module, err);
	if (r == 0)
		r = pack_wasm(p, p->source, module.data, module.size, &path, err);
	return r < 0 ? r : pack_add_program(p, name, path, err);
}

static int take_program(struct pack *p, struct error *err)
{
	_cleanup_free_ char *name = base_name(p->source, "");

	return name ? pack_add_program(p, name, p->source, err) : no_memory(err);
}

/* ---- folders */

/* The output may lie in the folder; it is no part of it. */
static char *output_below(const struct pack *p)
{
	_cleanup_free_ char *from = realpath(p->source, NULL), *to = realpath(p->stage.dir, NULL);
	size_t n = from ? strlen(from) : 0;

	if (!from || !to || strncmp(from, to, n) != 0 || to[n] != '/')
		return NULL;
	return strdup(to + n + 1);
}

static bool is_output(const char *path, size_t len, void *data)
{
	const char *output = data;

	return output && strlen(output) == len && memcmp(output, path, len) == 0;
}

static int take_folder(struct pack *p, struct error *err)
{
	_cleanup_free_ char *output = output_below(p);
	struct erofs_fromdir_opts opts = {
	    .all_root = true,
	    .set_mtime = true,
	    .mtime = p->mtime,
	    .skip_sockets = true,
	    .exclude = is_output,
	    .exclude_data = output,
	};
	struct erofs_attr root;
	int r;

	/* The folder's own mode is the host's business. */
	erofs_node_attr(erofs_tree_root(p->tree), &root);
	r = erofs_tree_from_dir(p->tree, p->source, &opts, err);
	if (r < 0)
		return r;
	erofs_node_set_attr(erofs_tree_root(p->tree), &root);
	return 0;
}

/* ---- which of them */

enum kind { KIND_PROGRAM, KIND_MODULE, KIND_IMAGE, KIND_SCRIPT, KIND_UNKNOWN };

static enum kind kind_of(const uint8_t *head, size_t n)
{
	if (elf_is(head, n))
		return KIND_PROGRAM;
	if (wasm_is_module(head, n))
		return KIND_MODULE;
	if (n >= 2 && memcmp(head, "#!", 2) == 0)
		return KIND_SCRIPT;
	if ((n >= 2 && memcmp(head, "\x1f\x8b", 2) == 0) ||
	    (n >= 4 && memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0) ||
	    (n >= 262 && memcmp(head + 257, "ustar", 5) == 0))
		return KIND_IMAGE;
	return KIND_UNKNOWN;
}

static int take_file(struct pack *p, struct error *err)
{
	_cleanup_close_ int fd = open(p->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	uint8_t head[HEAD_SIZE];
	ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof(head), 0);

	if (n < 0)
		return error_errno(err, errno, "cannot read %s", p->source);
	switch (kind_of(head, (size_t)n)) {
	case KIND_PROGRAM:
		return take_program(p, err);
	case KIND_MODULE:
		return take_module(p, err);
	case KIND_IMAGE:
		return pack_image(p, err);
	case KIND_SCRIPT:
		return error_set_kind(err, ERROR_INPUT, ENOEXEC,
		                      "%s is a script: pack a folder that holds it and its "
		                      "interpreter",
		                      p->source);
	case KIND_UNKNOWN:
		break;
	}
	return error_set_kind(
	    err, ERROR_INPUT, ENOEXEC,
	    "%s is neither a program (ELF) nor a WebAssembly module nor an archive "
	    "with an image",
	    p->source);
}

/* oci:, docker:// and so on; DIR:TAG of a layout; a registry's host before the first slash. */
static bool names_image(const char *source)
{
	static const char *const prefixes[] = {
	    "oci:", "oci-archive:", "docker-archive:", "docker://"};
	const char *colon = strrchr(source, ':'), *slash = strchr(source, '/');
	_cleanup_free_ char *dir = colon ? strndup(source, (size_t)(colon - source)) : NULL;
	_cleanup_free_ char *layout = dir ? str_printf("%s/oci-layout", dir) : NULL;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (str_starts(source, prefixes[i]))
			return true;
	if (layout && fs_exists(layout))
		return true;
	if (!slash || slash == source || source[0] == '.')
		return false;
	return memchr(source, '.', (size_t)(slash - source)) ||
	       memchr(source, ':', (size_t)(slash - source)) || str_starts(source, "localhost/");
}

int pack_source(struct pack *p, struct error *err)
{
	_cleanup_free_ char *layout = str_printf("%s/oci-layout", p->source);
	struct stat st;
	int r;

	if (!layout)
		return no_memory(err);
	if (stat(p->source, &st) < 0) {
		if (errno == ENOENT && names_image(p->source))
			return pack_image(p, err);
		r = error_errno(err, errno, "cannot read %s", p->source);
		if (err)
			err->kind = ERROR_INPUT;
		return r == -ENOENT
		           ? error_hint(err, r, "a registry's image is named HOST/REPOSITORY")
		           : r;
	}
	if (S_ISDIR(st.st_mode))
		return fs_exists(layout) ? pack_image(p, err) : take_folder(p, err);
	if (S_ISREG(st.st_mode))
		return take_file(p, err);
	return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is neither a file nor a folder",
	                      p->source);
}
