/* SPDX-License-Identifier: Apache-2.0 */
/* diff_rules: what a gate lets through. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "image-tool/diff.h"

static const char *const topics[DIFF_TOPICS] = {
    [DIFF_MEMBERS] = "members",   [DIFF_CMDLINE] = "cmdline", [DIFF_KERNEL] = "kernel",
    [DIFF_PACKAGES] = "packages", [DIFF_FILES] = "files",
};

struct rule {
	const char *word;
	bool size, any;
	enum diff_topic topic; /* of neither */
	bool percent;
	uint64_t limit; /* growth in bytes or percent */
};

static int bad_rule(const char *word, struct error *err)
{
	return error_set_kind(err, ERROR_USAGE, EINVAL,
	                      "--fail-on: \"%s\" is no rule; the rules are: %s", word, DIFF_RULES);
}

/* "size" alone: any growth. */
static int parse_size_rule(const char *word, struct rule *out, struct error *err)
{
	_cleanup_free_ char *number = NULL;
	size_t n = strlen(word);
	int e;

	out->size = true;
	if (word[4] == 0)
		return 0;
	if (word[4] != '+' || n < 6)
		return bad_rule(word, err);
	out->percent = word[n - 1] == '%';
	number = strndup(word + 5, n - 5 - out->percent);
	if (!number)
		return error_set(err, ENOMEM, "no memory for the rules");
	e = out->percent ? parse_u64(number, &out->limit) : parse_size(number, &out->limit);
	return e < 0 || (out->percent && out->limit > 1000000) ? bad_rule(word, err) : 0;
}

static int parse_rule(const char *word, struct rule *out, struct error *err)
{
	*out = (struct rule){.word = word};
	if (str_starts(word, "size"))
		return parse_size_rule(word, out, err);
	if (strcmp(word, "any") == 0) {
		out->any = true;
		return 0;
	}
	for (size_t i = 0; i < DIFF_TOPICS; i++)
		if (strcmp(word, topics[i]) == 0) {
			out->topic = (enum diff_topic)i;
			return 0;
		}
	return bad_rule(word, err);
}

static int split(const char *rules, struct strv *out, struct error *err)
{
	if (strv_split(out, rules, ",") < 0)
		return error_set(err, ENOMEM, "no memory for the rules");
	return out->n > 0 ? 0 : bad_rule(rules, err);
}

int diff_rules_check(const char *rules, struct error *err)
{
	_cleanup_strv_ struct strv words = STRV_INIT;
	struct rule rule;
	int e = split(rules, &words, err);

	for (size_t i = 0; e == 0 && i < words.n; i++)
		e = parse_rule(words.v[i], &rule, err);
	return e;
}

/* Sizes are below 2^53 by far: a percentage of them may be a double. */
static bool too_large(const struct rule *rule, const struct diff *d)
{
	uint64_t growth = d->size_b > d->size_a ? d->size_b - d->size_a : 0;

	if (!rule->percent)
		return growth > rule->limit;
	return (double)growth * 100 > (double)d->size_a * (double)rule->limit;
}

static uint64_t differences(const struct rule *rule, const struct diff *d)
{
	uint64_t n = 0;

	if (!rule->any)
		return d->counts[rule->topic];
	for (size_t i = 0; i < DIFF_TOPICS; i++)
		n += d->counts[i];
	return n;
}

int diff_rules_apply(const char *rules, struct diff *d, struct buffer *hit, struct error *err)
{
	_cleanup_strv_ struct strv words = STRV_INIT;
	int hits = 0, e = split(rules, &words, err);

	if (e < 0)
		return e;
	report_list(d->r, "rules");
	for (size_t i = 0; i < words.n; i++) {
		struct rule rule;
		bool is_hit;

		e = parse_rule(words.v[i], &rule, err);
		if (e < 0)
			return e;
		is_hit = rule.size ? too_large(&rule, d) : differences(&rule, d) > 0;
		report_item(d->r, "%-12s %s", rule.word, is_hit ? "hit" : "holds");
		report_string(d->r, "rule", rule.word);
		report_flag(d->r, "hit", is_hit);
		report_end(d->r);
		if (!is_hit)
			continue;
		buffer_printf(hit, "%s%s (", hits++ ? ", " : "", rule.word);
		if (rule.size)
			buffer_printf(hit, "%" PRIu64 " bytes became %" PRIu64 ")", d->size_a,
			              d->size_b);
		else
			buffer_printf(hit, "%" PRIu64 " differences)", differences(&rule, d));
	}
	report_end(d->r);
	return hits;
}
