/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aml: the few objects of the ACPI machine language that describe our devices (ACPI 6.4 §20).
 *
 * Each function appends to a buffer; a full memory shows in its `failed`. Names have 4 letters.
 */
#pragma once

#include <stdint.h>

#include "lib/base/bytes.h"

void aml_scope(struct buffer *b, const char *name, const struct buffer *body);
void aml_device(struct buffer *b, const char *name, const struct buffer *body);

void aml_name_integer(struct buffer *b, const char *name, uint32_t value);
void aml_name_string(struct buffer *b, const char *name, const char *value);
void aml_name_eisa_id(struct buffer *b, const char *name, const char *id); /* "PNP0501" */
void aml_name_resources(struct buffer *b, const char *name, const struct buffer *resources);
/* A package of the two halves of a 64-bit number, the lower one first. */
void aml_name_halves(struct buffer *b, const char *name, uint64_t value);
/* A method of one argument that tells `device` of `value` (Notify, §19.6.96). */
void aml_method_notify(struct buffer *b, const char *name, const char *device, uint8_t value);
/* A package of the sleep type and three zeros, §7.4.2. */
void aml_name_sleep_package(struct buffer *b, const char *name, uint8_t type);

/* Resource descriptors, §6.4. */
void aml_resource_memory(struct buffer *b, uint32_t base, uint32_t size);
void aml_resource_ports(struct buffer *b, uint16_t first, uint8_t count);
void aml_resource_interrupt(struct buffer *b, uint32_t gsi); /* edge, high, exclusive */
