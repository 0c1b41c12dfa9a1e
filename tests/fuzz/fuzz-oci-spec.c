/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-oci-spec: whatever config.json holds, parsing and validating it ends. */
#include <stddef.h>
#include <stdint.h>

#include "lib/oci/runtime_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	struct oci_spec *spec = NULL;

	if (oci_spec_parse((const char *)data, size, &spec, &err) == 0)
		oci_spec_validate(spec, &err);
	oci_spec_free(spec);
	return 0;
}
