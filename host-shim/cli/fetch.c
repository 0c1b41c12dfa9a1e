/* SPDX-License-Identifier: Apache-2.0 */
/* fetch: see the header. */
#include "fetch.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/process.h"
#include "lib/oci/reference.h"

#define TOOL       "kata-image-tool"
#define OUTPUT_MAX 65536

/* By exit status (`kata-image-tool --help`). */
static const enum error_kind kinds[] = {
    [1] = ERROR_FAILED,      [2] = ERROR_INPUT,        [3] = ERROR_INPUT,
    [4] = ERROR_ENVIRONMENT, [5] = ERROR_VERIFICATION,
};

bool fetch_is_reference(const char *argument)
{
	struct reference ref;

	return *argument != '/' && *argument != '.' && !fs_exists(argument) &&
	       reference_parse(argument, &ref, NULL) == 0 && ref.host_given;
}

/* Beside this program, or in PATH. */
static char *find_tool(void)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	_cleanup_free_ char *path = NULL;

	if (n > 0) {
		exe[n] = 0;
		path = str_printf("%s/" TOOL, dirname(exe));
	}
	return path && fs_exists(path) ? steal_ptr(&path) : strdup(TOOL);
}

static int add_option(struct strv *argv, const char *name, const char *value)
{
	return value ? strv_add(argv, name) ?: strv_add(argv, value) : 0;
}

static int make_argv(struct strv *argv, const char *reference, const struct remote_options *o)
{
	int r = strv_add_take(argv, find_tool()) ?: strv_add(argv, "fetch");

	r = r ?: strv_add(argv, "--quiet");
	r = r ?: add_option(argv, "--authfile", o->authfile);
	r = r ?: add_option(argv, "--ca", o->ca);
	r = r ?: add_option(argv, "--config", o->config);
	if (o->no_system_ca)
		r = r ?: strv_add(argv, "--no-system-ca");
	for (size_t i = 0; i < o->plain_http.n; i++)
		r = r ?: add_option(argv, "--plain-http", o->plain_http.v[i]);
	return r ?: strv_add(argv, "--") ?: strv_add(argv, reference);
}

static void cut_line(struct buffer *b)
{
	while (b->size > 0 && b->data[b->size - 1] == '\n')
		b->data[--b->size] = 0;
}

/* What it said, as our own. */
static int pass_on(const char *reference, int status, struct buffer *said, struct error *err)
{
	int code = process_exit_code(status);
	const char *text, *line;

	cut_line(said);
	text = buffer_cstr(said);
	line = strrchr(text, '\n');
	text = line ? line + 1 : text;
	if (str_starts(text, TOOL ": "))
		text += strlen(TOOL ": ");
	if (!*text || code >= 128)
		return error_set(err, ECANCELED, "%s: fetching it was interrupted", reference);
	return error_set_kind(
	    err, code < (int)(sizeof(kinds) / sizeof(*kinds)) ? kinds[code] : ERROR_FAILED, EIO,
	    "there is no folder of that name, and as an image in a "
	    "registry: %s",
	    text);
}

int fetch_image(const char *reference, const struct remote_options *o, char **dir,
                struct error *err)
{
	_cleanup_buffer_ struct buffer out = BUFFER_INIT, said = BUFFER_INIT;
	_cleanup_strv_ struct strv argv = STRV_INIT;
	int status = 0, r;

	if (make_argv(&argv, reference, o) < 0)
		return error_set(err, ENOMEM, "no memory to fetch %s", reference);
	r = process_run(argv.v, &out, &said, OUTPUT_MAX, &status, err);
	if (r < 0)
		return r;
	if (status != 0)
		return pass_on(reference, status, &said, err);
	cut_line(&out);
	if (out.size == 0 || out.data[0] != '/')
		return error_set(err, EPROTO, "%s: " TOOL " does not say where the image is",
		                 reference);
	*dir = strdup(buffer_cstr(&out));
	return *dir ? 0 : error_set(err, ENOMEM, "no memory to fetch %s", reference);
}
