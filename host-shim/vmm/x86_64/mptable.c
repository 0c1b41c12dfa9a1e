/* SPDX-License-Identifier: Apache-2.0 */
/* mptable: processors and interrupts for kernels without ACPI (MultiProcessor Specification 1.4).
 */
#include "mptable.h"

#include <errno.h>
#include <string.h>

#include "host-shim/vmm/layout.h"
#include "lib/base/bytes.h"

#define FLOATING_SIZE 16
#define IOAPIC_ID(n)  ((n) + 1)

static uint8_t checksum(const uint8_t *p, size_t size)
{
	uint8_t s = 0;

	while (size--)
		s = (uint8_t)(s + *p++);
	return (uint8_t)-s;
}

/* §4.3.1: usable; the first one boots. */
static void put_processor(struct buffer *b, unsigned int id)
{
	const uint8_t head[] = {0, (uint8_t)id, 0x14, (uint8_t)(id == 0 ? 3 : 1)};

	buffer_append(b, head, sizeof(head));
	buffer_le32(b, 0x600); /* family, model, stepping: nobody looks */
	buffer_le32(b, 0x201); /* FPU and APIC */
	buffer_fill(b, 0, 8);
}

/* §4.3.4: an interrupt of the ISA bus, edge-triggered as that bus has it. */
static void put_interrupt(struct buffer *b, unsigned int cpus, uint8_t irq)
{
	const uint8_t entry[] = {3, 0, 0, 0, 0, irq, (uint8_t)IOAPIC_ID(cpus), irq};

	buffer_append(b, entry, sizeof(entry));
}

/* §4.3.5: ExtINT to LINT0 of the first processor, NMI to LINT1 of all. */
static void put_local(struct buffer *b)
{
	const uint8_t ext[] = {4, 3, 0, 0, 0, 0, 0, 0}, nmi[] = {4, 1, 0, 0, 0, 0, 0xff, 1};

	buffer_append(b, ext, sizeof(ext));
	buffer_append(b, nmi, sizeof(nmi));
}

static void put_table(struct buffer *b, unsigned int cpus)
{
	static const uint8_t bus[] = {1, 0, 'I', 'S', 'A', ' ', ' ', ' '};
	const uint8_t ioapic[] = {2, (uint8_t)IOAPIC_ID(cpus), 0x11, 1};

	buffer_append(b, "PCMP", 4);
	buffer_le16(b, 0);
	buffer_append(b, (const uint8_t[]){4, 0}, 2);
	buffer_append(b, "KIHON   KIHONVMM    ", 20);
	buffer_fill(b, 0, 6);
	buffer_le16(b, (uint16_t)(cpus + 1 + 1 + LAYOUT_GSI_LAST + 1 + 2));
	buffer_le32(b, (uint32_t)LAYOUT_LAPIC);
	buffer_le32(b, 0);
	for (unsigned int i = 0; i < cpus; i++)
		put_processor(b, i);
	buffer_append(b, bus, sizeof(bus));
	buffer_append(b, ioapic, sizeof(ioapic));
	buffer_le32(b, (uint32_t)LAYOUT_IOAPIC);
	for (uint8_t irq = 0; irq <= LAYOUT_GSI_LAST; irq++)
		put_interrupt(b, cpus, irq);
	put_local(b);
}

int mptable_write(const struct guest_memory *m, unsigned int cpus, struct error *err)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	uint8_t *to = guest_memory_ptr(m, LAYOUT_EBDA, LAYOUT_EBDA_SIZE, GUEST_WRITE);
	uint8_t *table = to + FLOATING_SIZE;

	put_table(&b, cpus);
	if (b.failed)
		return error_set(err, ENOMEM, "no memory for the MP table");
	if (!to || b.size > LAYOUT_EBDA_SIZE - FLOATING_SIZE)
		return error_set(err, ENOSPC, "the MP table of %u processors does not fit", cpus);
	put_le16(b.data + 4, (uint16_t)b.size);
	b.data[7] = checksum(b.data, b.size);
	memcpy(table, b.data, b.size);
	memset(to, 0, FLOATING_SIZE);
	memcpy(to, "_MP_", 4);
	put_le32(to + 4, (uint32_t)(LAYOUT_EBDA + FLOATING_SIZE));
	to[8] = 1; /* in 16 bytes */
	to[9] = 4; /* version 1.4 */
	to[10] = checksum(to, FLOATING_SIZE);
	return 0;
}
