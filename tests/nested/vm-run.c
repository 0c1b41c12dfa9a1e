/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm-run: runs one machine of the built-in VMM from a command line, as plainly as its header
 * allows: for tests that want a machine without kihon round it. The serial port is standard output;
 * how the machine ended is the last line of standard error: power-off, reset, exit N, failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "host-shim/vmm/devices/blk.h"
#include "host-shim/vmm/devices/net.h"
#include "host-shim/vmm/devices/pmem.h"
#include "host-shim/vmm/devices/rng.h"
#include "host-shim/vmm/devices/vsock.h"
#include "host-shim/vmm/devices/vsock_listen.h"
#include "host-shim/vmm/jail.h"
#include "host-shim/vmm/vm.h"
#include "lib/base/options.h"
#include "lib/base/process.h"

enum { FILES_MAX = 4, DEVICES_MAX = 3 * FILES_MAX + 3, POOL_THREADS = 2 };

struct arguments {
	const char *kernel, *initrd, *cmdline, *vsock, *tap, *save, *restore;
	struct strv disks, pmems, plugs;
	uint32_t cpus, pauses;
	uint64_t memory, timeout_ms;
	bool jail, no_acpi, pit, stats;
};

struct running {
	const struct arguments *a;
	struct loop *loop;
	struct io_pool *pool;
	struct vm *vm;
	struct virtio_device *devices[DEVICES_MAX];
	struct pmem_backing backings[FILES_MAX];
	unsigned int n_devices, n_backings, paused;
	int kvm, kernel, initrd, listener, tap, pmems[FILES_MAX], disks[FILES_MAX],
	    plugs[FILES_MAX];
	int keep[3 * FILES_MAX + 12]; /* every descriptor */
	unsigned int n_keep;
	struct loop_source *again, *limit, *saver, *plugger;
	unsigned int plugged;
	struct virtio_device *vsock;
	int state, memory; /* of a snapshot */
	bool saved;
	struct vm_end end;
	char text[200];
};

static void ended(void *data, const struct vm_end *end)
{
	struct running *r = data;

	r->end = *end;
	snprintf(r->text, sizeof(r->text), "%s", end->text);
	loop_exit(r->loop, 0);
}

static void panicked(void *data)
{
	(void)data;
	static bool said;

	if (!said)
		fputs("vm-run: the guest panicked\n", stderr);
	said = true;
}

static void timed_out(struct loop_source *src, void *data)
{
	struct running *r = data;

	r->end.kind = VM_END_FAILED;
	snprintf(r->text, sizeof(r->text), "no end in time");
	loop_exit(r->loop, 0);
}

/* Stops the machine and lets it go on, again and again: a guest must not notice. */
static void pause_again(struct loop_source *src, void *data)
{
	struct running *r = data;
	struct error err = ERROR_INIT;

	if (vm_pause(r->vm, &err) < 0 || vm_resume(r->vm, &err) < 0)
		fprintf(stderr, "vm-run: %s\n", err.text);
	if (++r->paused < r->a->pauses)
		loop_set_timer(src, 20);
}

/* SIGUSR1: the machine is written to the files of --save, and ends. */
static void save_machine(struct loop_source *src, const struct signalfd_siginfo *si, void *data)
{
	struct running *r = data;
	struct error err = ERROR_INIT;
	int e = vm_pause(r->vm, &err);

	if (e == 0)
		e = vm_save(r->vm, r->state, r->memory, &err);
	if (e == 0)
		r->saved = true;
	else
		fprintf(stderr, "vm-run: %s\n", err.text);
	r->end.kind = VM_END_FAILED;
	loop_exit(r->loop, 0);
}

/* ---- files, all opened before the jail is entered */

static int open_file(struct running *r, const char *path, int flags, struct error *err)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_errno(err, errno, "opening %s", path);
	return r->keep[r->n_keep++] = fd;
}

/* access(2) knows nothing of a disk that is read-only as a whole. */
static bool is_writable(const char *path)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0;
}

static int open_files(struct running *r, const struct strv *paths, int *fds, int flags,
                      struct error *err)
{
	if (paths->n > FILES_MAX)
		return error_set_kind(err, ERROR_USAGE, EINVAL, "at most %d files of a kind",
		                      FILES_MAX);
	for (size_t i = 0; i < paths->n; i++) {
		fds[i] =
		    open_file(r, paths->v[i], is_writable(paths->v[i]) ? flags : O_RDONLY, err);
		if (fds[i] < 0)
			return fds[i];
	}
	return 0;
}

/* PREFIX.state and PREFIX.memory */
static int open_snapshot(struct running *r, const char *prefix, int flags, struct error *err)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s.state", prefix);
	r->state = open_file(r, path, flags, err);
	if (r->state < 0)
		return r->state;
	snprintf(path, sizeof(path), "%s.memory", prefix);
	return r->memory = open_file(r, path, flags, err);
}

static int open_all(struct running *r, struct error *err)
{
	int e = r->kvm = open_file(r, "/dev/kvm", O_RDWR, err);

	for (int fd = 0; fd < 3; fd++)
		r->keep[r->n_keep++] = fd;
	if (e >= 0)
		e = r->kernel = open_file(r, r->a->kernel, O_RDONLY, err);
	if (e >= 0 && r->a->initrd)
		e = r->initrd = open_file(r, r->a->initrd, O_RDONLY, err);
	if (e >= 0)
		e = open_files(r, &r->a->pmems, r->pmems, O_RDONLY, err);
	if (e >= 0)
		e = open_files(r, &r->a->disks, r->disks, O_RDWR, err);
	if (e >= 0)
		e = open_files(r, &r->a->plugs, r->plugs, O_RDWR, err);
	if (e >= 0 && r->a->vsock)
		e = r->keep[r->n_keep++] = r->listener = vsock_bind(r->a->vsock, err);
	if (e >= 0 && r->a->tap)
		r->keep[r->n_keep++] = r->tap;
	if (e >= 0 && r->a->save)
		e = open_snapshot(r, r->a->save, O_RDWR | O_CREAT | O_TRUNC, err);
	if (e >= 0 && r->a->restore)
		e = open_snapshot(r, r->a->restore, O_RDONLY, err);
	return e < 0 ? e : 0;
}

/* ---- devices */

static int add(struct running *r, struct virtio_device *dev, struct error *err)
{
	r->devices[r->n_devices++] = dev;
	return vm_add_device(r->vm, dev, err);
}

static int add_pmem(struct running *r, int fd, struct error *err)
{
	struct pmem_backing *b = &r->backings[r->n_backings];
	struct pmem_config c = {.fd = fd, .readonly = true};
	struct virtio_device *dev = NULL;
	int e = pmem_backing_map(b, fd, true, err);

	if (e < 0)
		return e;
	r->n_backings++;
	c.size = b->size;
	e = vm_add_memory(r->vm, b->host, b->size, true, &c.gpa, err);
	if (e == 0)
		e = pmem_device_new(&dev, r->loop, r->pool, &c, err);
	return e < 0 ? e : add(r, dev, err);
}

static int make_disk(struct running *r, int fd, struct virtio_device **dev, struct error *err)
{
	struct blk_config c = {
	    .fd = fd, .serial = "vm-run", .readonly = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY};
	return blk_device_new(dev, r->loop, r->pool, &c, err);
}

static int add_disk(struct running *r, int fd, struct error *err)
{
	struct virtio_device *dev = NULL;
	int e = make_disk(r, fd, &dev, err);

	return e < 0 ? e : add(r, dev, err);
}

/* SIGUSR2: the next file of --plug is put into an empty slot. */
static void plug_disk(struct loop_source *src, const struct signalfd_siginfo *si, void *data)
{
	struct running *r = data;
	struct virtio_device *dev = NULL;
	struct error err = ERROR_INIT;
	unsigned int slot = 0;

	if (r->plugged == r->a->plugs.n)
		return;
	if (make_disk(r, r->plugs[r->plugged++], &dev, &err) < 0 ||
	    vm_plug(r->vm, dev, &slot, &err) < 0)
		fprintf(stderr, "vm-run: %s\n", err.text);
	else
		fprintf(stderr, "vm-run: slot %u is filled\n", slot);
	if (dev)
		r->devices[r->n_devices++] = dev;
}

static int add_net(struct running *r, struct error *err)
{
	struct net_config c = {.mac = {2, 0, 0, 0, 9, 2}};
	struct virtio_device *dev = NULL;
	int e = net_tap_new(&c.backend, r->tap, err);

	if (e == 0)
		e = net_device_new(&dev, r->loop, &c, err);
	return e < 0 ? e : add(r, dev, err);
}

static int add_devices(struct running *r, struct error *err)
{
	struct vsock_config v = {.guest_cid = 3, .path = r->a->vsock, .listen_fd = r->listener};
	struct virtio_device *dev = NULL;
	int e = 0;

	for (size_t i = 0; i < r->a->pmems.n && e == 0; i++)
		e = add_pmem(r, r->pmems[i], err);
	for (size_t i = 0; i < r->a->disks.n && e == 0; i++)
		e = add_disk(r, r->disks[i], err);
	if (e == 0 && r->a->vsock) {
		e = vsock_device_new(&dev, r->loop, &v, err);
		r->vsock = dev;
		e = e < 0 ? e : add(r, dev, err);
	}
	if (e == 0 && r->a->tap)
		e = add_net(r, err);
	if (e == 0)
		e = rng_device_new(&dev, r->loop, RNG_RATE_DEFAULT, err);
	e = e < 0 ? e : add(r, dev, err);
	return e < 0 ? e : vm_add_slots(r->vm, (unsigned int)r->a->plugs.n, err);
}

/* ---- the machine */

static int enter_vcpu(void *data)
{
	(void)data;
	return jail_thread(JAIL_THREAD_VCPU, NULL);
}

static int enter_storage(void)
{
	return jail_thread(JAIL_THREAD_STORAGE, NULL);
}

static int make(struct running *r, struct error *err)
{
	struct vm_config c = {.cpus = r->a->cpus,
	                      .memory = r->a->memory,
	                      .no_acpi = r->a->no_acpi,
	                      .pit = r->a->pit,
	                      .kvm_fd = r->kvm,
	                      .console_fd = STDOUT_FILENO,
	                      .enter_vcpu = r->a->jail ? enter_vcpu : NULL};
	struct vm_events events = {.panicked = panicked, .ended = ended, .data = r};
	int e;

	e = loop_new(&r->loop, err);
	if (e == 0 && r->a->save)
		e = loop_add_signal(r->loop, SIGUSR1, save_machine, r, &r->saver, err);
	if (e == 0 && r->a->plugs.n)
		e = loop_add_signal(r->loop, SIGUSR2, plug_disk, r, &r->plugger, err);
	if (e == 0)
		e = io_pool_new_entered(&r->pool, r->loop, POOL_THREADS,
		                        r->a->jail ? enter_storage : NULL, err);
	if (e == 0)
		e = vm_create(&r->vm, r->loop, &c, &events, err);
	return e < 0 ? e : add_devices(r, err);
}

static int run(struct running *r, struct error *err)
{
	struct vm_boot boot = {r->kernel, r->initrd, r->a->kernel, r->a->cmdline};
	int e = r->a->restore ? vm_restore(r->vm, r->state, r->memory, err)
	                      : vm_boot(r->vm, &boot, err);

	if (e == 0 && r->a->restore && r->vsock)
		vsock_device_transport_reset(r->vsock);

	if (e == 0 && r->a->pauses)
		e = loop_add_timer(r->loop, 20, pause_again, r, &r->again, err);
	if (e == 0 && r->a->timeout_ms)
		e = loop_add_timer(r->loop, r->a->timeout_ms, timed_out, r, &r->limit, err);
	if (e == 0 && r->a->jail)
		e = jail_thread(JAIL_THREAD_DEVICES, err);
	return e < 0 ? e : loop_run(r->loop, err);
}

static void print_stats(const struct running *r)
{
	struct vm_stats s;

	vm_stats(r->vm, &s);
	fprintf(stderr, "vm-run: %" PRIu64 " exits", s.exits_total);
	for (unsigned int i = 0; i < sizeof(s.exits) / sizeof(s.exits[0]); i++)
		if (s.exits[i])
			fprintf(stderr, ", %s %" PRIu64, vm_exit_name(i) ? vm_exit_name(i) : "?",
			        s.exits[i]);
	fputc('\n', stderr);
}

static void clear(struct running *r)
{
	vm_destroy(r->vm);
	for (unsigned int i = 0; i < r->n_devices; i++)
		virtio_device_free(r->devices[i]);
	for (unsigned int i = 0; i < r->n_backings; i++)
		pmem_backing_unmap(&r->backings[i]);
	io_pool_free(r->pool);
	loop_free(r->loop);
}

static int run_machine(struct running *r, struct jail *jail)
{
	static const char *const names[] = {"power-off", "reset", "exit", "failed"};
	struct error err = ERROR_INIT;
	int e = open_all(r, &err);

	signal(SIGPIPE, SIG_IGN);
	jail->keep = r->keep;
	jail->n_keep = r->n_keep;
	jail->max_files = 4096;
	if (e == 0 && r->a->jail)
		e = jail_enter(jail, &err);
	if (e == 0)
		e = make(r, &err);
	if (e == 0)
		e = run(r, &err);
	if (e < 0) {
		fprintf(stderr, "vm-run: %s\n", err.text);
		e = 125;
	} else {
		if (r->a->stats)
			print_stats(r);
		fprintf(stderr, "vm-run: %s", r->saved ? "saved" : names[r->end.kind]);
		if (r->end.kind == VM_END_EXIT)
			fprintf(stderr, " %" PRIu64, r->end.value);
		fprintf(stderr, "%s%s\n", r->text[0] ? ": " : "", r->text);
		e = r->end.kind == VM_END_FAILED && !r->saved ? 1 : 0;
	}
	clear(r);
	return e;
}

static int run_verb(int argc, char **argv, void *data)
{
	static struct running r; /* larger than a page of stack */
	struct jail jail = {0};
	struct error err = ERROR_INIT;
	int status = 0, born = 1;
	pid_t pid = -1;

	(void)argc;
	r.a = data;
	((struct arguments *)data)->kernel = argv[0];
	r.initrd = r.listener = -1;
	/* In this network namespace, not in the jail's. */
	if (r.a->tap)
		born = r.tap = net_tap_open(r.a->tap, &err);
	if (born >= 0)
		born = r.a->jail ? jail_fork(&jail, &pid, &err) : 1;
	if (born > 0)
		status = run_machine(&r, &jail);
	else if (born < 0)
		return program_fail("vm-run", &err);
	if (born > 0 && r.a->jail)
		_exit(status);
	if (born > 0)
		return status;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		fprintf(stderr, "vm-run: ended by signal %d\n", WTERMSIG(status));
	return process_exit_code(status);
}

static void defaults(void *data)
{
	struct arguments *a = data;

	a->cpus = 1;
	a->memory = 128u << 20;
}

static void release(void *data)
{
	struct arguments *a = data;

	strv_free(&a->disks);
	strv_free(&a->pmems);
	strv_free(&a->plugs);
}

#define AT(member) offsetof(struct arguments, member)

static const struct option options[] = {
    {"initrd", 0, OPTION_STRING, AT(initrd), "FILE", NULL, "initial ramdisk"},
    {"cmdline", 0, OPTION_STRING, AT(cmdline), "WORDS", NULL, "kernel command line"},
    {"cpus", 0, OPTION_U32, AT(cpus), "N", NULL, "processors (1)"},
    {"memory", 0, OPTION_SIZE, AT(memory), "SIZE", NULL, "memory (128M)"},
    {"pmem", 0, OPTION_LIST, AT(pmems), "FILE", NULL, "a read-only pmem device"},
    {"disk", 0, OPTION_LIST, AT(disks), "FILE", NULL, "a disk; read-only when the file is"},
    {"plug", 0, OPTION_LIST, AT(plugs), "FILE", NULL, "at SIGUSR2: put this disk into a slot"},
    {"vsock", 0, OPTION_STRING, AT(vsock), "PATH", NULL, "a vsock device, its host side here"},
    {"tap", 0, OPTION_STRING, AT(tap), "NAME", NULL, "a network device on this tap interface"},
    {"save", 0, OPTION_STRING, AT(save), "PREFIX", NULL, "at SIGUSR1: save and end"},
    {"restore", 0, OPTION_STRING, AT(restore), "PREFIX", NULL, "go on where it was saved"},
    {"pauses", 0, OPTION_U32, AT(pauses), "N", NULL, "pause and go on, so often, 20 ms apart"},
    {"timeout", 0, OPTION_DURATION, AT(timeout_ms), "TIME", NULL, "a machine that runs on failed"},
    {"jail", 0, OPTION_FLAG, AT(jail), NULL, NULL, "in a jail"},
    {"no-acpi", 0, OPTION_FLAG, AT(no_acpi), NULL, NULL, "MP table and words instead of ACPI"},
    {"pit", 0, OPTION_FLAG, AT(pit), NULL, NULL, "with the PC's timer"},
    {"stats", 0, OPTION_FLAG, AT(stats), NULL, NULL, "count exits"},
    {0},
};

static const struct verb only = {
    .name = "vm-run",
    .args = "KERNEL",
    .summary = "run one machine of the built-in monitor",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run_verb,
    .defaults = defaults,
    .release = release,
    .data_size = sizeof(struct arguments),
};

static const struct program program = {
    .name = "vm-run", .summary = "runs one machine of the built-in monitor", .only = &only};

int main(int argc, char **argv)
{
	return program_main(&program, argc, argv);
}
