/* SPDX-License-Identifier: Apache-2.0 */
/* nlmsg: lengths and padding, in one place for both directions. */
#include "nlmsg.h"

#include <errno.h>
#include <string.h>

static void pad(struct buffer *b)
{
	buffer_fill(b, 0, (size_t)-b->size & 3);
}

void nlmsg_begin(struct buffer *b, uint16_t type, uint16_t flags, uint32_t seq,
                 const void *family_header, size_t size)
{
	struct nlmsghdr h = {.nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = seq};

	buffer_append(b, &h, sizeof(h));
	buffer_append(b, family_header, size);
	pad(b);
}

void nlmsg_attr(struct buffer *b, uint16_t type, const void *data, size_t size)
{
	struct nlattr a = {.nla_len = (uint16_t)(sizeof(a) + size), .nla_type = type};

	if (size > UINT16_MAX - sizeof(a)) {
		b->failed = true;
		return;
	}
	buffer_append(b, &a, sizeof(a));
	buffer_append(b, data, size);
	pad(b);
}

void nlmsg_attr_u32(struct buffer *b, uint16_t type, uint32_t v)
{
	nlmsg_attr(b, type, &v, sizeof(v));
}

void nlmsg_attr_str(struct buffer *b, uint16_t type, const char *s)
{
	nlmsg_attr(b, type, s, strlen(s) + 1);
}

size_t nlmsg_nest_begin(struct buffer *b, uint16_t type)
{
	size_t start = b->size;

	nlmsg_attr(b, type | NLA_F_NESTED, NULL, 0);
	return start;
}

void nlmsg_nest_end(struct buffer *b, size_t start)
{
	uint16_t len;

	if (b->failed || __builtin_sub_overflow(b->size, start, &len)) {
		b->failed = true;
		return;
	}
	memcpy(b->data + start + offsetof(struct nlattr, nla_len), &len, sizeof(len));
}

void nlmsg_end(struct buffer *b, size_t start)
{
	uint32_t len;

	if (b->failed || __builtin_sub_overflow(b->size, start, &len)) {
		b->failed = true;
		return;
	}
	memcpy(b->data + start + offsetof(struct nlmsghdr, nlmsg_len), &len, sizeof(len));
}

static void skip_padding(struct reader *r, size_t used)
{
	size_t n = (size_t)-used & 3;

	/* The last message or attribute may end without its padding. */
	reader_skip(r, n < reader_left(r) ? n : reader_left(r));
}

int nlmsg_next(struct reader *r, struct nlmsg *out)
{
	const uint8_t *h, *body;
	size_t n;

	if (r->failed)
		return -EBADMSG;
	if (reader_left(r) == 0)
		return 0;
	h = reader_bytes(r, sizeof(out->header));
	if (!h)
		return -EBADMSG;
	memcpy(&out->header, h, sizeof(out->header));
	if (out->header.nlmsg_len < sizeof(out->header))
		return -EBADMSG;
	n = out->header.nlmsg_len - sizeof(out->header);
	body = reader_bytes(r, n);
	if (!body)
		return -EBADMSG;
	out->body = reader_init(body, n);
	skip_padding(r, n);
	return 1;
}

int nlattr_next(struct reader *r, struct nlattr_view *out)
{
	const uint8_t *h;
	struct nlattr a;

	if (r->failed)
		return -EBADMSG;
	if (reader_left(r) == 0)
		return 0;
	h = reader_bytes(r, sizeof(a));
	if (!h)
		return -EBADMSG;
	memcpy(&a, h, sizeof(a));
	if (a.nla_len < sizeof(a))
		return -EBADMSG;
	out->type = a.nla_type & NLA_TYPE_MASK;
	out->size = a.nla_len - sizeof(a);
	out->data = reader_bytes(r, out->size);
	if (!out->data)
		return -EBADMSG;
	skip_padding(r, out->size);
	return 1;
}

int nlattr_table(struct reader r, struct nlattr_view *out, size_t n)
{
	struct nlattr_view a;
	int got;

	memset(out, 0, n * sizeof(*out));
	while ((got = nlattr_next(&r, &a)) > 0)
		if (a.type < n)
			out[a.type] = a;
	return got;
}

uint32_t nlattr_u32(const struct nlattr_view *a)
{
	uint32_t v = 0;

	if (a->data && a->size == sizeof(v))
		memcpy(&v, a->data, sizeof(v));
	return v;
}

void nlattr_str(const struct nlattr_view *a, char *out, size_t room)
{
	size_t n = a->data ? strnlen((const char *)a->data, a->size) : 0;

	if (n >= room)
		n = 0;
	if (n)
		memcpy(out, a->data, n);
	out[n] = '\0';
}
