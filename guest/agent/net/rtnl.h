/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnl: rtnetlink requests and replies as bytes (rtnetlink(7)); netlink.h sends them.
 *
 * Parsers take one message body and give 0, 1 when the message is well-formed but not of
 * interest (another family), or -EBADMSG.
 */
#pragma once

#include "lib/base/bytes.h"
#include "net_types.h"
#include "nlmsg.h"

void rtnl_dump(struct buffer *b, uint16_t type, uint32_t seq);
void rtnl_link_get(struct buffer *b, const char *name, uint32_t seq);
void rtnl_link_flags(struct buffer *b, uint32_t index, uint32_t flags, uint32_t mask, uint32_t seq);
void rtnl_link_attr(struct buffer *b, uint32_t index, uint16_t attr, const void *data, size_t size,
                    uint32_t seq);
void rtnl_addr(struct buffer *b, uint16_t type, uint16_t flags, const struct net_link_addr *a,
               uint32_t seq);
void rtnl_route(struct buffer *b, uint16_t type, uint16_t flags, const struct net_route *r,
                uint32_t seq);
void rtnl_neighbor(struct buffer *b, uint16_t type, uint16_t flags, const struct net_neighbor *n,
                   uint32_t seq);

int rtnl_parse_link(struct reader body, struct net_link *out);
int rtnl_parse_addr(struct reader body, struct net_link_addr *out);
int rtnl_parse_route(struct reader body, struct net_route *out);
