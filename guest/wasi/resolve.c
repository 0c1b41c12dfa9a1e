/* SPDX-License-Identifier: Apache-2.0 */
/* resolve: openat2 on behalf of a module. */
#include "guest/wasi/resolve.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>

#include "guest/wasi/errno.h"
#include "guest/wasi/memory.h"
#include "guest/wasi/table.h"
#include "lib/base/fs.h"
#include "lib/base/utf8.h"

/* openat2 gives up with EAGAIN when something was renamed meanwhile. */
#define RACES_MAX 100

uint32_t wasi_string(const struct wasi *w, uint32_t at, uint32_t size, char out[PATH_MAX])
{
	const uint8_t *p = wasi_bytes(w, at, size);

	if (!p)
		return WASI_FAULT;
	if (size == 0)
		return WASI_NOENT;
	if (size >= PATH_MAX)
		return WASI_NAMETOOLONG;
	if (memchr(p, 0, size))
		return WASI_INVAL;
	if (!utf8_valid(p, size))
		return WASI_ILSEQ;
	memcpy(out, p, size);
	out[size] = 0;
	return WASI_SUCCESS;
}

uint32_t wasi_resolve(const struct wasi_fd *dir, const char *path, int flags, mode_t mode, int *out)
{
	/* openat2 takes no flag that O_PATH would ignore. */
	flags |= flags & O_PATH ? O_CLOEXEC : O_CLOEXEC | O_NOCTTY;
	for (int i = 0; i < RACES_MAX; i++) {
		*out =
		    fs_openat2(dir->fd, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
		if (*out >= 0)
			return WASI_SUCCESS;
		if (errno != EAGAIN)
			break;
	}
	/* openat2(2): EXDEV, an escape was tried. */
	return errno == EXDEV ? WASI_NOTCAPABLE : wasi_errno(errno);
}

static bool is_dots(const char *part)
{
	size_t n = strcspn(part, "/");

	return (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.');
}

uint32_t wasi_resolve_parent(const struct wasi_fd *dir, char *path, int *parent, const char **last)
{
	const int flags = O_PATH | O_DIRECTORY;
	size_t end = strlen(path);
	char *slash;

	if (path[0] == '/')
		return WASI_NOTCAPABLE;
	while (end > 1 && path[end - 1] == '/')
		end--;
	slash = memrchr(path, '/', end);
	if (is_dots(slash ? slash + 1 : path)) {
		*last = ".";
		return wasi_resolve(dir, path, flags, 0, parent);
	}
	if (!slash) {
		*last = path;
		return wasi_resolve(dir, ".", flags, 0, parent);
	}
	*slash = 0;
	*last = slash + 1;
	return wasi_resolve(dir, path, flags, 0, parent);
}

uint32_t wasi_path_arguments(const struct wasi *w, uint32_t fd, uint64_t rights, uint32_t path,
                             uint32_t size, struct wasi_fd **dir, char out[PATH_MAX])
{
	uint32_t e = wasi_fd_get(w, fd, rights, dir);

	return e != WASI_SUCCESS ? e : wasi_string(w, path, size, out);
}
