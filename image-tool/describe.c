/* SPDX-License-Identifier: Apache-2.0 */
/* describe: what image.json says of every image alike. */
#include "image-tool/describe.h"

#include <errno.h>

#include "lib/base/str.h"
#include "lib/base/version.h"

#define AGENT_MIN_VERSION "0.1.0"
#define AGENT_PROTOCOL    "0.0.1"

int describe_date(int64_t *out, struct error *err)
{
	const char *s = getenv("SOURCE_DATE_EPOCH");
	uint64_t v = 0;

	if (str_empty(s))
		return 0;
	if (parse_u64(s, &v) < 0 || v > UINT32_MAX)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "SOURCE_DATE_EPOCH=%s is no number of seconds since 1970", s);
	*out = (int64_t)v;
	return 0;
}

int describe_image(struct guestimg *img, struct stage *stage, int64_t mtime,
                   const char *const *names, size_t n, struct error *err)
{
	int r = 0;

	img->version = KIHON_VERSION;
	img->arch = "x86_64";
	img->timestamp = (uint64_t)mtime;
	img->agent.version = KIHON_VERSION;
	img->agent.min_version = AGENT_MIN_VERSION;
	img->agent.protocol = AGENT_PROTOCOL;
	img->files = arena_new_array(&img->arena, n, struct guestimg_file);
	if (!img->files || img->arena.failed)
		return error_set(err, ENOMEM, "no memory for image.json");
	for (size_t i = 0; r == 0 && i < n; i++)
		if (names[i])
			r = stage_measure(stage, names[i], &img->arena, &img->files[img->n_files++],
			                  err);
	return r;
}
