/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-vmm-vm: the calls of a machine in each of its states, and what its devices share: memory
 * that goes, slots. Needs /dev/kvm.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-shim/vmm/devices/blk.h"
#include "host-shim/vmm/devices/mem.h"
#include "host-shim/vmm/devices/rng.h"
#include "host-shim/vmm/vm_parts.h"
#include "lib/base/fs.h"
#include "tests/unit/check.h"
#include "tests/unit/virtq_driver.h"

#define MIB (1024ull * 1024)

static struct loop *loop;
static struct vm *vm;
static struct virtio_device *rng, *other;
static uint8_t *page;
static bool has_ended;

static void on_end(void *data, const struct vm_end *end)
{
	has_ended = true;
	loop_exit(loop, 0);
}

static void leave(struct loop_source *src, void *data)
{
	loop_exit(loop, 0);
}

/* Turns of the loop, until the guest has ended or for so long. */
static void turn(uint64_t ms)
{
	struct loop_source *timer = NULL;
	struct error err = ERROR_INIT;

	check_ok(loop_add_timer(loop, ms, leave, NULL, &timer, &err), &err);
	loop_run(loop, NULL);
	loop_source_free(timer);
}

/* A multiboot kernel by addresses: it stays where it is, or writes to the exit port. */
static int make_kernel(bool ends)
{
	static const uint32_t header[] = {
	    0x1badb002, 0x10000, -(0x1badb002u + 0x10000), 0x200000, 0x200000, 0, 0, 0x200020};
	static const uint8_t stay[] = {0xeb, 0xfe}, end[] = {0xe6, 0xf4, 0xeb, 0xfe};
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	check(fd >= 0 && ftruncate(fd, 4096) == 0);
	check_int(fs_pwrite_all(fd, header, sizeof(header), 0), 0);
	check_int(fs_pwrite_all(fd, ends ? end : stay, ends ? sizeof(end) : sizeof(stay), 32), 0);
	return fd;
}

static void start(uint64_t memory_max)
{
	const struct vm_config c = {.cpus = 1,
	                            .memory = 16 * MIB,
	                            .memory_max = memory_max,
	                            .kvm_fd = -1,
	                            .console_fd = -1};
	const struct vm_events e = {.ended = on_end};
	struct error err = ERROR_INIT;

	if (access("/dev/kvm", R_OK | W_OK) < 0)
		check_skip("no /dev/kvm");
	has_ended = false;
	check_ok(loop_new(&loop, &err), &err);
	check_ok(vm_create(&vm, loop, &c, &e, &err), &err);
	check_ok(rng_device_new(&rng, loop, 0, &err), &err);
	check_ok(rng_device_new(&other, loop, 0, &err), &err);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(page != MAP_FAILED);
}

static int boot(bool ends, struct error *err)
{
	struct vm_boot how = {.initrd_fd = -1, .kernel_name = "test"};
	int r;

	how.kernel_fd = make_kernel(ends);
	r = vm_boot(vm, &how, err);
	close(how.kernel_fd);
	return r;
}

static void stop(void)
{
	vm_destroy(vm);
	virtio_device_free(rng);
	virtio_device_free(other);
	loop_free(loop);
	munmap(page, 4096);
}

/* ---- the calls, each with what fits or not whatever the state is */

static int try_add_device(struct error *err)
{
	return vm_add_device(vm, other, err);
}

static int try_add_slots(struct error *err)
{
	return vm_add_slots(vm, 1, err);
}

static int try_add_memory(struct error *err)
{
	uint64_t gpa;

	return vm_add_memory(vm, page, 4096, false, &gpa, err);
}

static int try_remove_memory(struct error *err)
{
	return vm_remove_memory(vm, 1ull << 40, err);
}

static int try_plug(struct error *err)
{
	unsigned int slot;

	return vm_plug(vm, other, &slot, err);
}

static int try_unplug(struct error *err)
{
	return vm_unplug(vm, other, false, err);
}

static int try_resize(struct error *err)
{
	return vm_resize(vm, 16 * MIB, err);
}

static int try_boot(struct error *err)
{
	return boot(false, err);
}

static int try_pause(struct error *err)
{
	return vm_pause(vm, err);
}

static int try_resume(struct error *err)
{
	return vm_resume(vm, err);
}

static int try_save(struct error *err)
{
	return vm_save(vm, -1, -1, err);
}

static int try_restore(struct error *err)
{
	return vm_restore(vm, -1, -1, err);
}

#define C (1u << VM_CREATED)
#define R (1u << VM_RUNNING)
#define P (1u << VM_PAUSED)
#define E (1u << VM_ENDED)

/* The states that a call fits, and the one that it leads to from there. */
static const struct {
	const char *name;
	int (*call)(struct error *err);
	unsigned int fits;
	int result; /* there */
	int leads;  /* -1: the state stays */
} calls[] = {
    {"vm_add_device", try_add_device, C, 0, -1},
    {"vm_add_slots", try_add_slots, C, 0, -1},
    {"vm_add_memory", try_add_memory, C | R | P, 0, -1},
    {"vm_remove_memory", try_remove_memory, R | P, -ENOENT, -1},
    {"vm_plug", try_plug, R | P, 0, -1},
    {"vm_unplug", try_unplug, R | P, -ENOENT, -1},
    {"vm_resize", try_resize, R | P, 0, -1},
    {"vm_boot", try_boot, C, 0, VM_RUNNING},
    {"vm_pause", try_pause, R, 0, VM_PAUSED},
    {"vm_resume", try_resume, P, 0, VM_RUNNING},
    {"vm_save", try_save, P, -EBADF, -1},
    {"vm_restore", try_restore, C, -EBADF, VM_ENDED},
};

static void bring_to(enum vm_state state)
{
	struct error err = ERROR_INIT;

	start(0);
	check_ok(vm_add_device(vm, rng, &err), &err);
	check_ok(vm_add_slots(vm, 1, &err), &err);
	if (state == VM_CREATED)
		return;
	check_ok(boot(state == VM_ENDED, &err), &err);
	if (state == VM_PAUSED)
		check_ok(vm_pause(vm, &err), &err);
	if (state == VM_ENDED) {
		turn(10000);
		check(has_ended);
	}
	check_int(vm->state, state);
}

static void check_calls_in(enum vm_state state, const char *name)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		bool fits = calls[i].fits & 1u << state;
		struct error err = ERROR_INIT;
		int r, wanted = fits ? calls[i].result : -EINVAL;

		bring_to(state);
		r = calls[i].call(&err);
		/* A KVM that cannot save a processor says so before the file is looked at. */
		if (r != wanted && !(fits && r < 0 && calls[i].call == try_save))
			check_fail(__FILE__, __LINE__, "%s of a machine %s: %d (%s), not %d",
			           calls[i].name, name, r, err.text, wanted);
		if (!fits && (!strstr(err.text, name) || !strstr(err.text, " cannot be ")))
			check_fail(__FILE__, __LINE__, "%s: no state in: %s", calls[i].name,
			           err.text);
		check_int(vm->state, fits && calls[i].leads >= 0 ? calls[i].leads : (int)state);
		stop();
	}
}

TEST(calls_before_the_boot)
{
	check_calls_in(VM_CREATED, "not booted");
}

TEST(calls_while_it_runs)
{
	check_calls_in(VM_RUNNING, "running");
}

TEST(calls_while_it_is_paused)
{
	check_calls_in(VM_PAUSED, "paused");
}

TEST(calls_after_its_end)
{
	check_calls_in(VM_ENDED, "at its end");
}

TEST(a_boot_that_failed_is_the_end)
{
	struct vm_boot how = {.initrd_fd = -1, .kernel_name = "test"};
	struct error err = ERROR_INIT;

	start(0);
	how.kernel_fd = memfd_create("none", MFD_CLOEXEC);
	check_int(vm_boot(vm, &how, &err), -EINVAL);
	close(how.kernel_fd);
	error_clear(&err);
	check_int(boot(false, &err), -EINVAL);
	check(strstr(err.text, "at its end"));
	stop();
}

/* A device is in one place: its transport is told of interrupts. */
TEST(a_device_has_one_slot)
{
	struct error err = ERROR_INIT;
	unsigned int slot;

	start(0);
	check_ok(vm_add_device(vm, rng, &err), &err);
	check_ok(vm_add_slots(vm, 2, &err), &err);
	check_int(vm_add_device(vm, rng, &err), -EBUSY);
	check_ok(boot(false, &err), &err);
	check_int(vm_plug(vm, rng, &slot, &err), -EBUSY);
	check_ok(vm_plug(vm, other, &slot, &err), &err);
	check_int(slot, 1);
	check_int(vm_plug(vm, other, &slot, &err), -EBUSY);
	check_ok(vm_unplug(vm, other, false, &err), &err);
	check_ok(vm_plug(vm, other, &slot, &err), &err);
	check_int(slot, 1);
	stop();
}

/* Memory that comes and goes as volumes do, never all of it at once: neither addresses nor KVM's
 * slots run out, and nothing overlaps. */
TEST(addresses_are_used_again)
{
	uint64_t gpa[3] = {0}, first, last = 0;
	struct error err = ERROR_INIT;

	start(0);
	check_ok(vm_add_memory(vm, page, 4096, false, &first, &err), &err);
	check_int(first, LAYOUT_GAP_END);
	check_ok(boot(false, &err), &err);
	for (unsigned int i = 0; i < 100; i++) {
		uint64_t *at = &gpa[i % 3];

		if (*at)
			check_ok(vm_remove_memory(vm, *at, &err), &err);
		check_ok(vm_add_memory(vm, page, 4096, i % 2, at, &err), &err);
		check(*at != first && gpa[0] != gpa[1] && (!gpa[2] || gpa[1] != gpa[2]));
		last = *at > last ? *at : last;
	}
	check_int(last, first + 3 * LAYOUT_PMEM_ALIGN);
	check(vm->kvm.slots < 1u << 6);
	check_int(vm_remove_memory(vm, first, &err), -ENOENT);
	check_int(vm_remove_memory(vm, 0, &err), -ENOENT);
	stop();
}

/* ---- memory that goes while a device writes to it: the driver is written here */

static struct virtio_mmio *mmio;
static uint8_t *low; /* guest-physical address 0 */
static struct driver_ring ring;

static void set(uint64_t offset, uint32_t v)
{
	uint8_t b[4];

	put_le32(b, v);
	virtio_mmio_bus.write(mmio, offset, b, 4);
}

/* Queue 0 with rings of 16 entries at `at`. */
static void drive(struct virtio_mmio *m, uint64_t at)
{
	mmio = m;
	ring = (struct driver_ring){.base = low, .at = at, .size = 16};
	memset(low + at, 0, 0x8000);
	set(0x70, 0);
	set(0x70, 3);
	set(0x24, 1);
	set(0x20, 1);
	set(0x24, 0);
	set(0x20, 2); /* of the memory device: unplugged memory is left alone; of blk: size_max */
	set(0x70, 11);
	set(0x38, ring.size);
	set(0x80, (uint32_t)at);
	set(0x90, (uint32_t)at + 0x4000);
	set(0xa0, (uint32_t)at + 0x6000);
	set(0x44, 1);
	set(0x70, 15);
}

/* Three buffers at most; `write` says for which the device writes. */
static void offer(unsigned int n, const struct vq_desc *d)
{
	for (unsigned int i = 0; i < n; i++) {
		struct vq_desc one = d[i];

		one.flags |= i + 1 < n ? VIRTQ_DESC_F_NEXT : 0;
		one.next = (uint16_t)(i + 1);
		driver_put_desc(&ring, i, one);
	}
	driver_offer(&ring, 0);
	set(0x50, 0);
	turn(20);
}

static uint16_t ask(unsigned int type, uint64_t gpa)
{
	uint8_t *request = low + 0x3f000;

	memset(request, 0, 64);
	request[0] = (uint8_t)type;
	put_le64(request + 8, gpa);
	request[16] = 1;
	offer(2, (struct vq_desc[]){{0x3f000, 24, 0, 0}, {0x3f020, 10, VIRTQ_DESC_F_WRITE, 0}});
	check_int(driver_used_idx(&ring), 1);
	return get_le16(request + 32);
}

/* A disk that takes its time: jobs wait until the gate opens. */
static struct {
	struct io_job job;
	int pipe[2];
	bool done;
} gate;

static void wait_at_gate(struct io_job *job)
{
	char c;

	check_int(read(gate.pipe[0], &c, 1), 1);
}

static void passed(struct io_job *job)
{
	gate.done = true;
}

static void *open_gate(void *data)
{
	usleep(100000);
	check_int(write(gate.pipe[1], "x", 1), 1);
	return NULL;
}

static void close_gate(struct io_pool *pool)
{
	gate.done = false;
	gate.job = (struct io_job){.work = wait_at_gate, .done = passed, .owner = &gate};
	check(pipe(gate.pipe) == 0);
	io_pool_submit(pool, &gate.job);
}

static size_t resident(uint8_t *at, size_t size)
{
	unsigned char there[512];
	size_t n = 0;

	check(size / 4096 <= sizeof(there) && mincore(at, size, there) == 0);
	for (size_t i = 0; i < size / 4096; i++)
		n += there[i] & 1;
	return n;
}

/* A request under way would fill pages of a block that the guest has given back (5.15.6.2: it may
 * have no more than was asked for). */
TEST(unplugged_memory_is_not_written_to)
{
	struct virtio_device *blk = NULL;
	struct error err = ERROR_INIT;
	struct io_pool *pool = NULL;
	uint64_t size = 1 * MIB;
	pthread_t opener;
	int fd;

	start(32 * MIB);
	low = vm->memory.regions[0].host;
	fd = memfd_create("disk", MFD_CLOEXEC);
	check(fd >= 0 && ftruncate(fd, 2 * MIB) == 0);
	check_ok(io_pool_new(&pool, loop, 1, &err), &err);
	check_ok(blk_device_new(&blk, loop, pool, &(struct blk_config){.fd = fd}, &err), &err);
	check_ok(vm_add_device(vm, blk, &err), &err);
	check_ok(boot(false, &err), &err);
	check_ok(vm_pause(vm, &err), &err);
	check_ok(mem_device_resize(vm->plug.dev, 2 * MIB, &err), &err);
	drive(vm->mmio[0], 0x40000);
	check_int(ask(0, vm->plug.gpa), 0);
	/* A read into the block waits for the disk ... */
	close_gate(pool);
	drive(vm->mmio[1], 0x60000);
	memset(low + 0x3e000, 0, 32);
	offer(3, (struct vq_desc[]){{0x3e000, 16, 0, 0},
	                            {vm->plug.gpa, (uint32_t)size, VIRTQ_DESC_F_WRITE, 0},
	                            {0x3e010, 1, VIRTQ_DESC_F_WRITE, 0}});
	check_int(resident(vm->plug.host, 2 * MIB), 0);
	/* ... while the block is unplugged. */
	check(pthread_create(&opener, NULL, open_gate, NULL) == 0);
	drive(vm->mmio[0], 0x40000);
	check_int(ask(1, vm->plug.gpa), 0);
	pthread_join(opener, NULL);
	for (int i = 0; i < 300 && !gate.done; i++)
		turn(200);
	check(gate.done);
	check_int(vm->plug.dev->queues[0].counters.chains, 2);
	check_int(resident(vm->plug.host, 2 * MIB), 0);
	vm_destroy(vm);
	vm = NULL;
	virtio_device_free(blk);
	io_pool_free(pool);
	close(gate.pipe[0]);
	close(gate.pipe[1]);
	close(fd);
	stop();
}

TEST_MAIN()
