/* SPDX-License-Identifier: Apache-2.0 */
/* test-vmm-acpi: the tables of a machine, read by ACPI's own disassembler; the generation id. */
#include <fcntl.h>

#include "host-shim/vmm/layout.h"
#include "host-shim/vmm/x86_64/acpi.h"
#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "tests/unit/check.h"

static uint8_t ram[1 << 20];

static void write_tables(struct guest_memory *m)
{
	static const struct acpi_device devices[] = {{LAYOUT_VIRTIO, 5}, {LAYOUT_VIRTIO + 4096, 6}};
	const struct acpi_config c = {2, devices, 2};
	struct error err = ERROR_INIT;
	uint64_t rsdp = 0;

	check_ok(guest_memory_add(m, 0, sizeof(ram), ram, false, &err), &err);
	check_ok(acpi_write(m, &c, &rsdp, &err), &err);
	check_int(rsdp, LAYOUT_BIOS);
}

/* The table with this signature, and that its bytes add up to 0 (ACPI 6.4 §5.2.6). */
static const uint8_t *find(const char *signature, size_t *size)
{
	for (uint64_t at = LAYOUT_BIOS; at < LAYOUT_GENERATION; at += 64) {
		uint8_t sum = 0;

		if (memcmp(ram + at, signature, 4) != 0)
			continue;
		*size = get_le32(ram + at + 4);
		check(*size > 36 && *size < LAYOUT_GENERATION - at);
		for (size_t i = 0; i < *size; i++)
			sum = (uint8_t)(sum + ram[at + i]);
		check_int(sum, 0);
		return ram + at;
	}
	check_fail(__FILE__, __LINE__, "there is no table %s", signature);
}

TEST(tables_are_there)
{
	struct guest_memory m = {0};
	size_t size;

	write_tables(&m);
	find("DSDT", &size);
	find("FACP", &size);
	find("APIC", &size);
	find("XSDT", &size);
}

TEST(each_generation_id_is_another)
{
	struct guest_memory m = {0};
	struct error err = ERROR_INIT;
	uint8_t first[16], zero[16] = {0};

	write_tables(&m);
	memcpy(first, ram + LAYOUT_GENERATION, 16);
	check(memcmp(first, zero, 16) != 0);
	check_ok(acpi_write_generation(&m, &err), &err);
	check(memcmp(first, ram + LAYOUT_GENERATION, 16) != 0);
	check_mem(ram + LAYOUT_GENERATION + 16, zero, 16);
}

/* Without blanks. */
static void squeeze(char *text)
{
	char *to = text;

	for (const char *c = text; *c; c++)
		if (*c != ' ' && *c != '\t' && *c != '\n')
			*to++ = *c;
	*to = '\0';
}

TEST(a_disassembler_reads_what_is_meant)
{
	static const char *const parts[] = {
	    "Name(_CID,\"VM_Gen_Counter\")",
	    "Name(_DDN,\"VM_Gen_Counter\")",
	    "Name(ADDR,Package(0x02){0x000FF000,Zero})",
	    "Name(_HID,\"ACPI0013\"",
	    "Interrupt(ResourceConsumer,Edge,ActiveHigh,Exclusive,,,){0x00000003,}",
	    "Method(_EVT,1,Serialized)",
	    "Notify(VGEN,0x80)",
	    "Name(_HID,\"LNRO0005\")",
	};
	_cleanup_free_ char *file = str_printf("%s/dsdt.aml", check_tmpdir());
	_cleanup_free_ char *command =
	    str_printf("cd %s && iasl -d dsdt.aml >out 2>&1 && iasl -tc dsdt.dsl >>out 2>&1 && "
	               "grep -q ' 0 Errors, 0 Warnings' out",
	               check_tmpdir());
	_cleanup_free_ char *text_file = str_printf("%s/dsdt.dsl", check_tmpdir());
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct guest_memory m = {0};
	struct error err = ERROR_INIT;
	const uint8_t *dsdt;
	size_t size;

	if (system("command -v iasl >/dev/null 2>&1") != 0)
		check_skip("iasl is not here (make deps)");
	write_tables(&m);
	dsdt = find("DSDT", &size);
	check_ok(fs_write_file_atomic(file, dsdt, size, 0600, &err), &err);
	check_int(system(command), 0);
	check_ok(fs_read_file(AT_FDCWD, text_file, 1 << 20, &text, &err), &err);
	buffer_cstr(&text);
	squeeze((char *)text.data);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strstr((char *)text.data, parts[i]))
			check_fail(__FILE__, __LINE__, "there is no %s", parts[i]);
}

TEST_MAIN()
