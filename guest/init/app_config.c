/* SPDX-License-Identifier: Apache-2.0 */
/* app_config: one table of keys for the file's lines and the kernel's words. */
#include "app_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ITEMS 1024 /* arguments and variables together */

void app_config_free(struct app_config *a)
{
	strv_free(&a->argv);
	strv_free(&a->env);
	free(a->cwd);
	*a = (struct app_config)APP_CONFIG_INIT;
}

static int set_exec(struct app_config *a, const char *value)
{
	if (value[0] != '/')
		return -EINVAL;
	strv_free(&a->argv);
	a->argv = (struct strv)STRV_INIT;
	return strv_add(&a->argv, value);
}

static int add_arg(struct app_config *a, const char *value)
{
	if (a->argv.n == 0 || a->argv.n + a->env.n >= MAX_ITEMS)
		return -EINVAL;
	return strv_add(&a->argv, value);
}

static int add_env(struct app_config *a, const char *value)
{
	const char *eq = strchr(value, '=');

	if (!eq || eq == value || a->argv.n + a->env.n >= MAX_ITEMS)
		return -EINVAL;
	return strv_add(&a->env, value);
}

static int set_cwd(struct app_config *a, const char *value)
{
	char *copy;

	if (value[0] != '/')
		return -EINVAL;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(a->cwd);
	a->cwd = copy;
	return 0;
}

static int set_user(struct app_config *a, const char *value)
{
	const char *colon = strchr(value, ':');
	uint32_t uid, gid;
	char text[16];

	if (!colon || (size_t)(colon - value) >= sizeof(text))
		return -EINVAL;
	memcpy(text, value, (size_t)(colon - value));
	text[colon - value] = '\0';
	/* (uid_t)-1 means "leave as it is" to the kernel, which is never what was meant. */
	if (parse_u32(text, &uid) < 0 || parse_u32(colon + 1, &gid) < 0 || uid == UINT32_MAX ||
	    gid == UINT32_MAX)
		return -EINVAL;
	a->uid = uid;
	a->gid = gid;
	a->has_user = true;
	return 0;
}

static const struct {
	const char *key, *word, *wants;
	int (*set)(struct app_config *a, const char *value);
} keys[] = {
    /* exec first: its words must be seen before those of arg. */
    {"exec", "kihon.exec", "an absolute path", set_exec},
    {"arg", "kihon.arg", "an argument, after exec", add_arg},
    {"env", "kihon.env", "NAME=VALUE", add_env},
    {"cwd", "kihon.cwd", "an absolute path", set_cwd},
    {"user", "kihon.user", "UID:GID in numbers", set_user},
};

/* Undoes \n and \\ in place; false for any other escape. */
static bool unescape(char *s)
{
	char *to = s;

	for (; *s; s++, to++) {
		*to = *s;
		if (*s != '\\')
			continue;
		s++;
		if (*s != 'n' && *s != '\\')
			return false;
		*to = *s == 'n' ? '\n' : '\\';
	}
	*to = '\0';
	return true;
}

static int parse_line(struct app_config *a, char *line, unsigned int number, struct error *err)
{
	char *value = strchr(line, ' ');
	int r = -EINVAL;

	if (value)
		*value++ = '\0';
	else
		value = line + strlen(line);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (strcmp(line, keys[i].key) != 0)
			continue;
		if (unescape(value))
			r = keys[i].set(a, value);
		if (r == -ENOMEM)
			return error_set(err, ENOMEM, "line %u: out of memory", number);
		if (r < 0)
			return error_set_kind(err, ERROR_INPUT, -r, "line %u: %s wants %s", number,
			                      keys[i].key, keys[i].wants);
		return 0;
	}
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "line %u: unknown key \"%.32s\"; known are exec, arg, env, cwd, user",
	                      number, line);
}

int app_config_parse(struct app_config *a, const char *text, size_t size, struct error *err)
{
	const char *end = text + size;
	unsigned int number = 0;

	if (size > APP_CONFIG_MAX)
		return error_set_kind(err, ERROR_INPUT, EFBIG, "%zu bytes, at most %d are taken",
		                      size, APP_CONFIG_MAX);
	if (memchr(text, '\0', size))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "holds a NUL byte");
	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((nl ? nl : end) - text);
		_cleanup_free_ char *line = strndup(text, n);
		int r;

		number++;
		text += n + 1;
		if (!line)
			return error_set(err, ENOMEM, "line %u: out of memory", number);
		if (!*line || *line == '#')
			continue;
		r = parse_line(a, line, number, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int app_config_words(struct app_config *a, const struct cmdline *c, struct error *err)
{
	for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++) {
		const struct cmdline_word *w;
		size_t i = 0;

		while ((w = cmdline_next(c, keys[k].word, &i))) {
			int r = keys[k].set(a, w->value ? w->value : "");

			if (r < 0)
				return error_set_kind(err, ERROR_INPUT, -r,
				                      "kernel word %s wants %s", keys[k].word,
				                      keys[k].wants);
		}
	}
	return 0;
}
