/* SPDX-License-Identifier: Apache-2.0 */
/* build: makes a guest image: kernel, root file system, image.json, image.lock. */
#include "image-tool/build.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image-tool/describe.h"
#include "image-tool/extra.h"
#include "image-tool/former.h"
#include "image-tool/hot.h"
#include "image-tool/inputs.h"
#include "image-tool/kernel.h"
#include "image-tool/missing.h"
#include "image-tool/needs.h"
#include "image-tool/packages.h"
#include "image-tool/profile.h"
#include "image-tool/progress.h"
#include "image-tool/root.h"
#include "image-tool/sign.h"
#include "image-tool/stage.h"
#include "image-tool/tool.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"
#include "lib/base/version.h"
#include "lib/guestimg/guestimg.h"
#include "lib/guestimg/locate.h"

/* Everything of one build. */
struct build {
	struct build_options *o;
	struct locations where;
	struct stage stage;
	struct profile profile;
	struct extras extras;
	struct guestimg *img;
	struct root_request request;
	struct root_plan plan;
	struct lock lock;
	struct former former;  /* of --from, or of --update */
	struct lock locked;    /* of --locked */
	struct strv changes;   /* of --update */
	struct fs_temp locker; /* of --write-lock */
	struct progress progress;
	int64_t mtime;
	uint64_t started; /* ms */
};

/* SOURCE_DATE_EPOCH (reproducible-builds.org); without it the former image's time, or 0. */
static int source_date(struct build *b, struct error *err)
{
	b->mtime = b->o->from ? (int64_t)b->former.img->timestamp : 0;
	return describe_date(&b->mtime, err);
}

/* ---------------------------------------------------------------- what is asked for */

/* What is compared with: --from and --locked, else --update's own output folder. */
static int load_former(struct build *b, struct error *err)
{
	const struct build_options *o = b->o;
	int r = 0;

	if (o->locked)
		r = lock_load(&b->locked, o->locked, err);
	if (r == 0 && o->from) {
		r = former_load(&b->former, o->from, err);
		if (r == 0 && b->former.img->program)
			r = error_set_kind(err, ERROR_INPUT, EINVAL,
			                   "--from %s: that image was made by pack; pack its "
			                   "program again",
			                   o->from);
		if (r == 0)
			former_options(&b->former, b->o);
	} else if (r == 0 && o->update && !o->locked) {
		_cleanup_free_ char *path = str_printf("%s/" GUESTIMG_FILE, o->output);

		if (!path)
			return error_set(err, ENOMEM, "no memory to read an image");
		if (!fs_exists(path))
			return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
			                      "--update: there is no image in %s yet to compare "
			                      "with",
			                      o->output);
		r = former_load(&b->former, o->output, err);
	}
	return r;
}

/* What is usual where nothing else was said, and whether it goes together. */
static int plan(struct build *b, struct error *err)
{
	struct build_options *o = b->o;

	if (o->kernel && (o->kernel_source || o->kernel_configs.n > 0))
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--kernel takes a kernel as it is: %s says how to build one",
		                      o->kernel_source ? "--kernel-source" : "--kernel-config");
	o->profile = o->profile ?: "container";
	o->format = o->format ?: "erofs";
	b->request = (struct root_request){
	    .format = o->format,
	    .fs_type = o->root_fs,
	    .compress = o->compress,
	    .hot = o->hot,
	    .size = o->size,
	    .verity = o->verity,
	};
	return root_plan(&b->request, &b->plan, err);
}

/* ---------------------------------------------------------------- the root */

static int add_extras(struct build *b, const struct profile_source *src, struct strv *digests,
                      struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->o->extras.n; i++) {
		char sha256[65] = "";

		progress_step(&b->progress, "EXTRA", b->o->extras.v[i], &b->stage, 0);
		r = extras_add(&b->extras, &b->profile, b->o->extras.v[i], src, &b->stage, sha256,
		               err);
		if (r == 0 && strv_add(digests, sha256) < 0)
			r = error_set(err, ENOMEM, "no memory for the list of inputs");
	}
	return r;
}

/* The last component; slashes at the end do not count. */
static char *base_name(const char *path)
{
	size_t end = strlen(path), start;

	while (end > 1 && path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && path[start - 1] != '/';)
		start--;
	return strndup(path + start, end - start);
}

static int pin_extras(struct build *b, const struct strv *digests, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < digests->n; i++) {
		_cleanup_free_ char *name = base_name(b->o->extras.v[i]);

		r = name ? lock_add(&b->lock, "extra", name, NULL, digests->v[i], err)
		         : error_set(err, ENOMEM, "no memory for the list of inputs");
	}
	return r;
}

static int make_tree(struct build *b, struct error *err)
{
	_cleanup_strv_ struct strv missing = STRV_INIT, digests = STRV_INIT;
	const struct profile_source src = {
	    .where = &b->where,
	    .agent = b->o->agent,
	    .mtime = b->mtime,
	    .missing = b->o->offline ? &missing : NULL,
	};
	int r = profile_load(&b->profile, b->o->profile, &src, err);

	if (r == 0 && b->o->offline)
		r = missing_check(&missing, &b->where, b->o, err);
	if (r == 0)
		r = add_extras(b, &src, &digests, err);
	if (r == 0)
		r = inputs_add_sources(&b->lock, &b->profile, &b->o->kernel_configs, err);
	return r < 0 ? r : pin_extras(b, &digests, err);
}

/* Bytes of all files, each counted once. */
static uint64_t tree_bytes(struct erofs_tree *tree)
{
	uint64_t sum = 0;

	for (struct erofs_entry *e = NULL; (e = erofs_tree_walk(tree, e));)
		sum += erofs_node_size(erofs_entry_node(e)) / erofs_node_nlink(erofs_entry_node(e));
	return sum;
}

/* How often the content is written on its way: ext4 is made from an EROFS image, and both go into a
 * disk. */
static uint64_t copies(const struct root_plan *plan)
{
	return 1u + (strcmp(plan->fs_type, "ext4") == 0) + str_starts(plan->file, "kata");
}

static int make_root(struct build *b, struct error *err)
{
	_cleanup_buffer_ struct buffer cmdline = BUFFER_INIT;
	struct root_request req = b->request;
	int r;

	req.tree = b->profile.tree;
	req.stage = &b->stage;
	req.mtime = b->mtime;
	progress_step(&b->progress, "ROOT", b->plan.file, &b->stage,
	              tree_bytes(req.tree) * copies(&b->plan));
	r = root_make(&req, &b->plan, b->img, err);
	if (r < 0)
		return r;
	buffer_str(&cmdline, b->img->cmdline);
	for (size_t i = 0; i < b->profile.cmdline.n; i++)
		buffer_printf(&cmdline, "%s%s", cmdline.size > 0 ? " " : "",
		              b->profile.cmdline.v[i]);
	b->img->cmdline = arena_strdup(&b->img->arena, buffer_cstr(&cmdline));
	return 0;
}

/* ---------------------------------------------------------------- the kernel */

static struct kernel_request kernel_request(const struct build *b)
{
	return (struct kernel_request){
	    .where = &b->where,
	    .profile = b->o->profile,
	    .dir = b->o->kernel,
	    .source = b->o->kernel_source,
	    .configs = &b->o->kernel_configs,
	    .offline = b->o->offline,
	    .quiet = b->o->quiet,
	};
}

static int make_kernel(struct build *b, struct guestimg_package *linux_package, struct error *err)
{
	const struct kernel_request req = kernel_request(b);

	/* build-kernel draws what it does itself. */
	progress_step(&b->progress, "KERNEL", b->o->kernel ?: b->o->profile, &b->stage, 0);
	return kernel_get(&req, &b->stage, b->img, linux_package, err);
}

/* ---------------------------------------------------------------- hot files */

static int learn_hot(struct build *b, struct guestimg_package *linux_package, struct strv *out,
                     struct error *err)
{
	struct hot_trace trace = {
	    .where = &b->where,
	    .stage = &b->stage,
	    .tree = b->profile.tree,
	    .cmdline = &b->profile.cmdline,
	};
	int r = make_kernel(b, linux_package, err);

	if (r < 0)
		return r;
	trace.vmlinux = b->img->kernel.vmlinux;
	trace.kernel_version = b->img->kernel.version;
	progress_step(&b->progress, "TRACE", "what start-up reads", &b->stage, 0);
	return hot_learn(&trace, out, err);
}

/* Of --hot, else as a former image that is built anew has it. */
static int mark_hot(struct build *b, struct guestimg_package *linux_package, struct error *err)
{
	_cleanup_strv_ struct strv patterns = STRV_INIT;
	const struct guestimg *former = b->o->from ? b->former.img : NULL;
	const char *hot = b->o->hot;
	int r = 0;

	if (hot && strcmp(hot, HOT_AUTO) == 0)
		r = learn_hot(b, linux_package, &patterns, err);
	else if (hot)
		r = hot_read(hot, &patterns, err);
	else if (former && strcmp(b->plan.compression.method, "none") != 0)
		r = hot_former(former, &patterns, err);
	if (r == 0)
		r = hot_mark(b->profile.tree, &patterns, hot ?: b->o->from, err);
	return r < 0 ? r : hot_keep(b->img, &patterns, err);
}

/* ---------------------------------------------------------------- what it is */

static int describe(struct build *b, struct error *err)
{
	struct guestimg *img = b->img;
	bool params = strcmp(img->rootfs.format, "kata") == 0 && img->verity.root_hash;
	const char *names[] = {img->kernel.vmlinux, img->kernel.bzimage, img->kernel.config,
	                       img->rootfs.file, params ? ROOT_VERITY_FILE : NULL};

	img->name = arena_printf(&img->arena, "kihon-%s", b->o->profile);
	img->profile = b->o->profile;
	img->rootfs.compress = b->o->compress;
	img->rootfs.size = b->o->size;
	return describe_image(img, &b->stage, b->mtime, names, sizeof(names) / sizeof(*names), err);
}

/* ---------------------------------------------------------------- comparing */

static int keep_line(const char *line, void *data)
{
	return strv_add(data, line) < 0 ? -ENOMEM : 0;
}

/* The first is enough when it is an error. */
static int keep_first(const char *line, void *data)
{
	return strv_add(data, line) < 0 ? -ENOMEM : 1;
}

/* --update lists what the others refuse. */
static int judge(struct build *b, const struct strv *lines, const char *option, const char *file,
                 struct error *err)
{
	for (size_t i = 0; b->o->update && i < lines->n; i++)
		if (strv_add(&b->changes, lines->v[i]) < 0)
			return error_set(err, ENOMEM, "no memory for the list of changes");
	if (b->o->update || lines->n == 0)
		return 0;
	return error_set_kind(err, ERROR_VERIFICATION, EBADMSG,
	                      "%s %s: %s; nothing was written (--update lists all changes)", option,
	                      file, lines->v[0]);
}

static int compare_lock(struct build *b, struct error *err)
{
	_cleanup_strv_ struct strv lines = STRV_INIT;
	lock_diff_fn fn = b->o->update ? keep_line : keep_first;

	if (!b->o->locked)
		return 0;
	if (lock_diff(&b->locked, &b->lock, LOCK_ALL, fn, &lines) < 0)
		return error_set(err, ENOMEM, "no memory to compare with %s", b->o->locked);
	return judge(b, &lines, "--locked", b->o->locked, err);
}

/* The sources of everything, before a kernel is built for minutes in vain. What --update lists it
 * lists once, at the end. */
static int compare_known(struct build *b, struct error *err)
{
	const struct kernel_request req = kernel_request(b);
	const struct lock *former = b->o->locked                       ? &b->locked
	                            : b->o->from && b->former.has_lock ? &b->former.lock
	                                                               : NULL;
	const char *option = b->o->locked ? "--locked" : "--from";
	const char *name = b->o->locked ?: b->o->from;
	_cleanup_strv_ struct strv lines = STRV_INIT;
	_cleanup_lock_ struct lock known = {0};
	struct guestimg_package package;
	int r;

	if (!former || b->o->update)
		return 0;
	if (lock_diff(former, &b->lock, LOCK_SOURCES, keep_first, &lines) < 0)
		return error_set(err, ENOMEM, "no memory to compare inputs");
	if (lines.n > 0)
		return judge(b, &lines, option, name, err);
	r = kernel_identify(&req, &b->stage, b->img, &package, err);
	if (r == 0)
		r = packages_fill(b->img, &b->where, &b->profile.parts, &package, err);
	if (r == 0)
		r = inputs_add_known(&known, b->img, &b->where, err);
	if (r < 0)
		return r;
	if (lock_diff(former, &known, LOCK_KNOWN, keep_first, &lines) < 0)
		return error_set(err, ENOMEM, "no memory to compare inputs");
	return judge(b, &lines, option, name, err);
}

static int compare_former(struct build *b, struct error *err)
{
	_cleanup_strv_ struct strv lines = STRV_INIT;
	lock_diff_fn fn = b->o->update ? keep_line : keep_first;

	if (!b->former.img)
		return 0;
	if (former_diff(&b->former, b->img, &b->lock, fn, &lines) < 0)
		return error_set(err, ENOMEM, "no memory to compare with a former image");
	return judge(b, &lines, "--from", b->o->from ?: b->o->output, err);
}

/* ---------------------------------------------------------------- all of it */

static int write_locks(struct build *b, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_close_ int fd = -1;
	int r = stage_create(&b->stage, LOCK_FILE, &fd, err);

	lock_format(&b->lock, &text);
	if (r == 0 && text.failed)
		r = error_set(err, ENOMEM, "no memory for " LOCK_FILE);
	if (r == 0) {
		r = fs_write_all(fd, text.data, text.size);
		if (r < 0)
			error_errno(err, -r, "cannot write %s/" LOCK_FILE, b->o->output);
	}
	if (r == 0 && b->o->write_lock) {
		r = fs_temp_open(&b->locker, b->o->write_lock, 0644, err);
		if (r == 0) {
			r = fs_write_all(b->locker.fd, text.data, text.size);
			if (r < 0)
				error_errno(err, -r, "cannot write %s", b->o->write_lock);
		}
	}
	if (r < 0 && err && err->kind == ERROR_FAILED)
		err->kind = ERROR_ENVIRONMENT;
	return r;
}

static int publish(struct build *b, struct error *err)
{
	int r = write_locks(b, err);

	if (r == 0 && b->o->sign)
		r = sign_image(&b->stage, b->img, b->o->sign, err);
	if (r == 0)
		r = stage_publish(&b->stage, b->img, err);
	return r == 0 && b->o->write_lock ? fs_temp_commit(&b->locker, err) : r;
}

/* Named by their options, before anything is made of them. */
static int check_given(const struct build_options *o, struct error *err)
{
	_cleanup_free_ char *vmlinux = o->kernel ? str_printf("%s/vmlinux", o->kernel) : NULL;

	if (o->agent && access(o->agent, R_OK) < 0)
		return error_set_kind(err, ERROR_ENVIRONMENT, errno, "--agent: cannot read %s: %s",
		                      *o->agent ? o->agent : "\"\"", strerror(errno));
	if (vmlinux && access(vmlinux, R_OK) < 0)
		return error_set_kind(err, ERROR_ENVIRONMENT, errno,
		                      "--kernel: there is no vmlinux to be read in %s: %s",
		                      *o->kernel ? o->kernel : "\"\"", strerror(errno));
	return 0;
}

static int prepare(struct build *b, struct error *err)
{
	int r = load_former(b, err);

	if (r == 0)
		r = plan(b, err);
	if (r == 0)
		r = check_given(b->o, err);
	if (r == 0)
		r = source_date(b, err);
	if (r == 0)
		r = locations_find(&b->where, err);
	if (r == 0 && b->o->sign)
		r = sign_ready(b->o->sign, err);
	return r < 0 ? r : stage_open(&b->stage, b->o->output, err);
}

static int build_image(struct build *b, struct error *err)
{
	struct guestimg_package linux_package = {0};
	int r = prepare(b, err);

	/* What is quick and may be wrong comes before what takes minutes. */
	if (r == 0)
		r = make_tree(b, err);
	if (r == 0)
		r = compare_known(b, err);
	if (r == 0)
		r = mark_hot(b, &linux_package, err);
	if (r == 0)
		r = make_root(b, err);
	/* It is there already when a boot was traced. */
	if (r == 0 && !tool_interrupted() && !b->img->kernel.vmlinux)
		r = make_kernel(b, &linux_package, err);
	if (r == 0 && tool_interrupted())
		r = error_set(err, EINTR, "interrupted");
	if (r == 0)
		r = needs_check(b->img, &b->plan, &b->stage, err);
	if (r == 0)
		r = packages_fill(b->img, &b->where, &b->profile.parts, &linux_package, err);
	if (r == 0)
		r = describe(b, err);
	if (r == 0)
		r = inputs_add_made(&b->lock, b->img, &b->where, err);
	if (r == 0)
		r = compare_lock(b, err);
	if (r == 0)
		r = compare_former(b, err);
	return r < 0 ? r : publish(b, err);
}

/* ---------------------------------------------------------------- telling */

static void report_json(const struct build *b)
{
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;

	buffer_str(&out, "{\"output\":");
	buffer_json_string(&out, b->o->output);
	buffer_printf(&out, ",\"milliseconds\":%" PRIu64, loop_now_ms() - b->started);
	for (size_t i = 0; i < b->changes.n; i++) {
		buffer_str(&out, i == 0 ? ",\"changes\":[" : ",");
		buffer_json_string(&out, b->changes.v[i]);
	}
	if (b->o->update)
		buffer_str(&out, b->changes.n > 0 ? "]" : ",\"changes\":[]");
	buffer_str(&out, ",\"image\":");
	guestimg_format(b->img, &out);
	while (out.size > 0 && out.data[out.size - 1] == '\n')
		out.data[--out.size] = 0;
	printf("%s}\n", buffer_cstr(&out));
}

static void report(const struct build *b)
{
	const struct guestimg *img = b->img;

	printf("%s: profile %s, Linux %s, %zu packages\n", b->o->output, img->profile,
	       img->kernel.version, img->n_packages);
	for (size_t i = 0; i < img->n_files; i++)
		printf("  %-16s %10" PRIu64 "  sha256:%.16s\n", img->files[i].name,
		       img->files[i].size, img->files[i].sha256);
	if (b->o->update && b->changes.n == 0)
		printf("nothing changed\n");
}

static void report_changes(const struct build *b)
{
	for (size_t i = 0; i < b->changes.n; i++)
		printf("changed: %s\n", b->changes.v[i]);
}

int build_run(struct build_options *o)
{
	struct build b = {
	    .o = o, .stage = STAGE_INIT, .locker = FS_TEMP_INIT, .started = loop_now_ms()};
	struct error err = ERROR_INIT;
	int r = -ENOMEM;

	tool_catch_signals();
	progress_init(&b.progress, o->quiet);
	b.img = calloc(1, sizeof(*b.img));
	if (!b.img)
		error_set(&err, ENOMEM, "no memory to build an image");
	else if (!o->output)
		r = error_set_kind(&err, ERROR_USAGE, EINVAL,
		                   "build: -o DIR is missing; see " TOOL_NAME " build --help");
	else
		r = build_image(&b, &err);
	progress_end(&b.progress);
	if (r == 0 && o->json)
		report_json(&b);
	else if (r == 0 && !o->quiet)
		report(&b);
	if (r == 0 && !o->json)
		report_changes(&b);
	stage_close(&b.stage);
	fs_temp_abort(&b.locker);
	profile_free(&b.profile);
	extras_free(&b.extras);
	former_free(&b.former);
	lock_free(&b.lock);
	lock_free(&b.locked);
	strv_free(&b.changes);
	locations_free(&b.where);
	guestimg_free(b.img);
	return r < 0 ? tool_fail(&err) : 0;
}
