/* SPDX-License-Identifier: Apache-2.0 */
/* missing: looks for what a build needs, without building anything. */
#include "image-tool/missing.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/process.h"

#define OUTPUT_MAX 65536

static const char *below(const char *path, const struct locations *where)
{
	size_t n = strlen(where->data);

	return strncmp(path, where->data, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

/* Asks build-kernel, which knows where sources are; 1: it has neither kernel nor source. */
static int kernel_missing(const struct locations *where, const struct build_options *o,
                          struct error *err)
{
	_cleanup_free_ char *program = str_printf("%s/kernel-config/build-kernel", where->data);
	char *argv[] = {program, "--cached", "--profile", (char *)(uintptr_t)o->profile, NULL};
	_cleanup_buffer_ struct buffer out = BUFFER_INIT, said = BUFFER_INIT;
	int status = 0, r;

	if (o->kernel || o->kernel_source)
		return 0;
	if (!program)
		return error_set(err, ENOMEM, "no memory to look for a kernel");
	r = process_run(argv, &out, &said, OUTPUT_MAX, &status, err);
	if (r < 0)
		return r;
	return process_exit_code(status) != 0 && strstr(buffer_cstr(&said), "no kernel source");
}

int missing_check(const struct strv *files, const struct locations *where,
                  const struct build_options *o, struct error *err)
{
	_cleanup_free_ char *packages = str_printf("%s/packages.json", where->guest);
	_cleanup_buffer_ struct buffer list = BUFFER_INIT;
	bool guest = packages && !fs_exists(packages);
	int kernel;

	if (files->n == 0 && !guest)
		return 0;
	for (size_t i = 0; i < files->n; i++)
		buffer_printf(&list, "%s%s", i > 0 ? ", " : "", below(files->v[i], where));
	if (guest)
		buffer_printf(&list, "%s%s", list.size > 0 ? ", " : "", below(packages, where));
	kernel = kernel_missing(where, o, err);
	if (kernel < 0)
		return kernel;
	return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
	                      "--offline, and these are missing: %s%s; run make guest%s",
	                      buffer_cstr(&list),
	                      kernel ? ", the kernel's source (linux-source-6.12)" : "",
	                      kernel ? " and make kernel once with the network" : "");
}
