/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports: the few ports of a PC that the built-in monitor answers.
 *
 * A serial port, the keyboard controller's reset, ACPI's sleep control, the exit port of bare-metal
 * test programs (0xf4) and the panic port (0x505). All other ports read as all ones.
 */
#pragma once

#include "host-shim/vmm/bus.h"
#include "host-shim/vmm/devices/output.h"
#include "host-shim/vmm/devices/serial.h"
#include "host-shim/vmm/vcpus.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

struct ports {
	struct vcpus *vcpus;
	int console_fd;               /* what the serial port prints; -1: there is none */
	void (*panicked)(void *data); /* on the device thread; may be NULL */
	void *data;

	int serial_irq, panic_fd; /* eventfds */
	struct loop_source *panic;
	struct output *output;
	struct serial *serial;
};

/* The caller has set the first four members; the rest is 0. */
int ports_init(struct ports *p, struct loop *loop, struct bus *bus, struct error *err);
void ports_free(struct ports *p); /* fine when ports_init() failed */
