/* SPDX-License-Identifier: Apache-2.0 */
/* discard: memory of the guest's that it does not need goes back to the host. */
#include "discard.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

int discard_pages(void *host, size_t size)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)host;
	uintptr_t first = (at + page - 1) & ~(page - 1), end = (at + size) & ~(page - 1);

	if (first >= end)
		return 0;
	/* MADV_REMOVE is for shared mappings only, and says so. */
	if (madvise((void *)first, end - first, MADV_REMOVE) == 0)
		return 0;
	if (errno != EINVAL && errno != EACCES)
		return -errno;
	return madvise((void *)first, end - first, MADV_DONTNEED) < 0 ? -errno : 0;
}
