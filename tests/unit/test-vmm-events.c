/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-vmm-events: what a machine tells of itself on the way: when its kernel began, that it is out
 * of memory, that it panicked. Needs /dev/kvm.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-shim/vmm/devices/balloon.h"
#include "host-shim/vmm/vm.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "tests/unit/check.h"

#define MIB (1024ull * 1024)

static struct loop *loop;
static struct vm *vm;
static unsigned int panics, shortages;
static bool ended;

static void on_panic(void *data)
{
	panics++;
	loop_exit(loop, 0);
}

static void on_shortage(void *data)
{
	shortages++;
}

static void on_end(void *data, const struct vm_end *end)
{
	ended = true;
	loop_exit(loop, 0);
}

static void on_time(struct loop_source *src, void *data)
{
	loop_exit(loop, 0);
}

static void turn(uint64_t ms)
{
	struct loop_source *timer = NULL;
	struct error err = ERROR_INIT;

	check_ok(loop_add_timer(loop, ms, on_time, NULL, &timer, &err), &err);
	loop_run(loop, NULL);
	loop_source_free(timer);
}

static void make(void)
{
	const struct vm_config c = {.cpus = 1, .memory = 16 * MIB, .kvm_fd = -1, .console_fd = -1};
	const struct vm_events e = {
	    .panicked = on_panic, .out_of_memory = on_shortage, .ended = on_end};
	struct error err = ERROR_INIT;

	if (access("/dev/kvm", R_OK | W_OK) < 0)
		check_skip("no /dev/kvm");
	panics = shortages = 0;
	ended = false;
	check_ok(loop_new(&loop, &err), &err);
	check_ok(vm_create(&vm, loop, &c, &e, &err), &err);
}

static void clear(void)
{
	vm_destroy(vm);
	loop_free(loop);
}

/* A multiboot kernel by addresses, of these instructions. */
static void boot(const uint8_t *code, size_t size)
{
	static const uint32_t header[] = {
	    0x1badb002, 0x10000, -(0x1badb002u + 0x10000), 0x200000, 0x200000, 0, 0, 0x200020};
	struct vm_boot how = {.initrd_fd = -1, .kernel_name = "test"};
	struct error err = ERROR_INIT;

	how.kernel_fd = memfd_create("kernel", MFD_CLOEXEC);
	check(how.kernel_fd >= 0 && ftruncate(how.kernel_fd, 4096) == 0);
	check_int(fs_pwrite_all(how.kernel_fd, header, sizeof(header), 0), 0);
	check_int(fs_pwrite_all(how.kernel_fd, code, size, sizeof(header)), 0);
	check_ok(vm_boot(vm, &how, &err), &err);
	close(how.kernel_fd);
}

static struct vm_stats stats(void)
{
	struct vm_stats s;

	vm_stats(vm, &s);
	return s;
}

static const uint8_t stay[] = {0xeb, 0xfe};      /* jmp . */
static const uint8_t leave[] = {0xe6, 0xf4};     /* out %al, $0xf4 */
static const uint8_t dots[] = {0xe6, 0xf8, 0xeb, /* out %al, $0xf8; jmp . */
                               0xfe};
/* mov $0x505, %dx; mov $1, %al; out %al, %dx; jmp . */
static const uint8_t panic[] = {0x66, 0xba, 0x05, 0x05, 0xb0, 0x01, 0xee, 0xeb, 0xfe};

TEST(a_kernel_that_touches_nothing_is_not_seen)
{
	make();
	boot(stay, sizeof(stay));
	turn(200);
	check_int(stats().kernel_ns, 0);
	check(!ended);
	clear();
}

TEST(a_kernel_is_seen_when_it_first_uses_a_port)
{
	struct vm_stats s;

	make();
	boot(leave, sizeof(leave));
	turn(10000);
	check(ended);
	s = stats();
	check(s.started_ns <= s.created_ns && s.created_ns <= s.run_ns);
	check(s.kernel_ns >= s.run_ns && s.kernel_ns <= s.now_ns);
	check_int(s.init_ns, 0);
	clear();
}

TEST(a_machine_that_was_restored_has_no_kernel_that_began)
{
	int state = memfd_create("state", MFD_CLOEXEC),
	    memory = memfd_create("memory", MFD_CLOEXEC);
	struct error err = ERROR_INIT;

	make();
	boot(dots, sizeof(dots));
	for (int i = 0; i < 100 && !stats().kernel_ns; i++)
		turn(50);
	check(stats().kernel_ns > 0);
	check_ok(vm_pause(vm, &err), &err);
	check_ok(vm_save(vm, state, memory, &err), &err);
	clear();
	make();
	check_ok(vm_restore(vm, state, memory, &err), &err);
	turn(200);
	check_int(stats().kernel_ns, 0);
	check_int(stats().init_ns, 0);
	check(stats().run_ns > 0);
	clear();
	close(state);
	close(memory);
}

TEST(a_panic_is_told)
{
	make();
	boot(panic, sizeof(panic));
	turn(10000);
	check_int(panics, 1);
	check(!ended);
	clear();
}

/* virtio 1.2 §5.5.6; the driver's side of it: test-vmm-balloon. */
TEST(a_balloon_that_loses_pages_is_told_and_counted)
{
	struct virtio_device *balloon = NULL;
	struct balloon_config c = {.deflate_on_oom = true};
	struct error err = ERROR_INIT;
	uint8_t pages[4];

	make();
	c.ram = vm_ram(vm);
	check_ok(balloon_device_new(&balloon, loop, &c, &err), &err);
	check_ok(vm_add_device(vm, balloon, &err), &err);
	balloon->negotiated = virtio_device_features(balloon);
	balloon_device_set_target(balloon, MIB);
	put_le32(pages, 256);
	virtio_device_config_write(balloon, 4, pages, 4);
	check_int(shortages, 0);
	put_le32(pages, 200);
	virtio_device_config_write(balloon, 4, pages, 4);
	put_le32(pages, 100);
	virtio_device_config_write(balloon, 4, pages, 4);
	check_int(shortages, 1);
	check_int(stats().taken_back, 156 * 4096);
	clear();
	virtio_device_free(balloon);
}

TEST_MAIN()
