/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: one ttrpc call at a time with bytes that something else encoded (protoc), for tests. The
 * answer's payload is handed on as it came.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

#define WIRE_WAIT_MS 120000

struct wire {
	int fd;
	uint32_t stream; /* of the latest call */
};

struct wire_answer {
	int code;             /* enum rpc_code */
	char text[512];       /* the peer's, "" when OK */
	struct buffer result; /* payload */
};

#define WIRE_ANSWER_INIT                                                                           \
	{                                                                                          \
		0, "", BUFFER_INIT                                                                 \
	}

/* Connects to an address as in lib/rpc/address.h. */
int wire_open(struct wire *w, const char *address, struct error *err);
void wire_close(struct wire *w);
/* 0: answered; else a negative errno value, and the connection is of no further use. */
int wire_call(struct wire *w, const char *service, const char *method, uint64_t timeout_ms,
              const void *payload, size_t size, struct wire_answer *answer);
void wire_answer_free(struct wire_answer *answer);
