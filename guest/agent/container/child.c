/* SPDX-License-Identifier: Apache-2.0 */
/* child: isolate, build the container round itself, become the user, wait, execute. */
#include "guest/agent/container/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "guest/agent/container/attributes.h"
#include "guest/agent/container/calls.h"
#include "guest/agent/container/descriptors.h"
#include "guest/agent/container/device.h"
#include "guest/agent/container/helper.h"
#include "guest/agent/container/hook.h"
#include "guest/agent/container/program.h"
#include "guest/agent/container/rootfs.h"
#include "guest/agent/container/sync.h"
#include "guest/agent/container/syscall_filter.h"
#include "guest/agent/container/terminal.h"
#include "guest/agent/container/user.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/process.h"

/* The state of a child on its way; never freed, execve or _exit ends it. */
struct child {
	struct child_plan *plan;
	struct rootfs root;
	struct user_identity user;
	struct program program;
	struct arena arena;
	struct syscall_filter filter;
	int slave; /* of the terminal */
};

int child_before(void *data, struct error *err)
{
	struct child_plan *p = data;
	int r;

	/* In a new user namespace nothing may be raised: the helper does it from outside. */
	if (p->namespaces && p->namespaces->create & CLONE_NEWUSER)
		return 0;
	r = attributes_set_outside(0, p->process, err);
	if (r == 0 && !p->spec && p->process->exec_cpu_affinity)
		r = attributes_set_affinity(p->process->exec_cpu_affinity->initial, err);
	if (r == 0 && p->private_user)
		r = attributes_set_rlimits(0, p->process, err);
	return r;
}

/* ---- isolation ---- */

static int isolate(struct child_plan *p, struct error *err)
{
	struct descriptors keep = {0};
	int first = 3 + (int)p->preserve_fds, r;

	process_reset_signals();
	if (p->die_with_parent)
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* Others of the container's pid namespace shall not look into this process, which is
	 * still the runtime (/proc/PID/exe, /proc/PID/fd). In a fresh user namespace there are
	 * no others yet, and an unprivileged helper has to write its maps first. */
	if (!p->namespaces || !(p->namespaces->create & CLONE_NEWUSER))
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	for (int i = 0; i < 3; i++)
		descriptors_keep(&keep, &p->stdio[i]);
	descriptors_keep(&keep, &p->sync_fd);
	descriptors_keep(&keep, &p->helper_fd);
	descriptors_keep(&keep, &p->listen_fd);
	descriptors_keep(&keep, &p->proc_fd);
	descriptors_keep(&keep, &p->root_fd);
	descriptors_keep(&keep, &p->filter_fd);
	/* Above the descriptors that are handed on by number. */
	r = descriptors_lift(&keep, first, err);
	if (r < 0)
		return r;
	descriptors_close_others(&keep, first);
	r = descriptors_place_stdio(p->stdio, err);
	for (int i = 0; i < 3; i++)
		close_fd(&p->stdio[i]);
	if (setsid() < 0 && errno != EPERM)
		return error_errno(err, errno, "making a session");
	return r;
}

/* Root of the user namespace that was made or joined, if it has one. A new one's ids are
 * mapped by the helper first. */
static int become_root(struct child_plan *p, struct error *err)
{
	int r = 0;

	if (p->namespaces->create & CLONE_NEWUSER)
		r = helper_ask(p->helper_fd, SYNC_MAP_IDS, err);
	if (r < 0)
		return r;
	/* EINVAL: 0 is not mapped. */
	if (setresgid(0, 0, 0) < 0 && errno != EINVAL)
		return error_errno(err, errno, "becoming group 0 of the user namespace");
	if (setresuid(0, 0, 0) < 0 && errno != EINVAL)
		return error_errno(err, errno, "becoming user 0 of the user namespace");
	/* Changing ids made this process dumpable, and forgot the signal. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (p->die_with_parent)
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	return 0;
}

static int raise_loopback(struct error *err)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_name = "lo"};

	if (fd < 0)
		return errno == EAFNOSUPPORT ? 0 : error_errno(err, errno, "raising the loopback");
	if (ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		return error_errno(err, errno, "raising the loopback interface");
	ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		return error_errno(err, errno, "raising the loopback interface");
	return 0;
}

static int set_names(const struct oci_spec *spec, struct error *err)
{
	if (!str_empty(spec->hostname) && sethostname(spec->hostname, strlen(spec->hostname)) < 0)
		return error_errno(err, errno, "setting the host name");
	if (!str_empty(spec->domainname) &&
	    setdomainname(spec->domainname, strlen(spec->domainname)) < 0)
		return error_errno(err, errno, "setting the domain name");
	return 0;
}

static int set_up_namespaces(struct child_plan *p, struct error *err)
{
	uint64_t create = p->namespaces->create;
	int r = 0;

	if (p->private_user)
		r = become_root(p, err);
	if (r < 0)
		return r;
	if (create & CLONE_NEWCGROUP && unshare(CLONE_NEWCGROUP) < 0)
		return error_errno(err, errno, "making a cgroup namespace");
	if (create & CLONE_NEWNET)
		r = raise_loopback(err);
	return r < 0 ? r : set_names(p->spec, err);
}

/* ---- the root ---- */

static int set_up_terminal(struct child *c, int root_fd, struct error *err)
{
	const struct child_plan *p = c->plan;
	_cleanup_close_ int master = -1;
	int r;

	if (!p->process->terminal)
		return 0;
	r = terminal_open(root_fd, &master, &c->slave, err);
	if (r < 0)
		return r;
	r = terminal_set_size(master, p->process->console_height, p->process->console_width);
	if (r < 0)
		return error_errno(err, -r, "setting the size of the terminal");
	if (p->spec) {
		r = terminal_bind_console(root_fd, c->slave, err);
		if (r < 0)
			return r;
	}
	r = sync_send(p->sync_fd, SYNC_CONSOLE, 0, master);
	return r < 0 ? error_errno(err, -r, "handing over the terminal") : 0;
}

static int run_hooks(struct child *c, enum oci_hook_point point, const char *status,
                     struct error *err)
{
	struct state state = c->plan->state;

	state.status = status;
	state.pid = getpid();
	return hooks_run(&c->plan->spec->hooks[point], oci_hook_point_name(point), &state, err);
}

static int run_create_hooks(struct child *c, struct error *err)
{
	const struct child_plan *p = c->plan;
	int r = 0;

	if (p->spec->hooks[OCI_HOOK_PRESTART].n || p->spec->hooks[OCI_HOOK_CREATE_RUNTIME].n)
		r = helper_ask(p->helper_fd, SYNC_HOOKS, err);
	if (r < 0 || p->spec->hooks[OCI_HOOK_CREATE_CONTAINER].n == 0)
		return r;
	/* In the container's root as the others run them: those who mount there use it. */
	if (fchdir(c->root.fd) < 0)
		return error_errno(err, errno, "entering the root file system");
	return run_hooks(c, OCI_HOOK_CREATE_CONTAINER, "creating", err);
}

static int set_up_root(struct child *c, struct error *err)
{
	const struct child_plan *p = c->plan;
	struct rootfs *root = &c->root;
	int cwd, r;

	*root = (struct rootfs){.spec = p->spec,
	                        .namespaces = p->namespaces,
	                        .path = p->rootfs,
	                        .bundle = p->bundle,
	                        .helper_fd = p->helper_fd,
	                        .cgroup_path = p->cgroup_path,
	                        .no_pivot = p->no_pivot,
	                        .shared =
	                            !((p->namespaces->create | p->namespaces->join) & CLONE_NEWNS),
	                        .fd = -1,
	                        .null_mount = -1};
	r = rootfs_open(root, err);
	if (r == 0)
		r = rootfs_mount_all(root, err);
	if (r == 0)
		r = devices_make(root->fd, p->spec, p->private_user, err);
	if (r == 0)
		r = set_up_terminal(c, root->fd, err);
	if (r < 0)
		return r;
	/* A working directory that the image does not have is made, where it can be. */
	cwd = fs_mkdir_in_root(root->fd, p->process->cwd, 0755);
	if (cwd >= 0)
		close(cwd);
	r = run_create_hooks(c, err);
	if (r == 0)
		r = rootfs_enter(root, err);
	if (r == 0)
		r = attributes_set_sysctls(p->proc_fd, &p->spec->linux_.sysctl, err);
	if (r == 0)
		r = rootfs_protect(root, err);
	rootfs_close(root);
	return r;
}

/* ---- becoming the user ---- */

static bool is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

/* The runtime's /dev/null belongs to a mount that the container does not have: its path would
 * be unreachable there. */
static void take_own_null(int i)
{
	_cleanup_close_ int fd =
	    openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && is_null(&st))
		(void)dup2(fd, i);
}

static int own_stdio(struct child *c, struct error *err)
{
	struct stat st;

	if (c->slave >= 0)
		return terminal_take(c->slave, c->user.uid, err);
	/* So that the program can open /proc/self/fd/1 again. */
	for (int i = 0; i < 3; i++) {
		if (fstat(i, &st) == 0 && is_null(&st)) {
			take_own_null(i);
			continue;
		}
		if (fstat(i, &st) < 0 || st.st_uid == c->user.uid)
			continue;
		if (fchown(i, c->user.uid, (gid_t)-1) < 0 && errno != EINVAL && errno != EPERM &&
		    errno != EROFS && errno != ENOSYS)
			return error_errno(err, errno, "setting the owner of descriptor %d", i);
	}
	return 0;
}

static int change_ids(struct child *c, struct error *err)
{
	const struct user_identity *u = &c->user;
	int r = capability_keep(err);

	if (r < 0)
		return r;
	if (!c->plan->keep_groups && setgroups(u->n_gids, u->gids) < 0 &&
	    !(errno == EPERM && u->n_gids == 0))
		return error_errno(err, errno, "setting the additional groups");
	if (setresgid(u->gid, u->gid, u->gid) < 0)
		return error_errno(err, errno, "changing to group %u", u->gid);
	if (setresuid(u->uid, u->uid, u->uid) < 0)
		return error_errno(err, errno, "changing to user %u", u->uid);
	if (c->plan->die_with_parent) /* the change of user forgot it */
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	return capability_regain(err);
}

/* A working directory outside the root would lead out of the container (CVE-2024-21626);
 * the kernel's getcwd shows such a one without a leading slash. */
static int enter_directory(const char *cwd, struct error *err)
{
	char real[4096];

	if (chdir(cwd) < 0)
		return -errno;
	if (syscall(SYS_getcwd, real, sizeof(real)) < 0 || real[0] != '/')
		return error_set_kind(err, ERROR_INPUT, EXDEV,
		                      "the working directory %s is outside of the container", cwd);
	return 0;
}

/* As the user where that works, else with the runtime's rights, as other runtimes do. */
static int change_directory(const char *cwd, bool last, struct error *err)
{
	int r = enter_directory(cwd, err);

	if (r == -EXDEV || r == 0)
		return r;
	if (!last && r == -EACCES)
		return 0;
	return error_errno(err, -r, "changing to the working directory %s", cwd);
}

static int become_user(struct child *c, struct error *err)
{
	const struct child_plan *p = c->plan;
	int r = own_stdio(c, err);

	if (r == 0 && !p->private_user)
		r = attributes_set_rlimits(0, p->process, err);
	if (r == 0 && !p->spec && p->process->exec_cpu_affinity)
		r = attributes_set_affinity(p->process->exec_cpu_affinity->final, err);
	if (r == 0)
		r = attributes_set_labels(p->proc_fd, p->apparmor, p->selinux, err);
	if (r == 0)
		r = capability_drop_bounding(&p->capabilities, err);
	if (r == 0)
		r = change_directory(p->process->cwd, false, err);
	if (r == 0)
		r = change_ids(c, err);
	if (r == 0)
		r = change_directory(p->process->cwd, true, err);
	if (r < 0)
		return r;
	if (p->process->user.umask.set)
		umask(p->process->user.umask.value & 0777);
	else
		umask(022);
	if (p->process->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, errno, "setting no_new_privs");
	return 0;
}

/* ---- the filter ---- */

static int prepare_filter(struct child *c, struct error *err)
{
	struct child_plan *p = c->plan;
	int r = 0;

	if (p->filter_comes) {
		r = sync_expect(p->sync_fd, SYNC_PROGRAM, &p->filter_fd, "the runtime", err);
		if (r < 0)
			return r;
	} else if (p->spec && p->spec->linux_.seccomp) {
		r = syscall_filter_compile(p->spec->linux_.seccomp, &p->filter_fd, err);
		if (r < 0)
			return r;
		r = sync_send(p->sync_fd, SYNC_PROGRAM, 0, p->filter_fd);
		if (r < 0)
			return error_errno(err, -r, "handing over the seccomp filter");
	}
	if (p->filter_fd >= 0)
		r = syscall_filter_read(p->filter_fd, &c->filter, err);
	close_fd(&p->filter_fd);
	return r;
}

/* Without no_new_privs loading a filter takes CAP_SYS_ADMIN: then it comes before the
 * capabilities go, and has to allow capset and prctl besides execve. */
static bool filter_before_capabilities(const struct child *c)
{
	return c->filter.n > 0 && !c->plan->process->no_new_privileges;
}

static int load_filter(struct child *c, struct syscall_filter_sender *sender, struct error *err)
{
	int r = 0;

	if (c->filter.n == 0)
		return 0;
	r = sender ? syscall_filter_load_and_send(&c->filter, sender)
	           : syscall_filter_load(&c->filter);
	return r < 0 ? error_errno(err, -r, "loading the seccomp filter") : 0;
}

/* ---- waiting, executing ---- */

static int accept_start(struct child_plan *p)
{
	int fd = accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	close_fd(&p->sync_fd);
	p->sync_fd = fd;
	return 0;
}

/* From the maker over the sync pair, or from a later process over the start socket. */
static int wait_for_start(struct child_plan *p, struct error *err)
{
	int r = sync_send(p->sync_fd, SYNC_READY, 0, -1);
	bool kept = false;

	if (r < 0)
		return error_errno(err, -r, "telling that the container is created");
	for (;;) {
		struct pollfd fds[2] = {{.fd = p->sync_fd, .events = POLLIN},
		                        {.fd = p->listen_fd, .events = POLLIN}};
		struct sync_message m;
		int passed = -1;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return error_errno(err, errno, "waiting for the start");
		if (fds[1].revents && accept_start(p) == 0) {
			kept = true; /* who comes has seen the record */
			continue;
		}
		if (!fds[0].revents)
			continue;
		r = sync_recv(p->sync_fd, &m, &passed, 0);
		close_fd(&passed);
		if (r > 0 && m.type == SYNC_START)
			break;
		kept = kept || (r > 0 && m.type == SYNC_KEPT);
		if (r > 0)
			continue;
		/* The maker is gone. Only a record and its start socket leave something to wait
		 * for. */
		close_fd(&p->sync_fd);
		if (p->listen_fd < 0 || p->die_with_parent || !kept)
			_exit(0);
	}
	close_fd(&p->listen_fd);
	return 0;
}

static int execute(struct child *c, struct error *err)
{
	const struct child_plan *p = c->plan;
	bool late = filter_before_capabilities(c);
	struct syscall_filter_sender *sender = NULL;
	int r = 0;

	if (c->filter.notifies)
		r = syscall_filter_sender_start(p->sync_fd, &sender, err);
	if (r == 0 && !late)
		r = capability_apply(&p->capabilities, err);
	if (r < 0)
		return r;
	/* Everything of ours is close-on-exec; so becomes what the runtime left open. */
	call_close_range(3 + p->preserve_fds, ~0u, CLOSE_RANGE_CLOEXEC);
	r = sync_send(p->sync_fd, SYNC_EXECUTING, 0, -1);
	if (r < 0)
		return error_errno(err, -r, "telling that the program starts");
	r = load_filter(c, sender, err);
	/* What a hook of the container's own files does is filtered like the program. */
	if (r == 0 && p->spec && c->filter.n > 0)
		r = run_hooks(c, OCI_HOOK_START_CONTAINER, "created", err);
	if (r == 0 && late)
		r = capability_apply(&p->capabilities, err);
	if (r < 0)
		return r;
	execve(c->program.path, c->program.argv, c->program.envp);
	return error_errno(err, errno, "executing \"%s\"", c->program.path);
}

/* ---- the whole ---- */

static int prepare(struct child *c, const struct spawn_args *args, struct error *err)
{
	struct child_plan *p = c->plan;
	_cleanup_close_ int slash = -1;
	int r = spawn_enter(args, err);

	if (r == 0)
		r = isolate(p, err);
	if (r == 0 && !p->keep_keyring)
		attributes_new_keyring(p->state.id);
	if (r == 0 && p->spec)
		r = set_up_namespaces(p, err);
	if (r == 0 && p->spec)
		r = set_up_root(c, err);
	if (r < 0)
		return r;
	close_fd(&p->helper_fd);
	if (p->root_fd >= 0 && (fchdir(p->root_fd) < 0 || chroot(".") < 0))
		return error_errno(err, errno, "entering the container's root");
	close_fd(&p->root_fd);
	slash = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (slash < 0)
		return error_errno(err, errno, "opening the container's root");
	if (!p->spec)
		r = set_up_terminal(c, slash, err);
	if (r == 0)
		r = user_resolve(slash, &p->process->user, &c->user, err);
	if (r == 0)
		r = attributes_set_personality(p->personality, err);
	if (r == 0)
		r = prepare_filter(c, err);
	if (r == 0)
		r = become_user(c, err);
	if (r == 0 && !p->process->absent)
		r = program_prepare(&c->arena, p->process, c->user.home, &c->program, err);
	close_fd(&p->proc_fd);
	close_fd(&c->slave);
	return r;
}

void child_run(const struct spawn_args *args)
{
	struct child c = {.plan = args->data, .slave = -1};
	struct error err = ERROR_INIT;
	int r = prepare(&c, args, &err);

	if (r == 0 && c.plan->spec)
		r = wait_for_start(c.plan, &err);
	if (r == 0 && c.plan->process->absent)
		r = error_set_kind(&err, ERROR_INPUT, EINVAL,
		                   "process is not set in the configuration: there is nothing to "
		                   "start");
	if (r == 0 && c.plan->spec && c.filter.n == 0)
		r = run_hooks(&c, OCI_HOOK_START_CONTAINER, "created", &err);
	if (r == 0)
		r = execute(&c, &err);
	if (r < 0)
		sync_send_error(c.plan->sync_fd, &err);
	_exit(1);
}
