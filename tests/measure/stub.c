/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stub: an EFI program that measures as Linux's EFI stub does (load options and initrd to PCR 9)
 * and leaves boot services; for tests of a measured boot without a kernel. Freestanding; built
 * into a bzImage's shape by reference.py.
 */
#include <stdint.h>

#define EFIAPI    __attribute__((ms_abi))
#define SERIAL    0x3f8
#define EV_TAG    6u /* EV_EVENT_TAG */
#define PCR       9u
#define TOO_SMALL 0x8000000000000005ull
#define MAP_SIZE  65536u

typedef uint64_t(EFIAPI *call)(void *, ...);

struct guid {
	uint32_t a;
	uint16_t b, c;
	uint8_t d[8];
};

/* UEFI 2.10, 4.3 and 4.4: only what is used here, by its place in the tables. */
struct system_table {
	uint64_t skipped[12];
	call *services; /* after a header of three words */
};

enum service {
	GET_MEMORY_MAP = 7,
	ALLOCATE_POOL = 8,
	HANDLE_PROTOCOL = 19,
	LOCATE_DEVICE_PATH = 23,
	EXIT_BOOT_SERVICES = 29,
	LOCATE_PROTOCOL = 40,
};

struct loaded_image {
	uint64_t skipped[6];
	uint32_t options_size;
	void *options;
};

struct load_file {
	call load;
};

struct tcg2 {
	call capability, log, hash_log_extend;
};

struct __attribute__((packed)) event {
	uint32_t size, header_size;
	uint16_t version;
	uint32_t pcr, type;
	uint8_t data[8];
};

struct __attribute__((packed)) initrd_path {
	uint8_t type, subtype;
	uint16_t size;
	struct guid vendor;
	uint8_t end[4];
};

static void out(uint16_t port, uint8_t byte)
{
	__asm__ volatile("outb %0, %1" : : "a"(byte), "Nd"(port));
}

static void say(const char *text)
{
	for (; *text; text++)
		out(SERIAL, (uint8_t)*text);
}

static void measure(struct tcg2 *tcg2, const void *data, uint64_t size)
{
	struct event e = {sizeof(e), 14, 1, PCR, EV_TAG, "options"};

	if (tcg2->hash_log_extend(tcg2, (uint64_t)0, (uint64_t)(uintptr_t)data, size, &e))
		say("not measured\n");
}

static void measure_initrd(call *bs, struct tcg2 *tcg2)
{
	struct guid load_file2 = {
	    0x4006c0c1, 0xfcb3, 0x403e, {0x99, 0x6d, 0x4a, 0x6c, 0x87, 0x24, 0xe0, 0x6d}};
	struct initrd_path path = {
	    4,
	    3,
	    20,
	    {0x5568e427, 0x68fc, 0x4f3d, {0xac, 0x74, 0xca, 0x55, 0x52, 0x31, 0xcc, 0x68}},
	    {0x7f, 0xff, 4, 0}};
	void *where = &path, *handle, *bytes;
	struct load_file *file;
	uint64_t size = 0;

	if (bs[LOCATE_DEVICE_PATH](&load_file2, &where, &handle) ||
	    bs[HANDLE_PROTOCOL](handle, &load_file2, &file) ||
	    file->load(file, where, (uint64_t)0, &size, (void *)0) != TOO_SMALL ||
	    bs[ALLOCATE_POOL]((void *)2, size, &bytes) ||
	    file->load(file, where, (uint64_t)0, &size, bytes))
		return;
	measure(tcg2, bytes, size);
}

__attribute__((section(".text.start"))) uint64_t EFIAPI start(void *image, struct system_table *st)
{
	struct guid loaded_guid = {
	    0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
	struct guid tcg2_guid = {
	    0x607f766c, 0x7455, 0x42be, {0x93, 0x0b, 0xe4, 0xd7, 0x6d, 0xb2, 0x72, 0x0f}};
	call *bs = st->services;
	void *map;
	uint64_t size = MAP_SIZE, key = 0, descriptor = 0;
	uint32_t version = 0;
	struct loaded_image *loaded;
	struct tcg2 *tcg2;

	if (bs[HANDLE_PROTOCOL](image, &loaded_guid, &loaded) ||
	    bs[LOCATE_PROTOCOL](&tcg2_guid, (void *)0, &tcg2)) {
		say("stub: no TPM\n");
		return 1;
	}
	if (loaded->options_size)
		measure(tcg2, loaded->options, loaded->options_size);
	measure_initrd(bs, tcg2);
	if (bs[ALLOCATE_POOL]((void *)2, size, &map) ||
	    bs[GET_MEMORY_MAP](&size, map, &key, &descriptor, &version) ||
	    bs[EXIT_BOOT_SERVICES](image, key))
		say("stub: boot services stay\n");
	say("stub: measured\n");
	for (;;)
		__asm__ volatile("cli; hlt");
}
