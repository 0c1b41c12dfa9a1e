/* SPDX-License-Identifier: Apache-2.0 */
/* kconfig_tree: reads the Kconfig files of a Linux source tree for one symbol. */
#include "image-tool/kconfig_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define FILE_MAX       (1u << 20)
#define MAX_FILES      8192u
#define MAX_STATEMENTS 4096u
#define TAB            8u

struct search {
	struct kconfig_origin *o;
	const char *symbol;
	struct strv files; /* to be read; those before `next` have been */
	struct strv ends;  /* words that end the block of a symbol */
	size_t next;
	struct error *err;
};

/* Where the reading of one file stands. */
struct place_in {
	const char *file;
	size_t line;
	const char *config; /* the symbol whose block it is; NULL: of none */
	bool help;          /* inside a help text */
	size_t help_column; /* of its first line; 0: not seen yet */
};

static int no_memory(struct search *s)
{
	return error_set(s->err, ENOMEM, "no memory to read Kconfig");
}

static size_t column_of(const char *line, const char **text)
{
	size_t column = 0;

	for (; *line == ' ' || *line == '\t'; line++)
		column = *line == '\t' ? (column / TAB + 1) * TAB : column + 1;
	*text = line;
	return column;
}

/* The word at *text, which is moved behind it and the blanks that follow. */
static const char *take_word(struct search *s, const char **text)
{
	size_t n = strcspn(*text, " \t");
	const char *word = arena_strndup(&s->o->arena, *text, n);

	*text += n;
	*text += strspn(*text, " \t");
	return word ?: "";
}

static int add(struct search *s, struct kconfig_statement **list, size_t *n,
               struct kconfig_statement st)
{
	if (*n == MAX_STATEMENTS)
		return 0;
	if (!*list)
		*list = arena_new_array(&s->o->arena, MAX_STATEMENTS, struct kconfig_statement);
	if (!*list)
		return no_memory(s);
	st.text = arena_strdup(&s->o->arena, st.text);
	(*list)[(*n)++] = st;
	return 0;
}

/* source "path", where $(SRCARCH) is x86; other variables name nothing of ours. */
static int take_source(struct search *s, const char *text)
{
	static const char variable[] = "$(SRCARCH)";
	_cleanup_buffer_ struct buffer path = BUFFER_INIT;
	size_t n;

	if (*text != '"')
		return 0;
	text++;
	n = strcspn(text, "\"");
	while (n > 0 && *text != '"') {
		if (str_starts(text, variable)) {
			buffer_str(&path, "x86");
			text += sizeof(variable) - 1;
		} else {
			buffer_append(&path, text++, 1);
		}
	}
	if (path.failed)
		return no_memory(s);
	if (path.size == 0 || strchr(buffer_cstr(&path), '$') ||
	    strv_has(&s->files, buffer_cstr(&path)) || s->files.n >= MAX_FILES)
		return 0;
	return strv_add(&s->files, buffer_cstr(&path)) < 0 ? no_memory(s) : 0;
}

static int take_select(struct search *s, const struct place_in *at, const char *word,
                       const char *text)
{
	struct kconfig_statement st = {at->config, word, "", at->file, at->line};
	const char *target = take_word(s, &text);

	if (strcmp(target, s->symbol) != 0)
		return 0;
	if (str_starts(text, "if "))
		st.text = text + 3;
	return add(s, &s->o->selects, &s->o->n_selects, st);
}

/* Statements of a block, and the word that they are told under. */
static const struct word {
	const char *word, *statement;
} words[] = {
    {"depends", "depends on"},   {"default", "default"}, {"def_bool", "default"},
    {"def_tristate", "default"}, {"prompt", "prompt"},   {"bool", "prompt"},
    {"tristate", "prompt"},      {"int", "prompt"},      {"hex", "prompt"},
    {"string", "prompt"},
};

static int take_own(struct search *s, const struct place_in *at, const char *word, const char *text)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(words[i].word, word) != 0)
			continue;
		if (str_starts(text, "on ") && strcmp(word, "depends") == 0)
			text += 3 + strspn(text + 3, " \t");
		if (!*text)
			return 0; /* a type without a prompt */
		return add(s, &s->o->own, &s->o->n_own,
		           (struct kconfig_statement){at->config, words[i].statement, text,
		                                      at->file, at->line});
	}
	return 0;
}

/* 1: the line belongs to a help text. */
static int in_help(struct place_in *at, size_t column, const char *text)
{
	if (!at->help)
		return 0;
	if (!*text)
		return 1;
	if (at->help_column == 0 && column > 0)
		at->help_column = column;
	if (column > 0 && column >= at->help_column)
		return 1;
	at->help = false;
	return 0;
}

static int take_line(struct search *s, struct place_in *at, const char *line)
{
	const char *text, *word;
	size_t column = column_of(line, &text);

	if (in_help(at, column, text) || *text == '#' || !*text)
		return 0;
	word = take_word(s, &text);
	if (strcmp(word, "help") == 0 || strcmp(word, "---help---") == 0) {
		at->help = true;
		at->help_column = 0;
		return 0;
	}
	if (strcmp(word, "config") == 0 || strcmp(word, "menuconfig") == 0) {
		at->config = take_word(s, &text);
		s->o->defined += strcmp(at->config, s->symbol) == 0;
		return 0;
	}
	if (strcmp(word, "source") == 0)
		return take_source(s, text);
	if (strv_has(&s->ends, word))
		at->config = NULL;
	if (!at->config)
		return 0;
	if (strcmp(word, "select") == 0 || strcmp(word, "imply") == 0)
		return take_select(s, at, word, text);
	return strcmp(at->config, s->symbol) == 0 ? take_own(s, at, word, text) : 0;
}

/* Lines that end in a backslash go on in the next. */
static int read_lines(struct search *s, struct place_in *at, char *text)
{
	_cleanup_buffer_ struct buffer whole = BUFFER_INIT;
	char *line;
	int e = 0;

	while (e == 0 && (line = strsep(&text, "\n"))) {
		size_t n = strlen(line);
		bool more = n > 0 && line[n - 1] == '\\';

		at->line++;
		buffer_append(&whole, line, n - more);
		if (more)
			continue;
		e = take_line(s, at, buffer_cstr(&whole));
		buffer_clear(&whole);
		buffer_str(&whole, "");
	}
	return whole.failed ? no_memory(s) : e;
}

/* Files that are not there are for others: tools of a release, code of other trees. */
static int read_file(struct search *s, int root, const char *path)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_close_ int fd = fs_open_in_root(root, path, O_RDONLY | O_CLOEXEC, 0);
	struct place_in at = {.file = path};

	if (fd < 0 || fs_read_fd(fd, FILE_MAX, &text) < 0 || text.size == 0)
		return 0;
	return read_lines(s, &at, (char *)text.data);
}

int kconfig_tree_find(const char *tree, const char *symbol, struct kconfig_origin **out,
                      struct error *err)
{
	_cleanup_kconfig_origin_ struct kconfig_origin *o = calloc(1, sizeof(*o));
	_cleanup_close_ int root = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct search s = {.o = o, .symbol = symbol, .err = err};
	int e = 0;

	if (!o)
		return no_memory(&s);
	if (root < 0 || faccessat(root, "Kconfig", R_OK, 0) < 0)
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
		                      "%s is no Linux source: there is no Kconfig", tree);
	e = strv_add(&s.files, "Kconfig") < 0 ||
	            strv_split(&s.ends, "menu endmenu choice endchoice if endif comment mainmenu",
	                       " ") < 0
	        ? no_memory(&s)
	        : 0;
	while (e == 0 && s.next < s.files.n) {
		const char *path = arena_strdup(&o->arena, s.files.v[s.next++]);

		e = path ? read_file(&s, root, path) : no_memory(&s);
	}
	strv_free(&s.files);
	strv_free(&s.ends);
	if (e < 0 || o->arena.failed)
		return e < 0 ? e : no_memory(&s);
	*out = steal_ptr(&o);
	return 0;
}

void kconfig_origin_free(struct kconfig_origin *o)
{
	if (!o)
		return;
	arena_free(&o->arena);
	free(o);
}
