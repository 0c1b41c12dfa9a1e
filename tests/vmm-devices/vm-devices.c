/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm-devices: boots a Linux on the built-in monitor with a console, a network device on a tap
 * interface, a balloon, a memory device, and a disk and persistent memory that it may write, and
 * looks whether Linux's drivers and the models agree (tests/nested/steps/devices). A line a thing
 *on standard output; status 0 when all went well.
 *
 *	vm-devices KERNEL INITRD
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "host-shim/vmm/devices/balloon.h"
#include "host-shim/vmm/devices/blk.h"
#include "host-shim/vmm/devices/console.h"
#include "host-shim/vmm/devices/mem.h"
#include "host-shim/vmm/devices/net.h"
#include "host-shim/vmm/devices/pmem.h"
#include "host-shim/vmm/vm.h"

#define MEMORY     (192ull << 20)
#define PLUGGABLE  (512ull << 20)
#define BLOCK      (2ull << 20)
#define PLUG       (256ull << 20)
#define BALLOON    (32ull << 20)
#define BACK       (8u << 20) /* bytes that the host sends through the network device */
#define STEP_TICKS 600        /* a step's time, in tenths of a second */

#define FILE_SIZE (8u << 20) /* of disk and persistent memory */

enum { CONSOLE, NET, BALLOON_DEVICE, MEM, DISK, PMEM, DEVICES };

struct bench {
	struct loop *loop;
	struct io_pool *pool;
	struct vm *vm;
	int disk, pmem; /* their files */
	struct pmem_backing backing;
	struct output *output;
	struct virtio_device *devices[DEVICES];
	struct guest_memory ram; /* plugged memory, too */
	struct loop_source *tick, *lines, *listener, *peer;
	int terminal[2]; /* [0] is the console device's, [1] who sits there */
	char line[200], last[200];
	size_t n_line;
	unsigned int step, ticks;
	uint64_t sum, sent;
	uint64_t discarded; /* when a step began */
	struct balloon_stats stats;
	bool ended, failed;
};

/* ---- the network's other side: sums what comes, says the sum, sends as much back */

static void peer_done(struct bench *b, int fd)
{
	loop_source_free(b->peer);
	b->peer = NULL;
	close(fd);
}

static void on_send(struct loop_source *src, int fd, uint32_t events, void *data)
{
	static const uint8_t block[65536];
	struct bench *b = data;
	ssize_t n = send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);

	b->sent += n > 0 ? (uint64_t)n : 0;
	if ((n < 0 && errno != EAGAIN) || b->sent >= BACK)
		peer_done(b, fd);
}

static void on_receive(struct loop_source *src, int fd, uint32_t events, void *data)
{
	static uint8_t block[65536];
	struct bench *b = data;
	ssize_t n = recv(fd, block, sizeof(block), MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++)
		b->sum += block[i];
	if (n > 0 || (n < 0 && errno == EAGAIN))
		return;
	loop_source_free(b->peer);
	b->peer = NULL;
	if (n < 0 || send(fd, &b->sum, sizeof(b->sum), MSG_NOSIGNAL) != sizeof(b->sum) ||
	    loop_add_fd(b->loop, fd, EPOLLOUT, on_send, b, &b->peer, NULL) < 0)
		close(fd);
}

static void on_connection(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct bench *b = data;
	int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (s >= 0 &&
	    (b->peer || loop_add_fd(b->loop, s, EPOLLIN, on_receive, b, &b->peer, NULL) < 0))
		close(s);
}

static int open_tap(void)
{
	struct ifreq ifr = {.ifr_name = "tap0"};
	struct sockaddr_in *a = (struct sockaddr_in *)&ifr.ifr_addr;
	int fd = net_tap_open(ifr.ifr_name, NULL);
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || s < 0)
		return -1;
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = inet_addr("10.9.0.1");
	if (ioctl(s, SIOCSIFADDR, &ifr) < 0)
		return -1;
	a->sin_addr.s_addr = inet_addr("255.255.255.0");
	if (ioctl(s, SIOCSIFNETMASK, &ifr) < 0)
		return -1;
	ifr.ifr_flags = IFF_UP;
	if (ioctl(s, SIOCSIFFLAGS, &ifr) < 0)
		return -1;
	close(s);
	return fd;
}

static int listen_there(struct bench *b, struct error *err)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9)};
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = inet_addr("10.9.0.1");
	if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s, 1) < 0)
		return error_errno(err, errno, "listening on 10.9.0.1");
	return loop_add_fd(b->loop, s, EPOLLIN, on_connection, b, &b->listener, err);
}

/* ---- devices */

static void on_stats(void *data, const struct balloon_stats *stats)
{
	((struct bench *)data)->stats = *stats;
}

static int add_console(struct bench *b, struct error *err)
{
	struct console_config c = {.cols = 80, .rows = 25};
	int r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b->terminal) < 0)
		return error_errno(err, errno, "socketpair");
	r = output_new(&b->output, b->loop, b->terminal[0], 0, err);
	c.output = b->output;
	c.input_fd = b->terminal[0];
	return r < 0 ? r : console_device_new(&b->devices[CONSOLE], b->loop, &c, err);
}

static int add_net(struct bench *b, struct error *err)
{
	struct net_config c = {.mac = {2, 0, 0, 0, 9, 2}};
	int fd = open_tap(), r;

	if (fd < 0)
		return error_errno(err, errno, "tap interface");
	r = net_tap_new(&c.backend, fd, err);
	if (r == 0)
		r = listen_there(b, err);
	return r < 0 ? r : net_device_new(&b->devices[NET], b->loop, &c, err);
}

static int add_balloon(struct bench *b, struct error *err)
{
	struct balloon_config c = {.ram = &b->ram,
	                           .deflate_on_oom = true,
	                           .free_page_reporting = true,
	                           .stats = on_stats,
	                           .data = b};

	b->ram = *vm_ram(b->vm);
	return balloon_device_new(&b->devices[BALLOON_DEVICE], b->loop, &c, err);
}

static int add_mem(struct bench *b, struct error *err)
{
	struct mem_config c = {.size = PLUGGABLE, .block = BLOCK, .requested = PLUG};
	int r;

	c.host = mmap(NULL, PLUGGABLE, PROT_READ | PROT_WRITE,
	              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c.host == MAP_FAILED)
		return error_errno(err, errno, "memory to plug");
	r = vm_add_memory(b->vm, c.host, PLUGGABLE, false, &c.gpa, err);
	if (r == 0)
		r = mem_device_new(&b->devices[MEM], b->loop, &c, err);
	return r < 0 ? r : mem_device_add_memory(b->devices[MEM], &b->ram, err);
}

/* A file full of 0x55. */
static int make_file(const char *name, struct error *err)
{
	static uint8_t block[1 << 16];
	int fd = memfd_create(name, MFD_CLOEXEC);

	memset(block, 0x55, sizeof(block));
	for (uint32_t at = 0; at < FILE_SIZE && fd >= 0; at += sizeof(block))
		if (write(fd, block, sizeof(block)) != sizeof(block))
			return error_errno(err, errno, "filling the file for %s", name);
	return fd < 0 ? error_errno(err, errno, "a file for %s", name) : fd;
}

static int add_disk(struct bench *b, struct error *err)
{
	struct blk_config c = {.serial = "devices"};

	c.fd = b->disk = make_file("the disk", err);
	return c.fd < 0 ? c.fd : blk_device_new(&b->devices[DISK], b->loop, b->pool, &c, err);
}

static int add_pmem(struct bench *b, struct error *err)
{
	struct pmem_config c = {.size = FILE_SIZE};
	int r;

	c.fd = b->pmem = make_file("pmem", err);
	r = c.fd < 0 ? c.fd : pmem_backing_map(&b->backing, c.fd, false, err);
	if (r >= 0)
		r = vm_add_memory(b->vm, b->backing.host, b->backing.size, false, &c.gpa, err);
	return r < 0 ? r : pmem_device_new(&b->devices[PMEM], b->loop, b->pool, &c, err);
}

static int add_devices(struct bench *b, struct error *err)
{
	int r = io_pool_new(&b->pool, b->loop, 2, err);

	if (r == 0)
		r = add_console(b, err);

	if (r == 0)
		r = add_net(b, err);
	if (r == 0)
		r = add_balloon(b, err);
	if (r == 0)
		r = add_mem(b, err);
	if (r == 0)
		r = add_disk(b, err);
	if (r == 0)
		r = add_pmem(b, err);
	for (int i = 0; i < DEVICES && r == 0; i++)
		r = vm_add_device(b->vm, b->devices[i], err);
	return r;
}

/* ---- steps: what is asked of guest or device, and when it is done */

static void type(struct bench *b, const char *text)
{
	b->last[0] = '\0';
	if (send(b->terminal[1], text, strlen(text), MSG_NOSIGNAL) < 0)
		b->failed = true;
}

static void nothing(struct bench *b)
{
}

static void say_hello(struct bench *b)
{
	type(b, "hello\n");
}

static void resize(struct bench *b)
{
	console_device_resize(b->devices[CONSOLE], 132, 43);
	type(b, "size\n");
}

static void use_net(struct bench *b)
{
	type(b, "net\n");
}

static void use_disk(struct bench *b)
{
	type(b, "disk\n");
}

static void use_pmem(struct bench *b)
{
	type(b, "pmem\n");
}

static void inflate(struct bench *b)
{
	b->discarded = balloon_device_discarded(b->devices[BALLOON_DEVICE]);
	balloon_device_set_target(b->devices[BALLOON_DEVICE], BALLOON);
}

static void deflate(struct bench *b)
{
	balloon_device_set_target(b->devices[BALLOON_DEVICE], 0);
}

static void shrink(struct bench *b)
{
	struct error err = ERROR_INIT;

	if (mem_device_resize(b->devices[MEM], 0, &err) < 0)
		printf("%s\n", err.text);
}

static void quit(struct bench *b)
{
	type(b, "quit\n");
}

static bool is_ready(struct bench *b)
{
	return strcmp(b->last, "ready") == 0;
}

static bool echoed(struct bench *b)
{
	return strcmp(b->last, "echo hello") == 0;
}

/* The driver hears of the new size by and by. */
static bool resized(struct bench *b)
{
	if (strcmp(b->last, "size 132x43") == 0)
		return true;
	if (b->last[0])
		type(b, "size\n");
	return false;
}

static bool net_is_ok(struct bench *b)
{
	b->failed |= strncmp(b->last, "net failed", 10) == 0;
	return strncmp(b->last, "net ok 8", 8) == 0; /* 8 MiB and what the last write was more */
}

/* What the file has at `offset`, a MiB: the guest's pattern, or all `byte`. */
static bool file_has(int fd, off_t offset, int byte)
{
	static uint8_t block[1 << 20];

	if (pread(fd, block, sizeof(block), offset) != sizeof(block))
		return false;
	for (size_t i = 0; i < sizeof(block); i++)
		if (block[i] != (uint8_t)(byte < 0 ? (int)(i * 13 + i / 4096) : byte))
			return false;
	return true;
}

static bool disk_is_ok(struct bench *b)
{
	b->failed |= strcmp(b->last, "disk failed") == 0;
	return strcmp(b->last, "disk ok devices") == 0 && file_has(b->disk, 0, -1) &&
	       file_has(b->disk, 1 << 20, 0x55) && file_has(b->disk, 2 << 20, 0) &&
	       file_has(b->disk, 3 << 20, 0x55) && file_has(b->disk, 4 << 20, 0) &&
	       file_has(b->disk, 5 << 20, 0x55);
}

static bool pmem_is_ok(struct bench *b)
{
	b->failed |= strcmp(b->last, "pmem failed") == 0;
	return strcmp(b->last, "pmem ok") == 0 && file_has(b->pmem, 4096, -1) &&
	       file_has(b->pmem, 2 << 20, 0x55);
}

static bool plugged(struct bench *b)
{
	return mem_device_plugged(b->devices[MEM]) == PLUG;
}

static bool inflated(struct bench *b)
{
	return balloon_device_actual(b->devices[BALLOON_DEVICE]) == BALLOON &&
	       balloon_device_discarded(b->devices[BALLOON_DEVICE]) - b->discarded >= BALLOON;
}

static bool has_stats(struct bench *b)
{
	balloon_device_ask_stats(b->devices[BALLOON_DEVICE]);
	return b->stats.present >> BALLOON_TOTAL & 1 && b->stats.present >> BALLOON_FREE & 1 &&
	       b->stats.value[BALLOON_TOTAL] > MEMORY &&
	       b->stats.value[BALLOON_TOTAL] < MEMORY + PLUGGABLE &&
	       b->stats.value[BALLOON_FREE] < b->stats.value[BALLOON_TOTAL];
}

static bool deflated(struct bench *b)
{
	return balloon_device_actual(b->devices[BALLOON_DEVICE]) == 0;
}

/* Free pages are reported without being asked for, some seconds after they got free. */
static bool reported(struct bench *b)
{
	return balloon_device_discarded(b->devices[BALLOON_DEVICE]) > BALLOON + (64u << 20);
}

/* How much of it comes back is Linux's to say: not what it uses itself. */
static bool unplugged(struct bench *b)
{
	return mem_device_plugged(b->devices[MEM]) < PLUG;
}

static bool has_ended(struct bench *b)
{
	return b->ended;
}

static const struct {
	const char *name;
	void (*begin)(struct bench *b);
	bool (*done)(struct bench *b);
} steps[] = {
    {"the console prints", nothing, is_ready},
    {"the console takes input", say_hello, echoed},
    {"the console has another size", resize, resized},
    {"memory was plugged", nothing, plugged},
    {"the network carries TCP both ways", use_net, net_is_ok},
    {"the disk is written, discarded and zeroed", use_disk, disk_is_ok},
    {"persistent memory is written and flushed", use_pmem, pmem_is_ok},
    {"the balloon holds what was asked for", inflate, inflated},
    {"the guest tells its statistics", nothing, has_stats},
    {"the balloon is empty again", deflate, deflated},
    {"free pages are reported", nothing, reported},
    {"memory is unplugged", shrink, unplugged},
    {"the guest powers off", quit, has_ended},
};

#define STEPS (sizeof(steps) / sizeof(steps[0]))

static void next(struct bench *b)
{
	while (b->step < STEPS && !b->failed && steps[b->step].done(b)) {
		printf("ok %s (%u.%u s)\n", steps[b->step].name, b->ticks / 10, b->ticks % 10);
		b->ticks = 0;
		if (++b->step < STEPS)
			steps[b->step].begin(b);
	}
	if (b->step < STEPS && (b->failed || b->ended || ++b->ticks > STEP_TICKS)) {
		printf("failed: %s; the guest last said '%s'; balloon %" PRIu64
		       ", given back %" PRIu64 ", plugged %" PRIu64 "\n",
		       steps[b->step].name, b->last,
		       balloon_device_actual(b->devices[BALLOON_DEVICE]),
		       balloon_device_discarded(b->devices[BALLOON_DEVICE]),
		       mem_device_plugged(b->devices[MEM]));
		b->failed = true;
	}
	fflush(stdout);
	if (b->failed || b->step == STEPS)
		loop_exit(b->loop, 0);
}

static void on_tick(struct loop_source *src, void *data)
{
	next(data);
	loop_set_timer(src, 100);
}

static void on_line(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct bench *b = data;
	char c;

	while (recv(fd, &c, 1, MSG_DONTWAIT) == 1) {
		if (c != '\n' && b->n_line < sizeof(b->line) - 1) {
			b->line[b->n_line++] = c;
			continue;
		}
		b->line[b->n_line] = '\0';
		b->n_line = 0;
		memcpy(b->last, b->line, sizeof(b->last));
	}
}

static void on_end(void *data, const struct vm_end *end)
{
	struct bench *b = data;

	b->ended = end->kind == VM_END_POWER_OFF;
	b->failed = !b->ended;
	if (b->failed)
		printf("the machine ended (%d): %s\n", (int)end->kind, end->text);
}

static int boot(struct bench *b, char **argv, struct error *err)
{
	struct vm_config c = {.cpus = 2, .memory = MEMORY, .kvm_fd = -1, .console_fd = 2};
	struct vm_boot how = {.kernel_fd = open(argv[1], O_RDONLY | O_CLOEXEC),
	                      .initrd_fd = open(argv[2], O_RDONLY | O_CLOEXEC),
	                      .kernel_name = argv[1],
	                      .cmdline = "console=ttyS0 quiet panic=-1"};
	struct vm_events events = {.ended = on_end, .data = b};
	int r;

	if (how.kernel_fd < 0 || how.initrd_fd < 0)
		return error_errno(err, errno, "opening %s and %s", argv[1], argv[2]);
	r = loop_new(&b->loop, err);
	if (r == 0)
		r = vm_create(&b->vm, b->loop, &c, &events, err);
	if (r == 0)
		r = add_devices(b, err);
	if (r == 0)
		r = loop_add_fd(b->loop, b->terminal[1], EPOLLIN, on_line, b, &b->lines, err);
	if (r == 0)
		r = loop_add_timer(b->loop, 100, on_tick, b, &b->tick, err);
	if (r == 0)
		r = vm_boot(b->vm, &how, err);
	return r < 0 ? r : loop_run(b->loop, err);
}

int main(int argc, char **argv)
{
	static struct bench b;
	struct error err = ERROR_INIT;
	int r;

	if (argc != 3) {
		fputs("usage: vm-devices KERNEL INITRD\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	r = boot(&b, argv, &err);
	vm_destroy(b.vm);
	for (int i = 0; i < DEVICES; i++)
		virtio_device_free(b.devices[i]);
	pmem_backing_unmap(&b.backing);
	output_free(b.output);
	io_pool_free(b.pool);
	loop_free(b.loop);
	if (r < 0)
		fprintf(stderr, "vm-devices: %s\n", err.text);
	return r < 0 || b.failed;
}
