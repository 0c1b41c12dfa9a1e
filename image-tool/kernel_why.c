/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_why: who wants a symbol of the kernel's configuration, and why. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "image-tool/kconfig_tree.h"
#include "image-tool/kernel_tasks.h"
#include "lib/base/process.h"

#define ANSWER_MAX 4096u
#define PREFIX     "CONFIG_"

int kernel_ask(const struct kernel_task *t, const char *question, const char *profile,
               struct buffer *answer, struct error *err)
{
	_cleanup_buffer_ struct buffer complaint = BUFFER_INIT;
	_cleanup_strv_ struct strv argv = STRV_INIT;
	int status = 0, e = strv_addf(&argv, "%s/kernel-config/build-kernel", t->where.data);

	e = e ?: strv_add(&argv, question) ?: strv_add(&argv, "--profile") ?: strv_add(&argv, profile);
	if (t->o->source)
		e = e ?: strv_add(&argv, "--kernel-source") ?: strv_add(&argv, t->o->source);
	for (size_t i = 0; i < t->o->configs.n; i++)
		e = e ?: strv_add(&argv, "--kernel-config") ?: strv_add(&argv, t->o->configs.v[i]);
	if (e < 0)
		return error_set(err, ENOMEM, "no memory to ask build-kernel");
	e = process_run(argv.v, answer, &complaint, ANSWER_MAX, &status, err);
	if (e < 0)
		return e;
	while (answer->size > 0 && answer->data[answer->size - 1] == '\n')
		answer->data[--answer->size] = 0;
	return process_exit_code(status) == 0 && answer->size > 0 ? 0 : 1;
}

/* ---------------------------------------------------------------- fragments */

/* Profiles in which this very line decides, blanks between. */
static void profiles_of(const struct kernel_catalogue *c, const struct fragment_line *line,
                        struct buffer *in_effect, struct buffer *overridden)
{
	for (size_t i = 0; i < c->n_profiles; i++) {
		const struct kernel_profile *p = &c->profiles[i];
		const struct fragment *decides = NULL;
		const struct fragment_line *found = kernel_profile_line(p, line->symbol, &decides);
		bool has = false;

		for (size_t j = 0; j < p->n && !has; j++)
			for (size_t k = 0; k < p->fragments[j]->n && !has; k++)
				has = &p->fragments[j]->lines[k] == line;
		if (has)
			buffer_printf(found == line ? in_effect : overridden, " %s", p->name);
	}
}

static void report_line_of(struct kernel_task *t, const struct fragment *f,
                           const struct fragment_line *line)
{
	_cleanup_buffer_ struct buffer in_effect = BUFFER_INIT, overridden = BUFFER_INIT;
	const char *yes, *no;

	profiles_of(t->catalogue, line, &in_effect, &overridden);
	yes = in_effect.size > 0 ? buffer_cstr(&in_effect) + 1 : NULL;
	no = overridden.size > 0 ? buffer_cstr(&overridden) + 1 : NULL;
	report_item(t->r, "%s=%s by fragment %s, line %zu%s%s", line->symbol, line->value, f->name,
	            line->number, line->since ? ", since Linux " : "", line->since ?: "");
	report_string(t->r, "fragment", f->name);
	report_number(t->r, "line", line->number);
	report_string(t->r, "value", line->value);
	report_string(t->r, "since", line->since);
	report_string(t->r, "reason", line->reason);
	report_string(t->r, "profiles", yes);
	report_string(t->r, "overridden_in", no);
	report_end(t->r);
	if (line->reason)
		report_line(t->r, "      why          %s", line->reason);
	report_line(t->r, "      in profiles  %s", yes ?: "none");
	if (no)
		report_line(t->r, "      replaced in  %s", no);
}

static size_t report_fragments(struct kernel_task *t, const char *symbol)
{
	const struct kernel_catalogue *c = t->catalogue;
	size_t n = 0;

	report_list(t->r, "fragments");
	for (size_t i = 0; i < c->n_fragments; i++)
		for (size_t j = 0; j < c->fragments[i]->n; j++)
			if (strcmp(c->fragments[i]->lines[j].symbol, symbol) == 0) {
				report_line_of(t, c->fragments[i], &c->fragments[i]->lines[j]);
				n++;
			}
	report_end(t->r);
	return n;
}

/* ---------------------------------------------------------------- the kernel and its Kconfig */

/* The configuration of the profile's kernel as it came out; 1: there is none in the cache. */
static int load_final(struct kernel_task *t, const char *symbol, struct kconfig **config,
                      struct error *err)
{
	_cleanup_buffer_ struct buffer dir = BUFFER_INIT;
	_cleanup_free_ char *path = NULL;
	int e = kernel_ask(t, "--cached", t->o->profile, &dir, err);

	if (e != 0)
		return e;
	path = str_printf("%s/" KCONFIG_FILE, buffer_cstr(&dir));
	if (!path)
		return error_set(err, ENOMEM, "no memory to read the kernel's configuration");
	e = kconfig_load(AT_FDCWD, path, config, err);
	if (e < 0)
		return e;
	report_object(t->r, "kernel");
	report_string(t->r, "profile", t->o->profile);
	report_string(t->r, "value", kconfig_value(*config, symbol));
	report_end(t->r);
	return 0;
}

static void report_statements(struct kernel_task *t, const char *list,
                              const struct kconfig_statement *st, size_t n,
                              const struct kconfig *config)
{
	report_list(t->r, list);
	for (size_t i = 0; i < n; i++) {
		_cleanup_buffer_ struct buffer text = BUFFER_INIT;
		const char *value = config ? kconfig_value(config, st[i].symbol) : NULL;
		bool selects =
		    strcmp(st[i].statement, "select") == 0 || strcmp(st[i].statement, "imply") == 0;

		/* With a final configuration only those that are set can have done it. */
		if (selects && value && strcmp(value, "n") == 0)
			continue;
		report_quote(&text, st[i].text);
		if (selects)
			report_item(t->r, "%s%s%s (%s%s%s; %s line %zu)", st[i].symbol,
			            value ? "=" : "", value ?: "", st[i].statement,
			            text.size > 0 ? "s it if " : "s it", buffer_cstr(&text),
			            st[i].file, st[i].line);
		else
			report_item(t->r, "%s %s (%s line %zu)", st[i].statement,
			            buffer_cstr(&text), st[i].file, st[i].line);
		report_string(t->r, "symbol", selects ? st[i].symbol : NULL);
		report_string(t->r, "value", selects ? value : NULL);
		report_string(t->r, "statement", st[i].statement);
		report_string(t->r, selects ? "condition" : "text",
		              st[i].text[0] ? st[i].text : NULL);
		report_string(t->r, "file", st[i].file);
		report_number(t->r, "line", st[i].line);
		report_end(t->r);
	}
	report_end(t->r);
}

/* 1: there is no source to look into. */
static int report_kconfig(struct kernel_task *t, const char *symbol, const struct kconfig *config,
                          bool *known, struct error *err)
{
	_cleanup_kconfig_origin_ struct kconfig_origin *origin = NULL;
	_cleanup_buffer_ struct buffer tree = BUFFER_INIT;
	int e = kernel_ask(t, "--source-tree", t->o->profile, &tree, err);

	if (e == 0)
		e = kconfig_tree_find(buffer_cstr(&tree), symbol + strlen(PREFIX), &origin, err);
	if (e != 0)
		return e;
	*known = origin->defined > 0;
	report_statements(t, "selected_by", origin->selects, origin->n_selects, config);
	report_statements(t, "kconfig", origin->own, origin->n_own, NULL);
	return 0;
}

int kernel_why(struct kernel_task *t, struct error *err)
{
	_cleanup_kconfig_ struct kconfig *config = NULL;
	_cleanup_free_ char *symbol =
	    str_printf("%s%s", str_starts(t->o->why, PREFIX) ? "" : PREFIX, t->o->why);
	bool known = true;
	size_t named;
	int e;

	if (!symbol)
		return error_set(err, ENOMEM, "no memory to look for a symbol");
	if (strspn(symbol, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") !=
	        strlen(symbol) ||
	    strcmp(symbol, PREFIX) == 0)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--why: \"%s\" is no name of a symbol", t->o->why);
	report_string(t->r, "symbol", symbol);
	named = report_fragments(t, symbol);
	if (named == 0)
		report_line(t->r, "  no fragment names it");
	e = load_final(t, symbol, &config, err);
	if (e > 0)
		report_line(t->r,
		            "  the kernel of profile %s is not in the cache: what came of it is "
		            "not known",
		            t->o->profile);
	if (e >= 0)
		e = report_kconfig(t, symbol, config, &known, err);
	if (e > 0)
		report_line(t->r,
		            "  the kernel's source is not unpacked: what selects it is not known");
	if (e == 0 && !known && named == 0)
		return error_set_kind(err, ERROR_INPUT, ENOENT,
		                      "%s is no symbol of this kernel: neither a fragment nor its "
		                      "Kconfig knows it",
		                      symbol);
	return e < 0 ? e : 0;
}
