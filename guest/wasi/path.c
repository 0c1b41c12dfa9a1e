/* SPDX-License-Identifier: Apache-2.0 */
/* path: functions on a path below a directory. */
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "guest/wasi/errno.h"
#include "guest/wasi/filestat.h"
#include "guest/wasi/flags.h"
#include "guest/wasi/memory.h"
#include "guest/wasi/resolve.h"
#include "guest/wasi/table.h"
#include "lib/base/cleanup.h"

/* A path split into the open folder and the name in it. */
struct place {
	char path[PATH_MAX];
	const char *name;
	int parent;
};

static void place_close(struct place *p)
{
	close_fd(&p->parent);
}
#define _cleanup_place_ __attribute__((cleanup(place_close)))

static uint32_t place_open(struct place *p, const struct wasi *w, uint32_t fd, uint64_t rights,
                           uint32_t path, uint32_t size)
{
	struct wasi_fd *dir;
	uint32_t e = wasi_path_arguments(w, fd, rights, path, size, &dir, p->path);

	return e != WASI_SUCCESS ? e : wasi_resolve_parent(dir, p->path, &p->parent, &p->name);
}

/* The file itself, not for reading or writing; links at the end are followed or not. */
static uint32_t file_open(const struct wasi *w, uint32_t fd, uint64_t rights, uint32_t path,
                          uint32_t size, uint32_t lookup, int *out)
{
	char text[PATH_MAX];
	struct wasi_fd *dir;
	uint32_t e = wasi_path_arguments(w, fd, rights, path, size, &dir, text);

	if (e != WASI_SUCCESS)
		return e;
	if (lookup & ~(uint32_t)WASI_LOOKUP_SYMLINK_FOLLOW)
		return WASI_INVAL;
	return wasi_resolve(dir, text, O_PATH | (lookup ? 0 : O_NOFOLLOW), 0, out);
}

uint32_t wasi_path_create_directory(struct wasi *w, uint32_t fd, uint32_t path, uint32_t size)
{
	_cleanup_place_ struct place p = {.parent = -1};
	uint32_t e = place_open(&p, w, fd, WASI_RIGHT_PATH_CREATE_DIRECTORY, path, size);

	return e != WASI_SUCCESS ? e : wasi_result(mkdirat(p.parent, p.name, 0777));
}

uint32_t wasi_path_filestat_get(struct wasi *w, uint32_t fd, uint32_t flags, uint32_t path,
                                uint32_t size, uint32_t out)
{
	_cleanup_close_ int file = -1;
	uint32_t e = file_open(w, fd, WASI_RIGHT_PATH_FILESTAT_GET, path, size, flags, &file);
	struct stat st;

	if (e != WASI_SUCCESS)
		return e;
	if (fstat(file, &st) < 0)
		return wasi_errno(errno);
	return wasi_filestat_put(w, out, &st, wasi_fd_type(file));
}

uint32_t wasi_path_filestat_set_times(struct wasi *w, uint32_t fd, uint32_t flags, uint32_t path,
                                      uint32_t size, uint64_t atim, uint64_t mtim, uint32_t which)
{
	_cleanup_close_ int file = -1;
	struct timespec times[2];
	uint32_t e = wasi_times(atim, mtim, which, times);

	if (e == WASI_SUCCESS)
		e = file_open(w, fd, WASI_RIGHT_PATH_FILESTAT_SET_TIMES, path, size, flags, &file);
	return e != WASI_SUCCESS ? e : wasi_result(utimensat(file, "", times, AT_EMPTY_PATH));
}

/* A name that ends in a slash stands for a directory, to which there are no links; were it passed
 * on, the kernel would follow a link of that name wherever it leads. */
static uint32_t refuse_directory(const struct place *p)
{
	const struct wasi_fd parent = {.fd = p->parent};
	_cleanup_close_ int dir = -1;
	uint32_t e;

	if (!strchr(p->name, '/'))
		return WASI_SUCCESS;
	e = wasi_resolve(&parent, p->name, O_PATH | O_DIRECTORY, 0, &dir);
	return e != WASI_SUCCESS ? e : WASI_PERM;
}

uint32_t wasi_path_link(struct wasi *w, uint32_t fd, uint32_t flags, uint32_t path, uint32_t size,
                        uint32_t new_fd, uint32_t new_path, uint32_t new_size)
{
	_cleanup_place_ struct place from = {.parent = -1}, to = {.parent = -1};
	uint32_t e;

	/* A link to what a link leads to: no implementation offers it. */
	if (flags)
		return WASI_INVAL;
	e = place_open(&from, w, fd, WASI_RIGHT_PATH_LINK_SOURCE, path, size);
	if (e == WASI_SUCCESS)
		e = place_open(&to, w, new_fd, WASI_RIGHT_PATH_LINK_TARGET, new_path, new_size);
	if (e == WASI_SUCCESS)
		e = refuse_directory(&from);
	if (e != WASI_SUCCESS)
		return e;
	return wasi_result(linkat(from.parent, from.name, to.parent, to.name, 0));
}

#define NEEDS_WRITING                                                                              \
	(WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_ALLOCATE | WASI_RIGHT_FD_FILESTAT_SET_SIZE)

static int open_flags(uint32_t lookup, uint32_t oflags, uint64_t base, uint32_t flags)
{
	int access = O_RDONLY;

	if (base & NEEDS_WRITING)
		access = base & WASI_RIGHT_FD_READ ? O_RDWR : O_WRONLY;
	return access | wasi_to_open_flags(flags) |
	       (lookup & WASI_LOOKUP_SYMLINK_FOLLOW ? 0 : O_NOFOLLOW) |
	       (oflags & WASI_O_CREAT ? O_CREAT : 0) |
	       (oflags & WASI_O_DIRECTORY ? O_DIRECTORY : 0) | (oflags & WASI_O_EXCL ? O_EXCL : 0) |
	       (oflags & WASI_O_TRUNC ? O_TRUNC : 0);
}

/* witx, rights: to open a file for writes that wait for the disk takes the right to wait for it. */
static bool may_synchronize(const struct wasi_fd *dir, uint32_t flags)
{
	const uint64_t sync = WASI_RIGHT_FD_SYNC, datasync = WASI_RIGHT_FD_DATASYNC;

	return (!(flags & (WASI_FDFLAG_SYNC | WASI_FDFLAG_RSYNC)) || dir->inheriting & sync) &&
	       (!(flags & WASI_FDFLAG_DSYNC) || dir->inheriting & (sync | datasync));
}

/* /proc/self/mem and its like would let a module write over the program that holds it. */
static bool is_proc(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 && st.f_type == PROC_SUPER_MAGIC;
}

uint32_t wasi_path_open(struct wasi *w, uint32_t fd, uint32_t lookup, uint32_t path, uint32_t size,
                        uint32_t oflags, uint64_t base, uint64_t inheriting, uint32_t flags,
                        uint32_t out)
{
	char text[PATH_MAX];
	struct wasi_fd *dir;
	uint64_t rights = WASI_RIGHT_PATH_OPEN |
	                  (oflags & WASI_O_CREAT ? WASI_RIGHT_PATH_CREATE_FILE : 0) |
	                  (oflags & WASI_O_TRUNC ? WASI_RIGHT_PATH_FILESTAT_SET_SIZE : 0);
	uint32_t e = wasi_path_arguments(w, fd, rights, path, size, &dir, text), opened;
	mode_t mode = oflags & WASI_O_CREAT ? 0666 : 0;
	int file;

	if (e != WASI_SUCCESS)
		return e;
	if (lookup & ~(uint32_t)WASI_LOOKUP_SYMLINK_FOLLOW || oflags & ~(uint32_t)WASI_O_ALL ||
	    flags & ~(uint32_t)WASI_FDFLAGS_ALL ||
	    (oflags & WASI_O_CREAT && oflags & WASI_O_DIRECTORY))
		return WASI_INVAL;
	/* Bits that mean nothing are asked for by those who want all. */
	base &= WASI_RIGHTS_ALL;
	inheriting &= WASI_RIGHTS_ALL;
	if ((base | inheriting) & ~dir->inheriting || !may_synchronize(dir, flags))
		return WASI_NOTCAPABLE;
	if (!wasi_bytes(w, out, sizeof(uint32_t)))
		return WASI_FAULT;
	e = wasi_resolve(dir, text, open_flags(lookup, oflags, base, flags), mode, &file);
	if (e != WASI_SUCCESS)
		return e;
	if (base & NEEDS_WRITING && is_proc(file)) {
		close(file);
		return WASI_NOTCAPABLE;
	}
	e = wasi_fd_add(w, file, base, inheriting, &opened);
	return e != WASI_SUCCESS ? e : wasi_put_u32(w, out, opened);
}

uint32_t wasi_path_readlink(struct wasi *w, uint32_t fd, uint32_t path, uint32_t size, uint32_t buf,
                            uint32_t buf_size, uint32_t out)
{
	_cleanup_close_ int file = -1;
	uint32_t e = file_open(w, fd, WASI_RIGHT_PATH_READLINK, path, size, 0, &file);
	uint8_t *p;
	ssize_t n = 0;

	if (e != WASI_SUCCESS)
		return e;
	p = wasi_bytes(w, buf, buf_size);
	if (!p)
		return WASI_FAULT;
	if (wasi_fd_type(file) != WASI_TYPE_SYMBOLIC_LINK)
		return WASI_INVAL;
	/* The kernel takes an int, and no link is longer than a path. */
	if (buf_size > 0)
		n = readlinkat(file, "", (char *)p, buf_size < PATH_MAX ? buf_size : PATH_MAX);
	return n < 0 ? wasi_errno(errno) : wasi_put_u32(w, out, (uint32_t)n);
}

uint32_t wasi_path_remove_directory(struct wasi *w, uint32_t fd, uint32_t path, uint32_t size)
{
	_cleanup_place_ struct place p = {.parent = -1};
	uint32_t e = place_open(&p, w, fd, WASI_RIGHT_PATH_REMOVE_DIRECTORY, path, size);

	return e != WASI_SUCCESS ? e : wasi_result(unlinkat(p.parent, p.name, AT_REMOVEDIR));
}

uint32_t wasi_path_rename(struct wasi *w, uint32_t fd, uint32_t path, uint32_t size,
                          uint32_t new_fd, uint32_t new_path, uint32_t new_size)
{
	_cleanup_place_ struct place from = {.parent = -1}, to = {.parent = -1};
	uint32_t e = place_open(&from, w, fd, WASI_RIGHT_PATH_RENAME_SOURCE, path, size);

	if (e == WASI_SUCCESS)
		e = place_open(&to, w, new_fd, WASI_RIGHT_PATH_RENAME_TARGET, new_path, new_size);
	if (e != WASI_SUCCESS)
		return e;
	return wasi_result(renameat(from.parent, from.name, to.parent, to.name));
}

uint32_t wasi_path_symlink(struct wasi *w, uint32_t target, uint32_t target_size, uint32_t fd,
                           uint32_t path, uint32_t size)
{
	_cleanup_place_ struct place p = {.parent = -1};
	char text[PATH_MAX];
	uint32_t e = place_open(&p, w, fd, WASI_RIGHT_PATH_SYMLINK, path, size);

	if (e == WASI_SUCCESS)
		e = wasi_string(w, target, target_size, text);
	if (e != WASI_SUCCESS)
		return e;
	/* The module could not follow it, and somebody else must not be made to. */
	if (text[0] == '/')
		return WASI_NOTCAPABLE;
	return wasi_result(symlinkat(text, p.parent, p.name));
}

uint32_t wasi_path_unlink_file(struct wasi *w, uint32_t fd, uint32_t path, uint32_t size)
{
	_cleanup_place_ struct place p = {.parent = -1};
	uint32_t e = place_open(&p, w, fd, WASI_RIGHT_PATH_UNLINK_FILE, path, size);

	return e != WASI_SUCCESS ? e : wasi_result(unlinkat(p.parent, p.name, 0));
}
