/* SPDX-License-Identifier: Apache-2.0 */
/* child: what the back ends share about the processes that run a guest for them. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host-shim/hypervisor/backend.h"
#include "lib/base/fs.h"
#include "lib/base/process.h"
#include "lib/base/str.h"

int child_find_program(const char *name)
{
	_cleanup_strv_ struct strv dirs = STRV_INIT;
	const char *path = getenv("PATH");

	if (strv_split(&dirs, path ? path : "/usr/bin:/bin", ":") < 0)
		return -ENOMEM;
	for (size_t i = 0; i < dirs.n; i++) {
		_cleanup_free_ char *file = str_printf("%s/%s", dirs.v[i], name);

		if (file && access(file, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

int child_check_file(const char *what, const char *path, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (!path)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "%s %s", what, path);
	if (!S_ISREG(st.st_mode))
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s %s is not a file", what, path);
	return 0;
}

int child_make_pair(int *ours, int *theirs, struct error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
	    fs_set_nonblock(pair[0], true) < 0)
		return error_errno(err, errno, "making a socket pair");
	*ours = pair[0];
	*theirs = pair[1];
	return 0;
}

int child_watch(struct loop *loop, pid_t pid, loop_fd_fn fn, void *data, int *pidfd,
                struct loop_source **src, struct error *err)
{
	*pidfd = process_pidfd_open(pid);
	if (*pidfd < 0)
		return error_errno(err, errno, "watching process %d", pid);
	return loop_add_fd(loop, *pidfd, EPOLLIN, fn, data, src, err);
}

bool child_read(int fd, struct buffer *b, size_t keep)
{
	uint8_t chunk[4096];
	ssize_t n = read(fd, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (b->size + (size_t)n > keep)
		buffer_clear(b);
	buffer_append(b, chunk, (size_t)n);
	return n > 0;
}

bool child_read_console(int fd, struct hypervisor *hv)
{
	uint8_t chunk[4096];
	ssize_t n = read(fd, chunk, sizeof(chunk));

	if (n > 0)
		hypervisor_take_console(hv, chunk, (size_t)n);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

void child_drop(struct loop_source **src, int *fd)
{
	loop_source_free(*src);
	*src = NULL;
	close_fd(fd);
}

void child_kill(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
		;
	*pid = 0;
}

int child_vsock_connect(const char *path, uint32_t port, struct error *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	char line[32];
	int n;

	if (!path)
		return error_set(err, ENOTCONN, "this guest has no vsock device");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(err, errno, "making a unix socket");
	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1); /* vsock_bind() checked it */
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return error_errno(err, errno, "connecting to %s", path);
	n = snprintf(line, sizeof(line), "CONNECT %u\n", port);
	if (send(fd, line, (size_t)n, MSG_NOSIGNAL) != n)
		return error_errno(err, errno, "writing to %s", path);
	return steal_fd(&fd);
}
