/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-cmdline: any bytes as kernel command line and as init.conf. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/init/app_config.h"
#include "guest/init/cmdline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct app_config a = APP_CONFIG_INIT;
	static struct cmdline c;
	uint64_t v;
	bool b;

	cmdline_parse(&c, data, size);
	for (size_t i = 0; i < c.n; i++) {
		const char *end = c.text + sizeof(c.text);

		/* Every word lies within the text. */
		if (c.words[i].key < c.text || c.words[i].key + strlen(c.words[i].key) >= end)
			abort();
		(void)cmdline_u64(&c, c.words[i].key, &v);
		(void)cmdline_bool(&c, c.words[i].key, &b);
	}
	(void)app_config_words(&a, &c, NULL);
	(void)app_config_parse(&a, (const char *)data, size, NULL);
	app_config_free(&a);
	return 0;
}
