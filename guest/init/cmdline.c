/* SPDX-License-Identifier: Apache-2.0 */
/* cmdline: cuts the kernel command line into words in place, without allocating. */
#include "cmdline.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/str.h"

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r' || ch == '\v' || ch == '\f';
}

/* Takes the quote off the front, and off the end when there is one (next_arg() in the kernel). */
static char *unquote(char *s)
{
	size_t n;

	if (*s != '"')
		return s;
	s++;
	n = strlen(s);
	if (n > 0 && s[n - 1] == '"')
		s[n - 1] = '\0';
	return s;
}

static void add_word(struct cmdline *c, char *word)
{
	bool whole = *word == '"';
	char *value;

	if (c->n == CMDLINE_MAX_WORDS) {
		c->truncated = true;
		return;
	}
	word = unquote(word);
	value = strchr(word, '=');
	if (value) {
		*value++ = '\0';
		if (!whole)
			value = unquote(value);
	}
	c->words[c->n++] = (struct cmdline_word){word, value};
}

void cmdline_parse(struct cmdline *c, const uint8_t *text, size_t size)
{
	const uint8_t *nul = memchr(text, '\0', size);
	char *word = NULL;
	bool quoted = false;

	c->n = 0;
	c->truncated = false;
	if (nul)
		size = (size_t)(nul - text);
	if (size > CMDLINE_MAX) {
		size = CMDLINE_MAX;
		c->truncated = true;
	}
	memcpy(c->text, text, size);
	c->text[size] = '\0';
	for (char *p = c->text, *next; *p; p = next) {
		next = p + 1;
		if (*p == '"')
			quoted = !quoted;
		if (is_blank(*p) && !quoted) {
			*p = '\0';
			if (word)
				add_word(c, word);
			word = NULL;
		} else if (!word) {
			word = p;
		}
	}
	if (word)
		add_word(c, word);
}

int cmdline_read(struct cmdline *c, struct error *err)
{
	/* One byte more than is kept, so that a longer line is seen to be cut. */
	uint8_t text[CMDLINE_MAX + 1];
	_cleanup_close_ int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	size_t size = 0;

	cmdline_parse(c, (const uint8_t *)"", 0);
	if (fd < 0)
		return error_errno(err, errno, "open /proc/cmdline");
	while (size < sizeof(text)) {
		ssize_t n = read(fd, text + size, sizeof(text) - size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "read /proc/cmdline");
		if (n == 0)
			break;
		size += (size_t)n;
	}
	cmdline_parse(c, text, size);
	return 0;
}

static bool same_key(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		if (*a != *b && !((*a == '-' || *a == '_') && (*b == '-' || *b == '_')))
			return false;
	}
	return *a == *b;
}

const struct cmdline_word *cmdline_next(const struct cmdline *c, const char *key, size_t *i)
{
	while (*i < c->n) {
		const struct cmdline_word *w = &c->words[(*i)++];

		if (same_key(w->key, key))
			return w;
	}
	return NULL;
}

const struct cmdline_word *cmdline_find(const struct cmdline *c, const char *key)
{
	const struct cmdline_word *last = NULL, *w;
	size_t i = 0;

	while ((w = cmdline_next(c, key, &i)))
		last = w;
	return last;
}

const char *cmdline_value(const struct cmdline *c, const char *key)
{
	const struct cmdline_word *w = cmdline_find(c, key);

	return w ? w->value : NULL;
}

int cmdline_bool(const struct cmdline *c, const char *key, bool *out)
{
	const struct cmdline_word *w = cmdline_find(c, key);
	uint64_t v;

	if (!w)
		return 1;
	if (str_empty(w->value) || strcmp(w->value, "true") == 0)
		*out = true;
	else if (strcmp(w->value, "false") == 0)
		*out = false;
	else if (parse_u64(w->value, &v) == 0)
		*out = v != 0;
	else
		return -EINVAL;
	return 0;
}

int cmdline_u64(const struct cmdline *c, const char *key, uint64_t *out)
{
	const struct cmdline_word *w = cmdline_find(c, key);

	if (!w)
		return 1;
	return w->value ? parse_u64(w->value, out) : -EINVAL;
}
