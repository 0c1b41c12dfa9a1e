/* SPDX-License-Identifier: Apache-2.0 */
/* sbom: says what an image was made of, as an SPDX document. */
#include <errno.h>
#include <stdio.h>

#include "image-tool/report.h"
#include "image-tool/spdx.h"
#include "image-tool/tool.h"
#include "lib/base/fs.h"

struct sbom_options {
	const char *output;
	bool json, quiet;
};

static int report(const struct sbom_options *o, const struct guestimg *img,
                  const struct contents *c, struct error *err)
{
	_cleanup_report_ struct report r;

	report_init(&r, o->json);
	report_string(&r, "output", o->output);
	report_number(&r, "packages", img->n_packages);
	report_number(&r, "files", c->n_files + c->n_root);
	return report_print(&r, err);
}

static int sbom(const struct sbom_options *o, const char *dir, struct error *err)
{
	_cleanup_guestimg_ struct guestimg *img = NULL;
	_cleanup_contents_ struct contents contents = {0};
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int r = guestimg_load(dir, &img, err);

	if (r == 0)
		r = contents_read(&contents, dir, img, err);
	if (r == 0)
		r = spdx_format(img, &contents, &text, err);
	if (r < 0)
		return r;
	if (!o->output) {
		fwrite(text.data, 1, text.size, stdout);
		return 0;
	}
	r = fs_write_file_atomic(o->output, text.data, text.size, 0644, err);
	if (r < 0 && err)
		err->kind = ERROR_ENVIRONMENT;
	return r < 0 || o->quiet ? r : report(o, img, &contents, err);
}

static int run_sbom(int argc, char **argv, void *data)
{
	struct error err = ERROR_INIT;

	tool_catch_signals();
	return sbom(data, argv[0], &err) < 0 ? tool_fail(&err) : 0;
}

static const struct option options[] = {
    {"output", 'o', OPTION_STRING, offsetof(struct sbom_options, output), "FILE", NULL,
     "Write the document to FILE, whole or not at all, and say how much is in it.\n"
     "Default: standard output."},
    {"json", 0, OPTION_FLAG, offsetof(struct sbom_options, json), NULL, NULL,
     "With -o: say so as one JSON object. The document is JSON in any case."},
    {"quiet", 'q', OPTION_FLAG, offsetof(struct sbom_options, quiet), NULL, NULL,
     "With -o: say nothing."},
    {NULL},
};

const struct verb verb_sbom = {
    .name = "sbom",
    .args = "DIR",
    .summary = "Lists what an image was made of (SPDX).",
    .details =
        "Writes an SPDX 2.3 document (JSON): the packages with source package, version, digest\n"
        "of the source and licence, every file of the image and in its root with SHA-1\n"
        "and SHA-256, and how they belong together. All digests are computed; an image whose\n"
        "files are not those of its image.json is refused (status 5). The texts of the\n"
        "licences are in the root, in /usr/share/licences.\n"
        "\n"
        "The same image gives the same document: its time is the image's (SOURCE_DATE_EPOCH\n"
        "when it was built), its namespace is made from its digest. 'publish' pushes it\n"
        "beside the image.\n"
        "\n"
        "Example: kata-image-tool sbom build/image/container -o image.spdx.json",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run_sbom,
    .data_size = sizeof(struct sbom_options),
};
