/* SPDX-License-Identifier: Apache-2.0 */
/* vm_stats: what a machine of the built-in monitor can say of itself in numbers. */
#include "vm_stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host-shim/vmm/devices/balloon.h"
#include "host-shim/vmm/vcpu_exit.h"
#include "host-shim/vmm/vm_parts.h"
#include "lib/base/loop.h"
#include "lib/base/fs.h"

/* A monitor has about a hundred mappings, of 700 bytes each. */
#define SMAPS_MAX (1u << 20)

_Static_assert(VM_STATS_EXITS >= VCPU_EXITS, "every reason has a counter");
_Static_assert(VM_STATS_DEVICES >= VM_DEVICES_MAX, "every device has a place");

/* ---- smaps */

static bool is_guest(uint64_t start, uint64_t end, const struct vm_stats_range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (start < ranges[i].start + ranges[i].size && ranges[i].start < end)
			return true;
	return false;
}

static void add_field(struct vm_memory_stats *m, bool guest, const char *line)
{
	static const struct {
		const char *name;
		size_t guest; /* member */
		bool is_private;
	} fields[] = {
	    {"Rss:", offsetof(struct vm_memory_stats, resident), false},
	    {"Private_Clean:", offsetof(struct vm_memory_stats, private_bytes), true},
	    {"Private_Dirty:", offsetof(struct vm_memory_stats, private_bytes), true},
	    {"Private_Hugetlb:", offsetof(struct vm_memory_stats, private_bytes), true},
	    {"Shared_Clean:", offsetof(struct vm_memory_stats, shared), false},
	    {"Shared_Dirty:", offsetof(struct vm_memory_stats, shared), false},
	    {"Shared_Hugetlb:", offsetof(struct vm_memory_stats, shared), false},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		size_t n = strlen(fields[i].name);
		uint64_t kib;

		if (strncmp(line, fields[i].name, n) != 0 ||
		    sscanf(line + n, "%" SCNu64, &kib) != 1)
			continue;
		if (guest)
			*(uint64_t *)((char *)m + fields[i].guest) += kib * 1024;
		else if (fields[i].is_private)
			m->monitor_private += kib * 1024;
	}
}

int vm_stats_smaps(const char *text, size_t size, const struct vm_stats_range *ranges, size_t n,
                   struct vm_memory_stats *out, struct error *err)
{
	struct vm_memory_stats m = {.known = true};
	bool guest = false, any = false;

	for (size_t at = 0; at < size;) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t length = end ? (size_t)(end - (text + at)) : size - at;
		uint64_t from, to;
		char line[128]; /* of a longer one, with a file's name, the beginning will do */

		snprintf(line, sizeof(line), "%.*s", (int)(length < 127 ? length : 127), text + at);
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2) {
			guest = is_guest(from, to, ranges, n);
			any = true;
		} else if (any) {
			add_field(&m, guest, line);
		}
		at += length + 1;
	}
	if (!any)
		return error_set(err, EPROTO, "this is no smaps");
	*out = m;
	return 0;
}

static void read_memory(const struct vm *vm, struct vm_memory_stats *out)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct vm_stats_range ranges[GUEST_MEMORY_REGIONS_MAX];

	if (vm->config.smaps_fd <= 0 || lseek(vm->config.smaps_fd, 0, SEEK_SET) != 0 ||
	    fs_read_fd(vm->config.smaps_fd, SMAPS_MAX, &text) < 0)
		return;
	for (unsigned int i = 0; i < vm->memory.n; i++)
		ranges[i] = (struct vm_stats_range){(uintptr_t)vm->memory.regions[i].host,
		                                    vm->memory.regions[i].size};
	vm_stats_smaps((const char *)text.data, text.size, ranges, vm->memory.n, out, NULL);
}

/* ---- the machine */

static void count_exits(const struct vm *vm, struct vm_stats *out)
{
	for (unsigned int i = 0; i < vm->vcpus.n; i++)
		for (unsigned int j = 0; j < VCPU_EXITS; j++) {
			uint64_t n = __atomic_load_n(&vm->vcpus.v[i].exits[j], __ATOMIC_RELAXED);

			out->exits[j] += n;
			out->exits_total += n;
		}
}

static void count_device(const struct virtio_mmio *m, struct vm_device_stats *d)
{
	const struct virtio_device *dev = virtio_mmio_device(m);

	if (!dev)
		return;
	d->name = dev->ops->name;
	d->n_queues = dev->ops->n_queues;
	for (unsigned int i = 0; i < d->n_queues; i++) {
		virtio_mmio_counters(m, i, &d->queues[i].notifications, &d->queues[i].interrupts);
		d->queues[i].data = dev->queues[i].counters;
	}
}

static void earliest(uint64_t *at, uint64_t ns)
{
	if (ns && (!*at || ns < *at))
		*at = ns;
}

static void count_balloon(const struct virtio_device *dev, struct vm_stats *out)
{
	if (!dev || dev->ops->id != VIRTIO_ID_BALLOON)
		return;
	out->has_balloon = true;
	out->balloon = balloon_device_actual(dev);
	out->discarded = balloon_device_discarded(dev);
	out->taken_back = balloon_device_taken_back(dev);
}

void vm_stats(const struct vm *vm, struct vm_stats *out)
{
	*out = (struct vm_stats){
	    .started_ns = vm->config.started_ns ? vm->config.started_ns : vm->created_ns,
	    .created_ns = vm->created_ns,
	    .run_ns = vm->run_ns,
	    .kernel_ns = vm->restored ? 0 : __atomic_load_n(&vm->vcpus.first_ns, __ATOMIC_RELAXED),
	    .now_ns = loop_now_ns(),
	    .cpus = vm->config.cpus,
	    .memory_size = vm_memory_size(vm),
	    .n_devices = vm->n_devices,
	};
	read_memory(vm, &out->memory);
	count_exits(vm, out);
	for (unsigned int i = 0; i < vm->n_devices; i++) {
		const struct virtio_device *dev = virtio_mmio_device(vm->mmio[i]);

		out->devices[i].slot = i;
		count_device(vm->mmio[i], &out->devices[i]);
		count_balloon(dev, out);
		if (dev)
			earliest(&out->agent_ns, dev->answered_ns);
		if (!vm->restored)
			earliest(&out->init_ns, virtio_mmio_asked_ns(vm->mmio[i]));
	}
}

const char *vm_exit_name(unsigned int reason)
{
	return vcpu_exit_name(reason);
}

/* ---- text */

static void put_queue(struct buffer *b, const struct vm_queue_stats *q, bool first)
{
	buffer_printf(b,
	              "%s{\"notifications\":%" PRIu64 ",\"interrupts\":%" PRIu64
	              ",\"chains\":%" PRIu64 ",\"read_bytes\":%" PRIu64
	              ",\"written_bytes\":%" PRIu64 "}",
	              first ? "" : ",", q->notifications, q->interrupts, q->data.chains,
	              q->data.read, q->data.written);
}

static void put_device(struct buffer *b, const struct vm_device_stats *d)
{
	buffer_printf(b, "{\"slot\":%u,\"name\":", d->slot);
	if (d->name)
		buffer_json_string(b, d->name);
	else
		buffer_str(b, "null");
	buffer_str(b, ",\"queues\":[");
	for (unsigned int i = 0; i < d->n_queues; i++)
		put_queue(b, &d->queues[i], i == 0);
	buffer_str(b, "]}");
}

static void put_exits(struct buffer *b, const struct vm_stats *s)
{
	buffer_printf(b, "\"exits\":{\"total\":%" PRIu64, s->exits_total);
	for (unsigned int i = 0; i < VM_STATS_EXITS; i++)
		if (s->exits[i])
			buffer_printf(b, ",\"%s\":%" PRIu64,
			              vm_exit_name(i) ? vm_exit_name(i) : "other", s->exits[i]);
	buffer_str(b, "}");
}

static void put_memory(struct buffer *b, const struct vm_stats *s)
{
	buffer_printf(b, "\"memory\":{\"size_bytes\":%" PRIu64, s->memory_size);
	if (s->memory.known)
		buffer_printf(b,
		              ",\"resident_bytes\":%" PRIu64 ",\"private_bytes\":%" PRIu64
		              ",\"shared_bytes\":%" PRIu64 ",\"monitor_private_bytes\":%" PRIu64,
		              s->memory.resident, s->memory.private_bytes, s->memory.shared,
		              s->memory.monitor_private);
	if (s->has_balloon)
		buffer_printf(b,
		              ",\"balloon_bytes\":%" PRIu64 ",\"given_back_bytes\":%" PRIu64
		              ",\"taken_back_bytes\":%" PRIu64,
		              s->balloon, s->discarded, s->taken_back);
	buffer_str(b, "}");
}

void vm_stats_json(const struct vm_stats *s, struct buffer *b)
{
	buffer_printf(b,
	              "{\"started_ns\":%" PRIu64 ",\"created_ns\":%" PRIu64 ",\"run_ns\":%" PRIu64
	              ",\"kernel_ns\":%" PRIu64 ",\"init_ns\":%" PRIu64 ",\"agent_ns\":%" PRIu64
	              ",\"now_ns\":%" PRIu64 ",\"cpus\":%u,",
	              s->started_ns, s->created_ns, s->run_ns, s->kernel_ns, s->init_ns,
	              s->agent_ns, s->now_ns, s->cpus);
	put_memory(b, s);
	buffer_str(b, ",");
	put_exits(b, s);
	buffer_str(b, ",\"devices\":[");
	for (unsigned int i = 0; i < s->n_devices; i++) {
		buffer_str(b, i ? "," : "");
		put_device(b, &s->devices[i]);
	}
	buffer_str(b, "]}");
}
