/* SPDX-License-Identifier: Apache-2.0 */
/* options: parsing of command lines by table. Help and completion: options_help.c. */
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options_help.h"
#include "version.h"

/* Where parsing stands. */
struct parse {
	const struct program *program;
	const struct verb *verb;
	char **argv; /* behind the verb */
	int argc;
	int i;
	void *data;
	char **positional; /* room for argc + 1 */
	int n_positional;
};

#define EXIT_USAGE 2

static int usage(const struct parse *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int usage(const struct parse *p, const char *fmt, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20)
			*c = ' ';
	if (p->verb && p->verb->name)
		fprintf(stderr, "%s %s: %s; see '%s %s --help'\n", p->program->name, p->verb->name,
		        text, p->program->name, p->verb->name);
	else
		fprintf(stderr, "%s: %s; see '%s --help'\n", p->program->name, text,
		        p->program->name);
	return EXIT_USAGE;
}

static bool is_choice(const char *choices, const char *value)
{
	size_t n = strlen(value);

	for (const char *c = choices; *c;) {
		size_t k = strcspn(c, "|");

		if (k == n && memcmp(c, value, n) == 0)
			return true;
		c += k;
		c += *c == '|';
	}
	return false;
}

static int take_value(const struct parse *p, const struct option *o, const char *value)
{
	void *where = (char *)p->data + o->offset;
	int r = 0;

	switch (o->type) {
	case OPTION_FLAG:
		*(bool *)where = true;
		return 0;
	case OPTION_ENUM:
		if (!is_choice(o->choices, value))
			return usage(p, "--%s takes one of %s, not \"%s\"", o->name, o->choices,
			             value);
		*(const char **)where = value;
		return 0;
	case OPTION_STRING:
		*(const char **)where = value;
		return 0;
	case OPTION_LIST:
		if (strv_add(where, value) < 0)
			return usage(p, "no memory");
		return 0;
	case OPTION_U32:
		r = parse_u32(value, where);
		break;
	case OPTION_SIZE:
		r = parse_size(value, where);
		break;
	case OPTION_DURATION:
		r = parse_duration_ms(value, where);
		break;
	}
	if (r == 0)
		return 0;
	return usage(p, "--%s: \"%s\" is not %s%s", o->name, value,
	             o->type == OPTION_U32    ? "a whole number"
	             : o->type == OPTION_SIZE ? "a size such as 64M or 2G"
	                                      : "a duration such as 500ms, 30s or 5m",
	             r == -ERANGE ? " in range" : "");
}

static const struct option *find_long(const struct verb *v, const char *name, size_t n)
{
	for (const struct option *o = v->options; o && o->name; o++)
		if (strlen(o->name) == n && memcmp(o->name, name, n) == 0)
			return o;
	return NULL;
}

static const struct option *find_letter(const struct verb *v, char letter)
{
	for (const struct option *o = v->options; o && o->name; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

static int parse_long(struct parse *p, const char *arg)
{
	size_t n = strcspn(arg, "=");
	const struct option *o = find_long(p->verb, arg, n);
	const char *value = arg[n] == '=' ? arg + n + 1 : NULL;

	if (!o)
		return usage(p, "unknown option --%.*s", (int)n, arg);
	if (o->type == OPTION_FLAG)
		return value ? usage(p, "--%s takes no value", o->name) : take_value(p, o, NULL);
	if (!value) {
		if (p->i >= p->argc)
			return usage(p, "--%s needs a value (%s)", o->name, o->arg);
		value = p->argv[p->i++];
	}
	return take_value(p, o, value);
}

static int parse_letters(struct parse *p, const char *arg)
{
	for (; *arg; arg++) {
		const struct option *o = find_letter(p->verb, *arg);
		int r;

		if (!o)
			return usage(p, "unknown option -%c", *arg);
		if (o->type == OPTION_FLAG) {
			r = take_value(p, o, NULL);
			if (r)
				return r;
			continue;
		}
		if (arg[1])
			return take_value(p, o, arg + 1);
		if (p->i >= p->argc)
			return usage(p, "-%c needs a value (%s)", *arg, o->arg);
		return take_value(p, o, p->argv[p->i++]);
	}
	return 0;
}

/* 0 go on, -1 help was asked for, positive exit status. */
static int parse_args(struct parse *p)
{
	bool only_positional = false;
	int r;

	while (p->i < p->argc) {
		char *arg = p->argv[p->i++];

		if (only_positional || arg[0] != '-' || arg[1] == '\0') {
			p->positional[p->n_positional++] = arg;
			only_positional = only_positional || p->verb->stop_at_first;
			continue;
		}
		if (strcmp(arg, "--") == 0) {
			only_positional = true;
			continue;
		}
		if (strcmp(arg, "--help") == 0 ||
		    (strcmp(arg, "-h") == 0 && !find_letter(p->verb, 'h')))
			return -1;
		r = arg[1] == '-' ? parse_long(p, arg + 2) : parse_letters(p, arg + 1);
		if (r)
			return r;
	}
	p->positional[p->n_positional] = NULL;
	if ((unsigned int)p->n_positional < p->verb->min_args)
		return usage(p, "too few arguments, expected %s", p->verb->args);
	if ((unsigned int)p->n_positional > p->verb->max_args)
		return usage(p, "unexpected argument \"%s\"", p->positional[p->verb->max_args]);
	return 0;
}

static int run_verb(const struct program *program, const struct verb *verb, int argc, char **argv)
{
	_cleanup_free_ void *data = calloc(1, verb->data_size ? verb->data_size : 1);
	_cleanup_free_ char **positional = calloc((size_t)argc + 1, sizeof(char *));
	struct parse p = {
	    .program = program,
	    .verb = verb,
	    .argv = argv,
	    .argc = argc,
	    .data = data,
	    .positional = positional,
	};
	int r;

	if (!data || !positional)
		return usage(&p, "no memory");
	if (verb->defaults)
		verb->defaults(data);
	r = parse_args(&p);
	if (r < 0)
		r = options_help(program, verb, stdout);
	else if (r == 0)
		r = verb->run(p.n_positional, positional, data);
	if (verb->release)
		verb->release(data);
	return r;
}

static const struct verb *find_verb(const struct program *p, const char *name)
{
	for (const struct verb *v = p->verbs; v && v->name; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

/* What every program answers by itself. -1: none of these. */
static int standard_request(const struct program *p, int argc, char **argv)
{
	const char *arg = argc > 1 ? argv[1] : "";
	const struct verb *v;

	if (strcmp(arg, "--version") == 0) {
		printf("%s %s\n", p->name, KIHON_VERSION);
		return 0;
	}
	if (strcmp(arg, "--completion-bash") == 0)
		return options_completion(p, stdout);
	if (strcmp(arg, "--man") == 0)
		return options_man(p, stdout);
	if (!p->verbs)
		return -1;
	if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0 ||
	    (strcmp(arg, "help") == 0 && argc == 2))
		return options_help(p, NULL, stdout);
	if (strcmp(arg, "help") == 0 && (v = find_verb(p, argv[2])))
		return options_help(p, v, stdout);
	return -1;
}

/* A closed one would be given to the first file that is opened, and then be taken for standard
 * output, say. /dev/null for reading: writes fail as they do on a closed one. */
static void hold_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int run_program(const struct program *p, int argc, char **argv)
{
	struct parse none = {.program = p};
	const struct verb *v;
	int r = standard_request(p, argc, argv);

	if (r >= 0)
		return r;
	if (!p->verbs)
		return run_verb(p, p->only, argc - 1, argv + 1);
	if (argc < 2)
		return usage(&none, "a verb is missing");
	v = find_verb(p, strcmp(argv[1], "help") == 0 && argc > 2 ? argv[2] : argv[1]);
	if (!v)
		return argv[1][0] == '-' ? usage(&none, "unknown option %s", argv[1])
		                         : usage(&none, "unknown verb \"%s\"",
		                                 strcmp(argv[1], "help") == 0 ? argv[2] : argv[1]);
	return run_verb(p, v, argc - 2, argv + 2);
}

int program_main(const struct program *p, int argc, char **argv)
{
	int r;

	hold_standard_descriptors();
	r = run_program(p, argc, argv);
	errno = 0;
	if ((fflush(stdout) == 0 && !ferror(stdout)) || r != 0)
		return r;
	fprintf(stderr, "%s: cannot write to standard output: %s\n", p->name,
	        errno ? strerror(errno) : "not all of it was taken");
	return p->output_status ? p->output_status : 4;
}

int program_fail(const char *name, const struct error *err)
{
	static const int status[] = {
	    [ERROR_FAILED] = 1,      [ERROR_USAGE] = 2,        [ERROR_INPUT] = 3,
	    [ERROR_ENVIRONMENT] = 4, [ERROR_VERIFICATION] = 5,
	};

	fprintf(stderr, "%s: %s\n", name, err->text[0] ? err->text : "failed");
	return status[err->kind];
}
