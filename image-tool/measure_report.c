/* SPDX-License-Identifier: Apache-2.0 */
/* measure_report: prints a measurement for people, as bare lines or as JSON. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "image-tool/measure.h"
#include "image-tool/tool.h"

static void hex(struct buffer *b, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buffer_printf(b, "%02x", bytes[i]);
}

static void step_for_people(const char *reg, const char *what, const struct blob *measured,
                            const struct blob *value)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	buffer_printf(&b, "  %-8s %s\n", reg, what);
	if (measured) {
		buffer_str(&b, "           with ");
		hex(&b, measured->data, measured->size);
		buffer_str(&b, "\n");
	}
	if (value) {
		buffer_str(&b, "           now  ");
		hex(&b, value->data, value->size);
		buffer_str(&b, "\n");
	}
	fputs(buffer_cstr(&b), stdout);
}

static void json_digest(struct buffer *b, const char *name, const struct blob *d)
{
	if (!d)
		return;
	buffer_printf(b, ",\"%s\":\"", name);
	hex(b, d->data, d->size);
	buffer_str(b, "\"");
}

void measure_report_step(void *data, const char *reg, const char *what, const struct blob *measured,
                         const struct blob *value)
{
	struct measure_report *r = data;
	struct buffer *b = &r->steps;

	if (!r->o->json) {
		step_for_people(reg, what, measured, value);
		return;
	}
	buffer_str(b, b->size > 0 ? ",\n  {\"register\":" : "\n  {\"register\":");
	buffer_json_string(b, reg);
	buffer_str(b, ",\"what\":");
	buffer_json_string(b, what);
	json_digest(b, "measured", measured);
	json_digest(b, "value", value);
	buffer_str(b, "}");
}

void measure_report_value(struct measure_report *r, const char *name, const uint8_t *bytes,
                          size_t size)
{
	struct measure_value *v = &r->values[r->n_values];

	if (r->n_values == MEASURE_MAX_VALUES)
		return;
	r->n_values++;
	snprintf(v->name, sizeof(v->name), "%s", name);
	memcpy(v->bytes, bytes, size);
	v->size = size;
}

void measure_report_unknown(struct measure_report *r, const char *name, const char *why)
{
	if (r->n_unknown < MEASURE_MAX_UNKNOWN)
		r->unknown[r->n_unknown++] = (struct measure_unknown){name, why};
}

void measure_report_warning(struct measure_report *r, const char *text)
{
	if (r->n_warnings < MEASURE_MAX_WARNINGS)
		r->warnings[r->n_warnings++] = text;
}

static void file_for_people(struct buffer *b, const char *what, const struct measure_file *f)
{
	if (f->name)
		buffer_printf(b, "  %-10s %s, %zu bytes, sha256:%s\n", what, f->name, f->bytes.size,
		              f->sha256);
	else
		buffer_printf(b, "  %-10s none\n", what);
}

static void inputs_for_people(struct buffer *b, const struct measure_report *r)
{
	const struct measure_input *in = r->in;
	const char *hash = measure_root_hash(in);

	buffer_printf(b, "%s\n", r->dir);
	if (in->firmware.name)
		file_for_people(b, "firmware", &in->firmware);
	file_for_people(b, "kernel", &in->kernel);
	file_for_people(b, "initrd", &in->initrd);
	buffer_printf(b, "  %-10s %s\n", "words", in->cmdline);
	if (hash)
		buffer_printf(b, "  %-10s measured: the words have its verity root hash, %s\n",
		              "root", hash);
	else
		buffer_printf(b, "  %-10s %s\n", "root",
		              in->initrd.name ? "measured: it is the initrd" : "not measured");
	if (r->cpus.count > 0)
		buffer_printf(b,
		              "  %-10s %" PRIu32 ", %s, signature 0x%08" PRIx32
		              ", features 0x%" PRIx64 "\n",
		              "processors", r->cpus.count, r->cpus.model ?: "of no known model",
		              r->cpus.signature, r->cpus.features);
}

static void values_for_people(struct buffer *b, const struct measure_report *r, const char *indent)
{
	for (size_t i = 0; i < r->n_values; i++) {
		buffer_printf(b, "%s%-*s ", indent, *indent ? 10 : 0, r->values[i].name);
		hex(b, r->values[i].bytes, r->values[i].size);
		buffer_str(b, "\n");
	}
}

static void for_people(struct buffer *b, const struct measure_report *r)
{
	inputs_for_people(b, r);
	values_for_people(b, r, "  ");
	for (size_t i = 0; i < r->n_unknown; i++)
		buffer_printf(b, "  %-10s not predicted: %s\n", r->unknown[i].name,
		              r->unknown[i].why);
}

static void json_member(struct buffer *b, const char *name, const char *value)
{
	buffer_printf(b, " \"%s\":", name);
	if (value)
		buffer_json_string(b, value);
	else
		buffer_str(b, "null");
	buffer_str(b, ",\n");
}

static void json_file(struct buffer *b, const char *name, const struct measure_file *f)
{
	if (!f->name) {
		json_member(b, name, NULL);
		return;
	}
	buffer_printf(b, " \"%s\":{\"file\":", name);
	buffer_json_string(b, f->name);
	buffer_printf(b, ",\"size\":%zu,\"sha256\":\"%s\"},\n", f->bytes.size, f->sha256);
}

static void json_cpus(struct buffer *b, const struct measure_report *r)
{
	if (r->cpus.count == 0) {
		json_member(b, "processors", NULL);
		return;
	}
	buffer_printf(b,
	              " \"processors\":{\"count\":%" PRIu32 ",\"signature\":\"0x%08" PRIx32
	              "\",\"features\":\"0x%" PRIx64 "\",\"model\":",
	              r->cpus.count, r->cpus.signature, r->cpus.features);
	if (r->cpus.model)
		buffer_json_string(b, r->cpus.model);
	else
		buffer_str(b, "null");
	buffer_str(b, "},\n");
}

static void json_values(struct buffer *b, const struct measure_report *r)
{
	buffer_str(b, " \"measurements\":{");
	for (size_t i = 0; i < r->n_values; i++) {
		buffer_printf(b, "%s\n  \"%s\":\"", i > 0 ? "," : "", r->values[i].name);
		hex(b, r->values[i].bytes, r->values[i].size);
		buffer_str(b, "\"");
	}
	buffer_str(b, "},\n \"not_predicted\":{");
	for (size_t i = 0; i < r->n_unknown; i++) {
		buffer_printf(b, "%s\n  \"%s\":", i > 0 ? "," : "", r->unknown[i].name);
		buffer_json_string(b, r->unknown[i].why);
	}
	buffer_str(b, "},\n \"warnings\":[");
	for (size_t i = 0; i < r->n_warnings; i++) {
		buffer_str(b, i > 0 ? "," : "");
		buffer_json_string(b, r->warnings[i]);
	}
	buffer_str(b, "]");
}

static void as_json(struct buffer *b, const struct measure_report *r)
{
	const struct measure_input *in = r->in;

	buffer_str(b, "{\n \"schema\":1,\n");
	json_member(b, "image", in->img->name);
	json_member(b, "tee", r->o->tee);
	json_file(b, "firmware", &in->firmware);
	json_file(b, "kernel", &in->kernel);
	json_file(b, "initrd", &in->initrd);
	json_member(b, "cmdline", in->cmdline);
	json_member(b, "root_hash", measure_root_hash(in));
	json_cpus(b, r);
	json_values(b, r);
	if (r->o->verbose)
		buffer_printf(b, ",\n \"steps\":[%s]", buffer_cstr(&r->steps));
	buffer_str(b, "\n}\n");
}

int measure_report_print(struct measure_report *r, struct error *err)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	if (r->o->json)
		as_json(&b, r);
	else if (r->o->quiet)
		values_for_people(&b, r, "");
	else
		for_people(&b, r);
	if (b.failed || r->steps.failed)
		return error_set(err, ENOMEM, "no memory for the report");
	fputs(buffer_cstr(&b), stdout);
	if (!r->o->json && !r->o->quiet)
		for (size_t i = 0; i < r->n_warnings; i++)
			fprintf(stderr, TOOL_NAME ": warning: %s\n", r->warnings[i]);
	return 0;
}
