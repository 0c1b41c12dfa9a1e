/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-trace-event: any bytes as a record of the ring buffer; what comes out must be one line of
 * JSON. */
#include <stdlib.h>
#include <string.h>

#include "guest/trace/event.h"
#include "guest/trace/kinds.h"
#include "lib/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer b = BUFFER_INIT;
	char *text = strndup((const char *)data, size);
	uint32_t bits;
	cJSON *doc = NULL;
	int r = trace_event_write(data, size, 0, &b, NULL);

	if (r == 0) {
		const char *line = buffer_cstr(&b);

		if (b.size == 0 || b.size > TRACE_LINE_MAX || strlen(line) != b.size ||
		    strchr(line, '\n') != line + b.size - 1 || /* the only one, and the last */
		    json_parse(line, b.size, TRACE_LINE_MAX, "line", &doc, NULL) < 0)
			abort();
	} else if (b.size != 0) {
		abort();
	}
	cJSON_Delete(doc);
	if (text)
		trace_kinds_parse(text, &bits, NULL);
	free(text);
	buffer_free(&b);
	return 0;
}
