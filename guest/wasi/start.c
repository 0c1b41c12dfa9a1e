/* SPDX-License-Identifier: Apache-2.0 */
/* start: the descriptors and the environment that a module begins with. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/wasi/table.h"
#include "lib/base/cleanup.h"
#include "lib/base/str.h"

/* systemd's sd_listen_fds(3). */
#define LISTEN_FDS_START 3
#define LISTEN_FDS_MAX   64
#define BACKLOG          128

static const char *variable(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; *envp; envp++)
		if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
			return *envp + n + 1;
	return NULL;
}

static int table_error(struct error *err, uint32_t e, const char *what)
{
	return error_set(err, e == WASI_NOMEM ? ENOMEM : EMFILE, "cannot give %s to the module",
	                 what);
}

/* Descriptors 0 to 2. Which of reading and writing one allows is the kernel's flag. */
static int add_standard(struct wasi *w, int fd, struct error *err)
{
	uint64_t rights = WASI_RIGHTS_ALL;
	int flags = fcntl(fd, F_GETFL);
	uint32_t e, at;

	/* A closed one would be the first preopened directory, which nobody looks for there. The
	 * lowest free descriptor is this one. */
	if (flags < 0 && (open("/dev/null", O_RDWR) != fd || (flags = fcntl(fd, F_GETFL)) < 0))
		return error_errno(err, errno, "descriptor %d is closed", fd);
	if ((flags & O_ACCMODE) == O_RDONLY)
		rights &= ~(WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_ALLOCATE |
		            WASI_RIGHT_FD_FILESTAT_SET_SIZE);
	if ((flags & O_ACCMODE) == O_WRONLY)
		rights &= ~WASI_RIGHT_FD_READ;
	/* C libraries take a character device that cannot seek for a terminal, and only that. */
	if (isatty(fd))
		rights &= ~(WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_TELL);
	e = wasi_fd_add(w, fd, rights, 0, &at);
	return e != WASI_SUCCESS ? table_error(err, e, "the standard descriptors") : 0;
}

static int add_socket(struct wasi *w, int fd, struct error *err)
{
	enum wasi_filetype type = wasi_fd_type(fd);
	uint32_t e, at;

	if (type != WASI_TYPE_SOCKET_STREAM && type != WASI_TYPE_SOCKET_DGRAM)
		return error_set(err, ENOTSOCK, "LISTEN_FDS: descriptor %d is not a socket", fd);
	e = wasi_fd_add(w, fd, WASI_RIGHTS_ALL, 0, &at);
	if (e != WASI_SUCCESS)
		return table_error(err, e, "a socket");
	w->fds[at].preopened_socket = true;
	return 0;
}

static int add_inherited(struct wasi *w, char *const *envp, bool *some, struct error *err)
{
	const char *count = variable(envp, "LISTEN_FDS"), *pid = variable(envp, "LISTEN_PID");
	uint32_t n, id;
	int r = 0;

	if (!count || (pid && (parse_u32(pid, &id) < 0 || (pid_t)id != getpid())))
		return 0;
	if (parse_u32(count, &n) < 0 || n > LISTEN_FDS_MAX)
		return error_set(err, EINVAL, "LISTEN_FDS=%s is not a number up to %d", count,
		                 LISTEN_FDS_MAX);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = add_socket(w, LISTEN_FDS_START + (int)i, err);
	*some = n > 0;
	return r;
}

/* "127.0.0.1:80", "[::1]:80"; cuts `text`. Returns the size of the address, 0 when it is none. */
static socklen_t parse_address(char *text, struct sockaddr_storage *out)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	char *colon = strrchr(text, ':');
	uint32_t port;

	memset(out, 0, sizeof(*out));
	if (!colon || parse_u32(colon + 1, &port) < 0 || port > UINT16_MAX)
		return 0;
	*colon = 0;
	in4->sin_port = htons((uint16_t)port); /* in6's is at the same place */
	if (text[0] == '[' && colon > text + 1 && colon[-1] == ']') {
		colon[-1] = 0;
		in6->sin6_family = AF_INET6;
		return inet_pton(AF_INET6, text + 1, &in6->sin6_addr) == 1 ? sizeof(*in6) : 0;
	}
	in4->sin_family = AF_INET;
	return inet_pton(AF_INET, text, &in4->sin_addr) == 1 ? sizeof(*in4) : 0;
}

static int add_listener(struct wasi *w, const char *address, struct error *err)
{
	_cleanup_free_ char *text = strdup(address);
	struct sockaddr_storage sa;
	socklen_t size = text ? parse_address(text, &sa) : 0;
	_cleanup_close_ int fd = -1;
	int one = 1;

	if (size == 0)
		return error_set(err, EINVAL,
		                 "KIHON_WASI_LISTEN: '%s' is not an ADDRESS:PORT such as "
		                 "0.0.0.0:80 or [::]:80",
		                 address);
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, size) < 0 || listen(fd, BACKLOG) < 0)
		return error_errno(err, errno, "KIHON_WASI_LISTEN: cannot listen on %s", address);
	return add_socket(w, steal_fd(&fd), err);
}

static int add_listeners(struct wasi *w, const char *list, size_t *n, struct error *err)
{
	_cleanup_strv_ struct strv addresses = STRV_INIT;
	int r = strv_split(&addresses, list, ",");

	if (r < 0)
		return error_errno(err, -r, "KIHON_WASI_LISTEN");
	if (addresses.n > LISTEN_FDS_MAX)
		return error_set(err, E2BIG, "KIHON_WASI_LISTEN names more than %d addresses",
		                 LISTEN_FDS_MAX);
	for (size_t i = 0; r == 0 && i < addresses.n; i++)
		r = add_listener(w, addresses.v[i], err);
	*n = addresses.n;
	return r;
}

/* entry: HOST or HOST=GUEST. */
static int add_directory(struct wasi *w, const char *entry, struct error *err)
{
	const char *equals = strchr(entry, '=');
	_cleanup_free_ char *host =
	    strndup(entry, equals ? (size_t)(equals - entry) : strlen(entry));
	_cleanup_free_ char *guest = strdup(equals ? equals + 1 : entry);
	uint32_t e, at;
	int fd;

	if (!host || !guest)
		return error_errno(err, ENOMEM, "KIHON_WASI_DIRS");
	if (!*guest)
		return error_set(err, EINVAL, "KIHON_WASI_DIRS: '%s' has an empty name", entry);
	fd = open(host, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "KIHON_WASI_DIRS: cannot open the directory %s",
		                   host);
	e = wasi_fd_add(w, fd, WASI_RIGHTS_ALL, WASI_RIGHTS_ALL, &at);
	if (e != WASI_SUCCESS)
		return table_error(err, e, host);
	w->fds[at].preopen = steal_ptr(&guest);
	return 0;
}

static int add_directories(struct wasi *w, const char *list, struct error *err)
{
	_cleanup_strv_ struct strv entries = STRV_INIT;
	int r = strv_split(&entries, list, ":");

	if (r < 0)
		return error_errno(err, -r, "KIHON_WASI_DIRS");
	for (size_t i = 0; r == 0 && i < entries.n; i++)
		r = add_directory(w, entries.v[i], err);
	return r;
}

/* What the module sees of the environment; a row more for LISTEN_FDS. Words about sockets that it
 * does not have (for another process, or others than our own) stay behind. */
static int copy_environment(struct wasi *w, char **envp, size_t listeners, bool inherited,
                            struct error *err)
{
	size_t n = 0, kept = 0;

	while (envp[n])
		n++;
	w->envp = calloc(n + 2, sizeof(*w->envp));
	if (!w->envp)
		return error_errno(err, ENOMEM, "copying the environment");
	for (size_t i = 0; i < n; i++)
		if (!str_starts(envp[i], "KIHON_") &&
		    (inherited || !str_starts(envp[i], "LISTEN_")))
			w->envp[kept++] = envp[i];
	if (listeners > 0) {
		w->listen_fds = str_printf("LISTEN_FDS=%zu", listeners);
		w->envp[kept] = w->listen_fds;
		if (!w->listen_fds)
			return error_errno(err, ENOMEM, "copying the environment");
	}
	return 0;
}

/* The lower of the two limits is for programs that use select(2); it bounds what poll(2) takes at
 * once, too. */
static void raise_files_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max < WASI_FDS_MAX ? limit.rlim_max : WASI_FDS_MAX;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int wasi_start(struct wasi *w, char **argv, char **envp, struct error *err)
{
	const char *listen = variable(envp, "KIHON_WASI_LISTEN");
	const char *dirs = variable(envp, "KIHON_WASI_DIRS");
	bool inherited = false;
	size_t listeners = 0;
	int r = 0;

	w->argv = argv;
	/* Writing to what nobody reads is an error of the call. */
	signal(SIGPIPE, SIG_IGN);
	raise_files_limit();
	for (int fd = 0; r == 0 && fd < LISTEN_FDS_START; fd++)
		r = add_standard(w, fd, err);
	if (r == 0)
		r = listen ? add_listeners(w, listen, &listeners, err)
		           : add_inherited(w, envp, &inherited, err);
	if (r == 0)
		r = add_directories(w, dirs ? dirs : "/", err);
	return r < 0 ? r : copy_environment(w, envp, listeners, inherited, err);
}

void wasi_free(struct wasi *w)
{
	for (uint32_t i = 0; i < w->n_fds; i++)
		if (w->fds[i].fd >= 0)
			wasi_fd_drop(&w->fds[i]);
	free(w->fds);
	free(w->envp);
	free(w->listen_fds);
	*w = (struct wasi){0};
}
