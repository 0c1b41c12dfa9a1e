/* SPDX-License-Identifier: Apache-2.0 */
/*
 * app_config: which program a single-application guest runs.
 *
 * From the file /.kihon/init.conf or else /etc/kihon/init.conf, then from kernel words, which win.
 *docs/init.md has the format for people:
 *
 *	exec /bin/app        kihon.exec=/bin/app
 *	arg --port=80        kihon.arg=--port=80     (repeated; argv[1] and on)
 *	env NAME=value       kihon.env=NAME=value    (repeated; added to PATH, HOME and TERM)
 *	cwd /srv             kihon.cwd=/srv
 *	user 1000:1000       kihon.user=1000:1000
 *
 * In the file a line is a key, one blank and a value to the end of the line; `\n` is a newline and
 * `\\` a backslash; empty lines and lines that start with '#' are skipped. `kihon.exec` replaces
 * the file's exec and arg lines together.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cmdline.h"
#include "lib/base/error.h"
#include "lib/base/str.h"

#define APP_CONFIG_PATH "/etc/kihon/init.conf"
/* Looked for first: where `kata-image-tool pack` puts it, beside init itself. */
#define APP_CONFIG_PACKED "/.kihon/init.conf"
#define APP_CONFIG_MAX    65536 /* bytes of the file */

struct app_config {
	struct strv argv; /* argv[0] is the program; empty: none was named */
	struct strv env;
	char *cwd; /* NULL: "/" */
	bool has_user;
	uid_t uid;
	gid_t gid;
};

#define APP_CONFIG_INIT                                                                            \
	{                                                                                          \
		0                                                                                  \
	}

void app_config_free(struct app_config *a);
#define _cleanup_app_config_ __attribute__((cleanup(app_config_free)))

/* Adds what the file's text says. -EINVAL names the line; -ENOMEM. */
int app_config_parse(struct app_config *a, const char *text, size_t size, struct error *err);
/* Adds what the kernel words say. */
int app_config_words(struct app_config *a, const struct cmdline *c, struct error *err);
