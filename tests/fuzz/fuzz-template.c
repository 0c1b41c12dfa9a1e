/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes template.json: what is taken is written and read again as the same. */
#include <stdlib.h>
#include <string.h>

#include "host-shim/hypervisor/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	static struct vm_template t, again;
	struct error err = ERROR_INIT;

	if (template_parse((const char *)data, size, &t, &err) < 0) {
		if (!err.text[0] || strchr(err.text, '\n'))
			abort();
		return 0;
	}
	template_format(&t, &text);
	if (!text.failed && template_parse((const char *)text.data, text.size, &again, &err) < 0 &&
	    text.size <= TEMPLATE_MAX_SIZE)
		abort();
	return 0;
}
