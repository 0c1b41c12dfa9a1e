/* SPDX-License-Identifier: Apache-2.0 */
/* kihon-oci: an OCI runtime with the command line of runc and crun, on the agent's engine. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest/oci/runtime.h"
#include "guest/oci/self.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/version.h"
#include "lib/oci/runtime_spec.h"

#define LOG_FD 512 /* or the next that is free */

static struct runtime this_run;

const struct runtime *runtime(void)
{
	return &this_run;
}

/* ---- telling ---- */

static void log_to_file(const char *level, const char *text)
{
	_cleanup_buffer_ struct buffer line = BUFFER_INIT;
	_cleanup_close_ int fd = -1;
	char stamp[40];
	struct tm tm;
	time_t now = time(NULL);

	if (!this_run.log)
		return;
	fd = open(this_run.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
	if (fd < 0)
		return;
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	if (this_run.log_json) {
		buffer_printf(&line, "{\"level\":\"%s\",\"msg\":", level);
		buffer_json_string(&line, text);
		buffer_printf(&line, ",\"time\":\"%s\"}\n", stamp);
	} else {
		buffer_printf(&line, "time=\"%s\" level=%s msg=\"%s\"\n", stamp, level, text);
	}
	(void)fs_write_all(fd, buffer_cstr(&line), line.size);
}

int runtime_fail(const struct error *err)
{
	log_to_file("error", err->text);
	dprintf(2, "kihon-oci: %s\n", err->text);
	return 1;
}

/* Warnings go where errors go: an engine that names a file hands its container our stderr. The
 * descriptor is above those that --preserve-fds may name. */
static void log_begin(void)
{
	enum log_level level = this_run.debug ? LOG_DEBUG : LOG_WARN;
	_cleanup_close_ int fd = -1;
	int to = -1;

	if (this_run.log) {
		fd = open(this_run.log,
		          O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
		to = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, LOG_FD);
	}
	log_setup("kihon-oci", level, to < 0 ? 2 : to, this_run.log_json ? LOG_JSON : LOG_TEXT);
}

/* ---- options before the verb ---- */

enum global { ROOT, LOG, LOG_FORMAT, SYSTEMD, MANAGER, DEBUG, IGNORED_VALUE, IGNORED };

static const struct {
	const char *name;
	enum global what;
	bool value;
} globals[] = {
    {"root", ROOT, true},
    {"log", LOG, true},
    {"log-format", LOG_FORMAT, true},
    {"systemd-cgroup", SYSTEMD, false},
    {"cgroup-manager", MANAGER, true},
    {"debug", DEBUG, false},
    {"criu", IGNORED_VALUE, true},
    {"rootless", IGNORED_VALUE, true},
    {"log-level", IGNORED_VALUE, true},
};

static int apply(enum global what, const char *value, struct error *err)
{
	switch (what) {
	case ROOT:
		this_run.root = value;
		return 0;
	case LOG:
		/* crun takes "file:PATH" too. */
		this_run.log = str_starts(value, "file:") ? value + 5 : value;
		return 0;
	case LOG_FORMAT:
		this_run.log_json = strcmp(value, "json") == 0;
		if (!this_run.log_json && strcmp(value, "text") != 0)
			break;
		return 0;
	case SYSTEMD:
		this_run.cgroups = CGROUP_SYSTEMD;
		return 0;
	case MANAGER:
		if (strcmp(value, "cgroupfs") == 0)
			this_run.cgroups = CGROUP_FS;
		else if (strcmp(value, "systemd") == 0)
			this_run.cgroups = CGROUP_SYSTEMD;
		else if (strcmp(value, "disabled") == 0)
			this_run.cgroups = CGROUP_DISABLED;
		else
			break;
		return 0;
	case DEBUG:
		this_run.debug = true;
		return 0;
	case IGNORED_VALUE:
	case IGNORED:
		return 0;
	}
	return error_set_kind(err, ERROR_USAGE, EINVAL, "\"%s\" is not a value of this option",
	                      value);
}

/* Returns how many arguments were taken, or a negative errno. An option that is not global
 * is left for the verb's parser (--help, --version). */
static int parse_globals(int argc, char **argv, struct error *err)
{
	int i = 1;

	while (i < argc && str_starts(argv[i], "--") && argv[i][2]) {
		const char *name = argv[i] + 2, *eq = strchr(name, '=');
		size_t n = eq ? (size_t)(eq - name) : strlen(name), k = 0, all;
		const char *value = eq ? eq + 1 : NULL;

		all = sizeof(globals) / sizeof(globals[0]);
		while (k < all &&
		       (strlen(globals[k].name) != n || strncmp(globals[k].name, name, n) != 0))
			k++;
		if (k == all)
			break;
		if (globals[k].value && !value) {
			if (++i == argc)
				return error_set_kind(err, ERROR_USAGE, EINVAL,
				                      "option --%s needs a value", name);
			value = argv[i];
		}
		if (apply(globals[k].what, value, err) < 0)
			return error_prefix(err, -EINVAL, "option --%s", globals[k].name);
		i++;
	}
	return i - 1;
}

/* Verbs of other runtimes that need CRIU, whatever their options. */
static bool needs_criu(const char *verb, struct error *err)
{
	if (!verb || (strcmp(verb, "checkpoint") != 0 && strcmp(verb, "restore") != 0))
		return false;
	error_set_kind(err, ERROR_ENVIRONMENT, ENOTSUP,
	               "%s is not supported: containers are not saved and restored here", verb);
	return true;
}

/* Root of a user namespace is a user without rights over /run: rootless engines make themselves
 * that before they call us. (A user's XDG_RUNTIME_DIR may also be left in root's environment, by
 * su.) */
static bool is_real_root(void)
{
	_cleanup_buffer_ struct buffer map = BUFFER_INIT;
	unsigned long long inside, outside, n;

	if (geteuid() != 0)
		return false;
	return fs_read_file(AT_FDCWD, "/proc/self/uid_map", 4096, &map, NULL) < 0 ||
	       sscanf(buffer_cstr(&map), "%llu %llu %llu", &inside, &outside, &n) != 3 ||
	       n == UINT32_MAX;
}

static const char *default_root(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	static char path[512];

	if (str_empty(dir) || this_run.real_root)
		return "/run/kihon-oci";
	snprintf(path, sizeof(path), "%s/kihon-oci", dir);
	return path;
}

static const char details[] =
    "Options before the verb:\n"
    "  --root DIR               folder of the containers' records (/run/kihon-oci, or\n"
    "                           $XDG_RUNTIME_DIR/kihon-oci for who is not root or is it\n"
    "                           in a user namespace only)\n"
    "  --log FILE               append errors to this file too\n"
    "  --log-format text|json   how (text)\n"
    "  --systemd-cgroup         linux.cgroupsPath is of the form slice:prefix:name; the\n"
    "                           directories are made in cgroupfs, systemd is not asked\n"
    "  --cgroup-manager NAME    cgroupfs, systemd (as above) or disabled: no cgroup at all\n"
    "  --debug                  more words on stderr\n"
    "Control groups are version 2 only.\n\n"
    "Exit status: 0, the container's own (run, exec), 1 for every error (exec: 255), 2 for "
    "usage.\n";

/* In the lines by which engines know a runtime. */
static int print_version(void)
{
	printf("kihon-oci version %s\nspec: %s\n", KIHON_VERSION, OCI_SPEC_VERSION);
	return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	const struct verb verbs[] = {create_verb, start_verb,    run_verb,    exec_verb,
	                             state_verb,  kill_verb,     delete_verb, list_verb,
	                             ps_verb,     pause_verb,    resume_verb, update_verb,
	                             events_verb, features_verb, spec_verb,   {0}};
	const struct program program = {.name = "kihon-oci",
	                                .summary = "run OCI containers",
	                                .details = details,
	                                .verbs = verbs};
	struct error err = ERROR_INIT;
	int taken;

	self_protect(argc, argv);
	this_run.real_root = is_real_root();
	this_run.root = default_root();
	taken = parse_globals(argc, argv, &err);
	if (taken < 0) {
		runtime_fail(&err);
		return 2;
	}
	log_begin();
	if (argv[taken + 1] &&
	    (strcmp(argv[taken + 1], "-v") == 0 || strcmp(argv[taken + 1], "--version") == 0))
		return print_version();
	if (needs_criu(argv[taken + 1], &err))
		return runtime_fail(&err);
	argv[taken] = argv[0];
	return program_main(&program, argc - taken, argv + taken);
}
