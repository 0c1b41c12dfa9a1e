/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-toml: what is taken for TOML is a tree that can be printed; strings survive quoting. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void quote_and_read(const uint8_t *data, size_t size)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	_cleanup_cjson_ cJSON *root = NULL;
	struct error err = ERROR_INIT;
	const char *back;

	buffer_str(&b, "k = ");
	if (toml_quote(&b, data, size))
		return;
	if (toml_parse(buffer_cstr(&b), b.size, SIZE_MAX, "quoted", &root, &err) ||
	    json_string(root, "k", true, &back, "quoted", &err) || strlen(back) != size ||
	    memcmp(back, data, size))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	cJSON *root = NULL;
	int r = toml_parse((const char *)data, size, 1 << 20, "fuzz", &root, &err);
	char *text;

	if (r && (!err.text[0] || strchr(err.text, '\n') || root))
		abort();
	if (!r) {
		text = cJSON_PrintUnformatted(root);
		if (!text)
			abort();
		free(text);
		cJSON_Delete(root);
	}
	quote_and_read(data, size);
	return 0;
}
