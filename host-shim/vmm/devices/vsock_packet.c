/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_packet: the header of a virtio socket packet (virtio 1.2 §5.10.6), little endian. */
#include "vsock_packet.h"

#include "lib/base/bytes.h"

void vsock_header_decode(struct vsock_header *h, const uint8_t bytes[VSOCK_HEADER_SIZE])
{
	struct reader r = reader_init(bytes, VSOCK_HEADER_SIZE);

	h->src_cid = reader_le64(&r);
	h->dst_cid = reader_le64(&r);
	h->src_port = reader_le32(&r);
	h->dst_port = reader_le32(&r);
	h->len = reader_le32(&r);
	h->type = reader_le16(&r);
	h->op = reader_le16(&r);
	h->flags = reader_le32(&r);
	h->buf_alloc = reader_le32(&r);
	h->fwd_cnt = reader_le32(&r);
}

void vsock_header_encode(const struct vsock_header *h, uint8_t bytes[VSOCK_HEADER_SIZE])
{
	put_le64(bytes, h->src_cid);
	put_le64(bytes + 8, h->dst_cid);
	put_le32(bytes + 16, h->src_port);
	put_le32(bytes + 20, h->dst_port);
	put_le32(bytes + 24, h->len);
	put_le16(bytes + 28, h->type);
	put_le16(bytes + 30, h->op);
	put_le32(bytes + 32, h->flags);
	put_le32(bytes + 36, h->buf_alloc);
	put_le32(bytes + 40, h->fwd_cnt);
}
