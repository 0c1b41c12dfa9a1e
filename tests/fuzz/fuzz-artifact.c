/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes an artifact's manifest: what is taken is written and taken again, as the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "lib/image/artifact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buffer_ struct buffer one = BUFFER_INIT, two = BUFFER_INIT;
	_cleanup_artifact_ struct artifact a = {0}, again = {0};

	if (artifact_parse(data, size, &a, NULL) < 0)
		return 0;
	artifact_format(&a, &one);
	if (artifact_parse(one.data, one.size, &again, NULL) < 0 || again.n_files != a.n_files)
		abort();
	artifact_format(&again, &two);
	if (one.size != two.size || memcmp(one.data, two.data, one.size) != 0)
		abort();
	return 0;
}
