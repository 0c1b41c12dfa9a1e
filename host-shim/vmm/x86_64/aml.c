/* SPDX-License-Identifier: Apache-2.0 */
/* aml: the few objects of the ACPI machine language that describe our devices (ACPI 6.4 §20). */
#include "aml.h"

#include <string.h>

#define OP_NAME    0x08
#define OP_BYTE    0x0a
#define OP_WORD    0x0b
#define OP_DWORD   0x0c
#define OP_STRING  0x0d
#define OP_SCOPE   0x10
#define OP_BUFFER  0x11
#define OP_PACKAGE 0x12
#define OP_METHOD  0x14
#define OP_EXT     0x5b
#define OP_DEVICE  0x82
#define OP_NOTIFY  0x86

#define METHOD_ONE_ARGUMENT 0x01
#define METHOD_SERIALIZED   0x08

static void byte(struct buffer *b, unsigned int v)
{
	uint8_t c = (uint8_t)v;

	buffer_append(b, &c, 1);
}

/* §20.2.4: the length counts its own bytes. */
static void package_length(struct buffer *b, size_t body)
{
	size_t n = body + 1 < 0x40 ? 1 : body + 2 < 0x1000 ? 2 : body + 3 < 0x100000 ? 3 : 4;
	size_t total = body + n;

	if (n == 1) {
		byte(b, (unsigned int)total);
		return;
	}
	byte(b, (unsigned int)((n - 1) << 6 | (total & 0xf)));
	for (total >>= 4; --n > 0; total >>= 8)
		byte(b, (unsigned int)(total & 0xff));
}

static void named(struct buffer *b, const char *name, const struct buffer *body)
{
	package_length(b, 4 + body->size);
	buffer_append(b, name, 4);
	buffer_append(b, body->data, body->size);
	b->failed |= body->failed;
}

void aml_scope(struct buffer *b, const char *name, const struct buffer *body)
{
	byte(b, OP_SCOPE);
	named(b, name, body);
}

void aml_device(struct buffer *b, const char *name, const struct buffer *body)
{
	byte(b, OP_EXT);
	byte(b, OP_DEVICE);
	named(b, name, body);
}

static void name_of(struct buffer *b, const char *name)
{
	byte(b, OP_NAME);
	buffer_append(b, name, 4);
}

static void integer(struct buffer *b, uint32_t v)
{
	if (v <= 1) {
		byte(b, v); /* ZeroOp, OneOp */
	} else if (v <= 0xff) {
		byte(b, OP_BYTE);
		byte(b, v);
	} else if (v <= 0xffff) {
		byte(b, OP_WORD);
		buffer_le16(b, (uint16_t)v);
	} else {
		byte(b, OP_DWORD);
		buffer_le32(b, v);
	}
}

void aml_name_integer(struct buffer *b, const char *name, uint32_t value)
{
	name_of(b, name);
	integer(b, value);
}

void aml_name_string(struct buffer *b, const char *name, const char *value)
{
	name_of(b, name);
	byte(b, OP_STRING);
	buffer_append(b, value, strlen(value) + 1);
}

/* §19.3.4: three letters of five bits, four hexadecimal digits, in big-endian order. */
void aml_name_eisa_id(struct buffer *b, const char *name, const char *id)
{
	uint32_t v = 0;
	uint8_t bytes[4];

	for (int i = 0; i < 3; i++)
		v = v << 5 | (uint32_t)(id[i] - '@');
	for (int i = 3; i < 7; i++)
		v = v << 4 | (uint32_t)(id[i] <= '9' ? id[i] - '0' : id[i] - 'A' + 10);
	put_be32(bytes, v);
	name_of(b, name);
	byte(b, OP_DWORD);
	buffer_append(b, bytes, 4);
}

void aml_name_resources(struct buffer *b, const char *name, const struct buffer *resources)
{
	_cleanup_buffer_ struct buffer size = BUFFER_INIT;
	size_t n = resources->size + 2; /* and the end tag */

	integer(&size, (uint32_t)n);
	name_of(b, name);
	byte(b, OP_BUFFER);
	package_length(b, size.size + n);
	buffer_append(b, size.data, size.size);
	buffer_append(b, resources->data, resources->size);
	byte(b, 0x79); /* end tag; a checksum of 0 counts as right */
	byte(b, 0);
	b->failed |= resources->failed | size.failed;
}

void aml_name_halves(struct buffer *b, const char *name, uint64_t value)
{
	_cleanup_buffer_ struct buffer halves = BUFFER_INIT;

	integer(&halves, (uint32_t)value);
	integer(&halves, (uint32_t)(value >> 32));
	name_of(b, name);
	byte(b, OP_PACKAGE);
	package_length(b, 1 + halves.size);
	byte(b, 2);
	buffer_append(b, halves.data, halves.size);
	b->failed |= halves.failed;
}

/* §20.2.5.2: name, flags, terms. */
void aml_method_notify(struct buffer *b, const char *name, const char *device, uint8_t value)
{
	_cleanup_buffer_ struct buffer body = BUFFER_INIT;

	byte(&body, METHOD_ONE_ARGUMENT | METHOD_SERIALIZED);
	byte(&body, OP_NOTIFY);
	buffer_append(&body, device, 4);
	byte(&body, OP_BYTE);
	byte(&body, value);
	byte(b, OP_METHOD);
	named(b, name, &body);
}

void aml_name_sleep_package(struct buffer *b, const char *name, uint8_t type)
{
	name_of(b, name);
	byte(b, OP_PACKAGE);
	package_length(b, 6);
	byte(b, 4);
	byte(b, OP_BYTE);
	byte(b, type);
	for (int i = 0; i < 3; i++)
		byte(b, 0);
}

void aml_resource_memory(struct buffer *b, uint32_t base, uint32_t size)
{
	byte(b, 0x86);
	buffer_le16(b, 9);
	byte(b, 1); /* read and write */
	buffer_le32(b, base);
	buffer_le32(b, size);
}

void aml_resource_ports(struct buffer *b, uint16_t first, uint8_t count)
{
	byte(b, 0x47);
	byte(b, 1); /* all 16 bits are decoded */
	buffer_le16(b, first);
	buffer_le16(b, first);
	byte(b, 1);
	byte(b, count);
}

void aml_resource_interrupt(struct buffer *b, uint32_t gsi)
{
	byte(b, 0x89);
	buffer_le16(b, 6);
	byte(b, 3); /* consumer, edge */
	byte(b, 1);
	buffer_le32(b, gsi);
}
