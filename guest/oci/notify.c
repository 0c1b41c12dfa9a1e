/* SPDX-License-Identifier: Apache-2.0 */
/* notify: a datagram socket in the record's folder; its READY=1 goes to $NOTIFY_SOCKET. */
#include "guest/oci/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest/oci/store.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/base/process.h"
#include "lib/base/str.h"

#define FOLDER      "notify"
#define NAME        "notify.sock"
#define INSIDE      "/run/notify"
#define MESSAGE_MAX 4096
#define SETTLE_MS   100 /* systemd-notify sends a BARRIER=1 after READY=1 and waits for its end */

static const char *host_socket(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path && (path[0] == '/' || path[0] == '@') ? path : NULL;
}

static int add_mount(struct oci_spec *spec, const char *source)
{
	static const char *const options[] = {"bind", "nosuid", "noexec", "nodev", "ro"};
	struct oci_mount *all = arena_new_array(&spec->arena, spec->n_mounts + 1, struct oci_mount);
	struct oci_mount *m;

	if (!all)
		return -ENOMEM;
	if (spec->n_mounts)
		memcpy(all, spec->mounts, spec->n_mounts * sizeof(*all));
	m = &all[spec->n_mounts++];
	spec->mounts = all;
	m->destination = INSIDE;
	m->type = "bind";
	m->source = arena_strdup(&spec->arena, source);
	return oci_strings_copy(&spec->arena, &m->options, options,
	                        sizeof(options) / sizeof(options[0]));
}

static int add_variable(struct oci_spec *spec)
{
	struct oci_strings *env = &spec->process->env;
	char **v = arena_new_array(&spec->arena, env->n + 2, char *);

	if (!v)
		return -ENOMEM;
	if (env->n)
		memcpy(v, env->v, env->n * sizeof(char *));
	v[env->n] = arena_strdup(&spec->arena, "NOTIFY_SOCKET=" INSIDE "/" NAME);
	env->v = v;
	env->n++;
	return spec->arena.failed ? -ENOMEM : 0;
}

int notify_prepare(const char *id, struct oci_spec *spec, struct error *err)
{
	_cleanup_free_ char *folder = NULL;

	if (!host_socket() || !spec->process || spec->process->absent)
		return 0;
	folder = store_path(id, FOLDER);
	if (!folder || add_mount(spec, folder) < 0 || add_variable(spec) < 0)
		return error_set(err, ENOMEM, "no memory");
	if (mkdir(folder, 0755) < 0 || chmod(folder, 0755) < 0)
		return error_errno(err, errno, "making %s", folder);
	return 0;
}

int notify_listen(const char *id, int *fd, struct error *err)
{
	_cleanup_close_ int sock = -1, dir = -1;
	_cleanup_free_ char *folder = NULL;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int n;

	*fd = -1;
	if (!host_socket())
		return 0;
	folder = store_path(id, FOLDER);
	dir = folder ? openat(AT_FDCWD, folder, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (dir < 0) /* it was created without */
		return 0;
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	n = snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/" NAME, dir);
	if (sock < 0 || n < 0 || bind(sock, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    fchmodat(dir, NAME, 0777, 0) < 0)
		return error_errno(err, errno, "making the notify socket of container %s", id);
	*fd = steal_fd(&sock);
	return 0;
}

static void tell(pid_t main_pid)
{
	_cleanup_close_ int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const char *path = host_socket();
	size_t n = strlen(path);
	char text[64];

	if (sock < 0 || n >= sizeof(sa.sun_path)) {
		log_warn("NOTIFY_SOCKET \"%s\" cannot be used", path);
		return;
	}
	memcpy(sa.sun_path, path, n);
	if (path[0] == '@')
		sa.sun_path[0] = 0;
	snprintf(text, sizeof(text), "MAINPID=%d\nREADY=1\n", main_pid);
	if (sendto(sock, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&sa,
	           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		log_warn("telling %s that the container is ready: %s", path, strerror(errno));
}

/* One message; descriptors that come with it are not taken, which ends a barrier. */
static bool says_ready(int fd)
{
	char text[MESSAGE_MAX + 1];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n <= 0)
		return false;
	text[n] = 0;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (str_starts(line, "READY=1") && (line[7] == '\n' || line[7] == 0))
			return true;
	}
	return false;
}

void notify_forward(int fd, pid_t pid, pid_t main_pid)
{
	_cleanup_close_ int process = process_pidfd_open(pid);
	struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = process, .events = POLLIN}};

	while (process >= 0) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return;
		if (fds[0].revents && says_ready(fd))
			break;
		if (!fds[0].revents && fds[1].revents)
			return;
	}
	if (process < 0)
		return;
	tell(main_pid);
	while (poll(fds, 1, SETTLE_MS) > 0)
		(void)says_ready(fd);
}
