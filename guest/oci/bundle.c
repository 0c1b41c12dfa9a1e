/* SPDX-License-Identifier: Apache-2.0 */
/* bundle: reading it; cgroup paths; pid files; the seccomp agent. */
#include "guest/oci/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest/oci/runtime.h"
#include "guest/oci/store.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

int bundle_keep_config(const char *id, const struct buffer *text, struct error *err)
{
	_cleanup_free_ char *path = store_path(id, "config.json");
	_cleanup_close_ int fd = -1;
	int r;

	if (!path)
		return error_set(err, ENOMEM, "no memory");
	/* The record does not count before record.json is there: no need for a rename. */
	fd = openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(err, errno, "making %s", path);
	r = fs_write_all(fd, text->data, text->size);
	return r < 0 ? error_errno(err, -r, "writing %s", path) : 0;
}

int bundle_stand_in_process(struct oci_spec *spec, struct error *err)
{
	static const char *const none[] = {"none"};

	spec->process = arena_new(&spec->arena, struct oci_process);
	if (!spec->process || oci_strings_copy(&spec->arena, &spec->process->args, none, 1) < 0)
		return error_set(err, ENOMEM, "no memory");
	spec->process->cwd = "/";
	spec->process->absent = true;
	return 0;
}

int bundle_load(const char *dir, const char *config, struct buffer *text, char **bundle,
                struct oci_spec **spec, struct error *err)
{
	_cleanup_free_ char *absolute = realpath(dir, NULL), *path = NULL;
	int r;

	if (!absolute)
		return error_errno(err, errno, "the bundle %s", dir);
	path = config ? strdup(config) : str_printf("%s/config.json", absolute);
	if (!path)
		return error_set(err, ENOMEM, "no memory");
	r = fs_read_file(AT_FDCWD, path, OCI_SPEC_MAX_JSON, text, err);
	if (r == 0)
		r = oci_spec_parse(buffer_cstr(text), text->size, spec, err);
	if (r < 0)
		return r;
	if (!(*spec)->process)
		r = bundle_stand_in_process(*spec, err);
	*bundle = steal_ptr(&absolute);
	return r;
}

/* ---- cgroups ---- */

/* "a-b.slice" lies in "a.slice" (systemd.slice(5)). */
static int add_slice(struct buffer *path, const char *slice)
{
	size_t n = strlen(slice);

	if (n < 7 || strcmp(slice + n - 6, ".slice") != 0 || strchr(slice, '/'))
		return -EINVAL;
	if (strcmp(slice, "-.slice") == 0)
		return 0;
	for (size_t i = 1; i < n - 6; i++)
		if (slice[i] == '-')
			buffer_printf(path, "/%.*s.slice", (int)i, slice);
	buffer_printf(path, "/%s", slice);
	return 0;
}

static char *systemd_path(const char *text, const char *id)
{
	_cleanup_free_ char *copy = strdup(text);
	struct buffer path = BUFFER_INIT;
	char *rest = copy, *slice, *prefix;

	if (!copy)
		return NULL;
	slice = strsep(&rest, ":");
	prefix = rest ? strsep(&rest, ":") : NULL;
	if (!rest || strchr(rest, '/') || strchr(prefix, '/') ||
	    add_slice(&path, *slice ? slice : "system.slice") < 0) {
		buffer_free(&path);
		errno = EINVAL;
		return NULL;
	}
	if (!*rest)
		rest = (char *)id;
	if (str_ends(rest, ".slice"))
		buffer_printf(&path, "/%s", rest);
	else
		buffer_printf(&path, "/%s%s%s.scope", prefix, *prefix ? "-" : "", rest);
	return buffer_steal(&path);
}

int bundle_set_cgroup(struct oci_spec *spec, const char *id, struct container_opts *opts,
                      struct error *err)
{
	const char *path = spec->linux_.cgroups_path;
	_cleanup_free_ char *made = NULL;

	if (runtime()->cgroups == CGROUP_DISABLED) {
		opts->no_cgroup = true;
		return 0;
	}
	opts->cgroup_optional = !runtime()->real_root;
	if (runtime()->cgroups != CGROUP_SYSTEMD)
		return 0;
	made = str_empty(path) ? str_printf("/system.slice/kihon-%s.scope", id)
	                       : systemd_path(path, id);
	if (!made)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "linux.cgroupsPath \"%s\" is not of the form "
		                      "slice:prefix:name",
		                      path ? path : "");
	spec->linux_.cgroups_path = arena_strdup(&spec->arena, made);
	return spec->linux_.cgroups_path ? 0 : error_set(err, ENOMEM, "no memory");
}

/* ---- pid files ---- */

int bundle_write_pid(const char *file, pid_t pid, struct error *err)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", pid);

	if (!file)
		return 0;
	return store_write_file(file, text, (size_t)n, 0644, err);
}

/* ---- the seccomp agent ---- */

static void write_process_state(struct buffer *j, const struct oci_seccomp *s,
                                const struct container *c, const struct container_process *p)
{
	_cleanup_free_ char *state = container_state_json(c);

	buffer_str(j, "{\"ociVersion\":\"" OCI_SPEC_VERSION "\",\"fds\":[\"seccompFd\"],");
	buffer_printf(j, "\"pid\":%d,\"metadata\":", container_process_pid(p));
	buffer_json_string(j, s->listener_metadata ? s->listener_metadata : "");
	buffer_printf(j, ",\"state\":%s}", state ? state : "{}");
}

static int send_listener(const struct oci_seccomp *s, struct container *c,
                         struct container_process *p, int listener, struct error *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), owned = listener;
	_cleanup_buffer_ struct buffer j = BUFFER_INIT;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov;
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = control.space,
	                     .msg_controllen = sizeof(control.space)};
	struct cmsghdr *m = CMSG_FIRSTHDR(&msg);

	if (!s || str_empty(s->listener_path) || strlen(s->listener_path) >= sizeof(sa.sun_path))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "SCMP_ACT_NOTIFY needs a linux.seccomp.listenerPath");
	strcpy(sa.sun_path, s->listener_path);
	write_process_state(&j, s, c, p);
	if (j.failed)
		return error_set(err, ENOMEM, "no memory");
	iov = (struct iovec){j.data, j.size};
	m->cmsg_level = SOL_SOCKET;
	m->cmsg_type = SCM_RIGHTS;
	m->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(m), &owned, sizeof(int));
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return error_errno(err, errno, "failed to connect with seccomp agent %s",
		                   s->listener_path);
	if (sendmsg(fd, &msg, MSG_NOSIGNAL) < 0)
		return error_errno(err, errno, "sending the seccomp listener to %s",
		                   s->listener_path);
	return 0;
}

static int give_listener(const struct oci_seccomp *s, struct container *c,
                         struct container_process *p, struct error *err)
{
	int listener = container_process_take_seccomp(p);

	return listener < 0 ? 0 : send_listener(s, c, p, listener, err);
}

int bundle_wait_running(const struct oci_seccomp *s, struct container *c,
                        struct container_process *p, struct error *err)
{
	int r = 0, handled;

	while (r == 0 && (handled = container_process_handle(p, err)) != 0) {
		struct pollfd fds = {.fd = container_process_fd(p), .events = POLLIN};

		if (handled < 0)
			return handled;
		r = give_listener(s, c, p, err);
		if (r == 0)
			poll(&fds, 1, -1);
	}
	return r < 0 ? r : give_listener(s, c, p, err);
}
