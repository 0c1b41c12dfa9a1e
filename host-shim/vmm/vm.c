/* SPDX-License-Identifier: Apache-2.0 */
/* vm: a machine of the built-in monitor, from its making to its end. */
#include "vm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "host-shim/vmm/boot/load.h"
#include "host-shim/vmm/ram.h"
#include "host-shim/vmm/snapshot_kvm.h"
#include "host-shim/vmm/page_trace.h"
#include "host-shim/vmm/snapshot_memory.h"
#include "host-shim/vmm/snapshot_pages.h"
#include "host-shim/vmm/vm_parts.h"
#include "host-shim/vmm/x86_64/cpu.h"
#include "host-shim/vmm/x86_64/cpuid.h"
#include "host-shim/vmm/x86_64/mptable.h"
#include "lib/base/bytes.h"
#include "lib/base/loop.h"

int vm_must_be(const struct vm *vm, enum vm_state state, const char *what, struct error *err)
{
	static const char *const names[] = {"not booted", "running", "paused", "at its end"};

	if (vm->state == state)
		return 0;
	return error_set(err, EINVAL, "a machine that is %s cannot be %s", names[vm->state], what);
}

/* ---- the end */

static const enum vm_end_kind ends[] = {
    [VCPU_EVENT_RESET] = VM_END_RESET,
    [VCPU_EVENT_POWER_OFF] = VM_END_POWER_OFF,
    [VCPU_EVENT_EXIT] = VM_END_EXIT,
    [VCPU_EVENT_FAILED] = VM_END_FAILED,
};

static void on_event(void *data)
{
	struct vm *vm = data;
	struct vm_end end;

	if (vm->state == VM_ENDED)
		return;
	vcpus_pause(&vm->vcpus);
	vm->state = VM_ENDED;
	end = (struct vm_end){ends[vm->vcpus.event], vm->vcpus.event_value, vm->vcpus.event_text};
	vm->events.ended(vm->events.data, &end);
}

/* ---- making */

static int check_config(const struct vm_config *c, struct error *err)
{
	if (c->cpus < 1 || c->cpus > VM_CPUS_MAX)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "%u processors: a machine has 1 to %d", c->cpus, VM_CPUS_MAX);
	return 0;
}

static int make_ram(struct vm *vm, struct error *err)
{
	const struct ram_config c = {.size = vm->config.memory,
	                             .shared = vm->config.shared,
	                             .huge_pages = vm->config.huge_pages,
	                             .prefault = vm->config.prefault};
	int r = ram_allocate(&vm->memory, &c, &vm->memory_fd, err);

	vm->ram = vm->all_ram = vm->memory;
	return r;
}

static int make_ports(struct vm *vm, struct error *err)
{
	int r;

	vm->ports.vcpus = &vm->vcpus;
	vm->ports.console_fd = vm->config.console_fd;
	vm->ports.panicked = vm->events.panicked;
	vm->ports.data = vm->events.data;
	r = ports_init(&vm->ports, vm->loop, &vm->port_bus, err);
	return r < 0 ? r : kvm_add_irqfd(&vm->kvm, vm->ports.serial_irq, 4, err);
}

static int make_events(struct vm *vm, struct error *err)
{
	if (vm->config.no_acpi)
		return 0;
	vm->events_irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->events_irq < 0)
		return error_errno(err, errno, "making an eventfd");
	return kvm_add_irqfd(&vm->kvm, vm->events_irq, LAYOUT_GSI_EVENTS, err);
}

static int make_vcpus(struct vm *vm, struct error *err)
{
	vm->vcpus.kvm = &vm->kvm;
	vm->vcpus.memory_bus = &vm->memory_bus;
	vm->vcpus.port_bus = &vm->port_bus;
	vm->vcpus.model = vm->config.cpu ? cpuid_model_find(vm->config.cpu) : NULL;
	if (vm->config.cpu && !vm->vcpus.model)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "there is no processor model \"%s\"", vm->config.cpu);
	vm->vcpus.enter = vm->config.enter_vcpu;
	vm->vcpus.enter_data = vm->config.enter_data;
	vm->vcpus.on_event = on_event;
	vm->vcpus.event_data = vm;
	return vcpus_init(&vm->vcpus, vm->loop, vm->config.cpus, err);
}

int vm_create(struct vm **out, struct loop *loop, const struct vm_config *config,
              const struct vm_events *events, struct error *err)
{
	_cleanup_vm_ struct vm *vm = NULL;
	uint64_t start = loop_now_ns();
	int r = check_config(config, err);

	if (r < 0)
		return r;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return error_set(err, ENOMEM, "no memory for a machine");
	vm->created_ns = start;
	vm->loop = loop;
	vm->config = *config;
	vm->events = *events;
	vm->memory_fd = vm->plug.fd = vm->events_irq = -1;
	vm->kvm = (struct kvm)KVM_INIT;
	r = kvm_open(&vm->kvm, config->kvm_fd, config->pit, err);
	if (r == 0)
		r = make_ram(vm, err);
	if (r == 0)
		r = make_vcpus(vm, err);
	if (r == 0)
		r = make_ports(vm, err);
	if (r == 0)
		r = make_events(vm, err);
	if (r == 0)
		r = vm_plug_memory_init(vm, err);
	if (r < 0)
		return r;
	*out = steal_ptr(&vm);
	return 0;
}

const struct guest_memory *vm_memory(const struct vm *vm)
{
	return &vm->memory;
}

const struct guest_memory *vm_ram(const struct vm *vm)
{
	return &vm->all_ram;
}

/* ---- booting */

static void unmap_file(struct load_file *f)
{
	if (f->data)
		munmap((void *)(uintptr_t)f->data, f->size);
}

static int map_file(struct load_file *f, int fd, const char *what, struct error *err)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "%s", what);
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return error_set_kind(err, ERROR_INPUT, EINVAL, "%s is empty or no file", what);
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return error_errno(err, errno, "mapping %s", what);
	*f = (struct load_file){p, (size_t)st.st_size, fd};
	return 0;
}

/* "virtio_mmio.device=4K@0xd0000000:5", for kernels without ACPI. */
static char *make_cmdline(const struct vm *vm, const char *given)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	buffer_str(&b, given ? given : "");
	for (unsigned int i = 0; i < vm->n_devices && vm->config.no_acpi; i++)
		buffer_printf(&b, " virtio_mmio.device=4K@0x%" PRIx64 ":%u", vm->slots[i].base,
		              vm->slots[i].gsi);
	return buffer_steal(&b);
}

static int write_tables(struct vm *vm, uint64_t *rsdp, struct error *err)
{
	const struct acpi_config c = {vm->config.cpus, vm->slots, vm->n_devices};
	int r = cpu_write_tables(&vm->memory, err);

	*rsdp = 0;
	if (r < 0)
		return r;
	return vm->config.no_acpi ? mptable_write(&vm->memory, vm->config.cpus, err)
	                          : acpi_write(&vm->memory, &c, rsdp, err);
}

static int load(struct vm *vm, const struct vm_boot *boot, struct error *err)
{
	_cleanup_(unmap_file) struct load_file kernel = {0};
	_cleanup_(unmap_file) struct load_file initrd = {0};
	_cleanup_free_ char *cmdline = make_cmdline(vm, boot->cmdline);
	struct load_config c = {.cmdline = cmdline, .name = boot->kernel_name};
	struct error why = ERROR_INIT;
	struct load_entry entry;
	int r = cmdline ? 0 : error_set(err, ENOMEM, "no memory for the command line");

	if (r == 0)
		r = map_file(&kernel, boot->kernel_fd, boot->kernel_name, err);
	if (r == 0 && boot->initrd_fd >= 0)
		r = map_file(&initrd, boot->initrd_fd, "the initial ramdisk", err);
	if (r == 0)
		r = write_tables(vm, &c.rsdp, err);
	if (r < 0)
		return r;
	c.kernel = kernel;
	c.initrd = initrd;
	c.map = !vm->config.shared && !vm->config.huge_pages;
	/* Memory behind devices is not RAM: kernel and memory map leave it alone. */
	r = load_kernel(&vm->ram, &c, &entry, &why);
	if (r < 0)
		return error_set_kind(err, why.kind, -r, "the kernel %s %s", boot->kernel_name,
		                      why.text);
	return vcpus_set_entry(&vm->vcpus, &entry, err);
}

/* `r` is what the preparations came to. A machine that was half made is good for nothing. */
static int start(struct vm *vm, int r, struct error *err)
{
	vm->run_ns = loop_now_ns();
	if (r == 0)
		r = vcpus_start(&vm->vcpus, err);
	vm->state = r < 0 ? VM_ENDED : VM_RUNNING;
	return r;
}

int vm_boot(struct vm *vm, const struct vm_boot *boot, struct error *err)
{
	int r = vm_must_be(vm, VM_CREATED, "booted", err);

	if (r < 0)
		return r;
	r = load(vm, boot, err);
	if (r == 0)
		r = kvm_add_memory(&vm->kvm, &vm->memory, err);
	return start(vm, r, err);
}

/* ---- life */

int vm_pause(struct vm *vm, struct error *err)
{
	int r = vm_must_be(vm, VM_RUNNING, "paused", err);

	if (r < 0)
		return r;
	vcpus_pause(&vm->vcpus);
	vm->state = VM_PAUSED;
	return 0;
}

int vm_resume(struct vm *vm, struct error *err)
{
	int r = vm_must_be(vm, VM_PAUSED, "resumed", err);

	if (r < 0)
		return r;
	vm->state = VM_RUNNING;
	vcpus_resume(&vm->vcpus);
	return 0;
}

/* ---- snapshots */

static const char vm_section[] = "vm";

enum { VM_SECTION_VERSION = 1 };
enum { TAG_CPUS = 1, TAG_DEVICES, TAG_FLAGS, TAG_REGION, TAG_SERIAL };
enum { REGION_SIZE = 16 };

static uint32_t vm_flags(const struct vm *vm)
{
	return (vm->config.no_acpi ? 1u : 0) | (vm->config.pit ? 2u : 0);
}

/* What the machine is made of: one that is restored must be made of the same. */
static void save_shape(struct vm *vm, struct snapshot_writer *w)
{
	_cleanup_buffer_ struct buffer serial = BUFFER_INIT;

	snapshot_begin(w, vm_section, VM_SECTION_VERSION, 0);
	snapshot_put_u32(w, TAG_CPUS, vm->config.cpus);
	snapshot_put_u32(w, TAG_DEVICES, vm->n_devices);
	snapshot_put_u32(w, TAG_FLAGS, vm_flags(vm));
	for (unsigned int i = 0; i < vm->memory.n; i++) {
		uint8_t region[REGION_SIZE];

		put_le64(region, vm->memory.regions[i].gpa);
		put_le64(region + 8, vm->memory.regions[i].size);
		snapshot_put(w, TAG_REGION, region, sizeof(region));
	}
	if (!vm->ports.serial)
		return;
	serial_save(vm->ports.serial, &serial);
	snapshot_put(w, TAG_SERIAL, serial.data, serial.size);
}

static int save_devices(struct vm *vm, struct snapshot_writer *w, struct error *err)
{
	int r = 0;

	for (unsigned int i = 0; i < vm->n_devices && r == 0; i++) {
		char name[SNAPSHOT_NAME_MAX + 1];

		snprintf(name, sizeof(name), "virtio.%u", i);
		snapshot_begin(w, name, VM_SECTION_VERSION, 0);
		r = virtio_mmio_save(vm->mmio[i], w, err);
	}
	return r;
}

static int save_vcpus(struct vm *vm, struct snapshot_writer *w, struct error *err)
{
	_cleanup_snapshot_kvm_ struct snapshot_kvm k = {0};
	int r = snapshot_kvm_init(&k, vm->kvm.dev, vm->kvm.vm, vm->vcpus.v[0].fd, err);

	for (unsigned int i = 0; i < vm->vcpus.n && r == 0; i++) {
		r = vcpus_settle(&vm->vcpus, i, err);
		if (r == 0)
			r = snapshot_save_vcpu(w, &k, i, vm->vcpus.v[i].fd, err);
	}
	return r < 0 ? r : snapshot_save_machine(w, vm->kvm.vm, vm->config.pit, err);
}

void vm_each_device(struct vm *vm, void (*fn)(struct virtio_device *dev))
{
	for (unsigned int i = 0; i < vm->n_devices; i++)
		if (virtio_mmio_device(vm->mmio[i]))
			fn(virtio_mmio_device(vm->mmio[i]));
}

int vm_save(struct vm *vm, int state_fd, int memory_fd, struct error *err)
{
	_cleanup_snapshot_writer_ struct snapshot_writer w = SNAPSHOT_WRITER_INIT;
	struct snapshot_ram ram = {vm->ram.regions, vm->ram.n, vm->memory_fd};
	int r = vm_must_be(vm, VM_PAUSED, "saved", err);

	if (r == 0 && vm->plug.dev)
		r = error_set(err, ENOTSUP, "a machine whose memory can grow cannot be saved");
	if (r < 0)
		return r;
	save_shape(vm, &w);
	vm_each_device(vm, virtio_device_pause);
	r = save_devices(vm, &w, err);
	if (r == 0)
		r = save_vcpus(vm, &w, err);
	if (r == 0)
		r = snapshot_memory_save(&w, &ram, memory_fd, err);
	vm_each_device(vm, virtio_device_resume);
	return r < 0 ? r : snapshot_write(&w, state_fd, err);
}

static int check_number(const struct snapshot_section *s, uint32_t tag, uint32_t want,
                        const char *what, struct error *err)
{
	uint32_t n = 0;
	int r = snapshot_get_u32(s, tag, &n, err);

	if (r == 0 && n != want)
		r = error_set_kind(err, ERROR_INPUT, EINVAL,
		                   "the snapshot's machine has %s %u, this one has %u", what, n,
		                   want);
	return r;
}

static int check_regions(const struct vm *vm, const struct snapshot_section *s, struct error *err)
{
	size_t size = 0;

	for (unsigned int i = 0; i <= vm->memory.n; i++) {
		const struct guest_region *r = i < vm->memory.n ? &vm->memory.regions[i] : NULL;
		const uint8_t *p = snapshot_find(s, TAG_REGION, i, &size);

		if (!p && !r)
			return 0;
		if (!p || !r || size != REGION_SIZE || get_le64(p) != r->gpa ||
		    get_le64(p + 8) != r->size)
			break;
	}
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "the snapshot's machine has other memory or images than this one");
}

static int load_shape(struct vm *vm, struct snapshot *s, struct error *err)
{
	const struct snapshot_section *section;
	size_t size = 0;
	const uint8_t *serial;
	struct reader reader;
	int r = snapshot_open(s, vm_section, VM_SECTION_VERSION, &section, err);

	if (r == 0)
		r = check_number(section, TAG_CPUS, vm->config.cpus, "processors:", err);
	if (r == 0)
		r = check_number(section, TAG_DEVICES, vm->n_devices, "devices:", err);
	if (r == 0)
		r = check_number(section, TAG_FLAGS, vm_flags(vm), "ACPI and timer:", err);
	if (r == 0)
		r = check_regions(vm, section, err);
	if (r < 0)
		return r;
	serial = snapshot_find(section, TAG_SERIAL, 0, &size);
	if (!serial != !vm->ports.serial)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "the snapshot's machine has %s serial port, this one has %s",
		                      serial ? "a" : "no", serial ? "none" : "one");
	if (!serial)
		return 0;
	reader = reader_init(serial, size);
	return serial_restore(vm->ports.serial, &reader, err);
}

static int load_devices(struct vm *vm, struct snapshot *s, struct error *err)
{
	int r = 0;

	for (unsigned int i = 0; i < vm->n_devices && r == 0; i++) {
		const struct snapshot_section *section;
		char name[SNAPSHOT_NAME_MAX + 1];

		snprintf(name, sizeof(name), "virtio.%u", i);
		r = snapshot_open(s, name, VM_SECTION_VERSION, &section, err);
		if (r == 0)
			r = virtio_mmio_load(vm->mmio[i], section, err);
	}
	return r;
}

static int load_vcpus(struct vm *vm, struct snapshot *s, struct error *err)
{
	_cleanup_snapshot_kvm_ struct snapshot_kvm k = {0};
	int r = snapshot_kvm_init(&k, vm->kvm.dev, vm->kvm.vm, -1, err);

	if (r == 0)
		r = snapshot_load_machine(s, vm->kvm.vm, vm->config.pit, err);
	for (unsigned int i = 0; i < vm->vcpus.n && r == 0; i++)
		r = snapshot_load_vcpu(s, &k, i, vm->vcpus.v[i].fd, err);
	return r;
}

/* The kernel mixes it into its random numbers as soon as it runs. */
int vm_renew_generation(struct vm *vm, struct error *err)
{
	int r = 0;

	if (vm->state != VM_CREATED)
		r = vm_must_be(vm, VM_RUNNING, "given a new generation id", err);
	if (r < 0 || vm->events_irq < 0)
		return r;
	r = acpi_write_generation(&vm->ram, err);
	if (r == 0 && eventfd_write(vm->events_irq, 1) < 0)
		r = error_errno(err, errno, "telling the guest of its generation id");
	return r;
}

/* What will be touched first is mapped here and for the processors, without two faults for each. */
static int load_pages(struct vm *vm, struct snapshot *s, struct error *err)
{
	_cleanup_snapshot_ struct snapshot *file = NULL;
	_cleanup_free_ struct snapshot_range *ranges = NULL;
	uint8_t id[SNAPSHOT_ID_SIZE];
	size_t n = 0;
	int r = 0;

	if (vm->config.pages_fd <= 0)
		return 0;
	r = snapshot_read(&file, vm->config.pages_fd, err);
	if (r == 0)
		r = snapshot_memory_id(s, id, err);
	if (r == 0)
		r = snapshot_pages_parse(file, id, &vm->memory, &ranges, &n, err);
	if (r < 0)
		return r;
	snapshot_pages_populate(&vm->memory, ranges, n);
	snapshot_prefault(vm->vcpus.v[0].fd, ranges, n);
	return 0;
}

int vm_restore(struct vm *vm, int state_fd, int memory_fd, struct error *err)
{
	_cleanup_snapshot_ struct snapshot *s = NULL;
	int r = vm_must_be(vm, VM_CREATED, "restored", err);

	if (r == 0 && (vm->config.shared || vm->config.huge_pages))
		r = error_set(err, ENOTSUP,
		              "a machine with shared or huge memory cannot be restored");
	if (r < 0)
		return r;
	r = snapshot_read(&s, state_fd, err);
	if (r == 0)
		r = load_shape(vm, s, err);
	if (r == 0)
		r = snapshot_memory_replace(s, memory_fd, &vm->ram, err);
	if (r == 0)
		r = kvm_add_memory(&vm->kvm, &vm->memory, err);
	if (r == 0 && vm->config.trace_pages)
		page_trace_begin(&vm->memory);
	if (r == 0)
		r = load_vcpus(vm, s, err);
	if (r == 0)
		r = load_pages(vm, s, err);
	if (r == 0)
		r = load_devices(vm, s, err);
	if (r == 0)
		r = snapshot_finish(s, err);
	if (r == 0)
		r = vm_renew_generation(vm, err);
	vm->restored = true;
	return start(vm, r, err);
}

int64_t vm_share(struct vm *vm, int pagemap, int memory_fd, struct error *err)
{
	_cleanup_free_ struct snapshot_copies *copies = malloc(sizeof(*copies));
	int64_t r;

	if (!copies)
		return error_set(err, ENOMEM, "no memory for a list of pages");
	r = snapshot_pages_find_copies(copies, &vm->ram, pagemap, err);
	/* That many: the guest is at work, and is not to be held up. */
	if (r < 0 || copies->n == SNAPSHOT_COPIES_MAX)
		return r;
	r = vm_pause(vm, err);
	if (r < 0)
		return r;
	vm_each_device(vm, virtio_device_pause);
	r = snapshot_pages_share(copies, memory_fd, err);
	vm_each_device(vm, virtio_device_resume);
	vm_resume(vm, NULL);
	return r;
}

void vm_destroy(struct vm *vm)
{
	if (!vm)
		return;
	vcpus_free(&vm->vcpus);
	for (unsigned int i = 0; i < vm->n_devices; i++)
		virtio_mmio_free(vm->mmio[i]);
	vm_plug_memory_free(vm);
	ports_free(&vm->ports);
	kvm_close(&vm->kvm);
	guest_memory_clear(&vm->memory);
	close_fd(&vm->memory_fd);
	close_fd(&vm->events_irq);
	free(vm);
}
