/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-lock: any text is an image.lock or is refused; what was read is written so that it reads the
 * same. */
#include <stdlib.h>
#include <string.h>

#include "image-tool/lock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fail(const char *line, void *data)
{
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_lock_ struct lock lock = {0}, again = {0};
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;

	if (lock_parse(&lock, (const char *)data, size, "input", NULL) < 0)
		return 0;
	lock_format(&lock, &text);
	if (lock_parse(&again, buffer_cstr(&text), text.size, "output", NULL) < 0)
		abort();
	lock_diff(&lock, &again, LOCK_ALL, fail, NULL);
	return 0;
}
