/* SPDX-License-Identifier: Apache-2.0 */
/* vcpu: QEMU's models of AMD processors (target/i386/cpu.c: family, model, stepping). */
#include "lib/measure/vcpu.h"

#include <errno.h>
#include <string.h>

#include "lib/base/str.h"

static const struct {
	const char *name;
	uint32_t family, model, stepping;
	uint32_t versions; /* "-v1" to this one are the same processor */
} models[] = {
    {"EPYC", 23, 1, 2, 5},       {"EPYC-IBPB", 23, 1, 2, 0},   {"EPYC-Rome", 23, 49, 0, 5},
    {"EPYC-Milan", 25, 1, 1, 3}, {"EPYC-Genoa", 25, 17, 0, 2}, {"EPYC-Turin", 26, 0, 0, 1},
};

/* AMD's CPUID specification (25481), Fn0000_0001_EAX: families from 15 up are split in two. */
static uint32_t signature(uint32_t family, uint32_t model, uint32_t stepping)
{
	return (family - 15) << 20 | (model >> 4) << 16 | 15u << 8 | (model & 15) << 4 | stepping;
}

int vcpu_signature(const char *name, uint32_t *out, struct error *err)
{
	for (size_t i = 0; i < sizeof(models) / sizeof(*models); i++) {
		const char *rest = name + strlen(models[i].name);
		uint32_t version = 0;

		if (!str_starts(name, models[i].name))
			continue;
		if (*rest && (!str_starts(rest, "-v") || parse_u32(rest + 2, &version) < 0 ||
		              version == 0 || version > models[i].versions))
			continue;
		*out = signature(models[i].family, models[i].model, models[i].stepping);
		return 0;
	}
	return error_set_kind(err, ERROR_USAGE, EINVAL,
	                      "there is no processor model \"%s\" (there are EPYC, EPYC-IBPB, "
	                      "EPYC-Rome, EPYC-Milan, EPYC-Genoa, EPYC-Turin, most with a version: "
	                      "EPYC-v4); give its signature instead: --cpu-sig 0x...",
	                      name);
}
