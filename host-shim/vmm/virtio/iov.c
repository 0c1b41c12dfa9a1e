/* SPDX-License-Identifier: Apache-2.0 */
/* iov: scattered bytes. */
#include "iov.h"

#include <stdint.h>
#include <string.h>

size_t iov_slice(const struct iovec *iov, size_t n, size_t offset, size_t len, struct iovec *out,
                 size_t max, size_t *total)
{
	size_t pieces = 0, sum = 0;

	for (size_t i = 0; i < n && sum < len && pieces < max; i++) {
		size_t take;

		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		take = iov[i].iov_len - offset;
		if (take > len - sum)
			take = len - sum;
		out[pieces++] = (struct iovec){(uint8_t *)iov[i].iov_base + offset, take};
		sum += take;
		offset = 0;
	}
	if (total)
		*total = sum;
	return pieces;
}

static size_t copy(const struct iovec *iov, size_t n, size_t offset, uint8_t *bytes, size_t len,
                   int write)
{
	size_t done = 0;

	for (size_t i = 0; i < n && done < len; i++) {
		uint8_t *at;
		size_t take;

		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		at = (uint8_t *)iov[i].iov_base + offset;
		take = iov[i].iov_len - offset;
		if (take > len - done)
			take = len - done;
		memcpy(write ? at : bytes + done, write ? bytes + done : at, take);
		done += take;
		offset = 0;
	}
	return done;
}

size_t iov_read(const struct iovec *iov, size_t n, size_t offset, void *to, size_t len)
{
	return copy(iov, n, offset, to, len, 0);
}

size_t iov_write(const struct iovec *iov, size_t n, size_t offset, const void *from, size_t len)
{
	return copy(iov, n, offset, (uint8_t *)(uintptr_t)from, len, 1);
}
