/* SPDX-License-Identifier: Apache-2.0 */
/* acpi: tables that tell a kernel its processors and devices (ACPI 6.4). */
#include "acpi.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

#include "host-shim/vmm/layout.h"
#include "host-shim/vmm/x86_64/aml.h"
#include "lib/base/bytes.h"

#define TABLE_ALIGN 64
#define REVISION    1

/* FADT, §5.2.9: offsets. */
#define FADT_SIZE          276
#define FADT_DSDT          40
#define FADT_BOOT_ARCH     109
#define FADT_FLAGS         112
#define FADT_RESET_REG     116
#define FADT_RESET_VALUE   128
#define FADT_MINOR         131
#define FADT_X_DSDT        140
#define FADT_SLEEP_CONTROL 244
#define FADT_SLEEP_STATUS  256
#define FLAG_WBINVD        (1u << 0)
#define FLAG_PWR_BUTTON    (1u << 4) /* none */
#define FLAG_SLP_BUTTON    (1u << 5) /* none */
#define FLAG_RESET_REG     (1u << 10)
#define FLAG_HW_REDUCED    (1u << 20)
#define BOOT_ARCH_NO_VGA   (1u << 2)
#define BOOT_ARCH_NO_CMOS  (1u << 5)
#define I8042_RESET        0xfe
#define SLEEP_TYPE_OFF     5
#define PORT_I8042_COMMAND 0x64
#define IRQ_SERIAL         4
#define GENERATION_SIZE    16
#define GENERATION_CHANGED 0x80 /* what its device is notified of */

struct tables {
	const struct guest_memory *memory;
	uint64_t at; /* the next table's address */
	uint64_t xsdt_entries[4];
	unsigned int n;
};

static uint8_t sum(const uint8_t *p, size_t size)
{
	uint8_t s = 0;

	while (size--)
		s = (uint8_t)(s + *p++);
	return s;
}

/* §5.2.6; the length is written when the table is complete. */
static void begin(struct buffer *b, const char *signature, uint8_t revision)
{
	buffer_clear(b);
	buffer_append(b, signature, 4);
	buffer_le32(b, 0);
	buffer_append(b, &revision, 1);
	buffer_fill(b, 0, 1);
	buffer_append(b, "KIHON ", 6);
	buffer_append(b, "KIHONVMM", 8);
	buffer_le32(b, REVISION);
	buffer_append(b, "KIHN", 4);
	buffer_le32(b, REVISION);
}

static int copy_out(struct tables *t, const void *data, size_t size, uint64_t *at,
                    struct error *err)
{
	uint8_t *to = guest_memory_ptr(t->memory, t->at, size, GUEST_WRITE);

	if (!to || t->at + size > LAYOUT_GENERATION)
		return error_set(err, ENOSPC, "the ACPI tables do not fit below 1 MiB");
	memcpy(to, data, size);
	*at = t->at;
	t->at = (t->at + size + TABLE_ALIGN - 1) & ~(uint64_t)(TABLE_ALIGN - 1);
	return 0;
}

static int end(struct tables *t, struct buffer *b, uint64_t *at, struct error *err)
{
	if (b->failed)
		return error_set(err, ENOMEM, "no memory for the ACPI tables");
	put_le32(b->data + 4, (uint32_t)b->size);
	b->data[9] = (uint8_t)-sum(b->data, b->size);
	return copy_out(t, b->data, b->size, at, err);
}

/* ---- DSDT */

/* §19.6.136 Memory32Fixed and §6.4.3.6 Interrupt: edge, active high, exclusive. */
static void put_virtio(struct buffer *b, const struct acpi_device *d, unsigned int i)
{
	_cleanup_buffer_ struct buffer body = BUFFER_INIT, res = BUFFER_INIT;
	char name[8] = "VR00";

	name[2] = (char)('0' + i / 10);
	name[3] = (char)('0' + i % 10);
	aml_name_string(&body, "_HID", "LNRO0005");
	aml_name_integer(&body, "_UID", i);
	aml_name_integer(&body, "_CCA", 1);
	aml_resource_memory(&res, (uint32_t)d->base, (uint32_t)LAYOUT_VIRTIO_SIZE);
	aml_resource_interrupt(&res, d->gsi);
	aml_name_resources(&body, "_CRS", &res);
	aml_device(b, name, &body);
}

static void put_serial(struct buffer *b)
{
	_cleanup_buffer_ struct buffer body = BUFFER_INIT, res = BUFFER_INIT;

	aml_name_eisa_id(&body, "_HID", "PNP0501");
	aml_name_integer(&body, "_UID", 0);
	aml_resource_ports(&res, LAYOUT_PORT_SERIAL, 8);
	aml_resource_interrupt(&res, IRQ_SERIAL);
	aml_name_resources(&body, "_CRS", &res);
	aml_device(b, "COM1", &body);
}

/* Kernels know it by its compatible id; ADDR says where the id is. */
static void put_generation(struct buffer *b)
{
	_cleanup_buffer_ struct buffer body = BUFFER_INIT;

	aml_name_string(&body, "_HID", "KIHN0001");
	aml_name_string(&body, "_CID", "VM_Gen_Counter");
	aml_name_string(&body, "_DDN", "VM_Gen_Counter");
	aml_name_halves(&body, "ADDR", LAYOUT_GENERATION);
	aml_device(b, "VGEN", &body);
}

/* The generic event device, §5.6.9: its one interrupt means that the id is another. */
static void put_events(struct buffer *b)
{
	_cleanup_buffer_ struct buffer body = BUFFER_INIT, res = BUFFER_INIT;

	aml_name_string(&body, "_HID", "ACPI0013");
	aml_name_integer(&body, "_UID", 0);
	aml_resource_interrupt(&res, LAYOUT_GSI_EVENTS);
	aml_name_resources(&body, "_CRS", &res);
	aml_method_notify(&body, "_EVT", "VGEN", GENERATION_CHANGED);
	aml_device(b, "GED_", &body);
}

static int put_dsdt(struct tables *t, const struct acpi_config *c, uint64_t *at, struct error *err)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT, scope = BUFFER_INIT;

	begin(&b, "DSDT", 2);
	put_serial(&scope);
	for (unsigned int i = 0; i < c->n_devices; i++)
		put_virtio(&scope, &c->devices[i], i);
	put_generation(&scope);
	put_events(&scope);
	aml_scope(&b, "_SB_", &scope);
	aml_name_sleep_package(&b, "_S5_", SLEEP_TYPE_OFF);
	return end(t, &b, at, err);
}

/* ---- the other tables */

/* Generic address structure of a byte port, §5.2.3.2. */
static void put_port(uint8_t *p, uint64_t port)
{
	p[0] = 1; /* system I/O space */
	p[1] = 8; /* bits */
	p[2] = 0;
	p[3] = 1; /* byte accesses */
	put_le64(p + 4, port);
}

static int put_fadt(struct tables *t, uint64_t dsdt, struct error *err)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	uint8_t *f;

	begin(&b, "FACP", 6);
	buffer_fill(&b, 0, FADT_SIZE - b.size);
	if (b.failed)
		return error_set(err, ENOMEM, "no memory for the ACPI tables");
	f = b.data;
	put_le32(f + FADT_DSDT, (uint32_t)dsdt);
	put_le64(f + FADT_X_DSDT, dsdt);
	put_le16(f + FADT_BOOT_ARCH, BOOT_ARCH_NO_VGA | BOOT_ARCH_NO_CMOS);
	put_le32(f + FADT_FLAGS, FLAG_WBINVD | FLAG_PWR_BUTTON | FLAG_SLP_BUTTON | FLAG_RESET_REG |
	                             FLAG_HW_REDUCED);
	put_port(f + FADT_RESET_REG, PORT_I8042_COMMAND);
	f[FADT_RESET_VALUE] = I8042_RESET;
	f[FADT_MINOR] = 4;
	put_port(f + FADT_SLEEP_CONTROL, LAYOUT_PORT_SLEEP);
	put_port(f + FADT_SLEEP_STATUS, LAYOUT_PORT_SLEEP + 1);
	return end(t, &b, &t->xsdt_entries[t->n++], err);
}

/* §5.2.12: a local APIC a processor, one IO-APIC. */
static int put_madt(struct tables *t, unsigned int cpus, struct error *err)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	begin(&b, "APIC", 5);
	buffer_le32(&b, (uint32_t)LAYOUT_LAPIC);
	buffer_le32(&b, 0);
	for (unsigned int i = 0; i < cpus; i++) {
		const uint8_t lapic[] = {0, 8, (uint8_t)i, (uint8_t)i, 1, 0, 0, 0};

		buffer_append(&b, lapic, sizeof(lapic));
	}
	buffer_append(&b, (const uint8_t[]){1, 12, 0, 0}, 4);
	buffer_le32(&b, (uint32_t)LAYOUT_IOAPIC);
	buffer_le32(&b, 0);
	return end(t, &b, &t->xsdt_entries[t->n++], err);
}

static int put_xsdt(struct tables *t, uint64_t *at, struct error *err)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	begin(&b, "XSDT", 1);
	for (unsigned int i = 0; i < t->n; i++)
		buffer_le64(&b, t->xsdt_entries[i]);
	return end(t, &b, at, err);
}

/* §5.2.5.3. */
static int put_rsdp(struct tables *t, uint64_t xsdt, uint64_t *at, struct error *err)
{
	uint8_t p[36] = "RSD PTR ";

	memcpy(p + 9, "KIHON ", 6);
	p[15] = 2;
	put_le32(p + 20, sizeof(p));
	put_le64(p + 24, xsdt);
	p[8] = (uint8_t)-sum(p, 20);
	p[32] = (uint8_t)-sum(p, sizeof(p));
	return copy_out(t, p, sizeof(p), at, err);
}

int acpi_write(const struct guest_memory *m, const struct acpi_config *c, uint64_t *rsdp,
               struct error *err)
{
	/* The root pointer first: kernels that are not told search for it from here on. */
	struct tables t = {.memory = m, .at = LAYOUT_BIOS + TABLE_ALIGN};
	uint64_t dsdt, xsdt;
	int r = put_dsdt(&t, c, &dsdt, err);

	if (r == 0)
		r = put_fadt(&t, dsdt, err);
	if (r == 0)
		r = put_madt(&t, c->cpus, err);
	if (r == 0)
		r = put_xsdt(&t, &xsdt, err);
	if (r == 0)
		r = acpi_write_generation(m, err);
	t.at = LAYOUT_BIOS;
	return r < 0 ? r : put_rsdp(&t, xsdt, rsdp, err);
}

int acpi_write_generation(const struct guest_memory *m, struct error *err)
{
	uint8_t *at = guest_memory_ptr(m, LAYOUT_GENERATION, GENERATION_SIZE, GUEST_WRITE);

	if (!at || getrandom(at, GENERATION_SIZE, 0) != GENERATION_SIZE)
		return error_set(err, EIO, "no random numbers for the machine's generation id");
	return 0;
}
