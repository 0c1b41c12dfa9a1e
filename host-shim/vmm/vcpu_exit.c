/* SPDX-License-Identifier: Apache-2.0 */
/* vcpu_exit: what a processor's thread does when the guest stops running, by reason. */
#include "vcpu_exit.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/loop.h"

static void exit_mmio(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	uint32_t size = run->mmio.len;

	if (size > sizeof(run->mmio.data))
		return;
	if (run->mmio.is_write)
		bus_write(v->all->memory_bus, run->mmio.phys_addr, run->mmio.data, size);
	else
		bus_read(v->all->memory_bus, run->mmio.phys_addr, run->mmio.data, size);
}

/* String instructions come as `count` accesses to one port. */
static void exit_io(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	uint8_t *bytes = (uint8_t *)run + run->io.data_offset;
	uint64_t end;

	if (run->io.data_offset > v->all->kvm->run_size ||
	    __builtin_mul_overflow((uint64_t)run->io.count, run->io.size, &end) ||
	    end > v->all->kvm->run_size - run->io.data_offset)
		return;
	for (uint32_t i = 0; i < run->io.count; i++, bytes += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			bus_write(v->all->port_bus, run->io.port, bytes, run->io.size);
		else
			bus_read(v->all->port_bus, run->io.port, bytes, run->io.size);
	}
}

static void exit_shutdown(struct vcpu *v)
{
	vcpus_report(v->all, VCPU_EVENT_RESET, 0, "triple fault");
}

static void exit_system_event(struct vcpu *v)
{
	bool off = v->run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN;

	vcpus_report(v->all, off ? VCPU_EVENT_POWER_OFF : VCPU_EVENT_RESET, 0, "system event");
}

static void fail(struct vcpu *v, const char *what, uint64_t number)
{
	char text[128];

	snprintf(text, sizeof(text), "processor %u stopped: %s (%llu)", v->id, what,
	         (unsigned long long)number);
	vcpus_report(v->all, VCPU_EVENT_FAILED, number, text);
}

static void exit_fail_entry(struct vcpu *v)
{
	fail(v, "KVM could not enter the guest", v->run->fail_entry.hardware_entry_failure_reason);
}

/* The usual one: an instruction on a device's address that KVM cannot emulate. */
static void exit_internal_error(struct vcpu *v)
{
	fail(v, "KVM could not emulate what the guest does", v->run->internal.suberror);
}

static void exit_nothing(struct vcpu *v)
{
}

static const struct {
	const char *name;
	void (*handle)(struct vcpu *v);
} reasons[VCPU_EXITS] = {
    [KVM_EXIT_IO] = {"io", exit_io},
    [KVM_EXIT_MMIO] = {"mmio", exit_mmio},
    [KVM_EXIT_HLT] = {"hlt", exit_nothing},
    [KVM_EXIT_INTR] = {"intr", exit_nothing},
    [KVM_EXIT_IRQ_WINDOW_OPEN] = {"irq-window", exit_nothing},
    [KVM_EXIT_DEBUG] = {"debug", exit_nothing},
    [KVM_EXIT_SHUTDOWN] = {"shutdown", exit_shutdown},
    [KVM_EXIT_SYSTEM_EVENT] = {"system-event", exit_system_event},
    [KVM_EXIT_FAIL_ENTRY] = {"fail-entry", exit_fail_entry},
    [KVM_EXIT_INTERNAL_ERROR] = {"internal-error", exit_internal_error},
};

/* The kernel has come to look for its machine. */
static void note_first(struct vcpus *all)
{
	uint64_t none = 0;

	if (!__atomic_load_n(&all->first_ns, __ATOMIC_RELAXED))
		__atomic_compare_exchange_n(&all->first_ns, &none, loop_now_ns(), false,
		                            __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

const char *vcpu_exit_name(unsigned int reason)
{
	return reason < VCPU_EXITS ? reasons[reason].name : NULL;
}

void vcpu_exit(struct vcpu *v, int error)
{
	uint32_t reason = v->run->exit_reason;

	if (error == EINTR || error == EAGAIN)
		return;
	if (error) {
		char text[96];

		snprintf(text, sizeof(text), "processor %u stopped: KVM_RUN: %s", v->id,
		         strerror(error));
		vcpus_report(v->all, VCPU_EVENT_FAILED, 0, text);
		return;
	}
	if (reason >= VCPU_EXITS || !reasons[reason].handle) {
		fail(v, "KVM stopped for a reason that is not known", reason);
		return;
	}
	/* Statistics read it on another thread. */
	__atomic_store_n(&v->exits[reason], v->exits[reason] + 1, __ATOMIC_RELAXED);
	if (reason == KVM_EXIT_IO || reason == KVM_EXIT_MMIO)
		note_first(v->all);
	reasons[reason].handle(v);
}
