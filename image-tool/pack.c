/* SPDX-License-Identifier: Apache-2.0 */
/* pack: makes an image of one program: the smallest kernel, kihon-init, and the program. */
#include "image-tool/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "image-tool/describe.h"
#include "image-tool/kernel.h"
#include "image-tool/pack_words.h"
#include "image-tool/packages.h"
#include "image-tool/root.h"
#include "image-tool/tool.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"
#include "lib/elf/elf.h"

#define MIB (1u << 20)
/* What kernel and init take besides what is loaded. More than half of it are the buffers of the
 * virtio console: QEMU's virtio-mmio gives every queue 1024 entries, and Linux fills the console's
 * two with a page each. */
#define WORKING_MIB 13

void pack_step(struct pack *p, const char *what, const char *detail, uint64_t expected)
{
	progress_step(&p->progress, what, detail, &p->stage, expected);
}

/* ---- what is run */

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory to pack an image");
}

/* The command of --cmd or behind SOURCE takes the place of the source's own. A program that is
 * alone is there already: words that do not name it are its arguments. */
static int override_command(struct pack *p, struct error *err)
{
	_cleanup_strv_ struct strv words = STRV_INIT;
	const char *alone = p->run.alone, *first;
	bool named;
	int r = pack_words(&p->o->cmd, &p->words, &words, err);

	if (r < 0 || words.n == 0)
		return r;
	first = strrchr(words.v[0], '/');
	named = alone && strcmp(first ? first + 1 : words.v[0], alone + strlen("/bin/")) == 0;
	strv_free(&p->run.argv);
	p->run.argv = (struct strv)STRV_INIT;
	if (alone && strv_add(&p->run.argv, alone) < 0)
		return no_memory(err);
	for (size_t i = named ? 1 : 0; i < words.n; i++)
		if (strv_add(&p->run.argv, words.v[i]) < 0)
			return no_memory(err);
	return 0;
}

/* NAME=VALUE of the command line takes the place of the image's NAME. */
static int override_variable(struct pack *p, const char *variable, struct error *err)
{
	size_t name = strcspn(variable, "=") + 1;

	if (name < 2 || !strchr(variable, '='))
		return error_set_kind(err, ERROR_USAGE, EINVAL, "--env %s is not NAME=VALUE",
		                      variable);
	for (size_t i = 0; i < p->run.env.n; i++) {
		char *copy;

		if (strncmp(p->run.env.v[i], variable, name) != 0)
			continue;
		copy = strdup(variable);
		if (!copy)
			return no_memory(err);
		free(p->run.env.v[i]);
		p->run.env.v[i] = copy;
		return 0;
	}
	return strv_add(&p->run.env, variable) < 0 ? no_memory(err) : 0;
}

static int override(struct pack *p, struct error *err)
{
	int r = override_command(p, err);

	for (size_t i = 0; r == 0 && i < p->o->env.n; i++)
		r = override_variable(p, p->o->env.v[i], err);
	if (r < 0 || !p->o->workdir)
		return r;
	if (p->o->workdir[0] != '/')
		return error_set_kind(err, ERROR_USAGE, EINVAL, "--workdir %s is not absolute",
		                      p->o->workdir);
	free(p->run.cwd);
	p->run.cwd = strdup(p->o->workdir);
	return p->run.cwd ? 0 : no_memory(err);
}

static int check_folder(struct pack *p, struct error *err)
{
	_cleanup_free_ struct rootview_file *f = malloc(sizeof(*f));
	int r;

	if (!f)
		return no_memory(err);
	if (!p->run.cwd)
		return 0;
	r = rootview_find(p->view, "/", p->run.cwd, f, err);
	if (r == 0 && !S_ISDIR(f->st.mode))
		return error_set_kind(err, ERROR_INPUT, ENOTDIR,
		                      "%s: the working folder %s is no folder", p->source,
		                      p->run.cwd);
	/* As container engines do (runtime-spec config.md, cwd): it is made. */
	if (r > 0) {
		struct erofs_attr dir = {.mode = S_IFDIR | 0755, .mtime = p->mtime};

		r = erofs_tree_add(p->tree, p->run.cwd, strlen(p->run.cwd), &dir, NULL, err);
	}
	return r;
}

/* ---- the image */

static int get_kernel(struct pack *p, struct error *err)
{
	const struct kernel_request req = {
	    .where = &p->where,
	    .profile = p->profile ?: "unikernel",
	    .dir = p->profile ? NULL : p->o->kernel,
	    .offline = p->o->offline,
	    .quiet = p->o->quiet,
	};
	_cleanup_strv_ struct strv parts = STRV_INIT;
	struct guestimg_package package;
	int r;

	if (p->chosen)
		pack_step(p, "CHOSEN", p->why, 0);
	pack_step(p, "KERNEL", p->profile ?: p->o->kernel, 0);
	if (strv_add(&parts, "bin/kihon-init") < 0)
		return no_memory(err);
	r = kernel_get(&req, &p->stage, p->img, &package, err);
	return r < 0 ? r : packages_fill(p->img, &p->where, &parts, &package, err);
}

/* Bytes of all files in the root: what an initrd takes once it is unpacked. */
static uint64_t unpacked(const struct pack *p)
{
	uint64_t sum = 0;

	for (struct erofs_entry *e = erofs_tree_walk(p->tree, NULL); e;
	     e = erofs_tree_walk(p->tree, e)) {
		uint64_t size = erofs_node_size(erofs_entry_node(e));

		sum += (size + 4095) & ~4095ull;
	}
	return sum;
}

static int make_root(struct pack *p, struct error *err)
{
	const struct root_request req = {
	    .tree = p->tree, .stage = &p->stage, .format = p->o->format, .mtime = p->mtime};
	struct guestimg *img = p->img;
	struct root_plan plan;
	int r = pack_root(p, err);

	if (r == 0)
		r = root_plan(&req, &plan, err);
	if (r < 0)
		return r;
	pack_step(p, "ROOT", plan.file, unpacked(p));
	r = root_make(&req, &plan, img, err);
	if (r < 0)
		return r;
	img->cmdline = arena_printf(
	    &img->arena, "%s%spanic=-1 reboot=t kihon.console=program %s=" PACK_DIR "/init",
	    img->cmdline, *img->cmdline ? " " : "",
	    strcmp(p->o->format, "initrd") == 0 ? "rdinit" : "init");
	return img->cmdline ? 0 : no_memory(err);
}

/* Where the kernel ends once it is loaded, in bytes. */
static int kernel_end(struct pack *p, uint64_t *end, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/%s", p->stage.path, p->img->kernel.vmlinux);
	_cleanup_buffer_ struct buffer kernel = BUFFER_INIT;
	struct elf e;
	int r = path ? fs_read_file(AT_FDCWD, path, 512 * MIB, &kernel, err) : no_memory(err);

	if (r == 0)
		r = elf_open(&e, kernel.data, kernel.size, err);
	if (r < 0)
		return error_prefix(err, r, "the kernel");
	*end = e.end;
	return 0;
}

static int set_memory(struct pack *p, struct error *err)
{
	const struct guestimg_file *root = guestimg_find(p->img, p->img->rootfs.file);
	uint64_t end = 0;
	int r = kernel_end(p, &end, err);

	if (r < 0)
		return r;
	if (strcmp(p->o->format, "initrd") == 0)
		end += (root ? root->size : 0) + unpacked(p);
	p->img->memory_min = (end + MIB - 1) / MIB + WORKING_MIB;
	return 0;
}

static int describe(struct pack *p, struct error *err)
{
	struct guestimg *img = p->img;
	const char *names[] = {img->kernel.vmlinux, img->kernel.bzimage, img->kernel.config,
	                       img->rootfs.file};
	const char *base = strrchr(p->program, '/');
	char *name = arena_printf(&img->arena, "kihon-%.200s", base ? base + 1 : p->program);
	char *program = arena_strdup(&img->arena, p->program);
	int r;

	if (!name || !program)
		return no_memory(err);
	/* image.json is text; names of files need not be. */
	for (char *c = name; *c; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
			*c = '-';
	for (char *c = program; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
			*c = '?';
	img->name = name;
	img->program = program;
	img->profile = p->profile ?: "own";
	r = describe_image(img, &p->stage, p->mtime, names, sizeof(names) / sizeof(*names), err);
	return r < 0 ? r : set_memory(p, err);
}

static int pack_new(struct pack *p, struct error *err)
{
	struct erofs_attr root = {.mode = S_IFDIR | 0755};
	int r = describe_date(&p->mtime, err);

	if (r == 0)
		r = locations_find(&p->where, err);
	root.mtime = p->mtime;
	if (r == 0)
		r = erofs_tree_new(&p->tree, &root, err);
	return r < 0 ? r : stage_open(&p->stage, p->o->output, err);
}

static int make_image(struct pack *p, struct error *err)
{
	static int (*const steps[])(struct pack *, struct error *) = {
	    pack_new,     pack_source, override,  pack_program, pack_kernel_choose,
	    check_folder, get_kernel,  make_root, describe,
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(steps) / sizeof(*steps); i++) {
		r = steps[i](p, err);
		if (r == 0 && tool_interrupted())
			r = error_set(err, EINTR, "interrupted");
	}
	return r < 0 ? r : stage_publish(&p->stage, p->img, err);
}

/* ---- telling */

/* What travels: the packed kernel and the root. */
static uint64_t packed_size(const struct guestimg *img)
{
	const struct guestimg_file *kernel =
	    guestimg_find(img, img->kernel.bzimage ?: img->kernel.vmlinux);
	const struct guestimg_file *root = guestimg_find(img, img->rootfs.file);

	return (kernel ? kernel->size : 0) + (root ? root->size : 0);
}

static void tell_json(const struct pack *p, uint64_t ms)
{
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;

	buffer_str(&out, "{\"output\":");
	buffer_json_string(&out, p->o->output);
	buffer_printf(&out, ",\"milliseconds\":%" PRIu64 ",\"program\":", ms);
	buffer_json_string(&out, p->img->program);
	buffer_str(&out, ",\"kernel\":");
	buffer_json_string(&out, p->profile ?: p->o->kernel);
	if (p->why) {
		buffer_str(&out, ",\"why\":");
		buffer_json_string(&out, p->why);
	}
	buffer_printf(&out, ",\"packed_size\":%" PRIu64 ",\"image\":", packed_size(p->img));
	guestimg_format(p->img, &out);
	while (out.size > 0 && out.data[out.size - 1] == '\n')
		out.data[--out.size] = 0;
	printf("%s}\n", buffer_cstr(&out));
}

static void tell(const struct pack *p)
{
	const struct guestimg *img = p->img;

	printf("%s: %s on Linux %s (%s), at least %" PRIu64 " MiB of memory\n", p->o->output,
	       img->program, img->kernel.version, p->profile ?: p->o->kernel, img->memory_min);
	for (size_t i = 0; i < img->n_files; i++)
		printf("  %-16s %10" PRIu64 "  sha256:%.16s\n", img->files[i].name,
		       img->files[i].size, img->files[i].sha256);
	printf("  packed kernel and root: %" PRIu64 " bytes\n", packed_size(img));
}

/* ---- the verb */

static void release_pack(struct pack *p)
{
	rootview_close(p->view);
	erofs_tree_free(p->tree);
	for (size_t i = 0; i < p->n_maps; i++)
		munmap(p->maps[i].data, p->maps[i].size);
	free(p->maps);
	strv_free(&p->words);
	strv_free(&p->run.argv);
	strv_free(&p->run.env);
	free(p->run.cwd);
	free(p->run.user);
	free(p->run.alone);
	free(p->program);
	stage_close(&p->stage);
	locations_free(&p->where);
	guestimg_free(p->img);
}

static int check_usage(struct pack *p, int argc, char **argv, struct error *err)
{
	p->img = calloc(1, sizeof(*p->img));
	if (!p->img)
		return no_memory(err);
	if (argc < 1 || str_empty(argv[0]))
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "pack: SOURCE is missing; see " TOOL_NAME " pack --help");
	if (!p->o->output)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "pack: -o DIR is missing; see " TOOL_NAME " pack --help");
	p->source = argv[0];
	for (int i = 1; i < argc; i++)
		if (strv_add(&p->words, argv[i]) < 0)
			return no_memory(err);
	return 0;
}

static int run_pack(int argc, char **argv, void *data)
{
	struct pack p = {.o = data, .stage = STAGE_INIT};
	struct error err = ERROR_INIT;
	uint64_t started = loop_now_ms();
	int r;

	tool_catch_signals();
	progress_init(&p.progress, p.o->quiet);
	r = check_usage(&p, argc, argv, &err);
	if (r == 0)
		r = make_image(&p, &err);
	progress_end(&p.progress);
	if (r == 0 && p.o->json)
		tell_json(&p, loop_now_ms() - started);
	else if (r == 0 && !p.o->quiet)
		tell(&p);
	release_pack(&p);
	return r < 0 ? tool_fail(&err) : 0;
}

static void defaults(void *data)
{
	struct pack_options *o = data;

	o->format = "initrd";
}

static void release(void *data)
{
	struct pack_options *o = data;

	strv_free(&o->cmd);
	strv_free(&o->env);
	remote_options_free(&o->remote);
}

#define AT(member) offsetof(struct pack_options, member)

static const struct option options[] = {
    {"cmd", 0, OPTION_LIST, AT(cmd), "COMMAND", NULL,
     "What to run instead of what SOURCE says: words as a shell splits them (quotes and\n"
     "backslashes count, nothing else does), or a JSON array. Given several times, each is\n"
     "one word as it stands. Of a program alone these are its arguments."},
    {"env", 'e', OPTION_LIST, AT(env), "NAME=VALUE", NULL,
     "A variable of the program's environment."},
    {"workdir", 'w', OPTION_STRING, AT(workdir), "DIR", NULL,
     "The program's working folder (the image's, else /)."},
    {"user", 'u', OPTION_STRING, AT(user), "USER[:GROUP]", NULL,
     "Whom it runs as: numbers, or names of SOURCE's /etc/passwd and /etc/group (the\n"
     "image's, else root)."},
    {"format", 0, OPTION_ENUM, AT(format), "FORMAT", PACK_FORMATS,
     "initrd: the root is in memory and can be written to (the default); erofs: a\n"
     "read-only disk that takes no memory."},
    {"kernel", 0, OPTION_STRING, AT(kernel), "KERNEL", NULL,
     "auto: the smallest kernel that has what the program needs; a profile by name\n"
     "(unikernel); or a folder with vmlinux (and bzImage)."},
    {"machine", 0, OPTION_ENUM, AT(machine), "NAME", "microvm|q35",
     "The machine that --kernel auto is to have in mind (microvm)."},
    {"platform", 0, OPTION_STRING, AT(platform), "OS/ARCH", NULL,
     "Which image of a list to take (this machine's)."},
    {"offline", 0, OPTION_FLAG, AT(offline), NULL, NULL,
     "Download nothing; fail, saying what is missing, if something is."},
    REMOTE_OPTION_ROWS(struct pack_options, remote),
    {"json", 0, OPTION_FLAG, AT(json), NULL, NULL, "Print what was made as JSON."},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), NULL, NULL, "Print errors only."},
    {"output", 'o', OPTION_STRING, AT(output), "DIR", NULL, "Where the image goes. Needed."},
    {NULL},
};

const struct verb verb_pack = {
    .name = "pack",
    .args = "SOURCE -o DIR [-- COMMAND...]",
    .summary = "Makes an image of one program: unikernel style.",
    .details =
        "The guest holds the smallest kernel, an init that takes 70 KB, and one program:\n"
        "'kihon boot DIR' runs it, prints its output and ends with its exit status.\n"
        "\n"
        "SOURCE is\n"
        "  a static program (ELF for x86-64), put into the image as /bin/NAME;\n"
        "  a folder, which becomes the root; --cmd says what to run in it;\n"
        "  an OCI image: a layout (DIR, oci:DIR[:TAG]), an archive (FILE,\n"
        "    oci-archive:FILE[:TAG], docker-archive:FILE), or one in a registry\n"
        "    (HOST/REPOSITORY[:TAG][@DIGEST]); its config says what to run, and as whom;\n"
        "  a WebAssembly module (.wasm), or an OCI artifact that carries one: compiled to a\n"
        "    static program.\n"
        "\n"
        "A dynamic program must find its interpreter and libraries in the folder or image:\n"
        "what is missing is named. All files of a folder belong to root in the guest.\n"
        "\n"
        "With --kernel auto the program's symbols and system calls are looked at for sockets,\n"
        "disks and what servers need; the kernel that is chosen, and why, is said. Kernels\n"
        "are built once, which takes some minutes, and then come from the cache.\n"
        "\n"
        "Examples:\n"
        "  kata-image-tool pack ./hello -o image && kihon boot image\n"
        "  kata-image-tool pack ./root -o image --cmd '/bin/sh -c \"echo $HOME\"' --env HOME=/x\n"
        "  kata-image-tool pack oci:layout:v1 -o image --kernel auto -- /bin/server --port 80\n"
        "  kata-image-tool pack tool.wasm -o image --format erofs",
    .options = options,
    .min_args = 0,
    .max_args = UINT_MAX,
    .run = run_pack,
    .defaults = defaults,
    .release = release,
    .data_size = sizeof(struct pack_options),
};
