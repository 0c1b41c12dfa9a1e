/* SPDX-License-Identifier: Apache-2.0 */
/* measure: what `measure` works on, and what it found. Private to image-tool/measure*.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/guestimg/guestimg.h"
#include "lib/measure/trace.h"

/* As the options give it; NULL: not given. */
struct measure_options {
	const char *tee; /* "snp", "tdx", "tpm", "sev" */
	const char *firmware, *firmware_digest;
	const char *append, *cmdline, *root, *net;
	const char *vcpu_type, *cpu_sig, *guest_features;
	const char *bank, *kernel_header, *initrd_word;
	uint32_t cpus;
	uint64_t memory; /* bytes */
	bool json, verbose, quiet;
};

/* ---- input ---- */

struct measure_file {
	char *name; /* NULL: there is none */
	struct buffer bytes;
	char sha256[2 * SHA256_SIZE + 1];
};

struct measure_input {
	struct guestimg *img;
	struct measure_file firmware, kernel, initrd;
	char *cmdline;
};

/* Reads the files of the image that are measured, which must be those that image.json names
 * (-EBADMSG, kind verification), and the firmware; puts the command line together. */
int measure_input_read(struct measure_input *in, const char *dir, const struct measure_options *o,
                       struct error *err);
void measure_input_free(struct measure_input *in);
#define _cleanup_measure_input_ __attribute__((cleanup(measure_input_free)))

struct blob measure_blob(const struct measure_file *f);
/* The root file system's verity root hash when it is one of the words; else NULL. */
const char *measure_root_hash(const struct measure_input *in);

/* ---- report ---- */

#define MEASURE_MAX_VALUES   12
#define MEASURE_MAX_UNKNOWN  8
#define MEASURE_MAX_WARNINGS 4

struct measure_report {
	const char *dir;
	const struct measure_options *o;
	const struct measure_input *in;
	/* The processors; count 0: they are not measured. */
	struct {
		uint32_t count, signature;
		uint64_t features;
		const char *model; /* NULL: known by its signature only */
	} cpus;
	struct measure_value {
		char name[20];
		uint8_t bytes[SHA_MAX_SIZE];
		size_t size;
	} values[MEASURE_MAX_VALUES];
	size_t n_values;
	struct measure_unknown {
		const char *name, *why;
	} unknown[MEASURE_MAX_UNKNOWN];
	size_t n_unknown;
	const char *warnings[MEASURE_MAX_WARNINGS];
	size_t n_warnings;
	struct buffer steps; /* JSON array's inside */
};

/* For a trace: prints the step, or keeps it for the JSON. data: the report. */
void measure_report_step(void *data, const char *reg, const char *what, const struct blob *measured,
                         const struct blob *value);
void measure_report_value(struct measure_report *r, const char *name, const uint8_t *bytes,
                          size_t size);
void measure_report_unknown(struct measure_report *r, const char *name, const char *why);
void measure_report_warning(struct measure_report *r, const char *text);
/* -ENOMEM when the text does not fit into memory. */
int measure_report_print(struct measure_report *r, struct error *err);
