/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpus: the guest's processors, each on a thread of its own, and how they meet the device thread.
 *
 * All functions are for the device thread but those that say otherwise. A processor's thread does
 * no more than run the guest, answer registers, and wait for the device thread where a device
 * model has to answer.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "host-shim/vmm/boot/load.h"
#include "host-shim/vmm/bus.h"
#include "host-shim/vmm/kvm.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

#define VCPUS_MAX       32
#define VCPU_EXITS      40 /* reasons that are counted: KVM_EXIT_* */
#define VCPU_STACK_SIZE (256u << 10)

/* What a processor's thread has to say; the first one of its kind counts. */
enum vcpu_event {
	VCPU_EVENT_NONE,
	VCPU_EVENT_RESET,     /* triple fault, keyboard controller, ACPI reset register */
	VCPU_EVENT_POWER_OFF, /* ACPI S5 */
	VCPU_EVENT_EXIT,      /* exit port; value: what was written */
	VCPU_EVENT_FAILED,    /* KVM cannot go on; text */
};

struct vcpus;

struct vcpu {
	struct vcpus *all;
	unsigned int id;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	bool started, parked;
	uint64_t exits[VCPU_EXITS]; /* written by its thread alone */
};

struct vcpu_call; /* see vcpus_call() */

struct vcpus {
	struct kvm *kvm;
	const struct bus *memory_bus, *port_bus;
	struct vcpu v[VCPUS_MAX];
	unsigned int n;
	const struct cpuid_model *model; /* x86_64/cpuid.h; NULL: the host's processor */
	int (*enter)(void *data);        /* first thing on each thread (its jail); may be NULL */
	void *enter_data;
	void (*on_event)(void *data); /* on the device thread, after vcpus_report() */
	void *event_data;

	pthread_t device_thread;
	uint64_t first_ns; /* when the first of them used a port or device; any thread */
	int wake_fd;       /* calls or events wait for the device thread */
	struct loop_source *wake;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct vcpu_call *calls, **calls_end;
	bool pause, stop; /* wanted; processors look at them without the lock */
	enum vcpu_event event;
	uint64_t event_value;
	char event_text[160];
};

/* Makes `n` processors. The caller has set kvm, the buses, enter and on_event; the rest is 0. */
int vcpus_init(struct vcpus *all, struct loop *loop, unsigned int n, struct error *err);
/* Registers of the first processor; the others wait for its startup interrupt. */
int vcpus_set_entry(struct vcpus *all, const struct load_entry *entry, struct error *err);
/* Starts the threads. */
int vcpus_start(struct vcpus *all, struct error *err);
/* Returns when no processor runs; calls that they wait for are answered meanwhile. */
void vcpus_pause(struct vcpus *all);
void vcpus_resume(struct vcpus *all);
/* Finishes what the last exit of a paused processor left, so that its state can be read. */
int vcpus_settle(struct vcpus *all, unsigned int id, struct error *err);
/* Ends the threads; fine twice and when nothing was started. */
void vcpus_free(struct vcpus *all);

/* ---- on processors' threads */

/* Has the device thread run fn(data); false when the machine ends instead. The signature is
 * virtio_mmio_config.call's. */
bool vcpus_call(void *all, void (*fn)(void *data), void *data);
/* The machine is at an end: all processors stop, on_event is called on the device thread. */
void vcpus_report(struct vcpus *all, enum vcpu_event event, uint64_t value, const char *text);
