/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace: each step of a measurement, told to whoever wants to follow it, and registers that
 * are extended step by step.
 */
#pragma once

#include "lib/measure/sha.h"

/* Called in the order of the steps. `measured` is what went in (NULL: nothing with a digest
 * of its own), `value` what the register holds afterwards. */
struct measure_trace {
	void (*step)(void *data, const char *reg, const char *what, const struct blob *measured,
	             const struct blob *value);
	void *data;
};

/* t may be NULL. */
void measure_step(const struct measure_trace *t, const char *reg, const struct blob *measured,
                  const struct blob *value, const char *what, ...)
    __attribute__((format(printf, 5, 6)));

/* A register that only grows: PCR, RTMR (TPM 2.0 part 1, 17; TDX module ABI, TDG.MR.RTMR.EXTEND).
 */
struct measure_register {
	char name[16]; /* "PCR[4]" */
	enum sha_alg alg;
	uint8_t value[SHA_MAX_SIZE];
};

/* All zeros. */
void measure_register_init(struct measure_register *reg, enum sha_alg alg, const char *name, ...)
    __attribute__((format(printf, 3, 4)));
/* value = H(value || digest); digest has sha_size(reg->alg) bytes. */
int measure_extend(struct measure_register *reg, const uint8_t *digest,
                   const struct measure_trace *t, const char *what, struct error *err);
