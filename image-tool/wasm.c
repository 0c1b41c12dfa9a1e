/* SPDX-License-Identifier: Apache-2.0 */
/* wasm: from a module's bytes to a static program. */
#include "image-tool/wasm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image-tool/wasm_glue.h"
#include "image-tool/wasm_tools.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/wasm/module.h"
#include "lib/wasm/wasi_functions.h"

#define MODULE_FILE  "module.wasm"
#define SOURCE_FILE  "module.c"
#define GLUE_FILE    "glue.c"
#define PROGRAM_FILE "program"

struct compilation {
	const struct wasm_request *rq;
	struct wasm_scratch scratch;
	struct buffer said;
};

static void compilation_free(struct compilation *c)
{
	wasm_scratch_close(&c->scratch);
	buffer_free(&c->said);
}

bool wasm_is_module(const uint8_t *data, size_t size)
{
	return size >= 4 && memcmp(data, "\0asm", 4) == 0;
}

static void say(const struct compilation *c, const char *what)
{
	if (c->rq->stage)
		c->rq->stage(c->rq->stage_data, what);
}

/* The first line that a tool wrote but warnings of wasm2c (of functions that are imported twice,
 * which is sound), without the name of our scratch file. */
static int first_line(const struct compilation *c, const char **line)
{
	const char *text = buffer_cstr(&c->said);

	while (str_starts(text, "warning: ")) {
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	if (strncmp(text, MODULE_FILE ":", sizeof(MODULE_FILE)) == 0)
		text += sizeof(MODULE_FILE);
	*line = text;
	return (int)strcspn(text, "\n");
}

/* wasm2c ends with a line that says what is wrong with a module; at an instruction that it knows
 * of, but not how to write in C, it aborts without a word, and of too deep a nesting it crashes. */
static int refused(const struct compilation *c, struct error *err)
{
	const char *line;
	int n = first_line(c, &line);

	if (n == 0)
		return error_set_kind(err, ERROR_INPUT, ENOTSUP,
		                      "%s: wasm2c gives up on it: does it use SIMD "
		                      "instructions (build it with -mno-simd128), or nest blocks "
		                      "too deeply?",
		                      c->rq->name);
	return error_set_kind(err, ERROR_INPUT, EINVAL, "%s: wasm2c refuses it: %.*s", c->rq->name,
	                      n, line);
}

static int not_compiled(const struct compilation *c, struct error *err)
{
	const char *line;
	int n = first_line(c, &line);

	return error_set(err, EIO, "%s: cannot compile what wasm2c made of it: %.*s", c->rq->name,
	                 n, line);
}

static int write_module(struct compilation *c, const struct wasm_module *m, struct error *err)
{
	_cleanup_buffer_ struct buffer plain = BUFFER_INIT;
	int r = wasm_module_plain(m, c->rq->data, c->rq->size, &plain);

	if (r < 0)
		return error_errno(err, -r, "translating %s", c->rq->name);
	return wasm_scratch_write(&c->scratch, MODULE_FILE, plain.data, plain.size, err);
}

static int translate(struct compilation *c, const struct wasm_module *m, struct error *err)
{
	static const char *const words[] = {
	    "wasm2c", MODULE_FILE, "-n", WASM_MODULE_NAME, "--no-debug-names", "-o", SOURCE_FILE};
	_cleanup_strv_ struct strv argv = STRV_INIT;
	int r = write_module(c, m, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strv_add(&argv, words[i]) < 0)
			return error_errno(err, ENOMEM, "translating");
	say(c, "translating");
	r = wasm_scratch_run(&c->scratch, &argv, &c->said, err);
	return r > 0 ? refused(c, err) : r;
}

/*
 * -O2 and what WebAssembly wants that C leaves open (wasm2c/README.md, "Compiling the wasm2c
 * output"): a call uses stack, so that endless recursion traps; signalling NaNs become quiet.
 */
static int compiler_arguments(const struct compilation *c, struct strv *argv)
{
	static const char *const words[] = {"tools/guest-cc",
	                                    "-std=gnu17",
	                                    "-O2",
	                                    "-w",
	                                    "-fno-strict-aliasing",
	                                    "-fno-optimize-sibling-calls",
	                                    "-frounding-math",
	                                    "-fsignaling-nans",
	                                    "-fstack-clash-protection",
	                                    "-fno-asynchronous-unwind-tables",
	                                    "-ffunction-sections",
	                                    "-fdata-sections",
	                                    "-frandom-seed=kihon",
	                                    "-Wl,--gc-sections",
	                                    "-Wl,-s",
	                                    "-Wl,--build-id=none"};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(words) / sizeof(*words); i++)
		r = strv_add(argv, words[i]);
	if (r == 0)
		r = strv_addf(argv, "-I%s/wasm", c->rq->where->guest);
	for (size_t i = 0; r == 0 && i < 2; i++)
		r = strv_add(argv, i == 0 ? SOURCE_FILE : GLUE_FILE);
	if (r == 0)
		r = strv_addf(argv, "%s/wasm/libwasi.a", c->rq->where->guest);
	if (r == 0)
		r = strv_addf(argv, "%s/wasm/libbase.a", c->rq->where->guest);
	if (r == 0)
		r = strv_add(argv, "-o");
	return r == 0 ? strv_add(argv, PROGRAM_FILE) : r;
}

static int check_layer(const struct locations *where, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/wasm/libwasi.a", where->guest);

	if (path && fs_exists(path))
		return 0;
	return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
	                      "the WASI layer (%s) is missing; run make guest",
	                      path ? path : "libwasi.a");
}

static int compile(struct compilation *c, const struct wasm_module *m, struct error *err)
{
	_cleanup_strv_ struct strv argv = STRV_INIT;
	_cleanup_buffer_ struct buffer glue = BUFFER_INIT;
	int r = wasm_make_compiler(&c->scratch, c->rq->where, err);

	if (r < 0)
		return r;
	wasm_glue(m, &glue);
	if (glue.failed || compiler_arguments(c, &argv) < 0)
		return error_errno(err, ENOMEM, "compiling %s", c->rq->name);
	r = wasm_scratch_write(&c->scratch, GLUE_FILE, glue.data, glue.size, err);
	if (r < 0)
		return r;
	say(c, "compiling");
	r = wasm_scratch_run(&c->scratch, &argv, &c->said, err);
	return r > 0 ? not_compiled(c, err) : r;
}

static int hand_over(const struct compilation *c, int out_fd, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/" PROGRAM_FILE, c->scratch.dir);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	uint8_t block[65536];
	ssize_t n;
	int r = fd < 0 ? -EIO : 0;

	while (r == 0 && (n = read(fd, block, sizeof(block))) != 0)
		r = n < 0 ? -errno : fs_write_all(out_fd, block, (size_t)n);
	if (r < 0)
		return error_set_kind(err, ERROR_ENVIRONMENT, -r, "cannot write the program: %s",
		                      strerror(-r));
	return 0;
}

static void find_needs(const struct wasm_module *m, struct wasm_needs *needs)
{
	*needs = (struct wasm_needs){0};
	for (uint32_t i = 0; i < m->n_imports; i++)
		if (m->imports[i].name.size > 5 && memcmp(m->imports[i].name.p, "sock_", 5) == 0)
			needs->sockets = true;
}

int wasm_compile(const struct wasm_request *rq, int out_fd, struct wasm_needs *needs,
                 struct error *err)
{
	__attribute__((cleanup(compilation_free))) struct compilation c = {
	    .rq = rq,
	    .scratch = WASM_SCRATCH_INIT,
	    .said = BUFFER_INIT,
	};
	_cleanup_wasm_module_ struct wasm_module m = WASM_MODULE_INIT;
	int r = 0;

	if (rq->size > WASM_MODULE_MAX)
		r = error_set_kind(err, ERROR_INPUT, EFBIG, "it is larger than %u MiB",
		                   WASM_MODULE_MAX >> 20);
	if (r == 0)
		r = wasm_module_read(&m, rq->data, rq->size, err);
	if (r == 0)
		r = wasm_module_check_command(&m, err);
	if (r < 0)
		return error_prefix(err, r, "%s", rq->name);
	if (needs)
		find_needs(&m, needs);
	r = check_layer(rq->where, err);
	if (r == 0)
		r = wasm_find_wasm2c(err);
	if (r == 0)
		r = wasm_scratch_open(&c.scratch, rq->interrupted, err);
	if (r == 0)
		r = translate(&c, &m, err);
	if (r == 0)
		r = compile(&c, &m, err);
	return r == 0 ? hand_over(&c, out_fd, err) : r;
}
