/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-kconfig: any text is a configuration or is refused; what is found is sorted and set. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/guestimg/kconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	struct kconfig *c = NULL;

	if (kconfig_parse((const char *)data, size, "input", &c, &err) < 0)
		return 0;
	for (size_t i = 0; i < c->n; i++) {
		if (strcmp(kconfig_value(c, c->symbols[i].name), c->symbols[i].value) != 0 ||
		    (i > 0 && strcmp(c->symbols[i - 1].name, c->symbols[i].name) >= 0))
			abort();
	}
	kconfig_free(c);
	return 0;
}
