/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parts: a sub-message that a sender wrote in several parts, made one before it is decoded.
 *
 * A parser that finds a singular sub-message more than once merges what it finds ("Encoding", Last
 * One Wins, of the protocol buffers' documentation). protobuf-c merges as well, but where numbers
 * have no presence (proto3) those of the earlier parts are lost. The bytes of the parts one after
 * the other are the merged message, by the same page; so they are put together here.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "lib/base/bytes.h"

/* Looks at an encoded message of a type without cycles. 0: no sub-message of it, at any depth, is
 * in parts. 1: one is; `out`, empty before, has the message with each sub-message once. -EBADMSG:
 * not a message, or a string of it has a zero byte; -ENOMEM. */
int rpc_join_parts(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
                   struct buffer *out);
