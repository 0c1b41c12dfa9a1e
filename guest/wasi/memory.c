/* SPDX-License-Identifier: Apache-2.0 */
/* memory: bounds checks on what a module points to. */
#include "guest/wasi/memory.h"

#include "lib/base/bytes.h"

uint8_t *wasi_bytes(const struct wasi *w, uint32_t at, uint64_t size)
{
	struct wasi_memory m = w->memory(w->instance);

	if (at > m.size || size > m.size - at)
		return NULL;
	return m.data + at;
}

uint32_t wasi_put_u32(const struct wasi *w, uint32_t at, uint32_t v)
{
	uint8_t *p = wasi_bytes(w, at, sizeof(v));

	if (!p)
		return WASI_FAULT;
	put_le32(p, v);
	return WASI_SUCCESS;
}

uint32_t wasi_put_u64(const struct wasi *w, uint32_t at, uint64_t v)
{
	uint8_t *p = wasi_bytes(w, at, sizeof(v));

	if (!p)
		return WASI_FAULT;
	put_le64(p, v);
	return WASI_SUCCESS;
}

uint32_t wasi_iovecs(const struct wasi *w, uint32_t at, uint32_t n,
                     struct iovec iov[WASI_IOVECS_MAX])
{
	const uint8_t *p;

	if (n > WASI_IOVECS_MAX)
		return WASI_INVAL;
	p = wasi_bytes(w, at, (uint64_t)n * WASI_IOVEC_SIZE);
	if (!p)
		return WASI_FAULT;
	for (uint32_t i = 0; i < n; i++, p += WASI_IOVEC_SIZE) {
		iov[i].iov_len = get_le32(p + 4);
		iov[i].iov_base = wasi_bytes(w, get_le32(p), iov[i].iov_len);
		if (!iov[i].iov_base)
			return WASI_FAULT;
	}
	return WASI_SUCCESS;
}
