/* SPDX-License-Identifier: Apache-2.0 */
/* kernel: the guest kernel of an image, built or taken. */
#include "image-tool/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image-tool/tool.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/process.h"
#include "lib/guestimg/kconfig.h"

#define KERNEL_JSON_MAX 65536
#define LOG_MAX         (1u << 20)
#define BUILD_INPUT     3 /* an exit status of build-kernel */

/* Waits for the child; an interruption is passed on to it, and it is waited for all the same. */
static int wait_for(pid_t pid, int *status)
{
	bool told = false;

	for (;;) {
		if (waitpid(pid, status, 0) == pid)
			return 0;
		if (errno != EINTR)
			return -errno;
		if (tool_interrupted() && !told)
			told = kill(pid, SIGTERM) == 0;
	}
}

static int common_argv(const struct kernel_request *req, struct strv *argv)
{
	int r = strv_addf(argv, "%s/kernel-config/build-kernel", req->where->data);

	r = r ?: strv_add(argv, "--profile") ?: strv_add(argv, req->profile);
	if (req->source)
		r = r ?: strv_add(argv, "--kernel-source") ?: strv_add(argv, req->source);
	for (size_t i = 0; req->configs && i < req->configs->n; i++)
		r = r ?: strv_add(argv, "--kernel-config") ?: strv_add(argv, req->configs->v[i]);
	if (req->offline)
		r = r ?: strv_add(argv, "--offline");
	return r;
}

static const char *strip(const char *line)
{
	static const char prefix[] = "build-kernel: ";

	return str_starts(line, prefix) ? line + sizeof(prefix) - 1 : line;
}

/* What build-kernel said last, when it was not heard. */
static int not_built(const struct kernel_request *req, int code, int log, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	char *last = NULL, *save = NULL;

	if (log >= 0 && lseek(log, 0, SEEK_SET) == 0 && fs_read_fd(log, LOG_MAX, &text) == 0 &&
	    text.size > 0)
		for (char *l = strtok_r((char *)text.data, "\n", &save); l;
		     l = strtok_r(NULL, "\n", &save))
			last = l;
	/* It says so when it is the caller's fragment or tree that is wrong. */
	return error_set_kind(err, code == BUILD_INPUT ? ERROR_INPUT : ERROR_ENVIRONMENT, EIO,
	                      "the kernel of profile %s was not built: %s", req->profile,
	                      last ? strip(last) : "build-kernel says why above");
}

/* Runs it to its end; its standard output goes to `out` (-1: nowhere). */
static int run_builder(const struct kernel_request *req, const struct strv *argv, int out,
                       struct stage *stage, struct error *err)
{
	_cleanup_close_ int log = -1;
	struct process_opts opts = {
	    .path = argv->v[0], .argv = argv->v, .n_fds = 3, .fds = {-1, out, 2}};
	int status = 0, r = 0;
	pid_t pid;

	if (req->quiet) {
		r = stage_create(stage, "kernel.log", &log, err);
		opts.fds[2] = log;
	}
	if (r == 0)
		r = process_spawn(&opts, &pid, err);
	if (r < 0)
		return r;
	r = wait_for(pid, &status);
	if (r < 0)
		return error_errno(err, -r, "cannot wait for build-kernel");
	if (tool_interrupted())
		return error_set(err, EINTR, "interrupted");
	status = process_exit_code(status);
	return status == 0 ? 0 : not_built(req, status, log, err);
}

int kernel_build(const struct kernel_request *req, const char *out, struct stage *stage,
                 struct error *err)
{
	_cleanup_strv_ struct strv argv = STRV_INIT;

	if (common_argv(req, &argv) < 0 || strv_add(&argv, "-o") < 0 || strv_add(&argv, out) < 0)
		return error_set(err, ENOMEM, "no memory to build the kernel");
	return run_builder(req, &argv, -1, stage, err);
}

static int copy(int from, const char *name, struct stage *stage, struct error *err)
{
	_cleanup_close_ int in = openat(from, name, O_RDONLY | O_CLOEXEC), out = -1;
	int r;

	if (in < 0)
		return error_errno(err, errno, "cannot read %s", name);
	r = stage_create(stage, name, &out, err);
	while (r == 0) {
		uint8_t buf[65536];
		ssize_t n = read(in, buf, sizeof(buf));

		if (n == 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot read %s", name);
		r = fs_write_all(out, buf, (size_t)n);
		if (r < 0) {
			error_errno(err, -r, "cannot write %s/%s", stage->dir, name);
			if (err)
				err->kind = ERROR_ENVIRONMENT;
		}
	}
	return r;
}

/* The version that the kernel's banner, "Linux version V (", names. */
static int find_version(int dir, struct guestimg *img, struct error *err)
{
	static const char banner[] = "Linux version ";
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int r = fs_read_file(dir, "vmlinux", 512u << 20, &text, err);
	const uint8_t *at = r == 0 ? text.data : NULL;

	while (at) {
		size_t left = text.size - (size_t)(at - text.data), n;

		at = memmem(at, left, banner, sizeof(banner) - 1);
		if (!at)
			break;
		at += sizeof(banner) - 1;
		n = strcspn((const char *)at, " \n");
		if (n > 0 && n < 128 && at[0] >= '0' && at[0] <= '9') {
			img->kernel.version = arena_strndup(&img->arena, (const char *)at, n);
			return 0;
		}
	}
	if (r < 0)
		return r;
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "vmlinux does not say its version: it is "
	                      "no Linux kernel");
}

/* kernel.json as build-kernel writes it. 1: there is none. */
static int read_description(int dir, struct guestimg *img, struct guestimg_package *package,
                            struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_cjson_ cJSON *doc = NULL;
	const char *s = NULL;
	const struct {
		const char *key;
		const char **out;
	} members[] = {
	    {"version", &img->kernel.version},     {"config_sha256", &img->kernel.config_sha256},
	    {"source_version", &package->version}, {"source_package", &package->source},
	    {"source_sha256", &package->sha256},
	};
	int r;

	if (faccessat(dir, "kernel.json", F_OK, 0) < 0)
		return 1;
	r = fs_read_file(dir, "kernel.json", KERNEL_JSON_MAX, &text, err);
	if (r == 0)
		r = json_parse((const char *)text.data, text.size, KERNEL_JSON_MAX, "kernel.json",
		               &doc, err);
	for (size_t i = 0; r == 0 && i < sizeof(members) / sizeof(*members); i++) {
		r = json_string(doc, members[i].key, true, &s, "kernel.json", err);
		if (r == 0)
			*members[i].out = arena_strdup(&img->arena, s);
	}
	if (r == 0 && json_string(doc, "compiler", false, &s, "kernel.json", NULL) == 0)
		img->kernel.compiler = arena_strdup(&img->arena, s);
	package->name = "linux";
	package->licence = "GPL-2.0-only WITH Linux-syscall-note";
	return r;
}

/* The configuration goes with the kernel, where there is one: without it nobody can say later how
 * two kernels differ. */
static int take_config(int dir, struct stage *stage, struct guestimg *img, struct error *err)
{
	char sha256[65];
	uint64_t size;
	int r;

	if (faccessat(dir, KCONFIG_FILE, F_OK, 0) < 0)
		return 0;
	r = measure_file(dir, KCONFIG_FILE, sha256, &size, err);
	if (r == 0 && img->kernel.config_sha256 && strcmp(sha256, img->kernel.config_sha256) != 0)
		r = error_set_kind(err, ERROR_INPUT, EINVAL,
		                   KCONFIG_FILE " is not the one that kernel.json names");
	if (r < 0)
		return r;
	img->kernel.config = KCONFIG_FILE;
	img->kernel.config_sha256 = arena_strdup(&img->arena, sha256);
	return copy(dir, KCONFIG_FILE, stage, err);
}

static int take(const char *path, struct stage *stage, struct guestimg *img,
                struct guestimg_package *package, struct error *err)
{
	_cleanup_close_ int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir < 0 || faccessat(dir, "vmlinux", R_OK, 0) < 0)
		return error_set_kind(err, ERROR_ENVIRONMENT, errno,
		                      "there is no vmlinux to be read in %s: %s", path,
		                      strerror(errno));
	r = read_description(dir, img, package, err);
	if (r > 0)
		r = find_version(dir, img, err);
	if (r == 0)
		r = copy(dir, "vmlinux", stage, err);
	img->kernel.vmlinux = "vmlinux";
	if (r == 0 && faccessat(dir, "bzImage", F_OK, 0) == 0) {
		img->kernel.bzimage = "bzImage";
		r = copy(dir, "bzImage", stage, err);
	}
	if (r == 0)
		r = take_config(dir, stage, img, err);
	return r < 0 ? error_prefix(err, r, "kernel of %s", path) : 0;
}

int kernel_get(const struct kernel_request *req, struct stage *stage, struct guestimg *img,
               struct guestimg_package *package, struct error *err)
{
	_cleanup_free_ char *built = NULL;
	int r = 0;

	*package = (struct guestimg_package){0};
	if (req->dir)
		return take(req->dir, stage, img, package, err);
	built = str_printf("%s/kernel", stage->path);
	if (!built)
		return error_set(err, ENOMEM, "no memory to build the kernel");
	r = kernel_build(req, built, stage, err);
	return r < 0 ? r : take(built, stage, img, package, err);
}

/* ---------------------------------------------------------------- what it is made from */

/* The lines of build-kernel --identify: package, version, SHA-256, compiler. */
static int parse_identity(const struct buffer *text, struct guestimg *img,
                          struct guestimg_package *package, struct error *err)
{
	_cleanup_strv_ struct strv lines = STRV_INIT;
	struct arena *a = &img->arena;

	if (strv_split(&lines, buffer_cstr(text), "\n") < 0)
		return error_set(err, ENOMEM, "no memory to identify the kernel's source");
	if (lines.n != 4)
		return error_set(err, EINVAL,
		                 "build-kernel --identify does not say what it should");
	*package = (struct guestimg_package){
	    .name = "linux",
	    .source = arena_strdup(a, lines.v[0]),
	    .version = arena_strdup(a, lines.v[1]),
	    .sha256 = arena_strdup(a, lines.v[2]),
	};
	img->kernel.compiler = arena_strdup(a, lines.v[3]);
	return a->failed ? error_set(err, ENOMEM, "no memory to identify the kernel's source") : 0;
}

static int ask_builder(const struct kernel_request *req, struct stage *stage, struct buffer *text,
                       struct error *err)
{
	_cleanup_strv_ struct strv argv = STRV_INIT;
	_cleanup_close_ int out = -1;
	int r;

	if (common_argv(req, &argv) < 0 || strv_add(&argv, "--identify") < 0)
		return error_set(err, ENOMEM, "no memory to identify the kernel's source");
	r = stage_create(stage, "kernel.identity", &out, err);
	if (r == 0)
		r = run_builder(req, &argv, out, stage, err);
	if (r < 0)
		return r;
	r = lseek(out, 0, SEEK_SET) < 0 ? -errno : fs_read_fd(out, KERNEL_JSON_MAX, text);
	return r < 0 ? error_errno(err, -r, "cannot read what build-kernel said") : 0;
}

int kernel_identify(const struct kernel_request *req, struct stage *stage, struct guestimg *img,
                    struct guestimg_package *package, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_close_ int dir = -1;
	int r;

	*package = (struct guestimg_package){0};
	if (!req->dir) {
		r = ask_builder(req, stage, &text, err);
		return r < 0 ? r : parse_identity(&text, img, package, err);
	}
	/* A folder that cannot be read is kernel_get()'s to name. */
	dir = open(req->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return 0;
	r = read_description(dir, img, package, err);
	if (r > 0)
		*package = (struct guestimg_package){0};
	return r < 0 ? error_prefix(err, r, "kernel of %s", req->dir) : 0;
}
