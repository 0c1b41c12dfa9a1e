/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_diff: how two kernels differ: symbols, and sizes where there are kernels. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image-tool/diff.h"
#include "image-tool/kernel_tasks.h"
#include "lib/guestimg/guestimg.h"

/* One of the two, whatever it was named by. */
struct kernel_side {
	const char *name;
	const struct kernel_profile *profile; /* NULL: a file or a folder */
	char *dir;                            /* with a kernel; NULL: only a configuration. Owned */
	struct kconfig *config; /* owned; NULL: a profile's that is not in the cache */
};

static void side_free(struct kernel_side *s)
{
	free(s->dir);
	kconfig_free(s->config);
}
#define _cleanup_side_ __attribute__((cleanup(side_free)))

static int load_folder(struct kernel_side *s, const char *path, struct error *err)
{
	_cleanup_close_ int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int e;

	s->dir = strdup(path);
	if (!s->dir)
		return error_set(err, ENOMEM, "no memory to compare kernels");
	if (dir < 0)
		return error_errno(err, errno, "cannot read %s", path);
	if (faccessat(dir, KCONFIG_FILE, F_OK, 0) < 0)
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
		                      "there is no " KCONFIG_FILE " in %s", path);
	e = kconfig_load(dir, KCONFIG_FILE, &s->config, err);
	return e < 0 ? error_prefix(err, e, "%s", path) : 0;
}

static int load_profile(struct kernel_task *t, struct kernel_side *s, struct error *err)
{
	_cleanup_buffer_ struct buffer dir = BUFFER_INIT;
	int e = kernel_ask(t, "--cached", s->name, &dir, err);

	return e != 0 ? (e < 0 ? e : 0) : load_folder(s, buffer_cstr(&dir), err);
}

static int load(struct kernel_task *t, struct kernel_side *s, struct error *err)
{
	struct stat st;

	s->profile = kernel_profile_find(t->catalogue, s->name);
	if (s->profile)
		return load_profile(t, s, err);
	if (stat(s->name, &st) < 0 && errno == ENOENT && !strchr(s->name, '/'))
		return kernel_profile_need(t->catalogue, s->name, &s->profile, err);
	return S_ISDIR(st.st_mode) ? load_folder(s, s->name, err)
	                           : kconfig_load(AT_FDCWD, s->name, &s->config, err);
}

/* A kernel that was never built is known by what its fragments ask for; so is the other one then.
 */
static int use_fragments(struct kernel_side *s, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;

	if (!s->profile)
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
		                      "only one side is a kernel that was built; build the other: "
		                      "kata-image-tool kernel --profile NAME -o DIR");
	kconfig_free(s->config);
	free(s->dir);
	s->config = NULL;
	s->dir = NULL;
	kernel_profile_format(s->profile, &text);
	return text.failed ? error_set(err, ENOMEM, "no memory to compare kernels")
	                   : kconfig_parse(buffer_cstr(&text), text.size, s->name, &s->config, err);
}

static void report_sizes(struct kernel_task *t, const struct kernel_side *a,
                         const struct kernel_side *b)
{
	static const char *const names[] = {"vmlinux", "bzImage"};

	report_list(t->r, "sizes");
	for (size_t i = 0; a->dir && b->dir && i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_free_ char *x = str_printf("%s/%s", a->dir, names[i]);
		_cleanup_free_ char *y = str_printf("%s/%s", b->dir, names[i]);
		struct stat sx, sy;

		if (!x || !y || stat(x, &sx) < 0 || stat(y, &sy) < 0)
			continue;
		report_item(t->r, "%s: %" PRIu64 " bytes and %" PRIu64 " (%+" PRId64 ")", names[i],
		            (uint64_t)sx.st_size, (uint64_t)sy.st_size,
		            (int64_t)(sy.st_size - sx.st_size));
		report_string(t->r, "name", names[i]);
		report_number(t->r, "a", (uint64_t)sx.st_size);
		report_number(t->r, "b", (uint64_t)sy.st_size);
		report_end(t->r);
	}
	report_end(t->r);
}

int kernel_diff(struct kernel_task *t, const char *a, const char *b, struct error *err)
{
	_cleanup_side_ struct kernel_side x = {.name = a}, y = {.name = b};
	bool fragments;
	uint64_t count = 0;
	int e = load(t, &x, err);

	if (e == 0)
		e = load(t, &y, err);
	if (e < 0)
		return e;
	fragments = !x.config || !y.config;
	if (fragments)
		e = use_fragments(&x, err);
	if (fragments && e == 0)
		e = use_fragments(&y, err);
	if (e < 0)
		return e;
	report_string(t->r, "a", a);
	report_string(t->r, "b", b);
	report_string(t->r, "basis", fragments ? "fragments" : "configurations");
	report_sizes(t, &x, &y);
	e = diff_kconfig(t->r, "symbols", x.config, y.config, &count, err);
	report_number(t->r, "differences", count);
	return e;
}
