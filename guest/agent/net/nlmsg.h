/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nlmsg: netlink messages as bytes: building requests, taking replies apart.
 *
 * Layout: include/uapi/linux/netlink.h; native byte order, everything aligned to 4. No socket
 * here, so that golden bytes and fuzzers can have it. Parsing goes through struct reader: a
 * length that lies is -EBADMSG, never a read past the end.
 */
#pragma once

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"

/* Starts a message: header, then the family header (struct ifinfomsg, ...) padded. */
void nlmsg_begin(struct buffer *b, uint16_t type, uint16_t flags, uint32_t seq,
                 const void *family_header, size_t size);
void nlmsg_attr(struct buffer *b, uint16_t type, const void *data, size_t size);
void nlmsg_attr_u32(struct buffer *b, uint16_t type, uint32_t v);
void nlmsg_attr_str(struct buffer *b, uint16_t type, const char *s); /* with its NUL */
/* Returns what nlmsg_nest_end() wants. */
size_t nlmsg_nest_begin(struct buffer *b, uint16_t type);
void nlmsg_nest_end(struct buffer *b, size_t start);
/* Puts the length into the header of the message that starts at `start`. */
void nlmsg_end(struct buffer *b, size_t start);

struct nlmsg {
	struct nlmsghdr header;
	struct reader body; /* after the header, without padding */
};

/* The next message: 1, 0 at the end, -EBADMSG. */
int nlmsg_next(struct reader *r, struct nlmsg *out);

struct nlattr_view {
	uint16_t type; /* without NLA_F_* bits */
	const uint8_t *data;
	size_t size;
};

/* The next attribute: 1, 0 at the end, -EBADMSG. */
int nlattr_next(struct reader *r, struct nlattr_view *out);
/* Attributes by type: out[t].data is NULL where t is absent; types >= n are skipped, of two of
 * one type the later counts. 0 or -EBADMSG. */
int nlattr_table(struct reader r, struct nlattr_view *out, size_t n);
/* 0 when the size does not fit. */
uint32_t nlattr_u32(const struct nlattr_view *a);
/* Copies a string of at most room - 1 bytes, "" when absent or too long. */
void nlattr_str(const struct nlattr_view *a, char *out, size_t room);
