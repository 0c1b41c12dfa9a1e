/* SPDX-License-Identifier: Apache-2.0 */
/* ports: the few ports of a PC that the built-in monitor answers. */
#include "ports.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "host-shim/vmm/layout.h"
#include "lib/base/cleanup.h"

#define I8042_STATUS  4 /* of the range from 0x60 */
#define I8042_RESET   0xfe
#define SLEEP_ENABLE  0x20
#define SLEEP_TYPE(v) ((v) >> 2 & 7)
#define SLEEP_OFF     5
#define PANICKED      1 /* pvpanic: bit 0 */

/* ---- serial port */

static void serial_bus_write(void *data, uint64_t offset, const uint8_t *bytes, size_t size)
{
	struct ports *p = data;

	if (size == 1 && p->serial)
		serial_write(p->serial, (unsigned int)offset, bytes[0]);
}

static void serial_bus_read(void *data, uint64_t offset, uint8_t *bytes, size_t size)
{
	struct ports *p = data;

	if (size == 1 && p->serial)
		bytes[0] = serial_read(p->serial, (unsigned int)offset);
}

static void serial_interrupt(void *data)
{
	loop_event_signal(((struct ports *)data)->serial_irq);
}

static int make_serial(struct ports *p, struct loop *loop, struct error *err)
{
	struct serial_config c = {.input_fd = -1, .interrupt = serial_interrupt, .data = p};
	int r = output_new(&p->output, loop, p->console_fd, 0, err);

	c.output = p->output;
	return r < 0 ? r : serial_new(&p->serial, loop, &c, err);
}

/* ---- single ports */

static void zero_read(void *data, uint64_t offset, uint8_t *bytes, size_t size)
{
	memset(bytes, 0, size);
}

static void i8042_write(void *data, uint64_t offset, const uint8_t *bytes, size_t size)
{
	struct ports *p = data;

	if (offset == I8042_STATUS && bytes[0] == I8042_RESET)
		vcpus_report(p->vcpus, VCPU_EVENT_RESET, 0, "keyboard controller");
}

static void exit_write(void *data, uint64_t offset, const uint8_t *bytes, size_t size)
{
	struct ports *p = data;

	vcpus_report(p->vcpus, VCPU_EVENT_EXIT, bytes[0], NULL);
}

static void sleep_write(void *data, uint64_t offset, const uint8_t *bytes, size_t size)
{
	struct ports *p = data;

	if (offset == 0 && bytes[0] & SLEEP_ENABLE && SLEEP_TYPE(bytes[0]) == SLEEP_OFF)
		vcpus_report(p->vcpus, VCPU_EVENT_POWER_OFF, 0, NULL);
}

static void panic_read(void *data, uint64_t offset, uint8_t *bytes, size_t size)
{
	memset(bytes, 0, size);
	bytes[0] = PANICKED;
}

static void panic_write(void *data, uint64_t offset, const uint8_t *bytes, size_t size)
{
	struct ports *p = data;

	if (bytes[0] & PANICKED)
		loop_event_signal(p->panic_fd);
}

static const struct {
	uint16_t first, count;
	struct bus_ops ops;
} table[] = {
    {LAYOUT_PORT_SERIAL, 8, {serial_bus_read, serial_bus_write}},
    {LAYOUT_PORT_I8042, 5, {zero_read, i8042_write}},
    {LAYOUT_PORT_EXIT, 4, {zero_read, exit_write}},
    {LAYOUT_PORT_SLEEP, 2, {zero_read, sleep_write}},
    {LAYOUT_PORT_PANIC, 1, {panic_read, panic_write}},
};

/* ---- life */

static void on_panic(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct ports *p = data;

	if (loop_event_take(fd) && p->panicked)
		p->panicked(p->data);
}

int ports_init(struct ports *p, struct loop *loop, struct bus *bus, struct error *err)
{
	int r = 0;

	p->serial_irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->panic_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->serial_irq < 0 || p->panic_fd < 0)
		return error_errno(err, errno, "making an eventfd");
	if (p->console_fd >= 0)
		r = make_serial(p, loop, err);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]) && r == 0; i++)
		r = bus_add(bus, table[i].first, table[i].count, &table[i].ops, p, err);
	if (r == 0)
		r = loop_add_fd(loop, p->panic_fd, EPOLLIN, on_panic, p, &p->panic, err);
	return r;
}

void ports_free(struct ports *p)
{
	loop_source_free(p->panic);
	serial_free(p->serial);
	output_free(p->output);
	if (p->serial_irq > 0)
		close_fd(&p->serial_irq);
	if (p->panic_fd > 0)
		close_fd(&p->panic_fd);
}
