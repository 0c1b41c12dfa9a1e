/* SPDX-License-Identifier: Apache-2.0 */
/* blk_request: one request of the block device (virtio 1.2 §5.2.6). */
#include "blk_request.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h> /* not in fcntl.h of musl */
#include <linux/fs.h>     /* RWF_NOWAIT, not in sys/uio.h of musl */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host-shim/vmm/devices/blk.h"
#include "host-shim/vmm/virtio/iov.h"
#include "lib/base/bytes.h"

#define HEADER_SIZE 16u /* le32 type, le32 reserved, le64 sector */
#define RANGE_SIZE  16u /* le64 sector, le32 num_sectors, le32 flags */
#define FLAG_UNMAP  1u
#define NOW_MAX     (64u << 10) /* bytes: the loop's thread copies no more of a request */

/* ---- checking */

struct parse {
	const struct virtqueue_chain *c;
	const struct blk_limits *limits;
	uint32_t type;
	uint64_t sector;
	struct blk_request *r;
};

static bool inside(const struct blk_limits *l, uint64_t sector, uint64_t size, uint64_t *offset)
{
	uint64_t end;

	return !__builtin_mul_overflow(sector, (uint64_t)BLK_SECTOR, offset) &&
	       !__builtin_add_overflow(*offset, size, &end) && end <= l->capacity;
}

/* Each of these: BLK_S_OK and p->r is filled, or the status to answer with. */
static uint8_t parse_transfer(struct parse *p)
{
	const struct virtqueue_chain *c = p->c;
	bool in = p->type == BLK_T_IN;
	size_t size = in ? c->write_size - 1 : c->read_size - HEADER_SIZE, got;

	if (!in && p->limits->readonly)
		return BLK_S_IOERR; /* §5.2.6.2 */
	if (size % BLK_SECTOR || !inside(p->limits, p->sector, size, &p->r->offset))
		return BLK_S_IOERR;
	if (in)
		p->r->n_iov = iov_slice(chain_writable(c), c->n_write, 0, size, p->r->iov,
		                        VIRTQUEUE_SIZE_MAX, &got);
	else
		p->r->n_iov = iov_slice(chain_readable(c), c->n_read, HEADER_SIZE, size, p->r->iov,
		                        VIRTQUEUE_SIZE_MAX, &got);
	return got == size ? BLK_S_OK : BLK_S_IOERR;
}

static uint8_t parse_flush(struct parse *p)
{
	return BLK_S_OK;
}

/* One range of a discard or write zeroes, from bytes that nobody else can change. */
static uint8_t parse_range(struct parse *p, struct reader *in)
{
	struct blk_range *range = &p->r->ranges[p->r->n_ranges++];
	uint64_t sector = reader_le64(in);
	uint32_t n = reader_le32(in), flags = reader_le32(in);
	bool discard = p->type == BLK_T_DISCARD;

	/* §5.2.6.2: unknown flags, and unmap of a discard, are "unsupported". */
	if (flags & (discard ? ~0u : ~FLAG_UNMAP))
		return BLK_S_UNSUPP;
	if (n > (discard ? BLK_DISCARD_SECTORS_MAX : BLK_ZEROES_SECTORS_MAX))
		return BLK_S_IOERR;
	range->size = (uint64_t)n * BLK_SECTOR;
	range->unmap = discard || flags & FLAG_UNMAP;
	return inside(p->limits, sector, range->size, &range->offset) ? BLK_S_OK : BLK_S_IOERR;
}

static uint8_t parse_ranges(struct parse *p)
{
	uint8_t bytes[BLK_RANGES_MAX * RANGE_SIZE], status = BLK_S_OK;
	size_t size = p->c->read_size - HEADER_SIZE;
	struct reader in;

	if (p->limits->readonly)
		return BLK_S_UNSUPP; /* not offered */
	if (size == 0 || size % RANGE_SIZE || size > sizeof(bytes))
		return BLK_S_IOERR;
	iov_read(chain_readable(p->c), p->c->n_read, HEADER_SIZE, bytes, size);
	in = reader_init(bytes, size);
	while (status == BLK_S_OK && reader_left(&in) > 0)
		status = parse_range(p, &in);
	return status;
}

static const struct {
	uint32_t type;
	uint8_t (*parse)(struct parse *p);
} types[] = {
    {BLK_T_IN, parse_transfer},    {BLK_T_OUT, parse_transfer},        {BLK_T_FLUSH, parse_flush},
    {BLK_T_DISCARD, parse_ranges}, {BLK_T_WRITE_ZEROES, parse_ranges},
};

/* The place of the status: the last byte that the device may write. */
static uint8_t *status_byte(const struct virtqueue_chain *c)
{
	const struct iovec *last = &chain_writable(c)[c->n_write - 1];

	return (uint8_t *)last->iov_base + last->iov_len - 1;
}

/* The identity string fits into what there is, cut or with room left over. */
static uint8_t get_id(const struct parse *p, uint32_t *written)
{
	size_t room = p->c->write_size - 1, n = room < BLK_SERIAL_MAX ? room : BLK_SERIAL_MAX;

	iov_write(chain_writable(p->c), p->c->n_write, 0, p->limits->id, n);
	*written = (uint32_t)n + (n == room);
	return BLK_S_OK;
}

static uint8_t parse_request(struct parse *p, uint32_t *written)
{
	if (p->type == BLK_T_GET_ID)
		return get_id(p, written);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].type != p->type)
			continue;
		p->r = calloc(1, sizeof(*p->r) +
		                     (p->c->n_read + p->c->n_write) * sizeof(struct iovec));
		return p->r ? types[i].parse(p) : BLK_S_IOERR;
	}
	return BLK_S_UNSUPP;
}

enum blk_outcome blk_request_parse(const struct virtqueue_chain *c, const struct blk_limits *limits,
                                   struct blk_request **out, uint32_t *written)
{
	struct parse p = {.c = c, .limits = limits};
	uint8_t header[HEADER_SIZE], status = BLK_S_IOERR;

	if (c->write_size == 0)
		return BLK_NO_STATUS;
	/* Nothing but the status byte; it comes first only when it is all there is. */
	*written = c->write_size == 1;
	if (iov_read(chain_readable(c), c->n_read, 0, header, HEADER_SIZE) == HEADER_SIZE) {
		p.type = get_le32(header);
		p.sector = get_le64(header + 8);
		status = parse_request(&p, written);
	}
	if (status != BLK_S_OK || !p.r) {
		*status_byte(c) = status;
		free(p.r);
		return BLK_ANSWERED;
	}
	p.r->job.work = blk_request_work;
	p.r->fd = limits->fd;
	p.r->type = p.type;
	p.r->head = c->head;
	p.r->stable = limits->stable;
	p.r->status_at = status_byte(c);
	*out = p.r;
	return BLK_WORK;
}

/* ---- carrying out */

/* Reads or writes until all is moved: 0, or an errno value. */
static int transfer(struct blk_request *r)
{
	struct iovec *v = r->iov;
	size_t n = r->n_iov;

	while (n > 0) {
		off_t at = (off_t)(r->offset + r->done);
		ssize_t got = r->type == BLK_T_IN ? preadv(r->fd, v, (int)n, at)
		                                  : pwritev(r->fd, v, (int)n, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? errno : EIO; /* the file has been cut */
		r->done += (uint64_t)got;
		while (n > 0 && (size_t)got >= v->iov_len) {
			got -= (ssize_t)v->iov_len;
			v++;
			n--;
		}
		if (n > 0 && got > 0) {
			v->iov_base = (uint8_t *)v->iov_base + got;
			v->iov_len -= (size_t)got;
		}
	}
	return 0;
}

static int write_zeros(int fd, uint64_t offset, uint64_t size)
{
	static const uint8_t zeros[64 * 1024];

	while (size > 0) {
		size_t take = size < sizeof(zeros) ? (size_t)size : sizeof(zeros);
		ssize_t n = pwrite(fd, zeros, take, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		offset += (uint64_t)n;
		size -= (uint64_t)n;
	}
	return 0;
}

static int clear_range(const struct blk_request *r, const struct blk_range *range)
{
	int mode = range->unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, e;

	if (range->size == 0)
		return 0;
	do
		e = fallocate(r->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)range->offset,
		              (off_t)range->size) < 0
		        ? errno
		        : 0;
	while (e == EINTR);
	/* A discard is a wish; zeros must be zeros. */
	if (e == EOPNOTSUPP && r->type == BLK_T_WRITE_ZEROES)
		return write_zeros(r->fd, range->offset, range->size);
	return e;
}

static int carry_out(struct blk_request *r)
{
	int e = 0;

	switch (r->type) {
	case BLK_T_IN:
		return transfer(r);
	case BLK_T_OUT:
		e = transfer(r);
		break;
	case BLK_T_FLUSH:
		return fdatasync(r->fd) < 0 ? errno : 0;
	default:
		for (unsigned int i = 0; i < r->n_ranges && e == 0; i++)
			e = clear_range(r, &r->ranges[i]);
	}
	if (e == 0 && r->stable && fdatasync(r->fd) < 0)
		e = errno;
	return e;
}

void blk_request_work(struct io_job *job)
{
	struct blk_request *r = (struct blk_request *)job;
	int e = carry_out(r);

	r->status = e == 0 ? BLK_S_OK : e == EOPNOTSUPP ? BLK_S_UNSUPP : BLK_S_IOERR;
}

int blk_request_now(struct blk_request *r)
{
	size_t size = 0;
	ssize_t n;

	if (r->type != BLK_T_IN)
		return 0;
	for (size_t i = 0; i < r->n_iov; i++)
		size += r->iov[i].iov_len;
	if (size > NOW_MAX)
		return 0;
	/* Not in musl 1.2.3. The offset comes in halves. */
	n = syscall(SYS_preadv2, r->fd, r->iov, r->n_iov, (long)r->offset, (long)(r->offset >> 32),
	            RWF_NOWAIT);
	if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
		return -EOPNOTSUPP;
	/* The pool reads what came in part once more. */
	if (n < 0 || (size_t)n != size)
		return 0;
	r->done = size;
	r->status = BLK_S_OK;
	return 1;
}

uint32_t blk_request_finish(const struct blk_request *r)
{
	*r->status_at = r->status;
	if (r->type != BLK_T_IN)
		return 1;
	return (uint32_t)r->done + (r->status == BLK_S_OK);
}
