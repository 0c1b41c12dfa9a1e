/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the parameters of a confidential launch: a text that is taken gives QEMU one word for each
 * option, in which no value ends early. */
#include <stdlib.h>
#include <string.h>

#include "host-shim/hypervisor/qemu_confidential.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The rest of an option's name and value; NULL at the end. */
static const char *next_option(const char *p)
{
	for (; *p; p++) {
		if (*p != ',')
			continue;
		if (p[1] != ',')
			return p + 1;
		p++;
	}
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {
	    "id=",           "cbitpos=",       "reduced-phys-bits=", "policy=",
	    "mrowner=",      "kernel-hashes=", "session-file=",      "dh-cert-file=",
	    "host-data=",    "attributes=",    "mrconfigid=",        "quote-generation-socket.",
	    "mrownerconfig="};
	_cleanup_confidential_ struct confidential *c = NULL;
	_cleanup_strv_ struct strv args = STRV_INIT;
	_cleanup_free_ char *text = strndup((const char *)data, size);
	struct error err = ERROR_INIT;

	/* Files would be read. */
	if (!text || strstr(text, "id-"))
		return 0;
	if (confidential_parse(text, &c, &err) < 0) {
		if (!err.text[0])
			abort();
		return 0;
	}
	if (qemu_confidential_add(&args, c) != 0 || args.n != 4)
		abort();
	for (const char *p = next_option(args.v[3]); p; p = next_option(p)) {
		size_t i = 0;

		while (i < sizeof(names) / sizeof(*names) &&
		       strncmp(p, names[i], strlen(names[i])) != 0)
			i++;
		if (i == sizeof(names) / sizeof(*names))
			abort();
	}
	return 0;
}
