/* SPDX-License-Identifier: Apache-2.0 */
/* shared_mounts: a helper goes from one container's mount namespace to the other's. */
#include "guest/agent/rpc/shared_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h> /* struct statx, not in musl 1.2.3 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent/container/mount.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/helper.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

#define READY_MS    10000u /* for the program of the source to mount something */
#define DEADLINE_MS 20000u
#define MOUNTS_MAX  64u

struct sharing {
	struct sandbox_container *container;
	const Grpc__CreateContainerRequest *req;
	shared_mounts_fn done;
	void *data;
};

const char *shared_mounts_name(const struct oci_spec *spec)
{
	const char *name = oci_map_get(&spec->annotations, "io.kubernetes.cri.container-name");

	return name ? name
	            : oci_map_get(&spec->annotations, "io.kubernetes.container.name"); /* CRI-O */
}

/* 0: there is none, or its init is gone. */
static pid_t find_source(const struct sandbox *s, const char *name)
{
	for (struct sandbox_container *c = s->containers; c; c = c->next) {
		struct sandbox_process *init;

		if (c->state == SANDBOX_CONTAINER_STARTED && c->name &&
		    strcmp(c->name, name) == 0 &&
		    sandbox_container_process(c, "", &init, NULL) == 0 && !init->exited)
			return container_process_pid(container_init(c->engine));
	}
	return 0;
}

/* ---- in the helper */

/* From here on "/" is the root of that process's container. */
static int enter(pid_t pid, struct error *err)
{
	_cleanup_close_ int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNS) < 0)
		return error_errno(err, errno, "shared mounts: %s", path);
	return 0;
}

static bool is_mount(const char *path)
{
	struct statx st;

	/* Not in musl 1.2.3. */
	return syscall(SYS_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, 0, &st) == 0 &&
	       st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

/* -EAGAIN: nothing was mounted there in time. */
static int take(pid_t source, const char *path, uint64_t until_ms, struct error *err)
{
	const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
	int r = enter(source, err);

	while (r == 0 && !is_mount(path)) {
		if (loop_now_ms() >= until_ms)
			return -EAGAIN;
		nanosleep(&pause, NULL);
	}
	return r < 0 ? r : mount_clone(AT_FDCWD, path, true, err);
}

static int show(int mount, const char *path, struct error *err)
{
	_cleanup_close_ int at = -1;
	int r = fs_mkdir_p(path, 0755, err);

	if (r < 0)
		return r;
	at = open(path, O_PATH | O_CLOEXEC);
	if (at < 0)
		return error_errno(err, errno, "shared mounts: %s", path);
	return mount_attach(mount, at, path, err);
}

static int share_one(const struct sharing *s, const Grpc__SharedMount *m, int own_ns,
                     uint64_t until_ms, struct error *err)
{
	pid_t source = find_source(s->container->sandbox, m->src_ctr);
	_cleanup_close_ int mount = -1;
	int r;

	if (!source) {
		log_warn("shared mount %s: no container \"%s\"", m->name, m->src_ctr);
		return 0;
	}
	mount = take(source, m->src_path, until_ms, err);
	/* Back, since /proc/PID means our own pid namespace only here. */
	if (setns(own_ns, CLONE_NEWNS) < 0)
		return error_errno(err, errno, "shared mounts");
	if (mount == -EAGAIN) {
		log_warn("shared mount %s: nothing is mounted at %s of \"%s\"", m->name,
		         m->src_path, m->src_ctr);
		return 0;
	}
	if (mount < 0)
		return mount;
	r = enter(container_process_pid(container_init(s->container->engine)), err);
	if (r == 0)
		r = show(mount, m->dst_path, err);
	if (setns(own_ns, CLONE_NEWNS) < 0 && r == 0)
		r = error_errno(err, errno, "shared mounts");
	return r;
}

static int share_all(void *data, void *out, struct error *err)
{
	const struct sharing *s = data;
	_cleanup_close_ int own_ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	uint64_t until_ms = loop_now_ms() + READY_MS;
	int r = own_ns < 0 ? error_errno(err, errno, "/proc/self/ns/mnt") : 0;

	for (size_t i = 0; i < s->req->n_shared_mounts && r == 0; i++)
		r = share_one(s, s->req->shared_mounts[i], own_ns, until_ms, err);
	return r;
}

/* ---- on the loop */

static void shared(int result, const void *out, const struct error *err, void *data)
{
	struct sharing *s = data;
	shared_mounts_fn done = s->done;
	void *done_data = s->data;

	free(s);
	done(result, err, done_data);
}

static int check(const Grpc__CreateContainerRequest *req, struct error *err)
{
	if (req->n_shared_mounts > MOUNTS_MAX)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "%zu shared mounts, at most %u are taken",
		                      req->n_shared_mounts, MOUNTS_MAX);
	for (size_t i = 0; i < req->n_shared_mounts; i++) {
		const Grpc__SharedMount *m = req->shared_mounts[i];

		if (*m->src_path != '/' || *m->dst_path != '/')
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "shared mount \"%s\": paths must be absolute",
			                      m->name);
	}
	return 0;
}

int shared_mounts_add(struct sandbox_container *c, const Grpc__CreateContainerRequest *req,
                      shared_mounts_fn done, void *data, struct error *err)
{
	struct sharing *s;
	int r = check(req, err);

	if (r < 0 || req->n_shared_mounts == 0)
		return r < 0 ? r : 1;
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(err, ENOMEM, "out of memory for shared mounts");
	*s = (struct sharing){c, req, done, data};
	r = helper_run(c->sandbox->loop, "sharing mounts", share_all, s, DEADLINE_MS, shared, s,
	               err);
	if (r < 0)
		free(s);
	return r;
}
