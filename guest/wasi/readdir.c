/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readdir: the entries of a directory.
 *
 * A cookie is the kernel's own position after an entry, so nothing is kept between two calls and
 * a cookie stays good while the directory changes. The last entry is cut where the buffer ends:
 * a full buffer says that there is more (witx, fd_readdir).
 */
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/wasi/errno.h"
#include "guest/wasi/memory.h"
#include "guest/wasi/table.h"
#include "lib/base/bytes.h"

/* struct linux_dirent64 of getdents64(2). */
enum { D_INO = 0, D_OFF = 8, D_RECLEN = 16, D_TYPE = 18, D_NAME = 19 };

struct filling {
	uint8_t *p;
	uint32_t used, size;
};

static void fill(struct filling *f, const void *data, size_t size)
{
	size_t n = size < f->size - f->used ? size : f->size - f->used;

	memcpy(f->p + f->used, data, n);
	f->used += (uint32_t)n;
}

static void fill_entry(struct filling *f, const uint8_t *d)
{
	const char *name = (const char *)d + D_NAME;
	size_t length = strlen(name);
	uint8_t entry[WASI_DIRENT_SIZE] = {0};

	put_le64(entry, get_le64(d + D_OFF));
	put_le64(entry + 8, get_le64(d + D_INO));
	put_le32(entry + 16, (uint32_t)length);
	entry[20] = (uint8_t)wasi_dt_type(d[D_TYPE]);
	fill(f, entry, sizeof(entry));
	fill(f, name, length);
}

uint32_t wasi_fd_readdir(struct wasi *w, uint32_t fd, uint32_t buf, uint32_t size, uint64_t cookie,
                         uint32_t out)
{
	struct filling to = {.p = wasi_bytes(w, buf, size), .size = size};
	_Alignas(8) uint8_t entries[4096];
	struct wasi_fd *f;
	uint32_t e = wasi_fd_get(w, fd, WASI_RIGHT_FD_READDIR, &f);
	long n = 1;

	if (e != WASI_SUCCESS)
		return e;
	if (!to.p || !wasi_bytes(w, out, sizeof(uint32_t)))
		return WASI_FAULT;
	if (cookie > INT64_MAX || lseek(f->fd, (off_t)cookie, SEEK_SET) < 0)
		return WASI_INVAL;
	while (to.used < to.size && n > 0) {
		n = syscall(SYS_getdents64, f->fd, entries, sizeof(entries));
		if (n < 0)
			return wasi_errno(errno);
		for (long i = 0; i < n; i += get_le16(entries + i + D_RECLEN))
			fill_entry(&to, entries + i);
	}
	return wasi_put_u32(w, out, to.used);
}
