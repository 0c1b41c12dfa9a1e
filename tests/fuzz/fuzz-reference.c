/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-reference: what is taken for an image's name reads the same again, and is safe in an
 * address. */
#include <stdlib.h>
#include <string.h>

#include "lib/oci/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	char once[REFERENCE_TEXT_MAX], twice[REFERENCE_TEXT_MAX];
	struct error err = ERROR_INIT;
	struct reference ref, again;

	if (reference_parse(text, &ref, &err)) {
		if (!err.text[0])
			abort();
	} else {
		reference_text(&ref, once);
		if (reference_parse(once, &again, &err) ||
		    strcmp(once, reference_text(&again, twice)))
			abort();
		if (strpbrk(once, " \t\r\n?#%\\\"'<>") || strstr(ref.repository, "..") ||
		    strchr(ref.host, '/') || strchr(reference_version(&ref), '/'))
			abort();
	}
	free(text);
	return 0;
}
