/* SPDX-License-Identifier: Apache-2.0 */
/* pack_program: the program that a guest is to run - found, looked into, and its needs noted. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "image-tool/pack.h"
#include "image-tool/tool.h"
#include "image-tool/wasm.h"
#include "lib/base/fs.h"
#include "lib/elf/elf.h"
#include "lib/erofs/writer.h"

#define VIEW_FILE   "view.tmp"
#define SCRIPTS_MAX 4   /* a script whose interpreter is a script ..., as Linux */
#define SHEBANG_MAX 255 /* bytes of "#! ..." that Linux reads */

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory to look at the program");
}

/* ---- the root as the source gave it */

static int make_view(struct pack *p, struct error *err)
{
	struct erofs_write_opts opts = EROFS_WRITE_OPTS_LAYER;
	_cleanup_close_ int fd = -1;
	int r;

	opts.interrupted = tool_interrupted;
	rootview_close(steal_ptr(&p->view));
	r = stage_create(&p->stage, VIEW_FILE, &fd, err);
	if (r == 0)
		r = erofs_write_tree(p->tree, fd, &opts, NULL, err);
	if (r < 0) {
		if (err && (r == -ENOSPC || r == -EDQUOT))
			err->kind = ERROR_ENVIRONMENT;
		return error_prefix(err, r, "writing the root file system to %s", p->stage.dir);
	}
	return rootview_open(&p->view, fd, err);
}

/* ---- where it is */

static int not_there(struct pack *p, const char *name, struct error *err)
{
	if (strchr(name, '/'))
		return error_set_kind(err, ERROR_INPUT, ENOENT, "%s has no program %s", p->source,
		                      name);
	return error_set_kind(err, ERROR_INPUT, ENOENT,
	                      "%s has no program %s in the folders of PATH; name it with its path",
	                      p->source, name);
}

static int check_executable(struct pack *p, const struct rootview_file *f, const char *name,
                            struct error *err)
{
	if (!S_ISREG(f->st.mode))
		return error_set_kind(err, ERROR_INPUT, EACCES, "%s: %s is no file", p->source,
		                      name);
	if (!(f->st.mode & 0111))
		return error_set_kind(err, ERROR_INPUT, EACCES,
		                      "%s: %s is not executable (its mode is %04o)", p->source,
		                      name, f->st.mode & 07777);
	return 0;
}

/* PATH as the program's environment will have it. */
static const char *search_path(const struct pack *p)
{
	const char *path = PACK_PATH;

	for (size_t i = 0; i < p->run.env.n; i++)
		if (str_starts(p->run.env.v[i], "PATH="))
			path = p->run.env.v[i] + strlen("PATH=");
	return path;
}

/* `name` in one folder: 0 and its path, 1 when it is not there. */
static int try_folder(struct pack *p, const char *dir, const char *name, struct rootview_file *f,
                      struct error *err)
{
	int r = rootview_find(p->view, dir, name, f, err);

	if (r != 0 || !S_ISREG(f->st.mode))
		return r < 0 ? r : 1;
	p->program = str_printf("%s%s%s", dir, str_ends(dir, "/") ? "" : "/", name);
	return p->program ? 0 : no_memory(err);
}

static int find_program(struct pack *p, struct rootview_file *f, struct error *err)
{
	const char *name = p->run.argv.v[0], *cwd = p->run.cwd ?: "/";
	_cleanup_strv_ struct strv dirs = STRV_INIT;
	int r = 1;

	if (name[0] == '/') {
		r = rootview_find(p->view, "/", name, f, err);
		p->program = strdup(name);
		if (!p->program)
			return no_memory(err);
		return r > 0 ? not_there(p, name, err) : r;
	}
	if (!strchr(name, '/') && strv_split(&dirs, search_path(p), ":") < 0)
		return no_memory(err);
	for (size_t i = 0; r > 0 && i < dirs.n; i++)
		if (dirs.v[i][0] == '/')
			r = try_folder(p, dirs.v[i], name, f, err);
	if (r > 0)
		r = try_folder(p, cwd, name, f, err);
	return r > 0 ? not_there(p, name, err) : r;
}

/* ---- what it is */

static int name_error(struct pack *p, const char *name, int r, struct error *err)
{
	return error_prefix(err, r, "%s: %s", p->source, name);
}

static int look_at_elf(struct pack *p, const struct rootview_file *f, const char *name,
                       struct error *err)
{
	struct elf e;
	int r = elf_open(&e, f->data, f->size, err);

	if (r < 0)
		return name_error(p, name, r, err);
	if (!e.executable)
		return error_set_kind(err, ERROR_INPUT, ENOEXEC,
		                      "%s: %s is a library, not a program", p->source, name);
	if (elf_is_static(&e)) {
		p->needs |= pack_needs(&e);
		return 0;
	}
	if (p->run.alone)
		return error_set_kind(
		    err, ERROR_INPUT, ENOENT,
		    "%s is dynamically linked (loaded by %s%s%s): pack a folder or an image that "
		    "holds it with its libraries, or link it with -static",
		    p->source, e.interp ?: "nobody", e.n_needed > 0 ? ", needs " : "",
		    e.n_needed > 0 ? e.needed[0] : "");
	return pack_libraries(p, f, err);
}

/* The interpreter that a script names: its file and its path as written. */
static int find_interpreter(struct pack *p, struct rootview_file *f, char *name, struct error *err)
{
	char line[SHEBANG_MAX + 1], *path;
	size_t n = f->size < SHEBANG_MAX ? f->size : SHEBANG_MAX;
	int r;

	memcpy(line, f->data, n);
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	path = line + 2 + strspn(line + 2, " \t");
	path[strcspn(path, " \t")] = '\0';
	r = path[0] ? rootview_find(p->view, p->run.cwd ?: "/", path, f, err) : 1;
	if (r > 0)
		return error_set_kind(err, ERROR_INPUT, ENOENT,
		                      "%s: %s is a script for \"%s\", which is not there",
		                      p->source, name, path);
	snprintf(name, SHEBANG_MAX + 1, "%s", path);
	return r;
}

/* Compiles a module that is inside an image, and puts the program in its place. */
static int replace_module(struct pack *p, const struct rootview_file *f, struct error *err)
{
	struct erofs_attr attr = {
	    .mode = f->st.mode, .uid = f->st.uid, .gid = f->st.gid, .mtime = f->st.mtime};
	_cleanup_free_ char *path = NULL;
	struct erofs_node *node;
	struct stat st;
	int r = pack_wasm(p, f->path, f->data, f->size, &path, err);

	if (r < 0)
		return r;
	if (stat(path, &st) < 0)
		return error_errno(err, errno, "cannot read %s", path);
	r = erofs_tree_add(p->tree, f->path, strlen(f->path), &attr, &node, err);
	return r < 0 ? r : erofs_node_set_path(p->tree, node, path, (uint64_t)st.st_size, err);
}

int pack_check_place(struct pack *p, const char *path, const char *name, struct error *err)
{
	static const char *const mounts[] = {"/proc", "/sys", "/dev", "/run", "/tmp"};
	const size_t n = sizeof(mounts) / sizeof(*mounts) - (strcmp(p->o->format, "initrd") == 0);

	for (size_t i = 0; i < n; i++) {
		const char *rest = path + strlen(mounts[i]);

		if (str_starts(path, mounts[i]) && (*rest == '/' || !*rest))
			return error_set_kind(err, ERROR_INPUT, EBUSY,
			                      "%s: %s cannot be run: the guest mounts a file "
			                      "system of its own on %s",
			                      p->source, name, mounts[i]);
	}
	return 0;
}

static int look_at(struct pack *p, struct rootview_file *f, const char *named, struct error *err)
{
	char name[SHEBANG_MAX + 1];
	int r = pack_check_place(p, f->path, named, err);

	if (r == 0)
		r = check_executable(p, f, named, err);
	snprintf(name, sizeof(name), "%s", named);
	for (unsigned int i = 0; r == 0 && i <= SCRIPTS_MAX; i++) {
		if (elf_is(f->data, f->size))
			return look_at_elf(p, f, name, err);
		if (i == 0 && wasm_is_module(f->data, f->size))
			return replace_module(p, f, err);
		if (f->size < 2 || memcmp(f->data, "#!", 2) != 0)
			return error_set_kind(err, ERROR_INPUT, ENOEXEC,
			                      "%s: %s is no program: neither ELF nor a script with "
			                      "#! nor a WebAssembly module",
			                      p->source, name);
		r = find_interpreter(p, f, name, err);
		if (r == 0)
			r = pack_check_place(p, f->path, name, err);
		if (r == 0)
			r = check_executable(p, f, name, err);
	}
	return r < 0 ? r
	             : error_set_kind(err, ERROR_INPUT, ELOOP,
	                              "%s: %s is a script for a script for a script: too many",
	                              p->source, name);
}

int pack_program(struct pack *p, struct error *err)
{
	_cleanup_free_ struct rootview_file *f = malloc(sizeof(*f));
	int r = f ? make_view(p, err) : no_memory(err);

	if (r < 0)
		return r;
	if (p->run.argv.n == 0)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "%s does not say what to run; use --cmd PROGRAM", p->source);
	if (p->run.argv.v[0][0] == '\0')
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "the program's name is empty; use --cmd PROGRAM");
	r = find_program(p, f, err);
	if (r < 0)
		return err && err->kind == ERROR_INPUT && r == -ELOOP
		           ? error_prefix(err, r, "%s", p->source)
		           : r;
	return look_at(p, f, p->program, err);
}
