/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox: set-up, OOM events, reaped children, and the end of it all. */
#include "guest/agent/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/agent/container/mountinfo.h"
#include "guest/agent/image/image_root.h"
#include "guest/agent/sandbox_container.h"
#include "guest/agent/storage/storage.h"
#include "guest/agent/storage/storage_mount.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"

void sandbox_init(struct sandbox *s, struct loop *loop, const struct agent_config *config)
{
	memset(s, 0, sizeof(*s));
	s->loop = loop;
	s->config = config;
	s->pidns_fd = -1;
}

int sandbox_id_check(const char *id, size_t shortest, const char *what, struct error *err)
{
	size_t n = strlen(id);
	bool ok = n >= shortest && n < SANDBOX_ID_MAX && strchr("._-", id[0]) == NULL;

	for (size_t i = 0; i < n && ok; i++)
		ok = (id[i] >= '0' && id[i] <= '9') || (id[i] >= 'a' && id[i] <= 'z') ||
		     (id[i] >= 'A' && id[i] <= 'Z') || strchr("._-", id[i]);
	if (ok)
		return 0;
	return error_set_kind(
	    err, ERROR_INPUT, EINVAL,
	    "%s \"%.64s\": must be %zu to %u of A-Z a-z 0-9 . _ - and begin with a "
	    "letter or digit",
	    what, id, shortest, SANDBOX_ID_MAX - 1);
}

/* ---- CreateSandbox, in a helper */

/* A namespace lives on as a bind mount of its file. The child's own is made new first. */
static int keep_namespace(int flag, const char *name, const char *hostname, struct error *err)
{
	char file[64], self[64];
	int fd;

	snprintf(file, sizeof(file), SANDBOX_NS_DIR "/%s", name);
	snprintf(self, sizeof(self), "/proc/self/ns/%s", name);
	if (unshare(flag) < 0)
		return error_errno(err, errno, "a new %s namespace", name);
	if (flag == CLONE_NEWUTS && *hostname && sethostname(hostname, strlen(hostname)) < 0)
		return error_errno(err, errno, "host name \"%s\"", hostname);
	umount2(file, MNT_DETACH); /* of an earlier sandbox */
	fd = open(file, O_CREAT | O_RDONLY | O_CLOEXEC, 0444);
	if (fd < 0)
		return error_errno(err, errno, "%s", file);
	close(fd);
	if (mount(self, file, NULL, MS_BIND, NULL) < 0)
		return error_errno(err, errno, "keeping the %s namespace at %s", name, file);
	return 0;
}

static int write_resolv_conf(const char *const *lines, size_t n, struct error *err)
{
	static const char path[] = SANDBOX_DIR "/resolv.conf";
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct stat st;
	int r;

	for (size_t i = 0; i < n; i++) {
		buffer_str(&text, lines[i]);
		buffer_str(&text, "\n");
	}
	if (n == 0)
		return 0;
	if (text.failed)
		return error_set(err, ENOMEM, "out of memory for resolv.conf");
	r = fs_write_file_atomic(path, text.data, text.size, 0644, err);
	if (r < 0)
		return r;
	/* An image without the file wants none; a link could lead anywhere. */
	if (lstat("/etc/resolv.conf", &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	if (mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0)
		return error_errno(err, errno, "binding %s over /etc/resolv.conf", path);
	return 0;
}

static int run_modprobe(const char *const *argv, struct error *err)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return error_errno(err, errno, "modprobe %s", argv[2]);
	if (pid == 0) {
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return error_set(err, EIO, "loading kernel module %s failed (status %d)", argv[2],
	                 WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

/* An earlier sandbox's resolv.conf lies over /etc/resolv.conf, and is about to be removed. */
static void uncover_resolv_conf(void)
{
	_cleanup_mountinfo_ struct mountinfo m = {0};
	struct mountinfo_entry e;
	bool ours = false;

	if (mountinfo_open(&m, NULL) < 0)
		return;
	while (mountinfo_next(&m, &e)) /* the last one is on top */
		if (strcmp(e.point, "/etc/resolv.conf") == 0)
			ours = strstr(e.root, "kata-containers/sandbox/resolv.conf") != NULL;
	if (ours)
		umount2("/etc/resolv.conf", MNT_DETACH);
}

static int make_directories(struct error *err)
{
	static const char *const dirs[] = {SANDBOX_SHARED_DIR, SANDBOX_DIR, SANDBOX_NS_DIR,
	                                   IMAGE_STORE_DIR, IMAGE_LAYERS_DIR};
	int r;

	uncover_resolv_conf();
	/* Removing must not reach through a mount of an earlier sandbox. */
	if (storage_unmount_below(SANDBOX_ROOT) > 0)
		return error_set(err, EBUSY, "%s has mounts that cannot be undone", SANDBOX_ROOT);
	r = fs_remove_tree(AT_FDCWD, SANDBOX_ROOT, err);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]) && r == 0; i++)
		r = fs_mkdir_p(dirs[i], 0755, err);
	if (r == 0 && geteuid() == 0 && chown(IMAGE_STORE_DIR, PULLER_UID, PULLER_UID) < 0)
		r = error_errno(err, errno, "%s", IMAGE_STORE_DIR);
	return r;
}

int sandbox_setup_run(const struct sandbox_setup *setup, struct error *err)
{
	const char *const *argv = setup->modprobe;
	int r = make_directories(err);

	for (size_t i = 0; i < setup->n_modules && r == 0; i++) {
		r = run_modprobe(argv, err);
		while (*argv++)
			;
	}
	if (r == 0)
		r = write_resolv_conf(setup->dns, setup->n_dns, err);
	if (r == 0)
		r = keep_namespace(CLONE_NEWIPC, "ipc", "", err);
	if (r == 0)
		r = keep_namespace(CLONE_NEWUTS, "uts", setup->hostname, err);
	return r;
}

/* ---- events */

void sandbox_orphan(struct loop_source *src, pid_t pid, int status, void *data)
{
	struct sandbox *s = data;

	s->reaped[s->next_reaped].pid = pid;
	s->reaped[s->next_reaped].status = status;
	s->next_reaped = (s->next_reaped + 1) % SANDBOX_MAX_REAPED;
}

bool sandbox_claim_reaped(struct sandbox *s, pid_t pid, int *status)
{
	for (unsigned int i = 0; i < SANDBOX_MAX_REAPED; i++) {
		if (s->reaped[i].pid != pid)
			continue;
		*status = s->reaped[i].status;
		s->reaped[i].pid = 0;
		return true;
	}
	return false;
}

void sandbox_oom_event(struct sandbox *s, const char *container_id)
{
	Grpc__OOMEvent m = GRPC__OOMEVENT__INIT;
	struct rpc_call *call = call_queue_pop(&s->oom_waiters);
	char *copy;

	if (call) {
		m.container_id = (char *)container_id;
		rpc_call_reply(call, &m.base);
		return;
	}
	copy = s->n_oom_events < SANDBOX_MAX_OOM ? strdup(container_id) : NULL;
	if (copy)
		s->oom_events[s->n_oom_events++] = copy;
}

/* ---- the end */

#define DESTROY_LOOK_MS 10u

struct destruction {
	struct sandbox *sandbox;
	uint64_t deadline; /* loop_now_ms() time */
	struct loop_source *look;
	void (*done)(void *data);
	void *data;
};

static void destruction_end(struct destruction *d)
{
	void (*done)(void *) = d->done;
	void *data = d->data;

	loop_source_free(d->look);
	free(d);
	done(data);
}

static void drop_storages(void *data)
{
	struct destruction *d = data;
	struct storage *st;

	while ((st = d->sandbox->storages)) {
		st->refs = 1;
		st->shared = false;
		if (storage_drop(d->sandbox, st, drop_storages, d))
			return;
	}
	destruction_end(d);
}

/* Looks again and again: containers come to their ends in several ways. */
static void destroy_look(struct loop_source *src, void *data)
{
	struct destruction *d = data;

	for (struct sandbox_container *c = d->sandbox->containers; c; c = c->next) {
		if (c->state == SANDBOX_CONTAINER_CREATING && c->cancel)
			c->cancel(c->cancel_data);
		else if (c->state != SANDBOX_CONTAINER_CREATING &&
		         c->state != SANDBOX_CONTAINER_REMOVING)
			sandbox_container_remove(c, 0, NULL, NULL, NULL);
	}
	if (!d->sandbox->containers) {
		drop_storages(d);
	} else if (loop_now_ms() >= d->deadline) {
		log_warn("%u containers are not gone; the sandbox ends without them",
		         d->sandbox->n_containers);
		destruction_end(d);
	} else {
		loop_set_timer(d->look, DESTROY_LOOK_MS);
	}
}

void sandbox_destroy(struct sandbox *s, uint64_t ms, void (*done)(void *data), void *data)
{
	struct destruction *d = calloc(1, sizeof(*d));

	call_queue_fail(&s->oom_waiters, RPC_INTERNAL, "");
	if (d) {
		*d = (struct destruction){s, loop_now_ms() + ms, NULL, done, data};
		if (loop_add_timer(s->loop, 0, destroy_look, d, &d->look, NULL) == 0)
			return;
		free(d);
	}
	done(data);
}

void sandbox_release(struct sandbox *s)
{
	call_queue_fail(&s->oom_waiters, RPC_INTERNAL, "");
	for (unsigned int i = 0; i < s->n_oom_events; i++)
		free(s->oom_events[i]);
	s->n_oom_events = 0;
	free(s->hook_path);
	s->hook_path = NULL;
	close_fd(&s->pidns_fd);
}
