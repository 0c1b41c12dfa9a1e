/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the way from an EROFS image to ext4: whatever the image holds, it ends with an answer. */
#include <sys/mman.h>
#include <unistd.h>

#include "lib/ext4/ext4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ext4_write_opts opts = {.time = 1};
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	_cleanup_close_ int fd = memfd_create("ext4", MFD_CLOEXEC);

	if (fd >= 0 && erofs_open_memory(&image, data, size, NULL) == 0)
		ext4_write(image, fd, &opts, NULL, NULL);
	return 0;
}
