/* SPDX-License-Identifier: Apache-2.0 */
/* mmio: a virtio device behind memory-mapped registers (virtio 1.2 §4.2). */
#include "mmio.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host-shim/vmm/virtio/mmio_parts.h"
#include "lib/base/bytes.h"

#define MAGIC    0x74726976u /* "virt" */
#define VERSION  2
#define VENDOR   0x4f48494bu /* "KIHO" */
#define CONFIG   0x100u
#define SHM_NONE 0xffffffffu

/* What a processor's thread has the device thread do. */
struct request {
	struct virtio_mmio *m;
	struct mmio_queue *queue;
	size_t offset, size;
	uint8_t *bytes;
	int result;
};

static bool run(struct virtio_mmio *m, void (*fn)(void *data), void *data)
{
	if (m->config.call)
		return m->config.call(m->config.call_data, fn, data);
	fn(data);
	return true;
}

/* ---- what the device asks for, on its thread */

static void raise_isr(struct virtio_mmio *m, uint32_t bit)
{
	__atomic_or_fetch(&m->isr, bit, __ATOMIC_SEQ_CST);
	loop_event_signal(m->irq_fd);
}

static void interrupt(void *data, unsigned int queue)
{
	struct virtio_mmio *m = data;

	m->queues[queue].interrupts++;
	raise_isr(m, ISR_USED);
}

static void config_changed(void *data)
{
	raise_isr(data, ISR_CONFIG);
}

/* §2.1.2: with a configuration interrupt when the driver is there to hear it. */
static void needs_reset(void *data, const char *why)
{
	struct virtio_mmio *m = data;

	__atomic_store_n(&m->broken, 1, __ATOMIC_SEQ_CST);
	raise_isr(m, ISR_CONFIG);
}

static void on_kick(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct mmio_queue *q = data;

	if (!loop_event_take(fd))
		return;
	q->notifications++;
	if (q->m->dev)
		virtio_device_notify(q->m->dev, (unsigned int)(q - q->m->queues));
}

/* ---- what the driver asks for, on the device thread */

static void do_reset(void *data)
{
	struct request *r = data;
	struct virtio_mmio *m = r->m;

	virtio_device_reset(m->dev);
	__atomic_store_n(&m->broken, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&m->isr, 0, __ATOMIC_SEQ_CST);
}

static void do_negotiate(void *data)
{
	struct request *r = data;

	r->m->dev->negotiated = r->m->driver_features;
}

static void do_activate(void *data)
{
	struct request *r = data;

	if (!r->m->dev->needs_reset)
		virtio_device_activate(r->m->dev);
}

static void do_start_queue(void *data)
{
	struct request *r = data;
	struct mmio_queue *q = r->queue;
	struct virtqueue_layout l = {.size = (uint16_t)q->num,
	                             .desc = q->desc,
	                             .avail = q->driver,
	                             .used = q->device,
	                             .features = r->m->driver_features};

	r->result =
	    virtqueue_start(&r->m->dev->queues[q - r->m->queues], r->m->config.memory, &l, NULL);
	if (r->result < 0)
		virtio_device_broken(r->m->dev, "a queue lies outside guest memory, is not aligned "
		                                "or has a size that is no power of two (2.7)");
}

static void do_stop_queue(void *data)
{
	struct request *r = data;

	virtio_device_stop_queue(r->m->dev, (unsigned int)(r->queue - r->m->queues));
}

static void do_config_read(void *data)
{
	struct request *r = data;

	virtio_device_config_read(r->m->dev, r->offset, r->bytes, r->size);
}

static void do_config_write(void *data)
{
	struct request *r = data;

	virtio_device_config_write(r->m->dev, r->offset, r->bytes, r->size);
}

/* ---- registers */

/* The selected queue, or NULL: the device has no such. */
static struct mmio_queue *selected(struct virtio_mmio *m)
{
	return m->queue_sel < m->dev->ops->n_queues ? &m->queues[m->queue_sel] : NULL;
}

static void clear_registers(struct virtio_mmio *m)
{
	m->status = m->device_sel = m->driver_sel = m->queue_sel = 0;
	m->driver_features = 0;
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		struct mmio_queue *q = &m->queues[i];

		q->num = q->ready = 0;
		q->desc = q->driver = q->device = 0;
	}
}

static uint32_t read_magic(struct virtio_mmio *m)
{
	return MAGIC;
}

static uint32_t read_version(struct virtio_mmio *m)
{
	return VERSION;
}

static uint32_t read_id(struct virtio_mmio *m)
{
	return m->dev ? m->dev->ops->id : 0;
}

static uint32_t read_vendor(struct virtio_mmio *m)
{
	return VENDOR;
}

static uint32_t read_features(struct virtio_mmio *m)
{
	uint64_t f = virtio_device_features(m->dev);

	return m->device_sel > 1 ? 0 : (uint32_t)(f >> (32 * m->device_sel));
}

static uint32_t read_num_max(struct virtio_mmio *m)
{
	uint16_t size = virtio_device_queue_size(m->dev);

	if (!selected(m))
		return 0;
	return size < VIRTIO_MMIO_QUEUE_SIZE_MAX ? size : VIRTIO_MMIO_QUEUE_SIZE_MAX;
}

static uint32_t read_ready(struct virtio_mmio *m)
{
	return selected(m) ? selected(m)->ready : 0;
}

static uint32_t read_isr(struct virtio_mmio *m)
{
	return __atomic_load_n(&m->isr, __ATOMIC_SEQ_CST);
}

/* Linux looks at most once at a device that works: after its driver has probed it. Twice is a
 * program, by /sys/bus/virtio/devices/virtioN/status. */
static void note_look(struct virtio_mmio *m)
{
	if (m->status & STATUS_DRIVER_OK && m->looks < 2 && ++m->looks == 2 && !m->asked_ns)
		__atomic_store_n(&m->asked_ns, loop_now_ns(), __ATOMIC_RELAXED);
}

static uint32_t read_status(struct virtio_mmio *m)
{
	note_look(m);
	return m->status | (__atomic_load_n(&m->broken, __ATOMIC_SEQ_CST) ? STATUS_NEEDS_RESET : 0);
}

static uint32_t read_shm(struct virtio_mmio *m)
{
	return SHM_NONE; /* §4.2.2: no such region */
}

static uint32_t read_generation(struct virtio_mmio *m)
{
	return __atomic_load_n(&m->dev->config_generation, __ATOMIC_SEQ_CST);
}

static void write_device_sel(struct virtio_mmio *m, uint32_t v)
{
	m->device_sel = v;
}

static void write_driver_sel(struct virtio_mmio *m, uint32_t v)
{
	m->driver_sel = v;
}

static void write_features(struct virtio_mmio *m, uint32_t v)
{
	unsigned int shift = 32 * m->driver_sel;

	if (m->driver_sel > 1 || m->status & STATUS_FEATURES_OK)
		return;
	m->driver_features &= ~(0xffffffffull << shift);
	m->driver_features |= (uint64_t)v << shift;
}

static void write_queue_sel(struct virtio_mmio *m, uint32_t v)
{
	m->queue_sel = v;
}

static void write_num(struct virtio_mmio *m, uint32_t v)
{
	struct mmio_queue *q = selected(m);

	if (q && !q->ready)
		q->num = v <= read_num_max(m) ? v : 0;
}

static void write_ready(struct virtio_mmio *m, uint32_t v)
{
	struct mmio_queue *q = selected(m);
	struct request r = {.m = m, .queue = q};

	if (!q || !!v == q->ready)
		return;
	if (!v) {
		run(m, do_stop_queue, &r);
		q->ready = 0;
	} else if (m->status & STATUS_FEATURES_OK && !(m->status & STATUS_DRIVER_OK)) {
		if (run(m, do_start_queue, &r))
			q->ready = r.result == 0;
	}
}

static void write_notify(struct virtio_mmio *m, uint32_t v)
{
	if (v < m->dev->ops->n_queues)
		loop_event_signal(m->queues[v].kick_fd);
}

static void write_ack(struct virtio_mmio *m, uint32_t v)
{
	__atomic_and_fetch(&m->isr, ~v, __ATOMIC_SEQ_CST);
}

/* §2.2.2: a driver that takes what was not offered, or no VERSION_1, is told by the bit that
 * stays 0. */
bool virtio_mmio_features_fit(const struct virtio_mmio *m)
{
	return !(m->driver_features & ~virtio_device_features(m->dev)) &&
	       m->driver_features & 1ull << VIRTIO_F_VERSION_1;
}

static void write_status(struct virtio_mmio *m, uint32_t v)
{
	struct request r = {.m = m};
	uint32_t new = v &STATUS_KNOWN & ~m->status;

	m->looks = 0;
	if (v == 0) {
		run(m, do_reset, &r);
		clear_registers(m);
		return;
	}
	if (new &STATUS_FEATURES_OK) {
		if (virtio_mmio_features_fit(m))
			run(m, do_negotiate, &r);
		else
			new &= ~STATUS_FEATURES_OK;
	}
	if (new &STATUS_DRIVER_OK && !((m->status | new) & STATUS_FEATURES_OK))
		new &= ~STATUS_DRIVER_OK;
	m->status |= new;
	if (new &STATUS_DRIVER_OK)
		run(m, do_activate, &r);
}

static void put_half(uint64_t *field, uint32_t v, bool high)
{
	*field =
	    high ? (*field & 0xffffffffull) | (uint64_t)v << 32 : (*field & ~0xffffffffull) | v;
}

#define ADDRESS_WRITER(name, field, high)                                                          \
	static void name(struct virtio_mmio *m, uint32_t v)                                        \
	{                                                                                          \
		struct mmio_queue *q = selected(m);                                                \
                                                                                                   \
		if (q && !q->ready)                                                                \
			put_half(&q->field, v, high);                                              \
	}
ADDRESS_WRITER(write_desc_low, desc, false)
ADDRESS_WRITER(write_desc_high, desc, true)
ADDRESS_WRITER(write_driver_low, driver, false)
ADDRESS_WRITER(write_driver_high, driver, true)
ADDRESS_WRITER(write_device_low, device, false)
ADDRESS_WRITER(write_device_high, device, true)

/* §4.2.2, by offset / 4. */
static const struct {
	uint32_t (*read)(struct virtio_mmio *m);
	void (*write)(struct virtio_mmio *m, uint32_t v);
	bool always; /* a placeholder has it too */
} registers[CONFIG / 4] = {
    [0x000 / 4] = {read_magic, NULL, true},
    [0x004 / 4] = {read_version, NULL, true},
    [0x008 / 4] = {read_id, NULL, true},
    [0x00c / 4] = {read_vendor, NULL, true},
    [0x010 / 4] = {read_features, NULL, false},
    [0x014 / 4] = {NULL, write_device_sel, false},
    [0x020 / 4] = {NULL, write_features, false},
    [0x024 / 4] = {NULL, write_driver_sel, false},
    [0x030 / 4] = {NULL, write_queue_sel, false},
    [0x034 / 4] = {read_num_max, NULL, false},
    [0x038 / 4] = {NULL, write_num, false},
    [0x044 / 4] = {read_ready, write_ready, false},
    [VIRTIO_MMIO_QUEUE_NOTIFY / 4] = {NULL, write_notify, false},
    [0x060 / 4] = {read_isr, NULL, false},
    [0x064 / 4] = {NULL, write_ack, false},
    [0x070 / 4] = {read_status, write_status, false},
    [0x080 / 4] = {NULL, write_desc_low, false},
    [0x084 / 4] = {NULL, write_desc_high, false},
    [0x090 / 4] = {NULL, write_driver_low, false},
    [0x094 / 4] = {NULL, write_driver_high, false},
    [0x0a0 / 4] = {NULL, write_device_low, false},
    [0x0a4 / 4] = {NULL, write_device_high, false},
    [0x0b0 / 4] = {read_shm, NULL, false},
    [0x0b4 / 4] = {read_shm, NULL, false},
    [0x0b8 / 4] = {read_shm, NULL, false},
    [0x0bc / 4] = {read_shm, NULL, false},
    [0x0fc / 4] = {read_generation, NULL, false},
};

/* Control registers are 32 bits wide and aligned (§4.2.2.2); anything else reads 0. */
static bool is_register(uint64_t offset, size_t size)
{
	return offset < CONFIG && size == 4 && offset % 4 == 0;
}

static void read_locked(struct virtio_mmio *m, uint64_t offset, uint8_t *bytes, size_t size)
{
	struct request r = {.m = m, .offset = offset - CONFIG, .bytes = bytes, .size = size};

	memset(bytes, 0, size);
	if (is_register(offset, size)) {
		if (registers[offset / 4].read && (m->dev || registers[offset / 4].always))
			put_le32(bytes, registers[offset / 4].read(m));
	} else if (offset >= CONFIG && m->dev) {
		run(m, do_config_read, &r);
	}
}

static void bus_read_mmio(void *data, uint64_t offset, uint8_t *bytes, size_t size)
{
	struct virtio_mmio *m = data;

	pthread_mutex_lock(&m->lock);
	read_locked(m, offset, bytes, size);
	pthread_mutex_unlock(&m->lock);
}

static void bus_write_mmio(void *data, uint64_t offset, const uint8_t *bytes, size_t size)
{
	struct virtio_mmio *m = data;
	uint8_t copy[8];
	struct request r = {.m = m, .offset = offset - CONFIG, .bytes = copy, .size = size};

	memcpy(copy, bytes, size);
	pthread_mutex_lock(&m->lock);
	if (m->dev && is_register(offset, size) && registers[offset / 4].write)
		registers[offset / 4].write(m, get_le32(bytes));
	else if (m->dev && offset >= CONFIG)
		run(m, do_config_write, &r);
	pthread_mutex_unlock(&m->lock);
}

const struct bus_ops virtio_mmio_bus = {.read = bus_read_mmio, .write = bus_write_mmio};

/* ---- life */

int virtio_mmio_plug(struct virtio_mmio *m, struct virtio_device *dev, struct error *err)
{
	struct request r = {.m = m};

	if (dev && m->dev)
		return error_set(err, EBUSY, "this virtio-mmio slot has a device");
	if (dev && dev->transport.data)
		return error_set(err, EBUSY, "the %s device is in a slot already", dev->ops->name);
	if (m->dev) {
		do_reset(&r);
		m->dev->transport = (struct virtio_transport){0};
	}
	clear_registers(m);
	m->looks = 0;
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++)
		m->queues[i].notifications = m->queues[i].interrupts = 0;
	m->dev = dev;
	if (dev)
		dev->transport =
		    (struct virtio_transport){interrupt, needs_reset, config_changed, m};
	return 0;
}

int virtio_mmio_new(struct virtio_mmio **out, const struct virtio_mmio_config *config,
                    struct error *err)
{
	_cleanup_virtio_mmio_ struct virtio_mmio *m = calloc(1, sizeof(*m));
	int r = 0;

	if (!m)
		return error_set(err, ENOMEM, "no memory for a virtio-mmio device");
	m->config = *config;
	pthread_mutex_init(&m->lock, NULL);
	m->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		m->queues[i].m = m;
		m->queues[i].kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (m->irq_fd < 0 || m->queues[i].kick_fd < 0)
			r = error_errno(err, errno, "making the eventfds of a virtio-mmio device");
	}
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX && r == 0; i++)
		r = loop_add_fd(config->loop, m->queues[i].kick_fd, EPOLLIN, on_kick, &m->queues[i],
		                &m->queues[i].kick, err);
	if (r < 0)
		return r;
	*out = steal_ptr(&m);
	return 0;
}

void virtio_mmio_free(struct virtio_mmio *m)
{
	if (!m)
		return;
	virtio_mmio_plug(m, NULL, NULL);
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		loop_source_free(m->queues[i].kick);
		close_fd(&m->queues[i].kick_fd);
	}
	close_fd(&m->irq_fd);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

int virtio_mmio_kick_fd(const struct virtio_mmio *m, unsigned int queue)
{
	return m->queues[queue].kick_fd;
}

int virtio_mmio_irq_fd(const struct virtio_mmio *m)
{
	return m->irq_fd;
}

struct virtio_device *virtio_mmio_device(const struct virtio_mmio *m)
{
	return m->dev;
}

uint64_t virtio_mmio_asked_ns(const struct virtio_mmio *m)
{
	return __atomic_load_n(&m->asked_ns, __ATOMIC_RELAXED);
}

bool virtio_mmio_in_use(const struct virtio_mmio *m)
{
	/* Linux acknowledges the device anew when a driver has let go of it. */
	return m->dev && m->status & STATUS_DRIVER;
}

void virtio_mmio_counters(const struct virtio_mmio *m, unsigned int queue, uint64_t *notifications,
                          uint64_t *interrupts)
{
	*notifications = m->queues[queue].notifications;
	*interrupts = m->queues[queue].interrupts;
}
