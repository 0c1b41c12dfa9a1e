/* SPDX-License-Identifier: Apache-2.0 */
/* vmsa: the state after reset, field by field. */
#include "lib/measure/vmsa.h"

#include <string.h>

#include "lib/base/bytes.h"

/* Segments: selector, attributes, limit, base (16 bytes). */
struct segment {
	uint16_t offset, selector, attributes;
};

/* Attributes: bits 0 to 3 type (accessed), 4 S, 7 P. All limits are 64 KiB - 1. */
static const struct segment segments[] = {
    {0x00, 0, 0x93},      /* ES */
    {0x10, 0xf000, 0x9b}, /* CS; its base is the caller's */
    {0x20, 0, 0x93},      /* SS */
    {0x30, 0, 0x93},      /* DS */
    {0x40, 0, 0x93},      /* FS */
    {0x50, 0, 0x93},      /* GS */
    {0x60, 0, 0x00},      /* GDTR */
    {0x70, 0, 0x82},      /* LDTR */
    {0x80, 0, 0x00},      /* IDTR */
    {0x90, 0, 0x8b},      /* TR */
};

#define LIMIT        0xffffu
#define CS_BASE      0x18u
#define RIP          0x178u
#define RDX          0x310u
#define SEV_FEATURES 0x3b0u
#define MXCSR        0x408u
#define X87_FCW      0x410u

/* APM volume 2, 14.1.3: after INIT; EFER.SVME and CR4.MCE are what KVM adds. */
static const struct {
	uint16_t offset;
	uint64_t value;
} registers[] = {
    {0x0d0, 0x1000},                /* EFER */
    {0x148, 0x40},                  /* CR4 */
    {0x158, 0x10},                  /* CR0: ET */
    {0x160, 0x400},                 /* DR7 */
    {0x168, 0xffff0ff0},            /* DR6 */
    {0x170, 0x2},                   /* RFLAGS */
    {0x268, 0x0007040600070406ull}, /* PAT */
    {0x3e8, 0x1},                   /* XCR0: x87 */
};

void vmsa_page(uint32_t eip, uint32_t signature, uint64_t features, uint8_t page[VMSA_SIZE])
{
	memset(page, 0, VMSA_SIZE);
	for (size_t i = 0; i < sizeof(segments) / sizeof(*segments); i++) {
		uint8_t *p = page + segments[i].offset;

		put_le16(p, segments[i].selector);
		put_le16(p + 2, segments[i].attributes);
		put_le32(p + 4, LIMIT);
	}
	for (size_t i = 0; i < sizeof(registers) / sizeof(*registers); i++)
		put_le64(page + registers[i].offset, registers[i].value);
	put_le64(page + CS_BASE, eip & 0xffff0000u);
	put_le64(page + RIP, eip & 0xffffu);
	put_le64(page + RDX, signature);
	put_le64(page + SEV_FEATURES, features);
	put_le32(page + MXCSR, 0x1f80);
	put_le16(page + X87_FCW, 0x37f);
}
