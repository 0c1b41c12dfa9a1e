/* SPDX-License-Identifier: Apache-2.0 */
/* pack_words: a command as people write it, in words. */
#include "image-tool/pack_words.h"

#include <errno.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/json.h"

#define COMMAND_MAX 65536

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory for a command");
}

static int copy(const struct strv *from, struct strv *to, struct error *err)
{
	for (size_t i = 0; i < from->n; i++)
		if (strv_add(to, from->v[i]) < 0)
			return no_memory(err);
	return 0;
}

static int from_json(const char *text, struct strv *out, struct error *err)
{
	_cleanup_cjson_ cJSON *doc = NULL;
	const cJSON *item;
	int r = json_parse(text, strlen(text), COMMAND_MAX, "--cmd", &doc, err);

	if (r < 0) {
		if (err)
			err->kind = ERROR_USAGE;
		return r;
	}
	cJSON_ArrayForEach(item, doc)
	{
		if (!cJSON_IsString(item))
			return error_set_kind(err, ERROR_USAGE, EINVAL,
			                      "--cmd: the JSON array holds something else than "
			                      "strings");
		if (strv_add(out, item->valuestring) < 0)
			return no_memory(err);
	}
	return 0;
}

/* One word at *at (POSIX shell, 2.2 Quoting); false when a quote is open at the end. */
static bool take_word(const char **at, struct buffer *word)
{
	const char *s = *at;
	char quote = 0;

	for (; *s && (quote || !strchr(" \t\n", *s)); s++) {
		if (quote && *s == quote)
			quote = 0;
		else if (!quote && (*s == '\'' || *s == '"'))
			quote = *s;
		else if (*s == '\\' && quote != '\'' && s[1] && (!quote || strchr("\"\\$`", s[1])))
			buffer_append(word, ++s, 1);
		else
			buffer_append(word, s, 1);
	}
	*at = s;
	return !quote;
}

static int split(const char *text, struct strv *out, struct error *err)
{
	for (const char *at = text + strspn(text, " \t\n"); *at; at += strspn(at, " \t\n")) {
		_cleanup_buffer_ struct buffer word = BUFFER_INIT;

		if (!take_word(&at, &word))
			return error_set_kind(err, ERROR_USAGE, EINVAL,
			                      "--cmd %s: a quote is not closed", text);
		if (word.failed || strv_add(out, buffer_cstr(&word)) < 0)
			return no_memory(err);
	}
	return 0;
}

int pack_words(const struct strv *cmd, const struct strv *plain, struct strv *out,
               struct error *err)
{
	int r;

	if (cmd->n > 0 && plain->n > 0)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--cmd and a command behind SOURCE: one of them, please");
	if (cmd->n != 1)
		return copy(cmd->n > 0 ? cmd : plain, out, err);
	r = cmd->v[0][0] == '[' ? from_json(cmd->v[0], out, err) : split(cmd->v[0], out, err);
	if (r == 0 && out->n == 0)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "--cmd is empty");
	return r;
}
