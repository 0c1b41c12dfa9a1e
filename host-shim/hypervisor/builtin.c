/* SPDX-License-Identifier: Apache-2.0 */
/* builtin: the back end that runs a guest in a process of our own, on KVM. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host-shim/hypervisor/backend.h"
#include "host-shim/hypervisor/builtin_process.h"
#include "host-shim/hypervisor/child.h"
#include "host-shim/hypervisor/control.h"
#include "host-shim/hypervisor/group.h"
#include "host-shim/hypervisor/kernel_file.h"
#include "host-shim/hypervisor/passt.h"
#include "host-shim/vmm/devices/vsock_listen.h"
#include "host-shim/vmm/vm.h"
#include "lib/base/process.h"
#include "lib/base/str.h"

#define ERRORS_KEPT ERROR_TEXT_MAX
#define DRAIN_MAX   (4u << 20)
#define NOTES_MAX   16u /* of a guest: more are not passed on */
#define THREADS_MAX 64u /* beside the processors': storage, devices, and room */

struct builtin {
	struct hypervisor hv;
	char *vsock_path, *stats_path, *requests_path, *group;
	pid_t pid;
	int pidfd, console, control, errors; /* our ends */
	struct loop_source *pid_src, *console_src, *control_src;
	struct builtin_end end; /* when told */
	bool told;
	unsigned int n_notes;
	struct passt passt;
	int passt_pidfd;
	struct loop_source *passt_src;
	struct buffer errors_text;
};

static struct builtin *builtin_of(struct hypervisor *hv)
{
	return (struct builtin *)hv;
}

/* ---- before the start */

static int check(struct hypervisor *hv, struct error *err)
{
	struct builtin *b = builtin_of(hv);
	const struct hypervisor_config *c = &hv->config;
	bool multiboot;
	int r = 0;

	b->pidfd = b->console = b->control = b->errors = -1;
	b->passt.errors = b->passt_pidfd = -1;
	if (c->machine)
		return error_set_kind(
		    err, ERROR_USAGE, EINVAL,
		    "--machine is for QEMU: the built-in monitor has one machine");
	if (c->accel != ACCEL_KVM)
		return error_set_kind(err, ERROR_ENVIRONMENT, ENOTSUP,
		                      "the built-in monitor needs a KVM that runs Linux, and this "
		                      "host has none: use --vmm qemu");
	if (c->net.kind == GUEST_NET_USER)
		r = passt_check(err);
	/* Of a clone, the kernel is in its memory. */
	if (r == 0 && !c->from)
		r = child_check_file("kernel", c->kernel, err);
	if (r == 0 && !c->from)
		r = kernel_file_check(c->kernel, &multiboot, err);
	if (r == 0)
		r = child_check_file("initrd", c->initrd, err);
	return r < 0 ? r : child_check_file("root file system", c->rootfs, err);
}

static void close_fds(struct builtin_fds *f)
{
	for (size_t i = 0; i < BUILTIN_FDS; i++)
		close_fd((int *)f + i);
}

static int open_file(const char *what, const char *path, int *fd, struct error *err)
{
	if (!path)
		return 0;
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return *fd < 0 ? error_errno(err, errno, "%s %s", what, path) : 0;
}

static int open_files(const struct hypervisor_config *c, struct builtin_fds *f, struct error *err)
{
	int r = c->from ? 0 : open_file("kernel", c->kernel, &f->kernel, err);

	if (r == 0)
		r = open_file("initrd", c->initrd, &f->initrd, err);
	if (r == 0)
		r = open_file("root file system", c->rootfs, &f->rootfs, err);
	if (r < 0)
		return r;
	f->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	return f->kvm < 0 ? error_errno(err, errno, "opening /dev/kvm") : 0;
}

static int make_channels(struct builtin *b, struct builtin_fds *f, struct error *err)
{
	int control[2], errors[2], r;

	r = child_make_pair(&b->console, &f->console, err);
	if (r < 0)
		return r;
	/* Whole messages, or none. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
		return error_errno(err, errno, "making a socket pair");
	b->control = control[0];
	f->control = control[1];
	if (pipe2(errors, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_errno(err, errno, "making a pipe");
	b->errors = errors[0];
	f->errors = errors[1];
	return 0;
}

static int make_vsock(struct builtin *b, struct builtin_fds *f, struct error *err)
{
	const struct hypervisor_config *c = &b->hv.config;

	if (c->no_vsock)
		return 0;
	b->vsock_path = str_printf("%s/vsock", c->runtime_dir);
	if (!b->vsock_path)
		return error_set(err, ENOMEM, "no memory for the vsock device");
	f->vsock = vsock_bind(b->vsock_path, err);
	return f->vsock < 0 ? f->vsock : 0;
}

static int make_stats(struct builtin *b, struct builtin_fds *f, struct error *err)
{
	b->stats_path = str_printf("%s/" HYPERVISOR_STATS_SOCKET, b->hv.config.runtime_dir);
	if (!b->stats_path)
		return error_set(err, ENOMEM, "no memory for a socket's name");
	f->stats = vsock_bind(b->stats_path, err);
	return f->stats < 0 ? f->stats : 0;
}

static int make_requests(struct builtin *b, struct builtin_fds *f, struct error *err)
{
	b->requests_path = str_printf("%s/" CONTROL_SOCKET, b->hv.config.runtime_dir);
	if (!b->requests_path)
		return error_set(err, ENOMEM, "no memory for a socket's name");
	f->requests = control_bind(b->requests_path, err);
	return f->requests < 0 ? f->requests : 0;
}

/* The child's are copies: ours go, so that virtiofsd sees the guest's end. */
static void hand_shares(struct builtin *b, struct builtin_fds *f)
{
	for (unsigned int i = 0; i < b->hv.n_shares; i++)
		f->shares[i] = steal_fd(&b->hv.shares[i].stream);
}

/* A guest without the network that it was promised is ended. When the monitor ended first, its own
 * end is the news: passt goes with it. */
static void passt_ended(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct builtin *b = data;
	_cleanup_free_ char *text = NULL;
	int status = 0;

	loop_source_free(b->passt_src);
	b->passt_src = NULL;
	waitpid(b->passt.pid, &status, 0);
	b->passt.pid = 0;
	if (b->pid > 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
		text = passt_failure(&b->passt, status);
		hypervisor_take_end(&b->hv, true, text ? text : "the guest's network failed");
		process_pidfd_send(b->pidfd, SIGKILL);
	}
}

static int make_net(struct builtin *b, struct builtin_fds *f, struct error *err)
{
	int r;

	if (b->hv.config.net.kind != GUEST_NET_USER)
		return guest_net_open(&b->hv.config.net, &f->net, err);
	r = passt_start(&b->passt, &f->net, err);
	return r < 0 ? r
	             : child_watch(b->hv.loop, b->passt.pid, passt_ended, b, &b->passt_pidfd,
	                           &b->passt_src, err);
}

static void process_ended(struct loop_source *src, int fd, uint32_t events, void *data);
static void on_console(struct loop_source *src, int fd, uint32_t events, void *data);
static void on_control(struct loop_source *src, int fd, uint32_t events, void *data);

static int prepare(struct hypervisor *hv, struct error *err)
{
	struct builtin *b = builtin_of(hv);
	_cleanup_(close_fds) struct builtin_fds f;
	int r;

	memset(&f, 0xff, sizeof(f)); /* -1 each */
	r = open_files(&hv->config, &f, err);

	if (r == 0)
		r = make_channels(b, &f, err);
	if (r == 0)
		r = make_vsock(b, &f, err);
	if (r == 0)
		r = make_stats(b, &f, err);
	if (r == 0)
		r = make_requests(b, &f, err);
	if (r == 0)
		r = make_net(b, &f, err);
	hand_shares(b, &f);
	if (r == 0)
		r = builtin_process_start(&b->pid, &hv->config, &f, b->vsock_path, err);
	if (r == 0) {
		b->group = group_make(strrchr(hv->config.runtime_dir, '/') + 1, b->pid,
		                      hv->config.cpus + THREADS_MAX);
		r = child_watch(hv->loop, b->pid, process_ended, hv, &b->pidfd, &b->pid_src, err);
	}
	if (r == 0)
		r = loop_add_fd(hv->loop, b->console, EPOLLIN, on_console, hv, &b->console_src,
		                err);
	if (r == 0)
		r = loop_add_fd(hv->loop, b->control, EPOLLIN, on_control, hv, &b->control_src,
		                err);
	return r;
}

/* ---- while it runs */

static void on_console(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct builtin *b = data;

	if (!child_read_console(fd, &b->hv))
		child_drop(&b->console_src, &b->console);
}

/* What the guest left behind. */
static void drain(struct builtin *b)
{
	for (size_t taken = 0; b->console_src && taken < DRAIN_MAX; taken += 4096)
		on_console(b->console_src, b->console, EPOLLIN, b);
	child_read(b->errors, &b->errors_text, ERRORS_KEPT);
}

/* The last message, or one line that says why there is none. */
static char *failure(struct builtin *b, int status)
{
	_cleanup_free_ char *memory = group_out_of_memory(b->group);

	if (b->told)
		return str_printf("the built-in monitor failed: %s", b->end.text);
	if (b->errors_text.size > 0)
		return str_printf("%s", buffer_cstr(&b->errors_text));
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return str_printf("the built-in monitor was killed by its system-call filter");
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && memory)
		return str_printf("the built-in monitor was killed: %s", memory);
	if (WIFSIGNALED(status))
		return str_printf("the built-in monitor was killed by signal %d (%s)",
		                  WTERMSIG(status), strsignal(WTERMSIG(status)));
	return str_printf("the built-in monitor ended with status %d", WEXITSTATUS(status));
}

static const char *const notes[] = {
    [BUILTIN_PANICKED - BUILTIN_NOTE] = "the guest's kernel has panicked",
    [BUILTIN_OUT_OF_MEMORY - BUILTIN_NOTE] =
        "the guest was out of memory and took back what its balloon was to keep",
};

static void take_note(struct builtin *b, uint32_t kind)
{
	if (kind - BUILTIN_NOTE < sizeof(notes) / sizeof(notes[0]) && b->n_notes++ < NOTES_MAX)
		hypervisor_take_note(&b->hv, notes[kind - BUILTIN_NOTE]);
}

/* False: there is no further one, for now or for good. */
static bool take_message(struct builtin *b)
{
	struct builtin_end m;

	if (b->told || recv(b->control, &m, sizeof(m), MSG_DONTWAIT) != (ssize_t)sizeof(m))
		return false;
	if (m.kind >= BUILTIN_NOTE) {
		take_note(b, m.kind);
		return true;
	}
	m.text[sizeof(m.text) - 1] = '\0';
	b->end = m;
	b->told = true;
	return false;
}

static void on_control(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct builtin *b = data;

	if (take_message(b))
		return;
	loop_source_free(src);
	b->control_src = NULL;
}

/* It follows the end, whole. */
static void take_stats(struct builtin *b)
{
	uint8_t *to = buffer_reserve(&b->hv.stats, HYPERVISOR_STATS_MAX);
	ssize_t n = to ? recv(b->control, to, HYPERVISOR_STATS_MAX, MSG_DONTWAIT) : -1;

	b->hv.stats.size = n > 0 ? (size_t)n : 0;
}

static void process_ended(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct builtin *b = data;
	const struct builtin_end *end = &b->end;
	_cleanup_free_ char *text = NULL;
	int status = 0;

	loop_source_free(b->pid_src);
	b->pid_src = NULL;
	if (waitpid(b->pid, &status, 0) < 0)
		status = 0;
	b->pid = 0;
	drain(b);
	while (take_message(b))
		;
	if (b->told)
		take_stats(b);
	if (b->told)
		b->hv.exit_status =
		    end->kind == VM_END_EXIT ? (int)(end->value & 0xff) : end->exit_status;
	b->hv.saved = b->told && end->kind == BUILTIN_SAVED;
	if (b->told && end->kind != VM_END_FAILED) {
		hypervisor_take_end(&b->hv, false, "");
		return;
	}
	text = failure(b, status);
	hypervisor_take_end(&b->hv, true, text ? text : "the built-in monitor failed");
}

/* ---- start and stop */

/* The caller's own descriptors, and those that were opened here. */
struct disks {
	int fds[HYPERVISOR_DISKS_MAX];
	bool ours[HYPERVISOR_DISKS_MAX];
	unsigned int n;
};

static void close_disks(struct disks *d)
{
	for (unsigned int i = 0; i < d->n; i++)
		if (d->ours[i])
			close_fd(&d->fds[i]);
}

static int open_disks(const struct hypervisor_config *c, struct disks *d, struct builtin_go *go,
                      struct error *err)
{
	for (unsigned int i = 0; i < c->n_disks; i++) {
		const struct hypervisor_disk *disk = &c->disks[i];

		d->fds[i] = disk->path
		                ? open(disk->path, (disk->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC)
		                : disk->fd;
		if (d->fds[i] < 0)
			return error_errno(err, errno, "disk %s", disk->path);
		d->ours[i] = disk->path;
		d->n = i + 1;
		go->readonly |= (uint32_t)disk->readonly << i;
	}
	go->n_disks = d->n;
	return 0;
}

static int start(struct hypervisor *hv, struct error *err)
{
	struct builtin *b = builtin_of(hv);
	_cleanup_(close_disks) struct disks d = {.n = 0};
	struct builtin_go go = {0};
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(d.fds))];
	} control = {0};
	struct iovec iov = {&go, sizeof(go)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int r = open_disks(&hv->config, &d, &go, err);

	if (r < 0)
		return r;
	if (d.n > 0) {
		struct cmsghdr *c = &control.align;

		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(d.n * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(d.n * sizeof(int));
		memcpy(CMSG_DATA(c), d.fds, d.n * sizeof(int));
	}
	if (sendmsg(b->control, &msg, MSG_NOSIGNAL) < 0)
		return error_errno(err, errno, "starting the built-in monitor");
	return 0;
}

static int save(struct hypervisor *hv, struct error *err)
{
	static const char word = BUILTIN_SAVE;

	if (send(builtin_of(hv)->control, &word, 1, MSG_NOSIGNAL) < 0)
		return error_errno(err, errno, "asking the built-in monitor to save the guest");
	return 0;
}

static void stop(struct hypervisor *hv)
{
	struct builtin *b = builtin_of(hv);

	if (b->pid > 0)
		process_pidfd_send(b->pidfd, SIGKILL);
}

static int vsock_connect(struct hypervisor *hv, uint32_t port, struct error *err)
{
	return child_vsock_connect(builtin_of(hv)->vsock_path, port, err);
}

static void release(struct hypervisor *hv)
{
	struct builtin *b = builtin_of(hv);

	child_drop(&b->pid_src, &b->pidfd);
	child_kill(&b->pid);
	group_remove(b->group);
	child_drop(&b->passt_src, &b->passt_pidfd);
	passt_stop(&b->passt);
	child_drop(&b->console_src, &b->console);
	child_drop(&b->control_src, &b->control);
	close_fd(&b->errors);
	if (b->vsock_path)
		unlink(b->vsock_path);
	free(b->vsock_path);
	if (b->stats_path)
		unlink(b->stats_path);
	free(b->stats_path);
	if (b->requests_path)
		unlink(b->requests_path);
	free(b->requests_path);
	buffer_free(&b->errors_text);
}

const struct hypervisor_ops builtin_backend = {
    .name = "builtin",
    .has_stats = true,
    .can_plug = true,
    .size = sizeof(struct builtin),
    .check = check,
    .prepare = prepare,
    .start = start,
    .save = save,
    .stop = stop,
    .release = release,
    .vsock_connect = vsock_connect,
};
