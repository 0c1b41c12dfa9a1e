/* SPDX-License-Identifier: Apache-2.0 */
/* kconfig: reads and compares the configurations of kernels. */
#include "lib/guestimg/kconfig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"

#define PREFIX        "CONFIG_"
#define PREFIX_LENGTH (sizeof(PREFIX) - 1)
#define UNSET         " is not set"

/* By hand: thousands of lines are looked at each time a guest starts. */
static size_t name_length(const char *s)
{
	size_t n = 0;

	while ((s[n] >= 'A' && s[n] <= 'Z') || (s[n] >= '0' && s[n] <= '9') || s[n] == '_' ||
	       (s[n] >= 'a' && s[n] <= 'z'))
		n++;
	return n;
}

static int by_name(const void *a, const void *b)
{
	const struct kconfig_symbol *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ?: (x->line > y->line) - (x->line < y->line);
}

/* y, m, n, a decimal or hexadecimal number, "text". */
static bool value_valid(const char *v)
{
	size_t n = strlen(v);

	if (strcmp(v, "y") == 0 || strcmp(v, "m") == 0 || strcmp(v, "n") == 0)
		return true;
	if (v[0] == '"')
		return n >= 2 && v[n - 1] == '"';
	if (str_starts(v, "0x"))
		return n > 2 && strspn(v + 2, "0123456789abcdefABCDEF") == n - 2;
	v += v[0] == '-';
	return *v && strspn(v, "0123456789") == strlen(v);
}

/* 1: the line names no symbol. The line is the arena's and is cut up. */
static int parse_line(char *line, struct kconfig_symbol *out)
{
	size_t n;

	if (line[0] == '#' && line[1] == ' ' && str_starts(line + 2, PREFIX)) {
		line += 2 + PREFIX_LENGTH;
		n = name_length(line);
		if (n == 0 || strcmp(line + n, UNSET) != 0)
			return 1;
		line[n] = 0;
		*out = (struct kconfig_symbol){line, "n", out->line};
		return 0;
	}
	if (line[0] == '#' || line[strspn(line, " \t")] == 0)
		return 1;
	if (!str_starts(line, PREFIX))
		return -EINVAL;
	line += PREFIX_LENGTH;
	n = name_length(line);
	if (n == 0 || line[n] != '=' || !value_valid(line + n + 1))
		return -EINVAL;
	line[n] = 0;
	*out = (struct kconfig_symbol){line, line + n + 1, out->line};
	return 0;
}

/* Sorted; of each name the last line is left, unless it says n. */
static void settle(struct kconfig *config)
{
	struct kconfig_symbol *s = config->symbols;
	size_t kept = 0;

	if (config->n > 0)
		qsort(s, config->n, sizeof(*s), by_name);
	for (size_t i = 0; i < config->n; i++) {
		bool last = i + 1 == config->n || strcmp(s[i].name, s[i + 1].name) != 0;

		if (last && strcmp(s[i].value, "n") != 0)
			s[kept++] = s[i];
	}
	config->n = kept;
}

static size_t count_lines(const char *text, size_t size)
{
	size_t n = 1;

	for (const char *p = text; (p = memchr(p, '\n', size - (size_t)(p - text))); p++)
		n++;
	return n;
}

/* The text is cut up. */
static int each_line(char *text, const char *what,
                     void (*fn)(const struct kconfig_symbol *s, void *data), void *data,
                     struct error *err)
{
	struct kconfig_symbol s = {.line = 0};
	char *save = text, *line;

	while ((line = strsep(&save, "\n"))) {
		int r;

		s.line++;
		r = parse_line(line, &s);
		if (r < 0)
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "%s line %zu: '%.60s' is no line of a kernel "
			                      "configuration (CONFIG_NAME=value)",
			                      what, s.line, line);
		if (r == 0)
			fn(&s, data);
	}
	return 0;
}

static void add_symbol(const struct kconfig_symbol *s, void *data)
{
	struct kconfig *config = data;

	config->symbols[config->n++] = *s;
}

static int check_text(const char *text, size_t size, const char *what, struct error *err)
{
	if (size > KCONFIG_MAX_SIZE || count_lines(text, size) > KCONFIG_MAX_SYMBOLS)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "%s is too long for a kernel configuration", what);
	if (memchr(text, 0, size))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s is no kernel configuration: it holds NUL bytes", what);
	return 0;
}

int kconfig_parse(const char *text, size_t size, const char *what, struct kconfig **out,
                  struct error *err)
{
	_cleanup_kconfig_ struct kconfig *config = calloc(1, sizeof(*config));
	char *copy;
	int r;

	if (!config)
		return error_set(err, ENOMEM, "no memory to read %s", what);
	r = check_text(text, size, what, err);
	if (r < 0)
		return r;
	copy = arena_strndup(&config->arena, text, size);
	config->symbols =
	    arena_new_array(&config->arena, count_lines(text, size), struct kconfig_symbol);
	if (!copy || !config->symbols)
		return error_set(err, ENOMEM, "no memory to read %s", what);
	r = each_line(copy, what, add_symbol, config, err);
	if (r < 0)
		return r;
	settle(config);
	*out = steal_ptr(&config);
	return 0;
}

int kconfig_load(int dirfd, const char *path, struct kconfig **out, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	int r = fs_read_file(dirfd, path, KCONFIG_MAX_SIZE, &text, err);

	return r < 0 ? r : kconfig_parse(buffer_cstr(&text), text.size, path, out, err);
}

struct looking {
	struct kconfig_wanted *wanted;
	size_t n;
};

/* The last line of a name counts. */
static void look_at(const struct kconfig_symbol *s, void *data)
{
	const struct looking *l = data;

	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->wanted[i].name, s->name) == 0)
			l->wanted[i].built_in = strcmp(s->value, "y") == 0;
}

int kconfig_look_up(int dirfd, const char *path, struct kconfig_wanted *wanted, size_t n,
                    struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct looking l = {wanted, n};
	int r = fs_read_file(dirfd, path, KCONFIG_MAX_SIZE, &text, err);

	if (r == 0)
		r = check_text(buffer_cstr(&text), text.size, path, err);
	return r < 0 ? r : each_line((char *)text.data, path, look_at, &l, err);
}

void kconfig_free(struct kconfig *config)
{
	if (!config)
		return;
	arena_free(&config->arena);
	free(config);
}

static const char *find_value(const struct kconfig *config, const char *name)
{
	size_t low = 0, high = config->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int r = strcmp(name, config->symbols[mid].name);

		if (r == 0)
			return config->symbols[mid].value;
		if (r < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* A symbol may itself be called CONFIG_SOMETHING. */
const char *kconfig_value(const struct kconfig *config, const char *name)
{
	const char *value = find_value(config, name);

	if (!value && str_starts(name, PREFIX))
		value = find_value(config, name + PREFIX_LENGTH);
	return value ?: "n";
}

int kconfig_diff(const struct kconfig *a, const struct kconfig *b, kconfig_diff_fn fn, void *data)
{
	size_t i = 0, j = 0;
	int r = 0;

	while (r >= 0 && (i < a->n || j < b->n)) {
		int order = i == a->n   ? 1
		            : j == b->n ? -1
		                        : strcmp(a->symbols[i].name, b->symbols[j].name);
		const char *name = order <= 0 ? a->symbols[i].name : b->symbols[j].name;
		const char *x = order <= 0 ? a->symbols[i++].value : "n";
		const char *y = order >= 0 ? b->symbols[j++].value : "n";

		if (strcmp(x, y) != 0)
			r = fn(name, x, y, data);
	}
	return r < 0 ? r : 0;
}
