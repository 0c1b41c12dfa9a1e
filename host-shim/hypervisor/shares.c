/* SPDX-License-Identifier: Apache-2.0 */
/* shares: folders of the host that a guest mounts by a tag (virtio-fs), each served by
 * virtiofsd(1). */
#include "host-shim/hypervisor/shares.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host-shim/hypervisor/backend.h"
#include "host-shim/hypervisor/child.h"
#include "lib/base/process.h"
#include "lib/base/str.h"

#define PROGRAM     "virtiofsd"
#define LISTENER    "3" /* the number of its listening socket there */
#define ERRORS_KEPT 4096u

#define HELP_MAX (64u << 10)

/* In PATH, or where distributions put it; NULL: nowhere. */
static const char *find_program(void)
{
	static const char *const paths[] = {"/usr/libexec/" PROGRAM, "/usr/lib/" PROGRAM,
	                                    "/usr/lib/qemu/" PROGRAM};

	if (child_find_program(PROGRAM) == 0)
		return PROGRAM;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}

/* The one that came with QEMU until 7.2 has other options than its successor. */
static int is_of_qemu(const char *program, struct error *err)
{
	char *const argv[] = {(char *)program, (char *)"--help", NULL};
	_cleanup_buffer_ struct buffer help = BUFFER_INIT;
	int status, r = process_run(argv, &help, NULL, HELP_MAX, &status, err);

	if (r < 0)
		return error_prefix(err, r, "asking %s for its options", program);
	return help.size == 0 || !strstr(buffer_cstr(&help), "--shared-dir");
}

static int check_program(struct error *err)
{
	if (find_program())
		return 0;
	return error_set_kind(err, ERROR_ENVIRONMENT, ENOENT,
	                      PROGRAM ", which shares folders with a guest, is not installed "
	                              "(Debian 12: apt-get install qemu-system-common)");
}

int shares_check(const struct hypervisor *hv, struct error *err)
{
	const struct hypervisor_config *c = &hv->config;

	for (unsigned int i = 0; i < c->n_shares; i++) {
		struct stat st;
		size_t n = strlen(c->shares[i].tag);

		if (n == 0 || n > HYPERVISOR_TAG_MAX)
			return error_set_kind(err, ERROR_USAGE, EINVAL,
			                      "share tag '%s': 1 to %d bytes are allowed",
			                      c->shares[i].tag, HYPERVISOR_TAG_MAX);
		for (unsigned int j = 0; j < i; j++)
			if (strcmp(c->shares[i].tag, c->shares[j].tag) == 0)
				return error_set_kind(err, ERROR_USAGE, EEXIST,
				                      "two shares have the tag '%s'",
				                      c->shares[i].tag);
		if (stat(c->shares[i].path, &st) < 0)
			return error_errno(err, errno, "share %s", c->shares[i].path);
		if (!S_ISDIR(st.st_mode))
			return error_set_kind(err, ERROR_INPUT, ENOTDIR, "share %s is no folder",
			                      c->shares[i].path);
	}
	return c->n_shares > 0 ? check_program(err) : 0;
}

/* ---- one process */

/* Backslashes and commas mean something in its options. */
static char *source_option(const char *path)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	buffer_str(&b, "source=");
	for (; *path; path++)
		buffer_printf(&b, "%s%c", *path == ',' || *path == '\\' ? "\\" : "", *path);
	return buffer_steal(&b);
}

static int make_arguments(struct strv *a, bool of_qemu, const char *path, struct error *err)
{
	int bad = strv_add(a, PROGRAM) < 0 || strv_add(a, "--fd=" LISTENER) < 0;

	if (of_qemu) {
		bad |= strv_add(a, "-o") < 0 || strv_add_take(a, source_option(path)) < 0;
		bad |= strv_add(a, "-o") < 0 || strv_add(a, "log_level=err,no_posix_lock") < 0;
	} else {
		bad |= strv_add(a, "--shared-dir") < 0 || strv_add(a, path) < 0;
		bad |= strv_add(a, "--log-level=error") < 0;
	}
	return bad ? error_set(err, ENOMEM, "no memory for the arguments of " PROGRAM) : 0;
}

/* A listening socket for it, and our connection, which waits there for it to come up. */
static int make_sockets(const char *path, int *listener, int *stream, struct error *err)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	_cleanup_close_ int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
	                    client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	if (strlen(path) >= sizeof(at.sun_path))
		return error_set_kind(err, ERROR_ENVIRONMENT, ENAMETOOLONG,
		                      "the socket path %s is too long", path);
	strcpy(at.sun_path, path);
	r = s < 0 || client < 0 || bind(s, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	            listen(s, 1) < 0 || connect(client, (struct sockaddr *)&at, sizeof(at)) < 0
	        ? error_errno(err, errno, "making the socket %s", path)
	        : 0;
	unlink(path); /* nobody else is to connect */
	if (r < 0)
		return r;
	*listener = steal_fd(&s);
	*stream = steal_fd(&client);
	return 0;
}

/* errors -1: nobody hears it, and it does not end with us. */
static int spawn(const char *folder, int listener, int errors, pid_t *pid, struct error *err)
{
	const char *program = find_program();
	struct process_opts o = {.path = program ? program : PROGRAM,
	                         .n_fds = 4,
	                         .fds = {-1, errors, errors, listener},
	                         .new_group = true,
	                         .die_with_parent = errors >= 0};
	_cleanup_strv_ struct strv args = STRV_INIT;
	int r = is_of_qemu(o.path, err);

	if (r >= 0)
		r = make_arguments(&args, r, folder, err);
	if (r < 0)
		return r;
	o.argv = args.v;
	r = process_spawn(&o, pid, err);
	return r < 0 ? error_prefix(err, r, "starting " PROGRAM) : 0;
}

/* The folder's name without links. */
static int find_folder(const char *path, char **folder, struct error *err)
{
	*folder = realpath(path, NULL);
	return *folder ? 0 : error_errno(err, errno, "share %s", path);
}

static int start_share(struct share *s, const struct hypervisor_config *c, unsigned int i,
                       struct error *err)
{
	_cleanup_free_ char *folder = NULL, *path = str_printf("%s/share%u", c->runtime_dir, i);
	_cleanup_close_ int listener = -1, errors = -1;
	int pipe_fds[2], r = find_folder(c->shares[i].path, &folder, err);

	if (r == 0 && !path)
		r = error_set(err, ENOMEM, "no memory for a socket's name");
	if (r == 0)
		r = make_sockets(path, &listener, &s->stream, err);
	if (r < 0)
		return r;
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_errno(err, errno, "making a pipe");
	s->errors = pipe_fds[0];
	errors = pipe_fds[1];
	return spawn(folder, listener, errors, &s->pid, err);
}

int share_leave(const char *runtime_dir, const char *path, int *stream, struct error *err)
{
	_cleanup_free_ char *folder = NULL,
	                    *socket = str_printf("%s/share-%d", runtime_dir, (int)getpid());
	_cleanup_close_ int listener = -1;
	pid_t pid;
	int r =
	    socket ? check_program(err) : error_set(err, ENOMEM, "no memory for a socket's name");

	if (r == 0)
		r = find_folder(path, &folder, err);
	if (r == 0)
		r = make_sockets(socket, &listener, stream, err);
	if (r == 0)
		r = spawn(folder, listener, -1, &pid, err);
	if (r < 0)
		close_fd(stream);
	return r;
}

/* Its last line; fresh memory. */
static char *failure(struct share *s, const char *tag, int status)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	char *line = NULL, *save = NULL;

	child_read(s->errors, &text, ERRORS_KEPT);
	if (text.size > 0 && buffer_cstr(&text)[0])
		for (char *l = strtok_r((char *)text.data, "\n", &save); l;
		     l = strtok_r(NULL, "\n", &save))
			line = l;
	if (line)
		return str_printf("the share %s failed: " PROGRAM ": %s", tag, line);
	return str_printf("the share %s failed: " PROGRAM " ended with status %d", tag,
	                  process_exit_code(status));
}

/* A guest whose folder has gone would hang in it. When the guest ended first that is the news. */
static void on_end(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct share *s = data;
	struct hypervisor *hv = s->hv;
	_cleanup_free_ char *text = NULL;
	int status = 0;

	loop_source_free(s->src);
	s->src = NULL;
	waitpid(s->pid, &status, 0);
	s->pid = 0;
	if (hv->ended || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
		return;
	text = failure(s, hv->config.shares[s - hv->shares].tag, status);
	hypervisor_take_end(hv, true, text ? text : "a share failed");
	if (hv->prepared)
		hv->ops->stop(hv);
}

/* ---- all of them */

int shares_start(struct hypervisor *hv, struct error *err)
{
	const struct hypervisor_config *c = &hv->config;

	for (unsigned int i = 0; i < c->n_shares; i++) {
		struct share *s = &hv->shares[i];
		int r;

		*s = (struct share){.hv = hv, .stream = -1, .errors = -1, .pidfd = -1};
		r = start_share(s, c, i, err);
		if (r == 0)
			r = child_watch(hv->loop, s->pid, on_end, s, &s->pidfd, &s->src, err);
		hv->n_shares = i + 1;
		if (r < 0)
			return r;
	}
	return 0;
}

void shares_stop(struct hypervisor *hv)
{
	for (unsigned int i = 0; i < hv->n_shares; i++) {
		struct share *s = &hv->shares[i];

		child_drop(&s->src, &s->pidfd);
		close_fd(&s->stream);
		child_kill(&s->pid);
		close_fd(&s->errors);
	}
	hv->n_shares = 0;
}
