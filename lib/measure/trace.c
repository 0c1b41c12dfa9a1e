/* SPDX-License-Identifier: Apache-2.0 */
/* trace: steps of a measurement, and registers. */
#include "lib/measure/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void measure_step(const struct measure_trace *t, const char *reg, const struct blob *measured,
                  const struct blob *value, const char *what, ...)
{
	char text[160];
	va_list ap;

	if (!t || !t->step)
		return;
	va_start(ap, what);
	vsnprintf(text, sizeof(text), what, ap);
	va_end(ap);
	t->step(t->data, reg, text, measured, value);
}

void measure_register_init(struct measure_register *reg, enum sha_alg alg, const char *name, ...)
{
	va_list ap;

	*reg = (struct measure_register){.alg = alg};
	va_start(ap, name);
	vsnprintf(reg->name, sizeof(reg->name), name, ap);
	va_end(ap);
}

int measure_extend(struct measure_register *reg, const uint8_t *digest,
                   const struct measure_trace *t, const char *what, struct error *err)
{
	const struct blob measured = {digest, sha_size(reg->alg)};
	const struct blob value = {reg->value, sha_size(reg->alg)};
	const struct blob parts[] = {value, measured};
	int r = sha_of(reg->alg, parts, 2, reg->value, err);

	if (r == 0)
		measure_step(t, reg->name, &measured, &value, "%s", what);
	return r;
}
