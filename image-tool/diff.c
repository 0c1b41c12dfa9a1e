/* SPDX-License-Identifier: Apache-2.0 */
/* diff: says why two images differ, and fails where a rule forbids it. */
#include "image-tool/diff.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "image-tool/tool.h"

/* As diff(1): there are differences that matter. Troubles have statuses of their own from 2 on. */
#define EXIT_RULE_HIT 1

struct diff_options {
	const char *fail_on;
	bool json, quiet;
};

static int is_folder(const char *path, bool *out, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_errno(err, errno, "cannot read %s", path);
	*out = S_ISDIR(st.st_mode);
	return 0;
}

static int compare(struct diff *d, struct error *err)
{
	bool a = false, b = false;
	int e = is_folder(d->a, &a, err);

	if (e == 0)
		e = is_folder(d->b, &b, err);
	if (e < 0)
		return e;
	if (a != b)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "an image's folder and a file cannot be compared: name two "
		                      "folders or two files");
	return a ? diff_images(d, err) : diff_contents(d, d->a, d->b, err);
}

static void summarize(struct diff *d)
{
	uint64_t n = 0;

	for (size_t i = 0; i < DIFF_TOPICS; i++)
		n += d->counts[i];
	if (d->r->json) {
		report_object(d->r, "size");
		report_number(d->r, "a", d->size_a);
		report_number(d->r, "b", d->size_b);
		report_end(d->r);
		report_flag(d->r, "same", n == 0 && d->size_a == d->size_b);
		return;
	}
	report_stringf(d->r, "size", "%" PRIu64 " bytes became %" PRIu64, d->size_a, d->size_b);
	report_stringf(d->r, "differences", "%" PRIu64, n);
}

static int rule_hit(const struct buffer *hit)
{
	fprintf(stderr, TOOL_NAME ": the images differ by rule: %s\n", buffer_cstr(hit));
	return EXIT_RULE_HIT;
}

static int run_diff(int argc, char **argv, void *data)
{
	const struct diff_options *o = data;
	_cleanup_report_ struct report r;
	_cleanup_buffer_ struct buffer hit = BUFFER_INIT;
	struct diff d = {.a = argv[0], .b = argv[1], .r = &r};
	struct error err = ERROR_INIT;
	int e = o->fail_on ? diff_rules_check(o->fail_on, &err) : 0, hits = 0;

	report_init(&r, o->json);
	report_line(&r, "%s and %s", d.a, d.b);
	if (o->json) {
		report_string(&r, "a", d.a);
		report_string(&r, "b", d.b);
	}
	if (e == 0)
		e = compare(&d, &err);
	if (e == 0) {
		summarize(&d);
		hits = o->fail_on ? diff_rules_apply(o->fail_on, &d, &hit, &err) : 0;
		e = hits < 0 ? hits : 0;
	}
	if (e == 0 && !o->quiet)
		e = report_print(&r, &err);
	if (e < 0)
		return tool_fail(&err);
	return hits > 0 ? rule_hit(&hit) : 0;
}

static const struct option options[] = {
    {"fail-on", 0, OPTION_STRING, offsetof(struct diff_options, fail_on), "RULE,...", NULL,
     "End with status 1 when a rule is hit: " DIFF_RULES ".\n"
     "Repeated rules are separated by commas; all are looked at."},
    {"json", 0, OPTION_FLAG, offsetof(struct diff_options, json), NULL, NULL,
     "Print the differences as JSON."},
    {"quiet", 'q', OPTION_FLAG, offsetof(struct diff_options, quiet), NULL, NULL,
     "Print errors, and rules that are hit, only."},
    {NULL},
};

const struct verb verb_diff = {
    .name = "diff",
    .args = "A B",
    .summary = "Says why two images differ; a gate for CI.",
    .details =
        "A and B are two folders with image.json, or two files: EROFS, ext4, an initrd, or a disk\n"
        "whose first partition is one. Compared are the members of image.json, sizes of files,\n"
        "versions of packages, symbols of the kernels' configurations, and each file in the\n"
        "roots: type, content, device, mode, owner, time, links, extended attributes. Formats may\n"
        "differ: an ext4 root and an initrd with the same files have no difference there.\n"
        "\n"
        "Rules of --fail-on: size (B is larger), size+5% (by more than 5 percent), size+100K (by\n"
        "more than 100 KiB), files (in the root), packages, kernel (version, configuration, bytes\n"
        "of vmlinux or bzImage), cmdline (the kernel's words), members (of image.json, others\n"
        "than these), any. Sizes are those of all files of the image together.\n"
        "\n"
        "Exit status: 0 compared, and no rule is hit; 1 a rule is hit, or it failed; the others\n"
        "as for all verbs.\n"
        "\n"
        "Examples:\n"
        "  kata-image-tool diff released image\n"
        "  kata-image-tool diff --fail-on size+5%,packages,kernel released image",
    .options = options,
    .min_args = 2,
    .max_args = 2,
    .run = run_diff,
    .data_size = sizeof(struct diff_options),
};
