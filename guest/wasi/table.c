/* SPDX-License-Identifier: Apache-2.0 */
/* table: descriptors and rights. */
#include "guest/wasi/table.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/wasi/errno.h"

#define ANY_RIGHTS                                                                                 \
	(WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_POLL_FD_READWRITE)
#define STREAM_RIGHTS (ANY_RIGHTS | WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE)
#define FILE_ONLY_RIGHTS                                                                           \
	(WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_TELL |      \
	 WASI_RIGHT_FD_ADVISE | WASI_RIGHT_FD_ALLOCATE | WASI_RIGHT_FD_FILESTAT_SET_SIZE)
#define SYNC_RIGHTS (WASI_RIGHT_FD_SYNC | WASI_RIGHT_FD_DATASYNC)
#define FILE_RIGHTS (ANY_RIGHTS | FILE_ONLY_RIGHTS | SYNC_RIGHTS | WASI_RIGHT_FD_FILESTAT_SET_TIMES)
#define PATH_RIGHTS                                                                                \
	(WASI_RIGHT_PATH_CREATE_DIRECTORY | WASI_RIGHT_PATH_CREATE_FILE |                          \
	 WASI_RIGHT_PATH_LINK_SOURCE | WASI_RIGHT_PATH_LINK_TARGET | WASI_RIGHT_PATH_OPEN |        \
	 WASI_RIGHT_FD_READDIR | WASI_RIGHT_PATH_READLINK | WASI_RIGHT_PATH_RENAME_SOURCE |        \
	 WASI_RIGHT_PATH_RENAME_TARGET | WASI_RIGHT_PATH_FILESTAT_GET |                            \
	 WASI_RIGHT_PATH_FILESTAT_SET_SIZE | WASI_RIGHT_PATH_FILESTAT_SET_TIMES |                  \
	 WASI_RIGHT_PATH_SYMLINK | WASI_RIGHT_PATH_REMOVE_DIRECTORY | WASI_RIGHT_PATH_UNLINK_FILE)
#define DIRECTORY_RIGHTS (ANY_RIGHTS | PATH_RIGHTS | SYNC_RIGHTS | WASI_RIGHT_FD_FILESTAT_SET_TIMES)
#define SOCKET_RIGHTS    (STREAM_RIGHTS | WASI_RIGHT_SOCK_SHUTDOWN | WASI_RIGHT_SOCK_ACCEPT)

static const uint64_t type_rights[] = {
    [WASI_TYPE_UNKNOWN] = STREAM_RIGHTS,        [WASI_TYPE_BLOCK_DEVICE] = FILE_RIGHTS,
    [WASI_TYPE_CHARACTER_DEVICE] = FILE_RIGHTS, [WASI_TYPE_DIRECTORY] = DIRECTORY_RIGHTS,
    [WASI_TYPE_REGULAR_FILE] = FILE_RIGHTS,     [WASI_TYPE_SOCKET_DGRAM] = SOCKET_RIGHTS,
    [WASI_TYPE_SOCKET_STREAM] = SOCKET_RIGHTS,  [WASI_TYPE_SYMBOLIC_LINK] = ANY_RIGHTS,
};

uint64_t wasi_type_rights(enum wasi_filetype type)
{
	return type_rights[type];
}

enum wasi_filetype wasi_dt_type(unsigned int dt)
{
	static const uint8_t types[16] = {
	    [DT_CHR] = WASI_TYPE_CHARACTER_DEVICE, [DT_DIR] = WASI_TYPE_DIRECTORY,
	    [DT_BLK] = WASI_TYPE_BLOCK_DEVICE,     [DT_REG] = WASI_TYPE_REGULAR_FILE,
	    [DT_LNK] = WASI_TYPE_SYMBOLIC_LINK,    [DT_SOCK] = WASI_TYPE_SOCKET_STREAM,
	};

	return dt < sizeof(types) ? (enum wasi_filetype)types[dt] : WASI_TYPE_UNKNOWN;
}

enum wasi_filetype wasi_fd_type(int fd)
{
	socklen_t size = sizeof(int);
	struct stat st;
	int type = 0;

	if (fstat(fd, &st) < 0)
		return WASI_TYPE_UNKNOWN;
	if (S_ISSOCK(st.st_mode) && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
	    type == SOCK_DGRAM)
		return WASI_TYPE_SOCKET_DGRAM;
	return wasi_dt_type(IFTODT(st.st_mode));
}

uint32_t wasi_fd_get(const struct wasi *w, uint32_t fd, uint64_t rights, struct wasi_fd **out)
{
	struct wasi_fd *f;
	uint64_t missing;

	if (fd >= w->n_fds || w->fds[fd].fd < 0)
		return WASI_BADF;
	f = &w->fds[fd];
	missing = rights & ~f->base;
	if (f->type == WASI_TYPE_DIRECTORY && missing & FILE_ONLY_RIGHTS)
		return WASI_ISDIR;
	if (f->type != WASI_TYPE_DIRECTORY && missing & PATH_RIGHTS)
		return WASI_NOTDIR;
	if (missing)
		return WASI_NOTCAPABLE;
	*out = f;
	return WASI_SUCCESS;
}

static uint32_t table_grow(struct wasi *w)
{
	uint32_t n = w->n_fds ? w->n_fds * 2 : 16;
	struct wasi_fd *fds;

	if (n > WASI_FDS_MAX)
		return WASI_MFILE;
	fds = realloc(w->fds, n * sizeof(*fds));
	if (!fds)
		return WASI_NOMEM;
	for (uint32_t i = w->n_fds; i < n; i++)
		fds[i] = (struct wasi_fd){.fd = -1};
	w->fds = fds;
	w->n_fds = n;
	return WASI_SUCCESS;
}

uint32_t wasi_fd_add(struct wasi *w, int kernel_fd, uint64_t base, uint64_t inheriting,
                     uint32_t *out)
{
	enum wasi_filetype type = wasi_fd_type(kernel_fd);
	uint32_t i = 0, e;

	while (i < w->n_fds && w->fds[i].fd >= 0)
		i++;
	if (i == w->n_fds && (e = table_grow(w)) != WASI_SUCCESS) {
		close(kernel_fd);
		return e;
	}
	w->fds[i] = (struct wasi_fd){
	    .fd = kernel_fd,
	    .type = type,
	    .base = base & wasi_type_rights(type),
	    .inheriting = type == WASI_TYPE_DIRECTORY ? inheriting & WASI_RIGHTS_ALL : 0,
	};
	*out = i;
	return WASI_SUCCESS;
}

uint32_t wasi_fd_drop(struct wasi_fd *f)
{
	int null = f->fd <= STDERR_FILENO ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
	int r = null >= 0 ? dup2(null, f->fd) : close(f->fd);

	if (null >= 0)
		close(null);
	free(f->preopen);
	*f = (struct wasi_fd){.fd = -1};
	return wasi_result(r);
}
