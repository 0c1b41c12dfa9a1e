/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_file: CopyFile, by which a host without a shared file system brings files into the guest,
 * in pieces, below SANDBOX_SHARED_DIR and nowhere else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/rpc/handlers.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/rpc/proto/agent.pb-c.h"

/* Splits the request's path, made relative to the shared folder, into parent and name. */
static int split_path(const char *path, char **parent, const char **name, struct error *err)
{
	static const char prefix[] = SANDBOX_SHARED_DIR "/";
	const char *rel = path + sizeof(prefix) - 1, *slash;

	if (!str_starts(path, prefix) || !*rel || strstr(rel, "../") || str_ends(rel, "/.."))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "path \"%s\" is not below %s", path,
		                      SANDBOX_SHARED_DIR);
	slash = strrchr(rel, '/');
	*name = slash ? slash + 1 : rel;
	if (!**name || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "path \"%s\" names no file", path);
	*parent = slash ? strndup(rel, (size_t)(slash - rel)) : strdup("");
	return *parent ? 0 : error_set(err, ENOMEM, "out of memory");
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

static int own(int dir, const char *name, const Grpc__CopyFileRequest *req, struct error *err)
{
	if (fchownat(dir, name, (uid_t)req->uid, (gid_t)req->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(err, errno, "owner of %s", req->path);
	return 0;
}

static int make_directory(int dir, const char *name, const Grpc__CopyFileRequest *req,
                          struct error *err)
{
	_cleanup_close_ int fd = -1;

	if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
		return error_errno(err, errno, "folder %s", req->path);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, req->file_mode & 07777) < 0)
		return error_errno(err, errno, "folder %s", req->path);
	return own(dir, name, req, err);
}

static int make_link(int dir, const char *name, const Grpc__CopyFileRequest *req, struct error *err)
{
	_cleanup_free_ char *to = strndup((const char *)req->data.data, req->data.len);

	if (!to)
		return error_set(err, ENOMEM, "out of memory");
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return error_errno(err, errno, "replacing %s", req->path);
	if (symlinkat(to, dir, name) < 0)
		return error_errno(err, errno, "link %s", req->path);
	return own(dir, name, req, err);
}

/* A piece goes into NAME.tmp; the one that completes it gives it its name. */
static int write_piece(int dir, const char *name, const Grpc__CopyFileRequest *req,
                       struct error *err)
{
	_cleanup_free_ char *tmp = str_printf("%s.tmp", name);
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (!tmp)
		return error_set(err, ENOMEM, "out of memory");
	fd = openat(dir, tmp,
	            O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (req->offset == 0 ? O_TRUNC : 0),
	            0600);
	if (fd < 0)
		return error_errno(err, errno, "writing %s", req->path);
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

static int copy_file(const Grpc__CopyFileRequest *req, struct error *err)
{
	_cleanup_free_ char *parent = NULL;
	_cleanup_close_ int dir = -1;
	const char *name = NULL;
	int r = split_path(req->path, &parent, &name, err);

	if (r < 0)
		return r;
	dir = open_parent(req, parent, err);
	if (dir < 0)
		return dir;
	if (S_ISDIR(req->file_mode))
		return make_directory(dir, name, req, err);
	if (S_ISLNK(req->file_mode))
		return make_link(dir, name, req, err);
	r = check_numbers(req, err);
	return r < 0 ? r : write_piece(dir, name, req, err);
}

/* Within the loop: the shared folder is the guest's own memory where this call is used. */
void rpc_copy_file(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
	struct error err = ERROR_INIT;

	if (copy_file((const void *)request, &err) < 0)
		rpc_call_fail_error(call, &err);
	else
		rpc_call_reply(call, NULL);
}
