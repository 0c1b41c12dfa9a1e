/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes image.json: what is taken is written and taken again, as the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "lib/guestimg/guestimg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_guestimg_ struct guestimg *img = NULL, *again = NULL;
	_cleanup_buffer_ struct buffer one = BUFFER_INIT, two = BUFFER_INIT;

	if (guestimg_parse((const char *)data, size, &img, NULL) < 0)
		return 0;
	guestimg_format(img, &one);
	if (guestimg_parse((const char *)one.data, one.size, &again, NULL) < 0)
		abort();
	guestimg_format(again, &two);
	if (one.size != two.size || memcmp(one.data, two.data, one.size) != 0)
		abort();
	return 0;
}
