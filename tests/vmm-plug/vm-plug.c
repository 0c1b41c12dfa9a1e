/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm-plug: vm-plug KERNEL INITRD boots a machine with empty slots and puts disks into them while
 * it runs, one after the other, as the guest (plug-init.c) asks on its console. Status 0 when
 * every disk was read, taken back and replaced; its words are on standard output.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-shim/vmm/devices/blk.h"
#include "host-shim/vmm/devices/io_pool.h"
#include "host-shim/vmm/devices/pmem.h"
#include "host-shim/vmm/vm.h"

enum { SLOTS = 3, DISK_SIZE = 4 << 20, LINE = 256, LIMIT_MS = 280000 };

/* In this order; the last one is taken away by force. */
static const struct {
	const char *text, *shown;
	bool pmem;
} disks[] = {
    {"one\n", "plug has vda: one", false},      {"two\n", "plug has vda: two", false},
    {"three\n", "plug has pmem0: three", true}, {"four\n", "plug has vda: four", false},
    {"five\n", "plug has pmem0: five", true},   {"last\n", "plug has vda: last", false},
};
#define N_DISKS (sizeof(disks) / sizeof(disks[0]))

struct plugger {
	struct loop *loop;
	struct io_pool *pool;
	struct vm *vm;
	unsigned int at; /* the disk that is in, or comes next */
	struct virtio_device *dev;
	struct pmem_backing backing;
	uint64_t gpa;
	int fd; /* of the disk */
	char line[LINE];
	size_t size;
	bool ended, failed;
};

static void fail(struct plugger *p, const char *what, const struct error *err)
{
	printf("vm-plug: disk %u: %s: %s\n", p->at, what, err->text);
	p->failed = true;
	loop_exit(p->loop, 0);
}

static int make_disk(struct plugger *p, struct error *err)
{
	const char *text = disks[p->at].text;

	p->fd = memfd_create("disk", MFD_CLOEXEC);
	if (p->fd < 0 || ftruncate(p->fd, DISK_SIZE) < 0 ||
	    pwrite(p->fd, text, strlen(text), 0) < 0)
		return error_errno(err, errno, "making a disk");
	return 0;
}

static int make_pmem(struct plugger *p, struct error *err)
{
	struct pmem_config c = {.fd = p->fd, .readonly = true};
	int r = pmem_backing_map(&p->backing, p->fd, true, err);

	if (r < 0)
		return r;
	c.size = p->backing.size;
	r = vm_add_memory(p->vm, p->backing.host, c.size, true, &c.gpa, err);
	p->gpa = c.gpa;
	return r < 0 ? r : pmem_device_new(&p->dev, p->loop, p->pool, &c, err);
}

static void plug(struct plugger *p)
{
	struct error err = ERROR_INIT;
	unsigned int slot = 0;
	int r = make_disk(p, &err);

	if (r == 0 && disks[p->at].pmem)
		r = make_pmem(p, &err);
	else if (r == 0)
		r = blk_device_new(&p->dev, p->loop, p->pool, &(struct blk_config){.fd = p->fd},
		                   &err);
	if (r == 0)
		r = vm_plug(p->vm, p->dev, &slot, &err);
	if (r < 0)
		fail(p, "plugging", &err);
	else
		printf("vm-plug: disk %u is in slot %u\n", p->at, slot);
}

static void drop(struct plugger *p)
{
	struct error err = ERROR_INIT;

	virtio_device_free(p->dev);
	p->dev = NULL;
	if (p->backing.host && vm_remove_memory(p->vm, p->gpa, &err) < 0)
		fail(p, "taking its memory", &err);
	pmem_backing_unmap(&p->backing);
	p->backing = (struct pmem_backing){0};
	close_fd(&p->fd);
}

static void unplug(struct plugger *p, bool force)
{
	struct error err = ERROR_INIT;

	if (vm_unplug(p->vm, p->dev, force, &err) < 0) {
		fail(p, "unplugging", &err);
		return;
	}
	drop(p);
	if (++p->at < N_DISKS)
		plug(p);
}

/* The guest shows that it has read the disk, and holds it now. */
static void taken(struct plugger *p)
{
	struct error err = ERROR_INIT;

	if (strcmp(p->line, disks[p->at].shown) != 0) {
		error_set(&err, EPROTO, "not \"%s\"", disks[p->at].shown);
		fail(p, p->line, &err);
		return;
	}
	if (vm_unplug(p->vm, p->dev, false, &err) != -EBUSY)
		fail(p, "a disk in use was taken away", &err);
	else if (p->at == N_DISKS - 1)
		unplug(p, true);
}

static void take_line(struct plugger *p)
{
	if (strncmp(p->line, "plug ", 5) == 0)
		printf("%s\n", p->line);
	if (strcmp(p->line, "plug ready") == 0)
		plug(p);
	else if (strncmp(p->line, "plug has ", 9) == 0 && p->dev)
		taken(p);
	else if (strcmp(p->line, "plug let go") == 0 && p->dev)
		unplug(p, false);
	else
		fprintf(stderr, "%s\n", p->line);
}

static void on_console(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct plugger *p = data;
	char c;

	if (read(fd, &c, 1) != 1)
		return;
	if (c == '\n') {
		p->line[p->size] = '\0';
		p->size = 0;
		take_line(p);
	} else if (c != '\r' && p->size < LINE - 1) {
		p->line[p->size++] = c;
	}
}

static void ended(void *data, const struct vm_end *end)
{
	struct plugger *p = data;

	p->ended = end->kind == VM_END_POWER_OFF;
	loop_exit(p->loop, 0);
}

static void timed_out(struct loop_source *src, void *data)
{
	loop_exit(((struct plugger *)data)->loop, 0);
}

static int run(struct plugger *p, char **argv, struct error *err)
{
	struct vm_boot boot = {open(argv[1], O_RDONLY | O_CLOEXEC),
	                       open(argv[2], O_RDONLY | O_CLOEXEC), argv[1],
	                       "console=ttyS0 quiet panic=-1"};
	struct vm_config c = {.cpus = 2, .memory = 128u << 20, .kvm_fd = -1};
	const struct vm_events events = {.ended = ended, .data = p};
	struct loop_source *console = NULL, *limit = NULL;
	int pipes[2], r = pipe2(pipes, O_CLOEXEC) < 0 ? -errno : loop_new(&p->loop, err);

	c.console_fd = pipes[1];
	if (r == 0)
		r = loop_add_fd(p->loop, pipes[0], EPOLLIN, on_console, p, &console, err);
	if (r == 0)
		r = loop_add_timer(p->loop, LIMIT_MS, timed_out, p, &limit, err);
	if (r == 0)
		r = io_pool_new_entered(&p->pool, p->loop, 1, NULL, err);
	if (r == 0)
		r = vm_create(&p->vm, p->loop, &c, &events, err);
	if (r == 0)
		r = vm_add_slots(p->vm, SLOTS, err);
	if (r == 0)
		r = vm_boot(p->vm, &boot, err);
	return r < 0 ? r : loop_run(p->loop, err);
}

int main(int argc, char **argv)
{
	static struct plugger p = {.fd = -1};
	struct error err = ERROR_INIT;
	bool ok;

	if (argc != 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (run(&p, argv, &err) < 0)
		printf("vm-plug: %s\n", err.text);
	ok = p.ended && !p.failed && p.at == N_DISKS;
	printf("vm-plug: %s\n", ok ? "done" : "failed");
	vm_destroy(p.vm);
	virtio_device_free(p.dev);
	pmem_backing_unmap(&p.backing);
	io_pool_free(p.pool);
	loop_free(p.loop);
	return ok ? 0 : 1;
}
