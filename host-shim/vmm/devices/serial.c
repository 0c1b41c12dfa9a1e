/* SPDX-License-Identifier: Apache-2.0 */
/* serial: a 16550A UART, registers as in the data sheet of the PC16550D. */
#include "serial.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/fs.h"

enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

#define IER_RX     0x01u
#define IER_TX     0x02u
#define IER_LINE   0x04u
#define IER_MODEM  0x08u
#define IER_BITS   0x0fu
#define IIR_NONE   0x01u
#define IIR_TX     0x02u
#define IIR_RX     0x04u
#define IIR_LINE   0x06u
#define IIR_FIFOS  0xc0u
#define FCR_ENABLE 0x01u
#define FCR_CLEAR  0x02u /* of the receiver */
#define LCR_DLAB   0x80u
#define MCR_BITS   0x1fu
#define MCR_OUT2   0x08u /* gates the interrupt on a PC */
#define MCR_LOOP   0x10u
#define LSR_DATA   0x01u
#define LSR_LOST   0x02u
#define LSR_EMPTY  0x60u /* holding register and shifter */
#define MSR_LINES  0xb0u /* carrier, data set ready, clear to send */

#define FIFO_SIZE 16u

struct serial {
	struct serial_config config;
	struct loop *loop;
	struct loop_source *input, *room; /* room: the guest read, there may be more to take */
	int room_fd;
	pthread_mutex_t lock; /* for all below */
	uint8_t ier, fcr, lcr, mcr, lsr_errors, scr, divisor[2];
	uint8_t fifo[FIFO_SIZE];
	unsigned int first, n;
	bool tx_pending; /* "transmitter empty" has not been told yet */
	bool full;       /* input waits for room */
};

/* ---- with the lock held */

/* What the interrupt identification register says, the most urgent first. */
static uint8_t identify(const struct serial *s)
{
	if (s->ier & IER_LINE && s->lsr_errors)
		return IIR_LINE;
	if (s->ier & IER_RX && s->n > 0)
		return IIR_RX;
	if (s->ier & IER_TX && s->tx_pending)
		return IIR_TX;
	return IIR_NONE;
}

static bool wants_interrupt(const struct serial *s)
{
	return identify(s) != IIR_NONE && s->mcr & MCR_OUT2 && !(s->mcr & MCR_LOOP);
}

static void receive(struct serial *s, uint8_t byte)
{
	if (s->n == FIFO_SIZE) {
		s->lsr_errors |= LSR_LOST;
		return;
	}
	s->fifo[(s->first + s->n) % FIFO_SIZE] = byte;
	s->n++;
}

static uint8_t read_data(struct serial *s)
{
	uint8_t byte = s->fifo[s->first];

	if (s->n == 0)
		return 0;
	s->first = (s->first + 1) % FIFO_SIZE;
	s->n--;
	return byte;
}

/* In loop mode the outputs of the modem control register are its own inputs. */
static uint8_t modem_status(const struct serial *s)
{
	uint8_t m = s->mcr;

	if (!(m & MCR_LOOP))
		return MSR_LINES;
	return (uint8_t)((m & 0x0c) << 4 | (m & 0x02) << 3 | (m & 0x01) << 5);
}

static uint8_t read_register(struct serial *s, unsigned int reg)
{
	bool dlab = s->lcr & LCR_DLAB;
	uint8_t v;

	switch (reg) {
	case RBR_THR:
		return dlab ? s->divisor[0] : read_data(s);
	case IER:
		return dlab ? s->divisor[1] : s->ier;
	case IIR_FCR:
		v = identify(s);
		if (v == IIR_TX)
			s->tx_pending = false;
		return v | (s->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
	case LCR:
		return s->lcr;
	case MCR:
		return s->mcr;
	case LSR:
		v = (uint8_t)(LSR_EMPTY | s->lsr_errors | (s->n > 0 ? LSR_DATA : 0));
		s->lsr_errors = 0;
		return v;
	case MSR:
		return modem_status(s);
	default:
		return s->scr;
	}
}

/* True when the byte is for the line. */
static bool write_register(struct serial *s, unsigned int reg, uint8_t v)
{
	bool dlab = s->lcr & LCR_DLAB;

	switch (reg) {
	case RBR_THR:
		if (dlab) {
			s->divisor[0] = v;
			return false;
		}
		s->tx_pending = true;
		if (s->mcr & MCR_LOOP)
			receive(s, v);
		return !(s->mcr & MCR_LOOP);
	case IER:
		if (dlab) {
			s->divisor[1] = v;
			return false;
		}
		s->tx_pending |= v & ~s->ier & IER_TX;
		s->ier = v & IER_BITS;
		return false;
	case IIR_FCR:
		s->fcr = v;
		if (v & FCR_CLEAR)
			s->n = 0;
		return false;
	case LCR:
		s->lcr = v;
		return false;
	case MCR:
		s->mcr = v & MCR_BITS;
		return false;
	case SCR:
		s->scr = v;
		return false;
	default:
		return false; /* LSR and MSR are read-only here */
	}
}

/* ---- input, on the loop */

static void on_input(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct serial *s = data;
	uint8_t bytes[FIFO_SIZE];
	bool interrupt = false;
	size_t room;
	ssize_t n = 0;

	pthread_mutex_lock(&s->lock);
	room = FIFO_SIZE - s->n;
	s->full = room == 0;
	if (room > 0)
		n = read(fd, bytes, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		n = 1; /* goes on being watched */
	else
		for (ssize_t i = 0; i < n; i++)
			receive(s, bytes[i]);
	interrupt = n > 0 && wants_interrupt(s);
	pthread_mutex_unlock(&s->lock);
	/* Full, broken or at its end: nothing to watch. A guest that made room opens it again. */
	if (n <= 0) {
		loop_source_free(s->input);
		s->input = NULL;
	}
	if (interrupt && s->config.interrupt)
		s->config.interrupt(s->config.data);
}

static void watch_input(struct serial *s)
{
	if (!s->input && s->config.input_fd >= 0 &&
	    loop_add_fd(s->loop, s->config.input_fd, EPOLLIN, on_input, s, &s->input, NULL) < 0)
		s->input = NULL;
}

static void on_room(struct loop_source *src, int fd, uint32_t events, void *data)
{
	if (loop_event_take(fd))
		watch_input(data);
}

/* ---- any thread */

uint8_t serial_read(struct serial *s, unsigned int reg)
{
	bool room;
	uint8_t v;

	pthread_mutex_lock(&s->lock);
	v = read_register(s, reg % SERIAL_REGISTERS);
	room = s->full && s->n < FIFO_SIZE;
	if (room)
		s->full = false;
	pthread_mutex_unlock(&s->lock);
	if (room)
		loop_event_signal(s->room_fd);
	return v;
}

void serial_write(struct serial *s, unsigned int reg, uint8_t value)
{
	bool line, interrupt;

	pthread_mutex_lock(&s->lock);
	line = write_register(s, reg % SERIAL_REGISTERS, value);
	interrupt = wants_interrupt(s);
	pthread_mutex_unlock(&s->lock);
	if (line)
		output_put(s->config.output, &value, 1);
	if (interrupt && s->config.interrupt)
		s->config.interrupt(s->config.data);
}

#define SAVED_REGISTERS 8

void serial_save(struct serial *s, struct buffer *to)
{
	pthread_mutex_lock(&s->lock);
	buffer_append(to,
	              (const uint8_t[SAVED_REGISTERS]){s->ier, s->fcr, s->lcr, s->mcr,
	                                               s->lsr_errors, s->scr, s->divisor[0],
	                                               s->divisor[1]},
	              SAVED_REGISTERS);
	buffer_le16(to, s->tx_pending);
	buffer_le16(to, (uint16_t)s->n);
	for (unsigned int i = 0; i < FIFO_SIZE; i++)
		buffer_append(to, &s->fifo[(s->first + i) % FIFO_SIZE], 1);
	pthread_mutex_unlock(&s->lock);
}

int serial_restore(struct serial *s, struct reader *from, struct error *err)
{
	const uint8_t *r = reader_bytes(from, SAVED_REGISTERS);
	uint16_t tx_pending = reader_le16(from), n = reader_le16(from);
	const uint8_t *fifo = reader_bytes(from, FIFO_SIZE);

	if (!r || !fifo || reader_left(from) > 0 || n > FIFO_SIZE || tx_pending > 1)
		return error_set(err, EPROTO, "the serial port's state is damaged");
	pthread_mutex_lock(&s->lock);
	s->ier = r[0] & IER_BITS;
	s->fcr = r[1];
	s->lcr = r[2];
	s->mcr = r[3] & MCR_BITS;
	s->lsr_errors = r[4] & LSR_LOST;
	s->scr = r[5];
	s->divisor[0] = r[6];
	s->divisor[1] = r[7];
	s->tx_pending = tx_pending;
	s->first = 0;
	s->n = n;
	for (unsigned int i = 0; i < FIFO_SIZE; i++)
		s->fifo[i] = fifo[i];
	pthread_mutex_unlock(&s->lock);
	return 0;
}

int serial_new(struct serial **out, struct loop *loop, const struct serial_config *config,
               struct error *err)
{
	_cleanup_serial_ struct serial *s = calloc(1, sizeof(*s));
	int r = config->input_fd >= 0 ? fs_set_nonblock(config->input_fd, true) : 0;

	if (!s)
		return error_set(err, ENOMEM, "no memory for the serial port");
	pthread_mutex_init(&s->lock, NULL);
	s->config = *config;
	s->loop = loop;
	s->room_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r < 0)
		return error_errno(err, -r, "descriptor of the serial port's input");
	if (s->room_fd < 0)
		return error_errno(err, errno, "eventfd of the serial port");
	r = loop_add_fd(loop, s->room_fd, EPOLLIN, on_room, s, &s->room, err);
	if (r < 0)
		return r;
	watch_input(s);
	*out = steal_ptr(&s);
	return 0;
}

void serial_free(struct serial *s)
{
	if (!s)
		return;
	loop_source_free(s->input);
	loop_source_free(s->room);
	close_fd(&s->room_fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
