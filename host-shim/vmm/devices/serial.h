/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serial: a 16550A UART for early output and bare-metal guests, as far as their drivers look.
 *
 * Eight one-byte registers (ports 0x3f8 to 0x3ff on a PC). Reads and writes may come from any
 * thread (a vCPU that left the guest); they never block. The baud rate means nothing: a byte is
 * sent at once, what the output does not take is lost there.
 */
#pragma once

#include <stdint.h>

#include "host-shim/vmm/devices/output.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/loop.h"

#define SERIAL_PORT      0x3f8
#define SERIAL_REGISTERS 8
#define SERIAL_IRQ       4

struct serial;

struct serial_config {
	struct output *output; /* must outlive the device */
	int input_fd;          /* is made non-blocking, stays the caller's; -1: no input */
	/* An edge of the interrupt line; NULL: none. From the thread that caused it. */
	void (*interrupt)(void *data);
	void *data;
};

int serial_new(struct serial **out, struct loop *loop, const struct serial_config *config,
               struct error *err);
void serial_free(struct serial *s); /* NULL is fine */
DEFINE_CLEANUP(struct serial, serial, serial_free)
#define _cleanup_serial_ _cleanup_(cleanup_serial)

/* reg: 0 to 7, higher bits are ignored. */
uint8_t serial_read(struct serial *s, unsigned int reg);
void serial_write(struct serial *s, unsigned int reg, uint8_t value);

/* Its registers and what waits to be read, for a snapshot. -EPROTO: the bytes are not that. */
void serial_save(struct serial *s, struct buffer *to);
int serial_restore(struct serial *s, struct reader *from, struct error *err);
