/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-proto-parts: the first byte chooses a request of the agent's, the rest is its bytes. Joined
 * once, nothing of it is in parts; it is a message to the decoder as it was before.
 */
#include <stdlib.h>

#include "lib/rpc/parts.h"
#include "lib/rpc/proto/agent.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int decodes(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size)
{
	ProtobufCMessage *m = protobuf_c_message_unpack(type, NULL, size, data);

	if (m)
		protobuf_c_message_free_unpacked(m, NULL);
	return m != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ProtobufCServiceDescriptor *s = &grpc__agent_service__descriptor;
	_cleanup_buffer_ struct buffer once = BUFFER_INIT;
	_cleanup_buffer_ struct buffer again = BUFFER_INIT;
	const ProtobufCMessageDescriptor *type;

	if (size == 0 || data[0] >= s->n_methods)
		return 0;
	type = s->methods[data[0]].input;
	if (rpc_join_parts(type, data + 1, size - 1, &once) != 1)
		return 0;
	if (once.size > size * 2 || rpc_join_parts(type, once.data, once.size, &again) != 0)
		abort();
	if (decodes(type, data + 1, size - 1) != decodes(type, once.data, once.size))
		abort();
	return 0;
}
