/* SPDX-License-Identifier: Apache-2.0 */
/* options_help: --help, man pages and bash completion out of the option tables. */
#include "options_help.h"

#include <ctype.h>
#include <string.h>

#include "version.h"

/* "-n, --name VALUE" */
static void option_title(const struct option *o, char *out, size_t room)
{
	char letter[8] = "";

	if (o->letter)
		snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	snprintf(out, room, "%s--%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
}

/* Prints text indented, keeping its own line breaks. */
static void indented(FILE *f, const char *text, int indent)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		if (n)
			fprintf(f, "%*s%.*s\n", indent, "", (int)n, text);
		else
			fputc('\n', f);
		text += n;
		text += *text == '\n';
	}
}

static void print_options(const struct option *options, FILE *f)
{
	char title[128];

	for (const struct option *o = options; o && o->name; o++) {
		option_title(o, title, sizeof(title));
		fprintf(f, "  %s\n", title);
		indented(f, o->help, 6);
		if (o->type == OPTION_ENUM)
			fprintf(f, "      One of: %s\n", o->choices);
		if (o->type == OPTION_LIST)
			fprintf(f, "      May be given several times.\n");
	}
}

static void print_synopsis(const struct program *p, const struct verb *v, FILE *f)
{
	fprintf(f, "%s%s%s%s%s%s", p->name, v->name ? " " : "", v->name ? v->name : "",
	        v->options && v->options->name ? " [OPTION...]" : "", v->args ? " " : "",
	        v->args ? v->args : "");
}

static int verb_help(const struct program *p, const struct verb *v, FILE *f)
{
	fputs("Usage: ", f);
	print_synopsis(p, v, f);
	fprintf(f, "\n\n%s\n", v->summary ? v->summary : p->summary);
	if (v->details) {
		fputc('\n', f);
		indented(f, v->details, 0);
	}
	if (v->options && v->options->name) {
		fputs("\nOptions:\n", f);
		print_options(v->options, f);
	}
	if (!v->name && p->details) {
		fputc('\n', f);
		indented(f, p->details, 0);
	}
	return 0;
}

int options_help(const struct program *p, const struct verb *v, FILE *f)
{
	if (!v && !p->verbs)
		v = p->only;
	if (v)
		return verb_help(p, v, f);
	fprintf(f, "Usage: %s VERB [OPTION...] [ARGUMENT...]\n\n%s\n\nVerbs:\n", p->name,
	        p->summary);
	for (v = p->verbs; v->name; v++)
		fprintf(f, "  %-10s %s\n", v->name, v->summary);
	fprintf(f, "\n'%s VERB --help' describes one verb; --version prints the version.\n",
	        p->name);
	if (p->details) {
		fputc('\n', f);
		indented(f, p->details, 0);
	}
	return 0;
}

/* Text for roff: backslashes and leading dots mean nothing special. */
static void roff(FILE *f, const char *s)
{
	bool start = true;

	for (; *s; s++) {
		if (start && (*s == '.' || *s == '\''))
			fputs("\\&", f);
		if (*s == '\\')
			fputs("\\e", f);
		else if (*s == '-')
			fputs("\\-", f);
		else
			fputc(*s, f);
		start = *s == '\n';
	}
}

static void roff_block(FILE *f, const char *text)
{
	fputs(".nf\n", f);
	roff(f, text);
	fputs("\n.fi\n", f);
}

static void man_options(const struct option *options, FILE *f)
{
	char title[128];

	for (const struct option *o = options; o && o->name; o++) {
		option_title(o, title, sizeof(title));
		fputs(".TP\n.B ", f);
		roff(f, title);
		fputc('\n', f);
		roff(f, o->help);
		if (o->type == OPTION_ENUM) {
			fputs("\nOne of: ", f);
			roff(f, o->choices);
		}
		fputc('\n', f);
	}
}

static void man_verb(const struct program *p, const struct verb *v, FILE *f)
{
	fputs(".SS ", f);
	print_synopsis(p, v, f);
	fputc('\n', f);
	roff(f, v->summary ? v->summary : p->summary);
	fputc('\n', f);
	if (v->details) {
		fputs(".PP\n", f);
		roff_block(f, v->details);
	}
	man_options(v->options, f);
}

int options_man(const struct program *p, FILE *f)
{
	fprintf(f, ".TH \"%s\" 1 \"\" \"Kihon %s\"\n.SH NAME\n%s \\- ", p->name, KIHON_VERSION,
	        p->name);
	roff(f, p->summary);
	fputs("\n.SH SYNOPSIS\n", f);
	if (p->verbs) {
		fprintf(f, "%s VERB [OPTION...] [ARGUMENT...]\n.SH VERBS\n", p->name);
		for (const struct verb *v = p->verbs; v->name; v++)
			man_verb(p, v, f);
	} else {
		print_synopsis(p, p->only, f);
		fputs("\n.SH OPTIONS\n", f);
		man_options(p->only->options, f);
	}
	if (p->details) {
		fputs(".SH DETAILS\n", f);
		roff_block(f, p->details);
	}
	return 0;
}

static void completion_words(const struct option *options, FILE *f)
{
	for (const struct option *o = options; o && o->name; o++)
		fprintf(f, "--%s ", o->name);
	fputs("--help", f);
}

/* A case for each option that takes one of some words; `verb` is "*" where there are none. */
static void completion_values(const char *verb, const struct option *options, FILE *f)
{
	for (const struct option *o = options; o && o->name; o++) {
		if (o->type != OPTION_ENUM)
			continue;
		fprintf(f, "\t%s\\ --%s", verb, o->name);
		if (o->letter)
			fprintf(f, " | %s\\ -%c", verb, o->letter);
		fputs(") words='", f);
		for (const char *c = o->choices; *c; c++)
			fputc(*c == '|' ? ' ' : *c, f);
		fputs("' values=1 ;;\n", f);
	}
}

int options_completion(const struct program *p, FILE *f)
{
	char fn[64];
	size_t n = 0;

	for (const char *c = p->name; *c && n + 1 < sizeof(fn); c++)
		fn[n++] = isalnum((unsigned char)*c) ? *c : '_';
	fn[n] = '\0';
	fprintf(f,
	        "_%s() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} words= values=\n\tcase "
	        "${COMP_WORDS[1]} in\n",
	        fn);
	for (const struct verb *v = p->verbs; v && v->name; v++) {
		fprintf(f, "\t%s) words='", v->name);
		completion_words(v->options, f);
		fputs("' ;;\n", f);
	}
	fputs("\tesac\n", f);
	if (p->verbs) {
		fputs("\tif [ \"$COMP_CWORD\" -eq 1 ]; then words='", f);
		for (const struct verb *v = p->verbs; v->name; v++)
			fprintf(f, "%s ", v->name);
		fputs("--help --version'; fi\n", f);
	} else {
		fputs("\twords='", f);
		completion_words(p->only->options, f);
		fputs(" --version'\n", f);
	}
	fputs("\tcase ${COMP_WORDS[1]}\\ ${COMP_WORDS[COMP_CWORD-1]} in\n", f);
	for (const struct verb *v = p->verbs; v && v->name; v++)
		completion_values(v->name, v->options, f);
	if (!p->verbs)
		completion_values("*", p->only->options, f);
	fprintf(f,
	        "\tesac\n"
	        "\tif [ -n \"$values\" ] || [[ $cur == -* ]] || [ \"$COMP_CWORD\" -eq 1 ]; then\n"
	        "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	        "\telse\n"
	        "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	        "\tfi\n}\ncomplete -o filenames -F _%s %s\n",
	        fn, p->name);
	return 0;
}
