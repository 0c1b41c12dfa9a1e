/* SPDX-License-Identifier: Apache-2.0 */
/* pmem: the virtio persistent memory device (virtio 1.2 §5.19). */
#include "pmem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-shim/vmm/virtio/iov.h"
#include "host-shim/vmm/virtio/later.h"
#include "lib/base/bytes.h"

#define REQ_TYPE_FLUSH 0
#define RET_OK         0u
#define RET_FAILED     UINT32_MAX /* "-1", §5.19.7.2 */

/* Requests that one flush of the file answers; more wait in the queue for the next. */
#define BATCH_MAX 64

/* Requests taken before other sources of the loop get their turn. */
#define REQUESTS_A_TURN 1024

struct flush_request {
	uint16_t head;
	uint8_t n;
	struct iovec answer[4]; /* 4 bytes are at most 4 pieces */
};

struct pmem {
	struct virtio_device dev;
	struct io_pool *pool;
	struct pmem_config config;
	struct io_job job;
	struct later again; /* requests are left */
	struct flush_request batch[BATCH_MAX];
	unsigned int n_batch;
	bool flushing; /* the batch is with the pool; it takes no more */
	int result;    /* of the flush: 0 or an errno value */
};

static struct pmem *pmem_of(struct virtio_device *dev)
{
	return (struct pmem *)dev;
}

static void answer(struct pmem *p, const struct flush_request *f, uint32_t ret)
{
	uint8_t bytes[4];

	put_le32(bytes, ret);
	iov_write(f->answer, f->n, 0, bytes, sizeof(bytes));
	virtqueue_push(&p->dev.queues[0], f->head, sizeof(bytes));
}

/* Flushes join the batch; everything else is answered at once. */
static enum virtio_took take(struct virtio_device *dev, unsigned int queue,
                             struct virtqueue_chain *c)
{
	struct pmem *p = pmem_of(dev);
	struct flush_request f = {.head = c->head};
	uint8_t type[4];
	size_t room;

	if (p->n_batch == BATCH_MAX)
		return VIRTIO_LATER;
	f.n = (uint8_t)iov_slice(chain_writable(c), c->n_write, 0, 4, f.answer, 4, &room);
	if (room < 4) {
		virtio_device_broken(dev, "a pmem request has no room for its answer (5.19.6)");
		return VIRTIO_BROKEN;
	}
	if (iov_read(chain_readable(c), c->n_read, 0, type, 4) < 4 ||
	    get_le32(type) != REQ_TYPE_FLUSH)
		answer(p, &f, RET_FAILED);
	else if (p->config.readonly)
		answer(p, &f, RET_OK);
	else
		p->batch[p->n_batch++] = f;
	return VIRTIO_TAKEN;
}

static void run(struct pmem *p)
{
	/* What arrives during a flush may hold writes that it does not cover. */
	if (p->flushing)
		return;
	if (virtio_device_drain(&p->dev, 0, REQUESTS_A_TURN, take))
		later_set(&p->again, 1);
	if (p->n_batch > 0 && !p->dev.needs_reset) {
		p->flushing = true;
		io_pool_submit(p->pool, &p->job);
	}
}

static void run_again(struct loop_source *src, void *data)
{
	run(data);
}

static void work(struct io_job *job)
{
	struct pmem *p = (struct pmem *)((char *)job - offsetof(struct pmem, job));

	p->result = fdatasync(p->config.fd) < 0 ? errno : 0;
}

static void done(struct io_job *job)
{
	struct pmem *p = (struct pmem *)((char *)job - offsetof(struct pmem, job));

	p->flushing = false;
	if (p->dev.active && !p->dev.needs_reset) {
		for (unsigned int i = 0; i < p->n_batch; i++)
			answer(p, &p->batch[i], p->result == 0 ? RET_OK : RET_FAILED);
		virtio_device_publish(&p->dev, 0);
	}
	p->n_batch = 0;
	run(p);
}

/* ---- the device model */

static void config_read(struct virtio_device *dev, size_t offset, void *to, size_t size)
{
	uint8_t config[16]; /* struct virtio_pmem_config: le64 start, size; §5.19.4 */

	put_le64(config, pmem_of(dev)->config.gpa);
	put_le64(config + 8, pmem_of(dev)->config.size);
	virtio_config_copy(config, sizeof(config), offset, to, size);
}

static void queue_notify(struct virtio_device *dev, unsigned int queue)
{
	run(pmem_of(dev));
}

static void reset(struct virtio_device *dev)
{
	io_pool_wait(pmem_of(dev)->pool, dev);
	later_clear(&pmem_of(dev)->again);
	/* Requests that came before the one that broke the queue. */
	pmem_of(dev)->n_batch = 0;
}

static void quiesce(struct virtio_device *dev)
{
	io_pool_wait(pmem_of(dev)->pool, dev);
}

static void pmem_free(struct virtio_device *dev)
{
	struct pmem *p = pmem_of(dev);

	dev->active = false;
	io_pool_wait(p->pool, dev);
	later_clear(&p->again);
	free(p);
}

static const struct virtio_device_ops pmem_ops = {
    .name = "pmem",
    .id = VIRTIO_ID_PMEM,
    .n_queues = 1,
    .features = VIRTIO_COMMON_FEATURES,
    .queue_size = BATCH_MAX,
    .config_read = config_read,
    .queue_notify = queue_notify,
    .reset = reset,
    .free = pmem_free,
    .quiesce = quiesce,
};

int pmem_device_new(struct virtio_device **out, struct loop *loop, struct io_pool *pool,
                    const struct pmem_config *config, struct error *err)
{
	struct pmem *p;

	if (config->size == 0 || config->gpa % PMEM_ALIGN || config->size % PMEM_ALIGN)
		return error_set(err, EINVAL,
		                 "persistent memory at 0x%" PRIx64 " of 0x%" PRIx64
		                 " bytes: both must be multiples of 2 MiB",
		                 config->gpa, config->size);
	p = calloc(1, sizeof(*p));
	if (!p)
		return error_set(err, ENOMEM, "no memory for the pmem device");
	p->dev.ops = &pmem_ops;
	p->pool = pool;
	p->config = *config;
	p->again = (struct later){.loop = loop, .fn = run_again, .data = p};
	p->job = (struct io_job){.work = work, .done = done, .owner = &p->dev};
	*out = &p->dev;
	return 0;
}

/* ---- the memory behind it */

static int check_file(int fd, bool readonly, struct pmem_backing *b, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "persistent memory: the file");
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return error_set(err, EINVAL, "persistent memory: not a regular file with bytes");
	b->file_size = (uint64_t)st.st_size;
	b->readonly = readonly;
	if (!align_up64(b->file_size, PMEM_ALIGN, &b->size))
		return error_set(err, EFBIG, "persistent memory: the file is too large");
	if (!readonly && b->size != b->file_size)
		return error_set(err, EINVAL,
		                 "persistent memory: a file that is written must be a multiple of "
		                 "2 MiB, this one has %" PRIu64 " bytes",
		                 b->file_size);
	return 0;
}

int pmem_backing_map(struct pmem_backing *b, int fd, bool readonly, struct error *err)
{
	int prot = readonly ? PROT_READ : PROT_READ | PROT_WRITE;
	uint8_t *whole, *at;
	int r = check_file(fd, readonly, b, err);

	if (r < 0)
		return r;
	/* Huge pages of the file can be mapped as such when both sides are aligned. */
	whole = mmap(NULL, b->size + PMEM_ALIGN, PROT_NONE,
	             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (whole == MAP_FAILED)
		return error_errno(err, errno, "persistent memory: %" PRIu64 " bytes", b->size);
	at = (uint8_t *)(((uintptr_t)whole + PMEM_ALIGN - 1) & ~(uintptr_t)(PMEM_ALIGN - 1));
	if (at > whole)
		munmap(whole, (size_t)(at - whole));
	munmap(at + b->size, PMEM_ALIGN - (size_t)(at - whole));
	if (mprotect(at, b->size, prot) < 0 ||
	    mmap(at, b->file_size, prot, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0) ==
	        MAP_FAILED) {
		r = error_errno(err, errno, "persistent memory: mapping the file");
		munmap(at, b->size);
		return r;
	}
	b->host = at;
	return 0;
}

void pmem_backing_unmap(struct pmem_backing *b)
{
	if (b->host)
		munmap(b->host, b->size);
	b->host = NULL;
}
