/* SPDX-License-Identifier: Apache-2.0 */
/* exit_port: a virtio console device (virtio 1.2 §5.3) whose only port takes an exit status. */
#include "exit_port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-shim/vmm/virtio/iov.h"
#include "host-shim/vmm/virtio/later.h"
#include "lib/base/bytes.h"
#include "lib/base/str.h"

#define F_MULTIPORT 1
#define PORT        1u
#define PORTS_MAX   2u
#define NAME        "kihon.exit"
#define LINE_MAX    64
#define BUDGET      256 /* chains handled before other sources of the loop get their turn */

/* §5.3.6.2: events of the control queues; struct virtio_console_control has 8 bytes. */
#define CONTROL_SIZE 8
#define DEVICE_READY 0
#define DEVICE_ADD   1
#define PORT_READY   3
#define PORT_OPEN    6
#define PORT_NAME    7

struct exit_port {
	struct virtio_device dev;
	struct later again;
	exit_port_fn fn;
	void *data;
	bool added;
	unsigned int unsent; /* a bit an event that waits for a buffer */
	char line[LINE_MAX];
	size_t size;
	bool told;
};

static struct exit_port *port_of(struct virtio_device *dev)
{
	return (struct exit_port *)dev;
}

/* ---- to the guest */

static size_t make_message(unsigned int event, uint8_t *to)
{
	put_le32(to, PORT);
	put_le16(to + 4, (uint16_t)event);
	put_le16(to + 6, 1);
	if (event != PORT_NAME)
		return CONTROL_SIZE;
	memcpy(to + CONTROL_SIZE, NAME, sizeof(NAME) - 1);
	return CONTROL_SIZE + sizeof(NAME) - 1;
}

/* In the order of their numbers, which is that of §5.3.6.2. */
static void send_control(struct exit_port *p)
{
	struct virtqueue *q = &p->dev.queues[EXIT_PORT_QUEUE_CONTROL_RX];
	uint8_t message[CONTROL_SIZE + sizeof(NAME)];
	struct virtqueue_chain c;
	bool any = false;
	int r = 1;

	while (p->unsent && (r = virtqueue_pop(q, &c)) > 0) {
		unsigned int event = (unsigned int)__builtin_ctz(p->unsent);
		size_t size = make_message(event, message);

		size = iov_write(chain_writable(&c), c.n_write, 0, message, size);
		virtqueue_push(q, c.head, (uint32_t)size);
		p->unsent &= ~(1u << event);
		any = true;
	}
	if (r < 0)
		virtio_device_broken(&p->dev, q->broken);
	else if (any)
		virtio_device_publish(&p->dev, EXIT_PORT_QUEUE_CONTROL_RX);
}

/* ---- from the guest */

static enum virtio_took take_control(struct virtio_device *dev, unsigned int queue,
                                     struct virtqueue_chain *c)
{
	struct exit_port *p = port_of(dev);
	uint8_t m[CONTROL_SIZE];

	if (iov_read(chain_readable(c), c->n_read, 0, m, sizeof(m)) == sizeof(m) &&
	    get_le16(m + 6) == 1) {
		if (get_le16(m + 4) == DEVICE_READY && !p->added) {
			p->added = true; /* a port that exists must not be added (5.3.6.2.1) */
			p->unsent |= 1u << DEVICE_ADD;
		} else if (get_le16(m + 4) == PORT_READY && get_le32(m) == PORT) {
			p->unsent |= 1u << PORT_NAME | 1u << PORT_OPEN;
		}
	}
	virtqueue_push(&dev->queues[queue], c->head, 0);
	return VIRTIO_TAKEN;
}

/* "exit N\n", the first whole line counts. */
static void take_line(struct exit_port *p)
{
	char *end = memchr(p->line, '\n', p->size);
	uint32_t status;

	if (!end || p->told)
		return;
	*end = '\0';
	p->told = true;
	if (str_starts(p->line, "exit ") && parse_u32(p->line + 5, &status) == 0 && status <= 255)
		p->fn(p->data, status);
}

static enum virtio_took take_bytes(struct virtio_device *dev, unsigned int queue,
                                   struct virtqueue_chain *c)
{
	struct exit_port *p = port_of(dev);

	if (queue == EXIT_PORT_QUEUE_TX && !p->told) {
		p->size += iov_read(chain_readable(c), c->n_read, 0, p->line + p->size,
		                    sizeof(p->line) - p->size);
		take_line(p);
	}
	virtqueue_push(&dev->queues[queue], c->head, 0);
	return VIRTIO_TAKEN;
}

/* ---- the device model */

static void run(struct exit_port *p)
{
	bool more = virtio_device_drain(&p->dev, EXIT_PORT_QUEUE_CONTROL_TX, BUDGET, take_control);

	more |= virtio_device_drain(&p->dev, EXIT_PORT_QUEUE_TX, BUDGET, take_bytes);
	if (p->dev.active && !p->dev.needs_reset)
		send_control(p);
	if (more)
		later_set(&p->again, 1);
}

static void again(struct loop_source *src, void *data)
{
	run(data);
}

static void config_read(struct virtio_device *dev, size_t offset, void *to, size_t size)
{
	uint8_t config[12] = {0}; /* §5.3.4: cols, rows, max_nr_ports, emerg_wr */

	put_le32(config + 4, PORTS_MAX);
	virtio_config_copy(config, sizeof(config), offset, to, size);
}

static void queue_notify(struct virtio_device *dev, unsigned int queue)
{
	run(port_of(dev));
}

static void reset(struct virtio_device *dev)
{
	struct exit_port *p = port_of(dev);

	later_clear(&p->again);
	p->added = false;
	p->unsent = 0;
	p->size = 0;
}

static void exit_port_free(struct virtio_device *dev)
{
	struct exit_port *p = port_of(dev);

	later_clear(&p->again);
	free(p);
}

static const struct virtio_device_ops exit_port_ops = {
    .name = "exit-port",
    .id = VIRTIO_ID_CONSOLE,
    .n_queues = EXIT_PORT_QUEUES,
    .features = VIRTIO_COMMON_FEATURES | 1ull << F_MULTIPORT,
    .queue_size = 32,
    .config_read = config_read,
    .queue_notify = queue_notify,
    .reset = reset,
    .free = exit_port_free,
};

int exit_port_device_new(struct virtio_device **out, struct loop *loop, exit_port_fn fn, void *data,
                         struct error *err)
{
	struct exit_port *p = calloc(1, sizeof(*p));

	if (!p)
		return error_set(err, ENOMEM, "no memory for the exit port");
	p->dev.ops = &exit_port_ops;
	p->again = (struct later){.loop = loop, .fn = again, .data = p};
	p->fn = fn;
	p->data = data;
	*out = &p->dev;
	return 0;
}
