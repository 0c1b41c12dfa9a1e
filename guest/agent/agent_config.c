/* SPDX-License-Identifier: Apache-2.0 */
/* agent_config: one table of settings, read from words, environment and TOML alike. */
#include "guest/agent/agent_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/toml.h"

#define CONFIG_FILE_MAX 65536u

enum setting_type { SET_TEXT, SET_LEVEL, SET_U32, SET_SECONDS, SET_BYTES, SET_FLAG, SET_EOF };

static const struct setting {
	const char *key; /* "agent.KEY" as a kernel word, KEY in the file */
	const char *env; /* NULL: none */
	enum setting_type type;
	size_t offset;
	size_t size; /* of a text */
} settings[] = {
#define AT(m) offsetof(struct agent_config, m)
#define SZ(m) sizeof(((struct agent_config *)0)->m)
    {"server_addr", "KATA_AGENT_SERVER_ADDR", SET_TEXT, AT(server_addr), SZ(server_addr)},
    {"log", "KATA_AGENT_LOG_LEVEL", SET_LEVEL, AT(log_level), 0},
    {"log_level", NULL, SET_LEVEL, AT(log_level), 0}, /* the file's name for it */
    {"log_vport", NULL, SET_U32, AT(log_vport), 0},
    {"debug_console", NULL, SET_FLAG, AT(debug_console), 0},
    {"debug_console_vport", NULL, SET_U32, AT(debug_console_vport), 0},
    {"passfd_listener_port", NULL, SET_U32, AT(passfd_listener_port), 0},
    {"hotplug_timeout", NULL, SET_SECONDS, AT(hotplug_timeout_ms), 0},
    {"image_pull_timeout", NULL, SET_SECONDS, AT(image_pull_timeout_ms), 0},
    {"launch_process_timeout", NULL, SET_SECONDS, AT(launch_timeout_ms), 0},
    {"container_pipe_size", NULL, SET_BYTES, AT(container_pipe_size), 0},
    {"policy_file", "KATA_AGENT_POLICY_FILE", SET_TEXT, AT(policy_file), SZ(policy_file)},
    {"image_puller", NULL, SET_TEXT, AT(image_puller), SZ(image_puller)}, /* ours */
    {"tracer", NULL, SET_TEXT, AT(tracer), SZ(tracer)},                   /* ours */
    {"eof", NULL, SET_EOF, AT(eof), 0}, /* ours: "error" or "empty" */
#undef AT
#undef SZ
};

void agent_config_defaults(struct agent_config *c)
{
	*c = (struct agent_config){
	    .server_addr = AGENT_DEFAULT_ADDRESS,
	    .image_puller = AGENT_IMAGE_PULLER,
	    .tracer = AGENT_TRACER,
	    .policy_file = AGENT_POLICY_FILE,
	    .log_level = LOG_INFO,
	    .hotplug_timeout_ms = 3000,
	    .image_pull_timeout_ms = 1200000,
	    .launch_timeout_ms = 60000,
	};
}

static int set_text(const struct setting *s, void *at, const char *value)
{
	size_t n = strlen(value);

	if (n >= s->size)
		return -ERANGE;
	memcpy(at, value, n + 1);
	return 0;
}

static int set_flag(bool *at, const char *value)
{
	uint64_t n;

	if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0) {
		*at = *value == 't';
		return 0;
	}
	if (parse_u64(value, &n) < 0)
		return -EINVAL;
	*at = n != 0;
	return 0;
}

static int set_seconds(uint64_t *at, const char *value)
{
	uint64_t n;
	int r = parse_u64(value, &n);

	if (r < 0)
		return r;
	if (n == 0 || n > 86400 * 365)
		return -ERANGE;
	*at = n * 1000;
	return 0;
}

static int set_eof(enum agent_eof *at, const char *value)
{
	if (strcmp(value, "error") == 0)
		*at = AGENT_EOF_ERROR;
	else if (strcmp(value, "empty") == 0)
		*at = AGENT_EOF_EMPTY;
	else
		return -EINVAL;
	return 0;
}

static int set_value(struct agent_config *c, const struct setting *s, const char *value)
{
	void *at = (char *)c + s->offset;

	switch (s->type) {
	case SET_TEXT:
		return set_text(s, at, value);
	case SET_LEVEL:
		return log_level_parse(value, at);
	case SET_U32:
		return parse_u32(value, at);
	case SET_SECONDS:
		return set_seconds(at, value);
	case SET_BYTES:
		return parse_u64(value, at);
	case SET_FLAG:
		return set_flag(at, value);
	case SET_EOF:
		return set_eof(at, value);
	}
	return -EINVAL;
}

static int set_named(struct agent_config *c, const struct setting *s, const char *value,
                     const char *where, struct error *err)
{
	if (set_value(c, s, value) == 0)
		return 0;
	return error_set_kind(err, ERROR_INPUT, EINVAL, "%s: %s=%s is not a value it can have",
	                      where, s->key, value);
}

#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))

static int all_words(struct agent_config *c, const struct cmdline *words, struct error *err)
{
	for (size_t i = 0; i < N_SETTINGS; i++) {
		char key[64];
		const struct cmdline_word *w;
		const char *value;
		int r;

		snprintf(key, sizeof(key), "agent.%s", settings[i].key);
		w = cmdline_find(words, key);
		if (!w)
			continue;
		value = w->value ? w->value : settings[i].type == SET_FLAG ? "true" : "";
		r = set_named(c, &settings[i], value, "kernel command line", err);
		if (r < 0)
			return r;
	}
	return 0;
}

int agent_config_words(struct agent_config *c, const struct cmdline *words, struct error *err)
{
	const char *file = cmdline_value(words, "agent.config_file");

	if (file)
		return agent_config_file(c, file, err);
	return all_words(c, words, err);
}

int agent_config_env(struct agent_config *c, struct error *err)
{
	for (size_t i = 0; i < N_SETTINGS; i++) {
		const char *value = settings[i].env ? getenv(settings[i].env) : NULL;
		int r = value ? set_named(c, &settings[i], value, settings[i].env, err) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* The text of a TOML value, as a kernel word would have it. */
static const char *value_text(const cJSON *v, char *room, size_t size)
{
	if (cJSON_IsString(v))
		return v->valuestring;
	if (cJSON_IsBool(v))
		return cJSON_IsTrue(v) ? "true" : "false";
	if (cJSON_IsNumber(v) && v->valuedouble >= 0) {
		snprintf(room, size, "%.0f", v->valuedouble);
		return room;
	}
	return NULL;
}

int agent_config_file(struct agent_config *c, const char *path, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_cjson_ cJSON *doc = NULL;
	int r = fs_read_file(AT_FDCWD, path, CONFIG_FILE_MAX, &text, err);

	if (r < 0)
		return r;
	r = toml_parse(buffer_cstr(&text), text.size, CONFIG_FILE_MAX, path, &doc, err);
	if (r < 0)
		return r;
	agent_config_defaults(c);
	for (size_t i = 0; i < N_SETTINGS; i++) {
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(doc, settings[i].key);
		char room[32];
		const char *value = value_text(v, room, sizeof(room));

		if (!v)
			continue;
		r = set_named(c, &settings[i], value ? value : "(that)", path, err);
		if (r < 0)
			return r;
	}
	return 0;
}
