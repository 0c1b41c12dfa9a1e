/* SPDX-License-Identifier: Apache-2.0 */
/* start_socket: a SOCK_SEQPACKET unix socket addressed through its folder's descriptor. */
#include "guest/agent/container/start_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

/* *dir must stay open while the address is used. */
static int address(const char *path, struct sockaddr_un *out, int *dir, struct error *err)
{
	const char *name = path ? strrchr(path, '/') : NULL;
	_cleanup_free_ char *folder = name ? strndup(path, (size_t)(name - path + 1)) : NULL;
	int n;

	if (!name || !folder)
		return error_set(err, EINVAL, "there is no start socket");
	*dir = openat(AT_FDCWD, folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dir < 0)
		return error_errno(err, errno, "opening %s", folder);
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(out->sun_path, sizeof(out->sun_path), "/proc/self/fd/%d%s", *dir, name);
	if (n < 0 || (size_t)n >= sizeof(out->sun_path))
		return error_set(err, ENAMETOOLONG, "the start socket's name is too long: %s",
		                 path);
	return 0;
}

int start_socket_listen(const char *path, struct error *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), dir = -1;
	struct sockaddr_un sa;
	int r;

	if (fd < 0)
		return error_errno(err, errno, "making the start socket");
	r = address(path, &sa, &dir, err);
	if (r < 0)
		return r;
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 1) < 0)
		return error_errno(err, errno, "making the start socket %s", path);
	return steal_fd(&fd);
}

int start_socket_connect(const char *path, struct error *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), dir = -1;
	struct sockaddr_un sa;
	int r;

	if (fd < 0)
		return error_errno(err, errno, "connecting to the start socket");
	r = address(path, &sa, &dir, err);
	if (r < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return error_errno(err, errno, "connecting to the start socket %s", path);
	return steal_fd(&fd);
}
