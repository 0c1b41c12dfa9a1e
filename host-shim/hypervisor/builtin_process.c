/* SPDX-License-Identifier: Apache-2.0 */
/* builtin_process: the process that a guest of the built-in monitor runs in. */
#include "builtin_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-shim/hypervisor/builtin_control.h"
#include "host-shim/hypervisor/builtin_parts.h"
#include "host-shim/hypervisor/builtin_template.h"
#include "host-shim/vmm/jail.h"
#include "lib/base/process.h"
#include "lib/base/str.h"
#include "lib/guestimg/boot_words.h"

#define FILES_MAX       4096 /* twice VSOCK_CONNS_MAX, eventfds, processors */
#define FILES_USUAL     256  /* of most machines, before anybody connects */
#define STORAGE_THREADS 2
/* A guest's clock is kvm-clock, or a TSC that KVM calls invariant. Holding the two against each
 * other twice a second keeps an idle guest from its rest; a clone, where each goes on by itself,
 * would call its TSC unstable. */
#define CLOCK_WORDS "tsc=nowatchdog"

/* For the kernel of a template to do what it put off: each clone would do it again. */
#define SETTLE_MS 2000

/* When a clone gives back what it holds twice: after its first answers, and when its kernel did
 * what it put off. */
static const unsigned int rest_ms[] = {1500, 8000};

/* ---- the word to start */

/* The caller has gone when the socket closes: nothing is to be said to anybody. */
static int wait_for_go(struct monitor *m, struct error *err)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(m->disks))];
	} control;
	struct iovec iov = {&m->go, sizeof(m->go)};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = &control,
	                     .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	ssize_t n;

	do {
		n = recvmsg(m->fds->control, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(m->go) || m->go.n_disks > HYPERVISOR_DISKS_MAX)
		_exit(0);
	if (m->go.n_disks == 0)
		return 0;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(m->go.n_disks * sizeof(int)))
		return error_set(err, EPROTO, "the disks did not come");
	memcpy(m->disks, CMSG_DATA(c), m->go.n_disks * sizeof(int));
	return 0;
}

static int close_in(struct monitor *m, struct jail *jail, struct error *err)
{
	const struct template_files none = TEMPLATE_FILES_INIT,
	                            *t = m->config->from      ? m->config->from
	                                 : m->config->save_to ? m->config->save_to
	                                                      : &none;
	const int others[] = {m->smaps, m->pagemap, t->state, t->memory, t->pages};
	int keep[BUILTIN_FDS + sizeof(others) / sizeof(int) + HYPERVISOR_DISKS_MAX];
	size_t n = BUILTIN_FDS;

	memcpy(keep, m->fds, sizeof(*m->fds));
	memcpy(keep + n, others, sizeof(others));
	n += sizeof(others) / sizeof(int);
	memcpy(keep + n, m->disks, m->go.n_disks * sizeof(int));
	jail->keep = keep;
	jail->n_keep = n + m->go.n_disks;
	/* Sockets of connections that the guest opens are in a folder of the caller's own. */
	jail->folder = m->vsock_path ? m->config->runtime_dir : NULL;
	jail->uid = JAIL_STAY;
	jail->max_files = FILES_MAX;
	return jail_enter(jail, err);
}

/* ---- numbers */

static void send_stats(struct monitor *m, int fd)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct vm_stats s;

	vm_stats(m->vm, &s);
	vm_stats_json(&s, &b);
	/* The socket is new: its buffer takes it whole. Nobody hears it when the caller has gone.
	 */
	if (!b.failed && send(fd, b.data, b.size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

static void on_stats(struct loop_source *src, int fd, uint32_t events, void *data)
{
	_cleanup_close_ int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (client >= 0)
		send_stats(data, client);
}

/* ---- the machine */

static void ended(void *data, const struct vm_end *end)
{
	struct monitor *m = data;
	struct builtin_end e = {
	    .kind = end->kind, .value = (uint32_t)end->value, .exit_status = m->exit_status};

	strncpy(e.text, end->text, sizeof(e.text) - 1);
	/* Nobody hears it when the caller has gone. */
	if (send(m->fds->control, &e, sizeof(e), MSG_NOSIGNAL) < 0)
		e.kind = 0;
	else if (m->config->stats)
		send_stats(m, m->fds->control);
	loop_exit(m->loop, 0);
}

static void note(struct monitor *m, enum builtin_note kind)
{
	struct builtin_end e = {.kind = kind};

	/* The guest does not wait for who should read it. */
	if (send(m->fds->control, &e, sizeof(e), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

static void panicked(void *data)
{
	note(data, BUILTIN_PANICKED);
}

static void out_of_memory(void *data)
{
	note(data, BUILTIN_OUT_OF_MEMORY);
}

static bool is_recorded(const struct hypervisor_config *c)
{
	return c->from && c->from->record;
}

/* The process ends with that, whatever came of it. */
static void save(struct monitor *m)
{
	const struct hypervisor_config *c = m->config;
	struct builtin_end e = {.kind = BUILTIN_SAVED, .exit_status = -1};
	struct error err = ERROR_INIT;
	int r = is_recorded(c) ? builtin_template_record(m->vm, m->pagemap, c->from, &err)
	                       : builtin_template_save(m->vm, c->save_to, &err);

	if (r < 0) {
		e.kind = VM_END_FAILED;
		snprintf(e.text, sizeof(e.text), "%.159s", err.text);
	}
	/* Nobody hears it when the caller has gone. */
	if (send(m->fds->control, &e, sizeof(e), MSG_NOSIGNAL) < 0)
		e.kind = 0;
	loop_exit(m->loop, 0);
}

static void on_settled(struct loop_source *src, void *data)
{
	save(data);
}

/* A template without a rehearsal is one, too. */
static void on_save(struct monitor *m)
{
	if (is_recorded(m->config) || builtin_template_rehearse(m->vm, m->vsock, NULL) < 0 ||
	    loop_add_timer(m->loop, SETTLE_MS, on_settled, m, &m->timer, NULL) < 0)
		save(m);
}

static void on_control(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct monitor *m = data;
	char word;
	ssize_t n = recv(fd, &word, 1, MSG_DONTWAIT);

	if (n == 1 && word == BUILTIN_SAVE) {
		on_save(m);
	} else if (n >= 0) {
		loop_source_free(m->control);
		m->control = NULL;
	}
}

/* What a clone that only waits for work had to write may be what it was again. It need not succeed.
 */
static void on_rest(struct loop_source *src, void *data)
{
	struct monitor *m = data;

	/* On a busy host the first answers take their time. */
	if (!m->vsock || m->vsock->answered_ns) {
		vm_share(m->vm, m->pagemap, m->config->from->memory, NULL);
		process_trim_stack();
		m->n_rests++;
	}
	if (m->n_rests < sizeof(rest_ms) / sizeof(rest_ms[0]))
		loop_set_timer(src, rest_ms[m->n_rests]);
}

static int watch_rest(struct monitor *m, struct error *err)
{
	if (m->pagemap < 0 || is_recorded(m->config))
		return 0;
	return loop_add_timer(m->loop, rest_ms[0], on_rest, m, &m->timer, err);
}

/* A table of descriptors that grows once threads share it waits for all of the host's processors
 * (Linux fs/file.c, expand_fdtable(): synchronize_rcu()), often tens of milliseconds. */
static void make_room_for_files(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, FILES_USUAL - 1);

	close_fd(&high);
}

static int enter_vcpu(void *data)
{
	return jail_thread(JAIL_THREAD_VCPU, NULL);
}

static int enter_storage(void)
{
	return jail_thread(JAIL_THREAD_STORAGE, NULL);
}

static int make(struct monitor *m, struct error *err)
{
	const struct hypervisor_config *c = m->config;
	const struct vm_config config = {
	    .cpus = c->cpus,
	    .memory = c->memory,
	    .memory_max = c->memory_max,
	    .shared = builtin_memory_is_shared(c),
	    .huge_pages = c->huge_pages,
	    .prefault = c->prefault,
	    .cpu = c->cpu_model,
	    .no_acpi = c->lacks & HYPERVISOR_LACKS_ACPI,
	    .kvm_fd = m->fds->kvm,
	    .console_fd = c->virtio_console ? -1 : m->fds->console,
	    .smaps_fd = m->smaps,
	    .started_ns = m->started_ns,
	    .pages_fd = c->from && !is_recorded(c) ? c->from->pages : -1,
	    .trace_pages = is_recorded(c),
	    .enter_vcpu = c->no_jail ? NULL : enter_vcpu,
	};
	const struct vm_events events = {
	    .panicked = panicked, .out_of_memory = out_of_memory, .ended = ended, .data = m};
	int r;

	make_room_for_files(m->fds->control);
	r = loop_new(&m->loop, err);
	if (r == 0)
		r = io_pool_new_entered(&m->pool, m->loop, STORAGE_THREADS,
		                        c->no_jail ? NULL : enter_storage, err);
	if (r == 0)
		r = vm_create(&m->vm, m->loop, &config, &events, err);
	if (r == 0 && m->fds->stats >= 0)
		r = loop_add_fd(m->loop, m->fds->stats, EPOLLIN, on_stats, m, &m->stats, err);
	if (r == 0 && (c->save_to || is_recorded(c)))
		r = loop_add_fd(m->loop, m->fds->control, EPOLLIN, on_control, m, &m->control, err);
	if (r == 0)
		r = builtin_devices_add(m, err);
	return r < 0 ? r : builtin_control_start(m, err);
}

static char *make_cmdline(const struct hypervisor_config *c)
{
	char net[GUEST_NET_WORD_MAX];
	const struct boot_launch launch = {.root = c->rootfs ? BOOT_ROOT_PMEM : BOOT_ROOT_NONE,
	                                   .words_pmem = c->root_words_pmem,
	                                   .net = net,
	                                   .platform = c->lacks & HYPERVISOR_LACKS_PCI
	                                                   ? CLOCK_WORDS
	                                                   : BOOT_WORDS_NO_PCI " " CLOCK_WORDS,
	                                   .image = c->cmdline};

	guest_net_word(&c->net, net);
	return boot_words_launch(&launch);
}

static int boot(struct monitor *m, struct error *err)
{
	_cleanup_free_ char *cmdline = make_cmdline(m->config);
	const struct vm_boot b = {.kernel_fd = m->fds->kernel,
	                          .initrd_fd = m->fds->initrd,
	                          .kernel_name = m->config->kernel,
	                          .cmdline = cmdline};
	int r = cmdline ? 0 : error_set(err, ENOMEM, "no memory for the command line");

	if (r == 0)
		r = m->config->from
		        ? builtin_template_restore(m->vm, m->vsock, m->config->from, err)
		        : vm_boot(m->vm, &b, err);
	if (r == 0 && m->config->from)
		r = builtin_devices_plug(m, err);
	if (r == 0)
		r = watch_rest(m, err);
	if (r == 0 && !m->config->no_jail)
		r = jail_thread(JAIL_THREAD_DEVICES, err);
	return r < 0 ? r : loop_run(m->loop, err);
}

static int run(struct monitor *m, struct jail *jail, struct error *err)
{
	int r = wait_for_go(m, err);

	if (r == 0 && !m->config->no_jail)
		r = close_in(m, jail, err);
	if (r == 0)
		r = make(m, err);
	if (r == 0)
		r = boot(m, err);
	/* Writes what the console still holds. */
	vm_destroy(m->vm);
	return r;
}

int builtin_process_start(pid_t *pid, const struct hypervisor_config *config,
                          const struct builtin_fds *fds, const char *vsock_path, struct error *err)
{
	struct monitor m = {
	    .config = config, .fds = fds, .vsock_path = vsock_path, .exit_status = -1};
	struct error failure = ERROR_INIT;
	struct jail jail = {0};
	int r = jail_fork(&jail, pid, err);

	if (r <= 0)
		return r;
	prctl(PR_SET_NAME, "kihon-vmm");
	/* Not in the terminal's foreground group: Ctrl-C is for kihon to act on. */
	setpgid(0, 0);
	process_reset_signals();
	m.started_ns = loop_now_ms() * 1000000;
	m.smaps = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
	m.pagemap = config->from ? jail_open_plain("/proc/self/pagemap") : -1;
	signal(SIGPIPE, SIG_IGN);
	r = run(&m, &jail, &failure);
	if (r < 0 && write(fds->errors, failure.text, strlen(failure.text)) < 0)
		_exit(2);
	_exit(r < 0 ? 1 : 0);
}
