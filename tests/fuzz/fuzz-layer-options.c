/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the options of layers: a driver, a type and options, each a line. What is taken keeps to
 * its bounds, and its table has one line of plain words. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "guest/agent/storage/layer_device.h"

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_table(const struct layer_verity *v)
{
	_cleanup_buffer_ struct buffer params = BUFFER_INIT;
	struct verity sane = {.data_blocks = 1, .salt_size = v->salt_size};
	uint8_t super[VERITY_SUPER_SIZE];
	uint64_t sectors = 0;

	memcpy(sane.salt, v->salt, sizeof(sane.salt));
	verity_super_format(&sane, super);
	if (layer_verity_table(v, "7:1", UINT64_C(1) << 40, super, &params, &sectors, NULL) < 0)
		return;
	if (sectors == 0 || sectors > v->hash_offset / 512 || params.size > 1024)
		abort();
	for (size_t i = 0; i < params.size; i++)
		if (!isalnum(params.data[i]) && !strchr(" :-_", params.data[i]))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *words[WORDS_MAX + 2] = {NULL}, *at = text;
	struct layer_options o;
	struct layer_mkdir dir;
	size_t n = 0;

	memcpy(text, data, size);
	text[size] = '\0';
	while (n < WORDS_MAX + 2 && at)
		words[n++] = strsep(&at, "\n");
	for (size_t i = 2; i < n; i++)
		if (layer_mkdir_parse(words[i], &dir, NULL) == 0 &&
		    (dir.path_size == 0 || dir.mode > 07777 ||
		     dir.path + dir.path_size > words[i] + strlen(words[i])))
			abort();
	if (n >= 2 && layer_options_parse(words[0], words[1], words + 2, n - 2, &o, NULL) == 0) {
		if (o.partition > LAYER_PARTITION_MAX || o.verity.root_size > LAYER_DIGEST_MAX ||
		    o.verity.salt_size > VERITY_SALT_MAX ||
		    o.layer != layer_options_is_layer(words[0], words + 2, n - 2))
			abort();
		if (o.verity.enabled)
			check_table(&o.verity);
	}
	free(text);
	return 0;
}
