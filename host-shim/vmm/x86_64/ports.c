/* SPDX-License-Identifier: Apache-2.0 */
/* ports: the few ports of a PC that the built-in monitor answers. */
#include "ports.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host-shim/vmm/layout.h"
#include "lib/base/cleanup.h"

/* 16550A, National Semiconductor PC16550D data sheet §8. */
enum { THR = 0, IER = 1, IIR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };
#define IER_KNOWN   0x0f
#define IER_EMPTY   0x02
#define IIR_NONE    0x01
#define IIR_EMPTY   0x02
#define IIR_FIFO    0xc0
#define LCR_DIVISOR 0x80
#define LSR_EMPTY   0x60 /* transmitter and its register */
#define MSR_READY   0xb0 /* DCD, DSR, CTS */

#define I8042_STATUS  4 /* of the range from 0x60 */
#define I8042_RESET   0xfe
#define SLEEP_ENABLE  0x20
#define SLEEP_TYPE(v) ((v) >> 2 & 7)
#define SLEEP_OFF     5
#define PANICKED      1 /* pvpanic: bit 0 */

static void signal_fd(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

/* ---- serial port */

static void transmit(struct ports *p, uint8_t c)
{
	if (p->n_waiting == 0)
		signal_fd(p->wake_fd);
	if (p->n_waiting < sizeof(p->waiting))
		p->waiting[p->n_waiting++] = c;
}

/* The register is empty at once, again and again. */
static void offer_empty(struct ports *p)
{
	if (!(p->registers[IER] & IER_EMPTY))
		return;
	p->empty_irq = true;
	signal_fd(p->serial_irq);
}

static void serial_write(void *data, uint64_t offset, const uint8_t *bytes, size_t size)
{
	struct ports *p = data;
	bool divisor;

	if (size != 1)
		return;
	pthread_mutex_lock(&p->lock);
	divisor = p->registers[LCR] & LCR_DIVISOR;
	if (offset <= IER && divisor) {
		p->divisor = offset == THR ? (uint16_t)((p->divisor & 0xff00) | bytes[0])
		                           : (uint16_t)((p->divisor & 0x00ff) | bytes[0] << 8);
	} else if (offset == THR) {
		transmit(p, bytes[0]);
		offer_empty(p);
	} else {
		p->registers[offset] = offset == IER ? bytes[0] & IER_KNOWN : bytes[0];
		if (offset == IER)
			offer_empty(p);
	}
	pthread_mutex_unlock(&p->lock);
}

/* Which interrupt is pending; reading it takes the transmitter's back. */
static uint8_t identify(struct ports *p)
{
	uint8_t v = p->empty_irq && p->registers[IER] & IER_EMPTY ? IIR_EMPTY : IIR_NONE;

	p->empty_irq = false;
	return p->registers[IIR] & 1 ? v | IIR_FIFO : v;
}

static void serial_read(void *data, uint64_t offset, uint8_t *bytes, size_t size)
{
	struct ports *p = data;
	uint8_t v;

	if (size != 1)
		return;
	pthread_mutex_lock(&p->lock);
	v = p->registers[offset];
	if (offset <= IER && p->registers[LCR] & LCR_DIVISOR)
		v = (uint8_t)(p->divisor >> (8 * offset));
	else if (offset == THR)
		v = 0;
	else if (offset == IIR)
		v = identify(p);
	else if (offset == LSR)
		v = LSR_EMPTY;
	else if (offset == MSR)
		v = MSR_READY;
	pthread_mutex_unlock(&p->lock);
	bytes[0] = v;
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

	if (!(bytes[0] & PANICKED))
		return;
	pthread_mutex_lock(&p->lock);
	p->panic = true;
	pthread_mutex_unlock(&p->lock);
	signal_fd(p->wake_fd);
}

static const struct {
	uint16_t first, count;
	struct bus_ops ops;
} table[] = {
    {LAYOUT_PORT_SERIAL, 8, {serial_read, serial_write}},
    {LAYOUT_PORT_I8042, 5, {zero_read, i8042_write}},
    {LAYOUT_PORT_EXIT, 4, {zero_read, exit_write}},
    {LAYOUT_PORT_SLEEP, 2, {zero_read, sleep_write}},
    {LAYOUT_PORT_PANIC, 1, {panic_read, panic_write}},
};

/* ---- device thread */

void ports_flush(struct ports *p)
{
	uint8_t bytes[4096];
	bool panic;
	size_t n;

	do {
		pthread_mutex_lock(&p->lock);
		n = p->n_waiting < sizeof(bytes) ? p->n_waiting : sizeof(bytes);
		memcpy(bytes, p->waiting, n);
		memmove(p->waiting, p->waiting + n, p->n_waiting - n);
		p->n_waiting -= n;
		panic = p->panic;
		p->panic = false;
		pthread_mutex_unlock(&p->lock);
		if (n > 0 && p->console)
			p->console(p->data, bytes, n);
		if (panic && p->panicked)
			p->panicked(p->data);
	} while (n > 0);
}

static void on_wake(struct loop_source *src, int fd, uint32_t events, void *data)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
		ports_flush(data);
}

int ports_init(struct ports *p, struct loop *loop, struct bus *bus, struct error *err)
{
	int r = 0;

	pthread_mutex_init(&p->lock, NULL);
	p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->serial_irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->wake_fd < 0 || p->serial_irq < 0)
		return error_errno(err, errno, "making an eventfd");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]) && r == 0; i++)
		r = bus_add(bus, table[i].first, table[i].count, &table[i].ops, p, err);
	if (r == 0)
		r = loop_add_fd(loop, p->wake_fd, EPOLLIN, on_wake, p, &p->wake, err);
	return r;
}

void ports_free(struct ports *p)
{
	loop_source_free(p->wake);
	p->wake = NULL;
	if (p->wake_fd > 0)
		close_fd(&p->wake_fd);
	if (p->serial_irq > 0)
		close_fd(&p->serial_irq);
}
