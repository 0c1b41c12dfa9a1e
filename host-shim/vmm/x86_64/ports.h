/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports: the few ports of a PC that the built-in monitor answers.
 *
 * A serial port, the keyboard controller's reset, ACPI's sleep control, the exit port of bare-metal
 * test programs (0xf4) and the panic port (0x505). All other ports read as all ones.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-shim/vmm/bus.h"
#include "host-shim/vmm/vcpus.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

/* Bytes that wait for the device thread; what comes faster is lost. */
#define PORTS_CONSOLE_MAX (64u << 10)

struct ports {
	struct vcpus *vcpus;
	/* On the device thread; may be NULL. */
	void (*console)(void *data, const uint8_t *bytes, size_t size);
	void (*panicked)(void *data);
	void *data;

	int wake_fd, serial_irq; /* eventfds */
	struct loop_source *wake;
	pthread_mutex_t lock; /* of what follows */
	uint8_t registers[8]; /* of the serial port, as written */
	uint16_t divisor;
	bool empty_irq; /* the transmitter's interrupt is pending */
	bool panic;
	size_t n_waiting;
	uint8_t waiting[PORTS_CONSOLE_MAX];
};

/* The caller has set vcpus and the callbacks; the rest is 0. */
int ports_init(struct ports *p, struct loop *loop, struct bus *bus, struct error *err);
/* Hands over what still waits, on the device thread. */
void ports_flush(struct ports *p);
void ports_free(struct ports *p); /* fine when never initialised */
