/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_verb: builds guest kernels, and answers questions about their configurations. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image-tool/kernel.h"
#include "image-tool/kernel_tasks.h"
#include "image-tool/stage.h"
#include "image-tool/tool.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"

#define DESCRIPTION     "kernel.json"
#define DESCRIPTION_MAX 65536u

/* The description comes last: without it a folder holds no kernel. */
static const char *const results[] = {"vmlinux", "bzImage", KCONFIG_FILE, DESCRIPTION};
#define N_RESULTS (sizeof(results) / sizeof(*results))

/* ---------------------------------------------------------------- --list */

static void list_profiles(struct kernel_task *t)
{
	const struct kernel_catalogue *c = t->catalogue;

	report_list(t->r, "profiles");
	for (size_t i = 0; i < c->n_profiles; i++) {
		const struct kernel_profile *p = &c->profiles[i];
		_cleanup_buffer_ struct buffer names = BUFFER_INIT;

		for (size_t j = 0; j < p->n; j++)
			buffer_printf(&names, "%s%s", j ? " " : "", p->fragments[j]->name);
		report_item(t->r, "%-16s %s", p->name, p->summary ?: "");
		report_string(t->r, "name", p->name);
		report_string(t->r, "summary", p->summary);
		report_string(t->r, "fragments", buffer_cstr(&names));
		report_end(t->r);
	}
	report_end(t->r);
}

/* ---------------------------------------------------------------- -o DIR */

/* What is quick and may be wrong comes before what takes minutes. */
static int check_source(const struct kernel_options *o, struct error *err)
{
	struct stat st;

	if (!o->source || (stat(o->source, &st) == 0 && S_ISDIR(st.st_mode)))
		return 0;
	return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
	                      "--kernel-source: there is no folder %s", o->source);
}

/* kernel.json as it was written, and the sizes of what it describes. */
static int report_kernel(struct kernel_task *t, struct error *err)
{
	_cleanup_close_ int dir = open(t->o->output, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_cjson_ cJSON *doc = NULL;
	const cJSON *item;
	int e = dir < 0 ? error_errno(err, errno, "cannot read %s", t->o->output)
	                : fs_read_file(dir, DESCRIPTION, DESCRIPTION_MAX, &text, err);

	if (e == 0)
		e = json_parse((const char *)text.data, text.size, DESCRIPTION_MAX, DESCRIPTION,
		               &doc, err);
	if (e < 0)
		return e;
	report_string(t->r, "output", t->o->output);
	cJSON_ArrayForEach(item, doc) report_string(t->r, item->string, cJSON_GetStringValue(item));
	report_list(t->r, "files");
	for (size_t i = 0; i < N_RESULTS; i++) {
		struct stat st;

		if (fstatat(dir, results[i], &st, 0) < 0)
			continue;
		report_item(t->r, "%-14s %11" PRIu64, results[i], (uint64_t)st.st_size);
		report_string(t->r, "name", results[i]);
		report_number(t->r, "size", (uint64_t)st.st_size);
		report_end(t->r);
	}
	report_end(t->r);
	return 0;
}

static int build_kernel(struct kernel_task *t, struct error *err)
{
	const struct kernel_options *o = t->o;
	const struct kernel_request req = {
	    .where = &t->where,
	    .profile = o->profile,
	    .source = o->source,
	    .configs = &o->configs,
	    .offline = o->offline,
	    .quiet = o->quiet,
	};
	_cleanup_stage_ struct stage stage = STAGE_INIT;
	_cleanup_free_ char *built = NULL;
	int e = check_source(o, err);

	tool_catch_signals();
	if (e == 0)
		e = stage_open(&stage, o->output, err);
	if (e < 0)
		return e;
	built = str_printf("%s/kernel", stage.path);
	e = built ? kernel_build(&req, built, &stage, err)
	          : error_set(err, ENOMEM, "no memory to build the kernel");
	if (e == 0)
		e = stage_publish_files(&stage, "kernel", results, N_RESULTS, err);
	return e < 0 ? e : report_kernel(t, err);
}

/* ---------------------------------------------------------------- the verb */

static int check_usage(const struct kernel_options *o, int argc, struct error *err)
{
	int tasks = o->list + o->diff + (o->why != NULL) + (o->output != NULL);
	const char *wrong = NULL;

	if (tasks == 0)
		wrong = "say what to do: -o DIR, --list, --why SYMBOL or --diff A B";
	else if (tasks > 1)
		wrong = "-o, --list, --why and --diff exclude one another";
	else if (o->diff && argc != 2)
		wrong = "--diff takes two: profiles, configurations or folders with a kernel";
	else if (!o->diff && argc != 0)
		wrong = "only --diff takes arguments";
	return wrong ? error_set_kind(err, ERROR_USAGE, EINVAL,
	                              "kernel: %s; see " TOOL_NAME " kernel --help", wrong)
	             : 0;
}

static int run_task(struct kernel_task *t, char **argv, struct error *err)
{
	const struct kernel_profile *profile;
	int e = locations_find(&t->where, err);

	if (e == 0)
		e = kernel_catalogue_load(t->where.data, &t->catalogue, err);
	for (size_t i = 0; e == 0 && i < t->o->configs.n; i++)
		e = kernel_catalogue_extend(t->catalogue, t->o->configs.v[i], err);
	if (e == 0)
		e = kernel_profile_need(t->catalogue, t->o->profile, &profile, err);
	if (e < 0)
		return e;
	if (t->o->list) {
		list_profiles(t);
		return 0;
	}
	if (t->o->diff)
		return kernel_diff(t, argv[0], argv[1], err);
	return t->o->why ? kernel_why(t, err) : build_kernel(t, err);
}

static int run_kernel(int argc, char **argv, void *data)
{
	const struct kernel_options *o = data;
	_cleanup_report_ struct report r;
	struct kernel_task t = {.o = o, .r = &r};
	struct error err = ERROR_INIT;
	int e = check_usage(o, argc, &err);

	report_init(&r, o->json);
	if (e == 0)
		e = run_task(&t, argv, &err);
	if (e == 0 && (!o->quiet || !o->output))
		e = report_print(&r, &err);
	kernel_catalogue_free(t.catalogue);
	locations_free(&t.where);
	return e < 0 ? tool_fail(&err) : 0;
}

static void defaults(void *data)
{
	struct kernel_options *o = data;

	o->profile = "container";
}

static void release(void *data)
{
	struct kernel_options *o = data;

	strv_free(&o->configs);
}

#define AT(member) offsetof(struct kernel_options, member)

static const struct option options[] = {
    {"profile", 'p', OPTION_STRING, AT(profile), "NAME", NULL,
     "What the kernel is for (container); --list says which there are."},
    {"kernel-source", 0, OPTION_STRING, AT(source), "DIR", NULL,
     "Build this Linux tree instead of Debian's package."},
    {"kernel-config", 0, OPTION_LIST, AT(configs), "FILE", NULL,
     "One more fragment, after the profile's; each of its symbols must take. Repeatable."},
    {"output", 'o', OPTION_STRING, AT(output), "DIR", NULL,
     "Put vmlinux, bzImage, kernel.config and kernel.json into DIR."},
    {"list", 'l', OPTION_FLAG, AT(list), NULL, NULL, "List the profiles."},
    {"why", 0, OPTION_STRING, AT(why), "SYMBOL", NULL,
     "Say which fragments want SYMBOL (with or without CONFIG_), in which profiles and why, what\n"
     "became of it in the profile's kernel, and which symbols select it there."},
    {"diff", 0, OPTION_FLAG, AT(diff), NULL, NULL,
     "Compare A and B: profiles, configurations, or folders with kernel.config."},
    {"offline", 0, OPTION_FLAG, AT(offline), NULL, NULL,
     "Download nothing; fail, saying what is missing, if something is."},
    {"json", 0, OPTION_FLAG, AT(json), NULL, NULL, "Print what was done or found as JSON."},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), NULL, NULL, "With -o: print errors only."},
    {NULL},
};

const struct verb verb_kernel = {
    .name = "kernel",
    .args = "-o DIR | --list | --why SYMBOL | --diff A B",
    .summary = "Builds a guest kernel, or says how kernels are configured and why.",
    .details =
        "A kernel is built from Debian's source once for each configuration, source and compiler,\n"
        "and kept in the cache; building takes some minutes, taking it from there none. Its\n"
        "bytes do not depend on where, when or by whom it is built.\n"
        "\n"
        "A profile is a list of fragments (kernel-config/fragments/), which name symbols in "
        "groups\n"
        "with the reason above; what no fragment names is off, unless another symbol selects it.\n"
        "--why reads all that, and Kconfig itself where the source is unpacked (it is when a\n"
        "kernel has been built on this machine).\n"
        "\n"
        "--diff compares the configurations as they came out, and the sizes. Of profiles whose\n"
        "kernels are not both in the cache it compares what their fragments ask for (\"basis\").\n"
        "\n"
        "Examples:\n"
        "  kata-image-tool kernel --profile unikernel-net -o kernel\n"
        "  kata-image-tool kernel --why FS_DAX\n"
        "  kata-image-tool kernel --diff unikernel unikernel-net",
    .options = options,
    .max_args = 2,
    .run = run_kernel,
    .defaults = defaults,
    .release = release,
    .data_size = sizeof(struct kernel_options),
};
