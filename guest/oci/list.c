/* SPDX-License-Identifier: Apache-2.0 */
/* list: the verbs list and ps. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/oci/runtime.h"
#include "guest/oci/state_json.h"
#include "guest/oci/store.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/process.h"
#include "lib/base/str.h"

/* ---- list ---- */

struct list_data {
	const char *format;
	bool quiet;
};

static void table_defaults(void *data)
{
	((struct list_data *)data)->format = "table";
}

static const struct option list_options[] = {
    {"format", 'f', OPTION_ENUM, offsetof(struct list_data, format), "FORMAT", "table|json",
     "table or json"},
    {"quiet", 'q', OPTION_FLAG, offsetof(struct list_data, quiet), NULL, NULL, "only the ids"},
    {0}};

static void add_row(const char *id, struct buffer *out)
{
	_cleanup_container_ struct container *c = NULL;
	struct store_record rec;
	enum container_status s;

	if (store_attach(id, false, &c, NULL, NULL) < 0 || store_load(id, &rec, NULL) < 0)
		return;
	s = container_status(c);
	buffer_printf(out, "%-20s %-8d %-9s %-40s %s\n", id, s == CONTAINER_STOPPED ? 0 : rec.pid,
	              container_status_name(s), rec.bundle, rec.created);
	store_record_free(&rec);
}

static int list_main(int argc, char **argv, void *data)
{
	const struct list_data *d = data;
	_cleanup_strv_ struct strv ids = STRV_INIT;
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	bool json = strcmp(d->format, "json") == 0, first = true;
	struct error err = ERROR_INIT;

	if (store_list(&ids, &err) < 0)
		return runtime_fail(&err);
	if (!d->quiet)
		json ? buffer_str(&out, "[")
		     : buffer_printf(&out, "%-20s %-8s %-9s %-40s %s\n", "ID", "PID", "STATUS",
		                     "BUNDLE", "CREATED");
	for (size_t i = 0; i < ids.n; i++) {
		_cleanup_buffer_ struct buffer one = BUFFER_INIT;

		if (d->quiet) {
			buffer_printf(&out, "%s\n", ids.v[i]);
		} else if (!json) {
			add_row(ids.v[i], &out);
		} else if (state_json_write(ids.v[i], STATE_JSON_COMPACT, &one, NULL) == 0) {
			buffer_printf(&out, "%s%s", first ? "" : ",", buffer_cstr(&one));
			first = false;
		}
	}
	if (json && !d->quiet)
		buffer_str(&out, "]\n");
	return fs_write_all(1, buffer_cstr(&out), out.size) < 0;
}

const struct verb list_verb = {
    .name = "list",
    .args = "",
    .summary = "list the containers below --root",
    .options = list_options,
    .run = list_main,
    .defaults = table_defaults,
    .data_size = sizeof(struct list_data),
};

/* ---- ps ---- */

static const struct option ps_options[] = {
    {"format", 'f', OPTION_ENUM, offsetof(struct list_data, format), "FORMAT", "table|json",
     "the output of ps(1), or the pids as JSON"},
    {0}};

static bool has_pid(const char *line, const pid_t *pids, size_t n, size_t column)
{
	_cleanup_strv_ struct strv words = STRV_INIT;
	uint32_t pid;

	if (strv_split(&words, line, " \t") < 0 || words.n <= column ||
	    parse_u32(words.v[column], &pid) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((uint32_t)pids[i] == pid)
			return true;
	return false;
}

static int pid_column(const char *line, size_t *column)
{
	_cleanup_strv_ struct strv words = STRV_INIT;

	if (strv_split(&words, line, " \t") < 0)
		return -ENOMEM;
	for (size_t i = 0; i < words.n; i++)
		if (strcmp(words.v[i], "PID") == 0) {
			*column = i;
			return 0;
		}
	return -ENOENT;
}

/* ps(1) itself, its lines filtered. */
static int print_table(char **argv, const pid_t *pids, size_t n, struct error *err)
{
	_cleanup_strv_ struct strv ps = STRV_INIT;
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	char *line, *rest;
	size_t column = 0;
	int status, r;

	strv_add(&ps, "ps");
	for (; *argv; argv++)
		strv_add(&ps, *argv);
	if (ps.n == 1)
		strv_add(&ps, "-ef");
	r = process_run(ps.v, &text, NULL, 16u << 20, &status, err);
	if (r < 0)
		return r;
	rest = (char *)text.data;
	line = rest ? strsep(&rest, "\n") : NULL;
	if (!line || pid_column(line, &column) < 0)
		return error_set(err, EINVAL, "ps prints no PID column with these options");
	printf("%s\n", line);
	while ((line = strsep(&rest, "\n")))
		if (has_pid(line, pids, n, column))
			printf("%s\n", line);
	return fflush(stdout) == 0 ? 0 : -errno;
}

static int ps_main(int argc, char **argv, void *data)
{
	const struct list_data *d = data;
	_cleanup_container_ struct container *c = NULL;
	_cleanup_free_ pid_t *pids = NULL;
	struct error err = ERROR_INIT;
	size_t n = 0;
	int r = store_attach(argv[0], false, &c, NULL, &err);

	if (r == 0)
		r = container_pids(c, &pids, &n, &err);
	if (r == 0 && strcmp(d->format, "json") == 0) {
		printf("[");
		for (size_t i = 0; i < n; i++)
			printf("%s%d", i ? "," : "", pids[i]);
		printf("]\n");
		fflush(stdout);
	} else if (r == 0) {
		r = print_table(argv + 1, pids, n, &err);
	}
	return r < 0 ? runtime_fail(&err) : 0;
}

const struct verb ps_verb = {
    .name = "ps",
    .args = "ID [PS-OPTION...]",
    .summary = "list the processes of a container",
    .options = ps_options,
    .stop_at_first = true,
    .min_args = 1,
    .max_args = UINT_MAX,
    .run = ps_main,
    .defaults = table_defaults,
    .data_size = sizeof(struct list_data),
};
