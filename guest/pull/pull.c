/* SPDX-License-Identifier: Apache-2.0 */
/* pull: `kihon-pull pull`: options in, JSON out. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "guest/pull/sandbox.h"
#include "guest/pull/verbs.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/image/http.h"
#include "lib/image/pull.h"

#define MEMORY_MAX        (1536ull << 20)
#define ROOM_FOR_METADATA (1ull << 30) /* in a layer's file, besides content */

struct options {
	const char *store, *config, *ca, *auth, *policy, *platform;
	bool json, no_system_ca;
	uint32_t progress_fd, max_entries;
	uint64_t max_size, timeout_ms;
	struct strv plain_http;
};

#define AT(member) offsetof(struct options, member)

static const struct option options[] = {
    {"store", 0, OPTION_STRING, AT(store), "DIR", NULL,
     "Where the layers go: DIR/layers/sha256-....erofs. Layers that are there are used."},
    {"config", 0, OPTION_STRING, AT(config), "DIR", NULL,
     "Folder with cdh.toml, auth.json and policy.json, as init-data brings them."},
    {"ca", 0, OPTION_STRING, AT(ca), "FILE", NULL, "Certificates (PEM) to trust in addition."},
    {"no-system-ca", 0, OPTION_FLAG, AT(no_system_ca), NULL, NULL,
     "Do not trust the certificates of this system."},
    {"authfile", 0, OPTION_STRING, AT(auth), "FILE", NULL,
     "Credentials, as {\"auths\":{\"HOST\":{\"auth\":BASE64}}}."},
    {"policy", 0, OPTION_STRING, AT(policy), "FILE", NULL,
     "Image policy (containers-policy.json). Without one every image is taken."},
    {"plain-http", 0, OPTION_LIST, AT(plain_http), "HOST", NULL,
     "Speak HTTP without TLS to HOST[:PORT]."},
    {"platform", 0, OPTION_STRING, AT(platform), "OS/ARCH", NULL,
     "What to choose from an index. Default: linux and this machine's."},
    {"max-unpacked", 0, OPTION_SIZE, AT(max_size), "SIZE", NULL,
     "Most bytes of files in one layer (default 64G)."},
    {"max-files", 0, OPTION_U32, AT(max_entries), "N", NULL,
     "Most files in one layer (default 1000000)."},
    {"timeout", 0, OPTION_DURATION, AT(timeout_ms), "TIME", NULL,
     "Give up after this time (default: never)."},
    {"progress-fd", 0, OPTION_U32, AT(progress_fd), "N", NULL,
     "Write a line of JSON to this descriptor now and then."},
    {"json", 0, OPTION_FLAG, AT(json), NULL, NULL, "Print the result as one JSON object."},
    {0},
};

/* ---- interruption: the only state of the process besides its stack */

static atomic_bool stop;
static volatile sig_atomic_t stopped_by;

static void on_signal(int signo)
{
	stopped_by = signo;
	atomic_store(&stop, true);
}

static void catch_signals(uint64_t timeout_ms)
{
	const struct sigaction sa = {.sa_handler = on_signal};
	const struct itimerval timer = {
	    .it_value = {(time_t)(timeout_ms / 1000), (suseconds_t)(timeout_ms % 1000 * 1000)}};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGALRM, &sa, NULL);
	if (timeout_ms)
		setitimer(ITIMER_REAL, &timer, NULL);
}

/* ---- output */

static void json_list(struct buffer *b, const char *key, const struct strv *list)
{
	buffer_printf(b, "\"%s\":[", key);
	for (size_t i = 0; i < list->n; i++) {
		buffer_str(b, i ? "," : "");
		buffer_json_string(b, list->v[i]);
	}
	buffer_str(b, "],");
}

static void json_result(struct buffer *b, const struct pull_result *r)
{
	const struct image_config *c = &r->config;

	buffer_printf(b, "{\"manifest_digest\":\"%s\",\"layers\":[", r->manifest.text);
	for (size_t i = 0; i < r->n_layers; i++) {
		buffer_printf(b, "%s{\"diff_id\":\"%s\",\"file\":", i ? "," : "",
		              r->layers[i].diff_id.text);
		buffer_json_string(b, r->layers[i].file);
		buffer_printf(b, ",\"size\":%llu}", (unsigned long long)r->layers[i].size);
	}
	buffer_str(b, "],\"config\":{");
	json_list(b, "entrypoint", &c->entrypoint);
	json_list(b, "cmd", &c->cmd);
	json_list(b, "env", &c->env);
	buffer_str(b, "\"working_dir\":");
	buffer_json_string(b, c->working_dir ? c->working_dir : "");
	buffer_str(b, ",\"user\":");
	buffer_json_string(b, c->user ? c->user : "");
	buffer_str(b, "}}\n");
}

static void text_result(struct buffer *b, const struct pull_result *r)
{
	buffer_printf(b, "%s\n", r->manifest.text);
	for (size_t i = 0; i < r->n_layers; i++)
		buffer_printf(b, "%s %llu\n", r->layers[i].file,
		              (unsigned long long)r->layers[i].size);
}

static int print_result(const struct pull_result *r, bool json, struct error *err)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	int e;

	(json ? json_result : text_result)(&b, r);
	e = b.failed ? -ENOMEM : fs_write_all(STDOUT_FILENO, b.data, b.size);
	return e ? error_errno(err, -e, "cannot write the result") : 0;
}

static void on_progress(void *data, const struct pull_progress *p)
{
	const struct options *o = data;
	char line[512];
	int n = snprintf(line, sizeof(line),
	                 "{\"layer\":%zu,\"layers\":%zu,\"digest\":\"%s\",\"done\":%llu,"
	                 "\"total\":%llu,\"reused\":%s,\"finished\":%s}\n",
	                 p->layer, p->n_layers, p->digest->text, (unsigned long long)p->done,
	                 (unsigned long long)p->total, p->reused ? "true" : "false",
	                 p->finished ? "true" : "false");

	fs_write_all((int)o->progress_fd, line, (size_t)n);
}

/* ---- the verb */

static int confine(const struct options *o, struct error *err)
{
	struct sandbox s = {
	    .write_dir = o->store,
	    .read = {o->config, o->ca, o->auth, o->policy, getenv("SSL_CERT_FILE")},
	    .network = true,
	    .max_memory = MEMORY_MAX,
	};

	if (__builtin_add_overflow(o->max_size, ROOM_FOR_METADATA, &s.max_file) ||
	    s.max_file > INT64_MAX)
		s.max_file = INT64_MAX;
	return sandbox_enter(&s, err);
}

static int pull(const struct options *o, const char *reference, struct error *err)
{
	const struct settings_from from = {
	    .config_dir = o->config,
	    .ca_file = o->ca,
	    .auth_file = o->auth,
	    .policy_file = o->policy,
	    .system_ca = !o->no_system_ca,
	};
	struct pull_options po = {
	    .reference = reference,
	    .plain_http = &o->plain_http,
	    .limits = {o->max_size, o->max_entries, 1 << 20},
	    .stop = &stop,
	    .progress = o->progress_fd ? on_progress : NULL,
	    .progress_data = (void *)o,
	};
	_cleanup_pull_result_ struct pull_result result = {0};
	_cleanup_settings_ struct settings settings = {0};
	_cleanup_store_ struct store *store = NULL;
	int r = 0;

	image_platform_host(&po.platform);
	if (o->platform)
		r = image_platform_parse(o->platform, &po.platform, err);
	if (!r)
		r = store_open(o->store, &store, err);
	if (!r)
		r = confine(o, err);
	if (!r)
		r = settings_load(&from, &settings, err);
	if (!r)
		r = http_init(err);
	if (r)
		return r;
	po.settings = &settings;
	po.store = store;
	r = pull_image(&po, &result, err);
	return r ? r : print_result(&result, o->json, err);
}

static int run(int argc, char **argv, void *data)
{
	const struct options *o = data;
	struct error err = ERROR_INIT;
	int r;

	if (!o->store) {
		error_set_kind(&err, ERROR_USAGE, EINVAL, "pull: --store DIR is missing");
		return program_fail(PROGRAM, &err);
	}
	catch_signals(o->timeout_ms);
	r = pull(o, argv[0], &err);
	if (!r)
		return 0;
	if (stopped_by == SIGALRM)
		error_set_kind(&err, ERROR_ENVIRONMENT, ETIMEDOUT,
		               "%s: not done after %llu s (--timeout)", argv[0],
		               (unsigned long long)o->timeout_ms / 1000);
	return program_fail(PROGRAM, &err);
}

static void defaults(void *data)
{
	const struct tar_limits limits = TAR_LIMITS_DEFAULT;
	struct options *o = data;

	o->max_size = limits.max_size;
	o->max_entries = (uint32_t)limits.max_entries;
}

static void release(void *data)
{
	strv_free(&((struct options *)data)->plain_http);
}

const struct verb verb_pull = {
    .name = "pull",
    .args = "REFERENCE",
    .summary = "pull an image",
    .details =
        "Only HTTPS is spoken unless a registry is named with --plain-http, or marked\n"
        "insecure in the configuration. Passwords are taken from files only.\n"
        "\n"
        "With --json the result is "
        "{\"manifest_digest\",\"layers\":[{\"diff_id\",\"file\",\"size\"}],\n"
        "\"config\":{\"entrypoint\",\"cmd\",\"env\",\"working_dir\",\"user\"}}, layers lowest "
        "first.\n"
        "\n"
        "Example: kihon-pull pull --store /var/lib/kihon --json docker.io/library/busybox:1.36",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run,
    .defaults = defaults,
    .release = release,
    .data_size = sizeof(struct options),
};
