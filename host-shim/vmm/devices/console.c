/* SPDX-License-Identifier: Apache-2.0 */
/* console: the virtio console device (virtio 1.2 §5.3) with one port. */
#include "console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "host-shim/vmm/virtio/later.h"

#define F_SIZE        0
#define F_EMERG_WRITE 2

#define CONFIG_SIZE     12 /* le16 cols, rows; le32 max_nr_ports, emerg_wr */
#define CONFIG_EMERG_WR 8

#define BUFFERS_A_TURN 256

struct console {
	struct virtio_device dev;
	struct loop *loop;
	struct console_config config;
	struct loop_source *input; /* watched while the guest has a buffer */
	struct later again;
};

static struct console *console_of(struct virtio_device *dev)
{
	return (struct console *)dev;
}

/* ---- from the guest */

static enum virtio_took print(struct virtio_device *dev, unsigned int queue,
                              struct virtqueue_chain *c)
{
	for (size_t i = 0; i < c->n_read; i++)
		output_put(console_of(dev)->config.output, c->iov[i].iov_base, c->iov[i].iov_len);
	virtqueue_push(&dev->queues[queue], c->head, 0);
	return VIRTIO_TAKEN;
}

/* ---- to the guest */

static void on_input(struct loop_source *src, int fd, uint32_t events, void *data);

static void stop_input(struct console *con)
{
	loop_source_free(con->input);
	con->input = NULL;
}

/* One buffer's worth of input. A guest without buffers is no reason to watch the descriptor: its
 * next notification is. */
static enum virtio_took feed(struct virtio_device *dev, unsigned int queue,
                             struct virtqueue_chain *c)
{
	struct console *con = console_of(dev);
	ssize_t n;

	if (c->write_size == 0) {
		virtio_device_broken(dev, "an input buffer cannot be written (5.3.6)");
		return VIRTIO_BROKEN;
	}
	do
		n = readv(con->config.input_fd, chain_writable(c), c->n_write);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN) {
		if (!con->input && loop_add_fd(con->loop, con->config.input_fd, EPOLLIN, on_input,
		                               con, &con->input, NULL) < 0)
			con->input = NULL;
		return VIRTIO_LATER;
	}
	if (n <= 0) {
		con->config.input_fd = -1; /* its end */
		stop_input(con);
		return VIRTIO_LATER;
	}
	virtqueue_push(&dev->queues[queue], c->head, (uint32_t)n);
	return VIRTIO_TAKEN;
}

static void run_again(struct loop_source *src, void *data)
{
	virtio_device_notify(data, CONSOLE_QUEUE_TX);
	virtio_device_notify(data, CONSOLE_QUEUE_RX);
}

static void run(struct console *con, unsigned int queue)
{
	bool left;

	if (queue == CONSOLE_QUEUE_RX && con->config.input_fd < 0)
		return;
	left = virtio_device_drain(&con->dev, queue, BUFFERS_A_TURN,
	                           queue == CONSOLE_QUEUE_RX ? feed : print);
	if (left)
		later_set(&con->again, 1);
}

static void on_input(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct console *con = data;

	/* Watched again by feed() when all was read, else by the guest's next buffer. */
	stop_input(con);
	run(con, CONSOLE_QUEUE_RX);
}

/* ---- configuration */

static void config_read(struct virtio_device *dev, size_t offset, void *to, size_t size)
{
	const struct console_config *config = &console_of(dev)->config;
	uint8_t c[CONFIG_SIZE] = {0};

	put_le16(c, config->cols);
	put_le16(c + 2, config->rows);
	put_le32(c + 4, 1);
	virtio_config_copy(c, sizeof(c), offset, to, size);
}

static void config_write(struct virtio_device *dev, size_t offset, const void *from, size_t size)
{
	const uint8_t *bytes = from;

	/* §5.3.5.1: at any time, the lower byte of emerg_wr. */
	if (offset <= CONFIG_EMERG_WR && size > CONFIG_EMERG_WR - offset)
		output_put(console_of(dev)->config.output, bytes + (CONFIG_EMERG_WR - offset), 1);
}

void console_device_resize(struct virtio_device *dev, uint16_t cols, uint16_t rows)
{
	struct console_config *config = &console_of(dev)->config;

	if (!(dev->features & 1ull << F_SIZE) || (config->cols == cols && config->rows == rows))
		return;
	config->cols = cols;
	config->rows = rows;
	virtio_device_config_changed(dev);
}

/* ---- the device model */

static void queue_notify(struct virtio_device *dev, unsigned int queue)
{
	run(console_of(dev), queue);
}

static void reset(struct virtio_device *dev)
{
	stop_input(console_of(dev));
	later_clear(&console_of(dev)->again);
}

static void console_free(struct virtio_device *dev)
{
	reset(dev);
	free(console_of(dev));
}

static const struct virtio_device_ops console_ops = {
    .name = "console",
    .id = VIRTIO_ID_CONSOLE,
    .n_queues = 2,
    .features = VIRTIO_COMMON_FEATURES | 1ull << F_EMERG_WRITE,
    .queue_size = 64,
    .config_read = config_read,
    .config_write = config_write,
    .queue_notify = queue_notify,
    .reset = reset,
    .free = console_free,
};

int console_device_new(struct virtio_device **out, struct loop *loop,
                       const struct console_config *config, struct error *err)
{
	struct console *con;
	int r = config->input_fd >= 0 ? fs_set_nonblock(config->input_fd, true) : 0;

	if (r < 0)
		return error_errno(err, -r, "descriptor of the console's input");
	con = calloc(1, sizeof(*con));
	if (!con)
		return error_set(err, ENOMEM, "no memory for the console device");
	con->dev.ops = &console_ops;
	con->dev.features = config->cols || config->rows ? 1ull << F_SIZE : 0;
	con->loop = loop;
	con->config = *config;
	con->again = (struct later){.loop = loop, .fn = run_again, .data = &con->dev};
	*out = &con->dev;
	return 0;
}
