/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_file: CopyFile, by which a host without a shared file system brings files into the guest,
 * in pieces, below SANDBOX_SHARED_DIR and nowhere else.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/rpc/answer_by_helper.h"
#include "guest/agent/rpc/handlers.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/rpc/proto/agent.pb-c.h"

#define COPY_MS 30000u /* for what has to clear a folder away first */

/* The request's path below the shared folder: what comes before the name, and the name. */
struct target {
	char *relative; /* owned; ends where the parent does */
	const char *parent, *name;
};

static void target_free(struct target *t)
{
	free(t->relative);
}

static bool leads_up(const char *relative)
{
	while (*relative) {
		size_t n = strcspn(relative, "/");

		if (n == 2 && relative[0] == '.' && relative[1] == '.')
			return true;
		relative += n + (relative[n] == '/');
	}
	return false;
}

static int find_target(const char *path, struct target *out, struct error *err)
{
	static const char prefix[] = SANDBOX_SHARED_DIR "/";
	char *slash;

	if (!str_starts(path, prefix) || leads_up(path + sizeof(prefix) - 1))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "path \"%s\" is not below %s", path,
		                      SANDBOX_SHARED_DIR);
	out->relative = strdup(path + sizeof(prefix) - 1);
	if (!out->relative)
		return error_set(err, ENOMEM, "out of memory");
	while ((slash = strrchr(out->relative, '/')) && !slash[1])
		*slash = '\0';
	out->name = slash ? slash + 1 : out->relative;
	out->parent = slash ? out->relative : "";
	if (slash)
		*slash = '\0';
	if (!*out->name || strcmp(out->name, ".") == 0 || strlen(out->name) > NAME_MAX)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "path \"%s\" names no file", path);
	return 0;
}

/* The folder that the file goes into, made where it is missing; links do not lead out. */
static int open_parent(const Grpc__CopyFileRequest *req, const char *parent, struct error *err)
{
	_cleanup_close_ int root = -1;
	mode_t mode = req->dir_mode & 07777 ? req->dir_mode & 07777 : 0750;
	int r = fs_mkdir_p(SANDBOX_SHARED_DIR, 0755, err), fd;

	if (r < 0)
		return r;
	root = open(SANDBOX_SHARED_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_errno(err, errno, "%s", SANDBOX_SHARED_DIR);
	if (!*parent)
		return steal_fd(&root);
	fd = fs_mkdir_in_root(root, parent, mode);
	return fd < 0 ? error_errno(err, -fd, "folder of %s", req->path) : fd;
}

/* Where the pieces of NAME are gathered. Another file of the folder has no such name: a volume may
 * well have both "a" and "a.tmp". */
static char *piece_name(const char *name)
{
	static const char end[] = ".kihon-part";
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	if (strlen(name) + sizeof(end) <= NAME_MAX)
		return str_printf(".%s%s", name, end);
	for (const char *p = name; *p; p++)
		hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	return str_printf(".%.200s-%016" PRIx64 "%s", name, hash, end);
}

/* A file or a link of that name gives way to the folder, as in Kata's agent. */
static int make_directory(int dir, const char *name, const Grpc__CopyFileRequest *req,
                          struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = mkdirat(dir, name, 0700);

	if (r < 0 && errno == EEXIST && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !S_ISDIR(st.st_mode) && unlinkat(dir, name, 0) == 0)
		r = mkdirat(dir, name, 0700);
	if (r < 0 && errno != EEXIST)
		return error_errno(err, errno, "folder %s", req->path);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* Owner before mode: chown takes setuid bits away. */
	if (fd < 0 || fchown(fd, (uid_t)req->uid, (gid_t)req->gid) < 0 ||
	    fchmod(fd, req->file_mode & 07777) < 0)
		return error_errno(err, errno, "folder %s", req->path);
	return 0;
}

/* Made beside and renamed, for the same reason as files: who looks sees the old or the new. */
static int make_link(int dir, const char *name, const Grpc__CopyFileRequest *req, struct error *err)
{
	_cleanup_free_ char *to = strndup((const char *)req->data.data, req->data.len);
	_cleanup_free_ char *tmp = piece_name(name);

	if (!to || !tmp)
		return error_set(err, ENOMEM, "out of memory");
	if (!*to || strlen(to) != req->data.len)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "link %s: that is no target",
		                      req->path);
	if ((unlinkat(dir, tmp, 0) < 0 && errno != ENOENT) || symlinkat(to, dir, tmp) < 0)
		return error_errno(err, errno, "link %s", req->path);
	if (fchownat(dir, tmp, (uid_t)req->uid, (gid_t)req->gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    renameat(dir, tmp, dir, name) < 0) {
		int r = error_errno(err, errno, "link %s", req->path);

		unlinkat(dir, tmp, 0);
		return r;
	}
	return 0;
}

/* The first piece begins anew. A container that may write to the folder can put something else in
 * the way: it is not followed, not waited for, and not written to. */
static int open_pieces(int dir, const char *tmp, bool first, const char *path, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (first && unlinkat(dir, tmp, 0) < 0 && errno != ENOENT)
		return error_errno(err, errno, "writing %s", path);
	fd = openat(dir, tmp,
	            O_WRONLY | O_CREAT | (first ? O_EXCL : 0) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
	            0600);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "writing %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EIO, "writing %s: something else is in the way", path);
	return steal_fd(&fd);
}

/* The piece that completes the file gives it its name. */
static int write_piece(int dir, const char *name, const Grpc__CopyFileRequest *req,
                       struct error *err)
{
	_cleanup_free_ char *tmp = piece_name(name);
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (!tmp)
		return error_set(err, ENOMEM, "out of memory");
	fd = open_pieces(dir, tmp, req->offset == 0, req->path, err);
	if (fd < 0)
		return fd;
	r = fs_pwrite_all(fd, req->data.data, req->data.len, (uint64_t)req->offset);
	if (r < 0)
		return error_errno(err, -r, "writing %s", req->path);
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "writing %s", req->path);
	if (st.st_size != req->file_size)
		return 0;
	/* Owner before mode: chown takes setuid bits away. */
	if (fchown(fd, (uid_t)req->uid, (gid_t)req->gid) < 0 ||
	    fchmod(fd, req->file_mode & 07777) < 0 || renameat(dir, tmp, dir, name) < 0)
		return error_errno(err, errno, "finishing %s", req->path);
	return 0;
}

static int check_numbers(const Grpc__CopyFileRequest *req, struct error *err)
{
	int64_t end;

	if (req->offset < 0 || req->file_size < 0 ||
	    __builtin_add_overflow(req->offset, (int64_t)req->data.len, &end) ||
	    end > req->file_size)
		return error_set_kind(
		    err, ERROR_INPUT, EINVAL,
		    "%s: piece of %zu bytes at %lld does not fit a file of %lld bytes", req->path,
		    req->data.len, (long long)req->offset, (long long)req->file_size);
	return 0;
}

static int check_type(const Grpc__CopyFileRequest *req, struct error *err)
{
	switch (req->file_mode & S_IFMT) {
	case 0:
	case S_IFREG:
		return check_numbers(req, err);
	case S_IFDIR:
	case S_IFLNK:
		return 0;
	default:
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%s: mode %o is not of a file, a folder or a link", req->path,
		                      req->file_mode);
	}
}

static int copy_into(int dir, const char *name, const Grpc__CopyFileRequest *req, struct error *err)
{
	if (S_ISDIR(req->file_mode))
		return make_directory(dir, name, req, err);
	if (S_ISLNK(req->file_mode))
		return make_link(dir, name, req, err);
	return write_piece(dir, name, req, err);
}

/* With `replace` a folder gives way to a file or a link of its name; otherwise -EISDIR. */
static int copy_file(const Grpc__CopyFileRequest *req, bool replace, struct error *err)
{
	__attribute__((cleanup(target_free))) struct target t = {0};
	_cleanup_close_ int dir = -1;
	int r = check_type(req, err);

	if (r == 0)
		r = find_target(req->path, &t, err);
	if (r < 0)
		return r;
	dir = open_parent(req, t.parent, err);
	if (dir < 0)
		return dir;
	r = replace ? fs_remove_tree(dir, t.name, err) : 0;
	return r < 0 ? r : copy_into(dir, t.name, req, err);
}

/* In a helper: what the folder has may be a lot. */
static int replace_folder(const ProtobufCMessage *request, void *out, struct error *err)
{
	return copy_file((const void *)request, true, err);
}

/* Within the loop otherwise: the shared folder is the guest's own memory where this call is used.
 */
void rpc_copy_file(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	struct error err = ERROR_INIT;
	int r = copy_file((const void *)request, false, &err);

	if (r == -EISDIR)
		answer_by_helper(data, call, request, replace_folder, NULL, COPY_MS);
	else if (r < 0)
		rpc_call_fail_error(call, &err);
	else
		rpc_call_reply(call, NULL);
}
