/* SPDX-License-Identifier: Apache-2.0 */
/* build: makes a guest image: kernel, root file system, image.json. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "image-tool/build.h"
#include "image-tool/kernel.h"
#include "image-tool/packages.h"
#include "image-tool/profile.h"
#include "image-tool/root.h"
#include "image-tool/sign.h"
#include "image-tool/stage.h"
#include "image-tool/tool.h"
#include "lib/base/fs.h"
#include "lib/base/version.h"
#include "lib/guestimg/guestimg.h"
#include "lib/guestimg/locate.h"

#define AGENT_MIN_VERSION "0.1.0"
#define AGENT_PROTOCOL    "0.0.1"

/* Everything of one build. */
struct build {
	struct build_options *o;
	struct locations where;
	struct stage stage;
	struct profile profile;
	struct guestimg *img;
	struct root_request request;
	struct root_plan plan;
	int64_t mtime;
	uint64_t started; /* ms */
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void progress(const struct build *b, const char *what, const char *detail)
{
	if (!b->o->quiet)
		fprintf(stderr, "  %-8s %s\n", what, detail);
}

/* SOURCE_DATE_EPOCH (reproducible-builds.org), 0 without it. */
static int source_date(int64_t *out, struct error *err)
{
	const char *s = getenv("SOURCE_DATE_EPOCH");
	uint64_t v = 0;

	if (!str_empty(s) && (parse_u64(s, &v) < 0 || v > UINT32_MAX))
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "SOURCE_DATE_EPOCH=%s is no number of seconds since 1970", s);
	*out = (int64_t)v;
	return 0;
}

/* What is usual where nothing else was said, and whether it goes together. */
static int plan(struct build *b, struct error *err)
{
	struct build_options *o = b->o;

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

static int make_tree(struct build *b, struct error *err)
{
	const struct profile_source src = {
	    .where = &b->where, .agent = b->o->agent, .mtime = b->mtime};
	int r = profile_load(&b->profile, b->o->profile, &src, err);

	for (size_t i = 0; r == 0 && i < b->o->extras.n; i++)
		r = profile_add_tree(&b->profile, b->o->extras.v[i], &src, err);
	return r;
}

static int make_root(struct build *b, struct error *err)
{
	struct root_request req = b->request;
	_cleanup_buffer_ struct buffer cmdline = BUFFER_INIT;
	int r;

	req.tree = b->profile.tree;
	req.stage = &b->stage;
	req.mtime = b->mtime;
	progress(b, "ROOT", b->plan.file);
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

static int measure(struct build *b, struct error *err)
{
	struct guestimg *img = b->img;
	bool params = strcmp(img->rootfs.format, "kata") == 0 && img->verity.root_hash;
	const char *names[] = {img->kernel.vmlinux, img->kernel.bzimage, img->kernel.config,
	                       img->rootfs.file, params ? ROOT_VERITY_FILE : NULL};
	const size_t n = sizeof(names) / sizeof(*names);
	int r = 0;

	img->files = arena_new_array(&img->arena, n, struct guestimg_file);
	if (!img->files)
		return error_set(err, ENOMEM, "no memory for image.json");
	for (size_t i = 0; r == 0 && i < n; i++)
		if (names[i])
			r = stage_measure(&b->stage, names[i], &img->arena,
			                  &img->files[img->n_files++], err);
	return r;
}

static int describe(struct build *b, struct error *err)
{
	struct guestimg *img = b->img;

	img->name = arena_printf(&img->arena, "kihon-%s", b->o->profile);
	img->version = KIHON_VERSION;
	img->profile = b->o->profile;
	img->arch = "x86_64";
	img->timestamp = (uint64_t)b->mtime;
	img->agent.version = KIHON_VERSION;
	img->agent.min_version = AGENT_MIN_VERSION;
	img->agent.protocol = AGENT_PROTOCOL;
	return img->arena.failed ? error_set(err, ENOMEM, "no memory for image.json")
	                         : measure(b, err);
}

static int build_image(struct build *b, struct error *err)
{
	const struct kernel_request kernel = {
	    .where = &b->where,
	    .profile = b->o->profile,
	    .dir = b->o->kernel,
	    .source = b->o->kernel_source,
	    .configs = &b->o->kernel_configs,
	    .offline = b->o->offline,
	    .quiet = b->o->quiet,
	};
	struct guestimg_package linux_package;
	int r = plan(b, err);

	if (r == 0)
		r = source_date(&b->mtime, err);
	if (r == 0)
		r = locations_find(&b->where, err);
	/* What is quick and may be wrong comes before what takes minutes. */
	if (r == 0)
		r = make_tree(b, err);
	if (r == 0)
		r = stage_open(&b->stage, b->o->output, err);
	if (r == 0)
		r = make_root(b, err);
	if (r == 0 && !tool_interrupted()) {
		progress(b, "KERNEL", b->o->kernel ?: b->o->profile);
		r = kernel_get(&kernel, &b->stage, b->img, &linux_package, err);
	}
	if (r == 0 && tool_interrupted())
		r = error_set(err, EINTR, "interrupted");
	if (r == 0)
		r = packages_fill(b->img, &b->where, &b->profile.parts, &linux_package, err);
	if (r == 0)
		r = describe(b, err);
	if (r == 0 && b->o->sign)
		r = sign_image(&b->stage, b->img, b->o->sign, err);
	return r < 0 ? r : stage_publish(&b->stage, b->img, err);
}

static void report_json(const struct build *b)
{
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;

	buffer_str(&out, "{\"output\":");
	buffer_json_string(&out, b->o->output);
	buffer_printf(&out, ",\"milliseconds\":%" PRIu64 ",\"image\":", now_ms() - b->started);
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
}

int build_run(struct build_options *o)
{
	struct build b = {.o = o, .stage = STAGE_INIT, .started = now_ms()};
	struct error err = ERROR_INIT;
	int r = -ENOMEM;

	tool_catch_signals();
	b.img = calloc(1, sizeof(*b.img));
	if (!b.img)
		error_set(&err, ENOMEM, "no memory to build an image");
	else if (!b.o->output)
		r = error_set_kind(&err, ERROR_USAGE, EINVAL,
		                   "build: -o DIR is missing; see " TOOL_NAME " build --help");
	else
		r = build_image(&b, &err);
	if (r == 0 && b.o->json)
		report_json(&b);
	else if (r == 0 && !b.o->quiet)
		report(&b);
	stage_close(&b.stage);
	profile_free(&b.profile);
	locations_free(&b.where);
	guestimg_free(b.img);
	return r < 0 ? tool_fail(&err) : 0;
}
