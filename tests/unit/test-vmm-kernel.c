/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of kernels ask of the loader, and where it puts them; headers made by hand from
 * the specifications. */
#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>

#include "host-shim/vmm/boot/kernel.h"
#include "host-shim/vmm/boot/load.h"
#include "host-shim/vmm/layout.h"
#include "host-shim/vmm/ram.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "tests/unit/check.h"

#define FILE_SIZE 0x5000

static uint8_t file[FILE_SIZE];

/* An ELF file with one segment of 0x3000 bytes at 0x1000 and, unless `note` is 0, a PVH note. */
static void make_elf(uint64_t entry, uint64_t gpa, uint32_t note)
{
	Elf64_Ehdr e = {.e_type = ET_EXEC,
	                .e_machine = EM_X86_64,
	                .e_version = 1,
	                .e_entry = entry,
	                .e_phoff = 64,
	                .e_ehsize = 64,
	                .e_phentsize = 56,
	                .e_phnum = note ? 2 : 1};
	Elf64_Phdr p = {.p_type = PT_LOAD,
	                .p_offset = 0x1000,
	                .p_paddr = gpa,
	                .p_vaddr = 0xffffffff81000000,
	                .p_filesz = 0x3000,
	                .p_memsz = 0x4800};
	Elf64_Phdr n = {.p_type = PT_NOTE, .p_offset = 0x200, .p_filesz = 20, .p_align = 4};

	memset(file, 0xcc, sizeof(file));
	memcpy(e.e_ident, ELFMAG "\2\1\1", 7);
	memcpy(file, &e, sizeof(e));
	memcpy(file + 64, &p, sizeof(p));
	memcpy(file + 120, &n, sizeof(n));
	put_le32(file + 0x200, 4);
	put_le32(file + 0x204, 4);
	put_le32(file + 0x208, 18);
	memcpy(file + 0x20c, "Xen", 4);
	put_le32(file + 0x210, note);
}

static void make_bzimage(void)
{
	memset(file, 0, sizeof(file));
	file[0x1f1] = 1;                     /* setup sectors */
	put_le32(file + 0x1f4, 0x3000 / 16); /* syssize */
	put_le16(file + 0x1fe, 0xaa55);
	file[0x201] = 0x6a;
	memcpy(file + 0x202, "HdrS", 4);
	put_le16(file + 0x206, 0x020f);
	file[0x211] = 1;
	put_le32(file + 0x22c, 0x7fffffff);
	put_le16(file + 0x236, 1);
	put_le32(file + 0x238, 2047);
	put_le64(file + 0x258, 0x1000000);
	put_le32(file + 0x260, 0x800000);
	memset(file + 0x400, 0x90, 0x3000);
}

static void make_multiboot(uint32_t flags)
{
	memset(file, 0, sizeof(file));
	put_le32(file + 0x40, 0x1badb002);
	put_le32(file + 0x44, flags);
	put_le32(file + 0x48, -(0x1badb002u + flags));
	put_le32(file + 0x4c, 0x100040); /* header */
	put_le32(file + 0x50, 0x100000); /* load */
	put_le32(file + 0x54, 0x102000); /* load end */
	put_le32(file + 0x58, 0x108000); /* bss end */
	put_le32(file + 0x5c, 0x100080); /* entry */
}

static int parse(size_t size, struct kernel_image *k, struct error *err)
{
	/* In memory of just that size, for the sanitizers. */
	uint8_t *copy = malloc(size ? size : 1);
	int r;

	memcpy(copy, file, size);
	error_clear(err);
	r = kernel_parse(copy, size, k, err);
	free(copy);
	return r;
}

static void refused(size_t size, const char *why)
{
	struct error err = ERROR_INIT;
	struct kernel_image k;

	check_int(parse(size, &k, &err), strstr(why, "none that") ? -ENOEXEC : -EINVAL);
	check_int(err.kind, ERROR_INPUT);
	if (!strstr(err.text, why))
		check_str(err.text, why);
}

TEST(elf_by_its_pvh_note)
{
	struct error err = ERROR_INIT;
	struct kernel_image k;

	make_elf(0x1000100, 0x1000000, 0x1000200);
	check_ok(parse(FILE_SIZE, &k, &err), &err);
	check_int(k.entry, KERNEL_ENTRY_PVH);
	check_int(k.entry_point, 0x1000200);
	check_int(k.n_segments, 1);
	check_int(k.begin, 0x1000000);
	check_int(k.end, 0x1004800);
}

TEST(elf_without_a_note_in_64_bits)
{
	struct error err = ERROR_INIT;
	struct kernel_image k;

	make_elf(0x1000100, 0x1000000, 0);
	check_ok(parse(FILE_SIZE, &k, &err), &err);
	check_int(k.entry, KERNEL_ENTRY_LONG);
	check_int(k.entry_point, 0x1000100);
}

/* gABI: e_entry is a virtual address. Kernels that are linked high have one there. */
TEST(elf_whose_entry_is_virtual)
{
	struct error err = ERROR_INIT;
	struct kernel_image k;

	make_elf(0xffffffff81000100, 0x1000000, 0);
	check_ok(parse(FILE_SIZE, &k, &err), &err);
	check_int(k.entry_point, 0x1000100);
	make_elf(0xffffffff81000000 + 0x4800, 0x1000000, 0); /* behind the segment */
	refused(FILE_SIZE, "which is not loaded");
	/* An address that is both is physical. */
	make_elf(0x1000100, 0x1000000, 0);
	put_le64(file + 64 + 16, 0x1000080);
	check_ok(parse(FILE_SIZE, &k, &err), &err);
	check_int(k.entry_point, 0x1000100);
	/* The note's is physical. */
	make_elf(0xffffffff81000100, 0x1000000, 0x1000200);
	check_ok(parse(FILE_SIZE, &k, &err), &err);
	check_int(k.entry_point, 0x1000200);
}

/* The last bytes win, as in the order of the headers; nothing lies outside. */
TEST(elf_segments_that_overlap)
{
	struct error err = ERROR_INIT;
	struct kernel_image k;

	make_elf(0x1000100, 0x1000000, 0x1000200);
	memcpy(file + 120, file + 64, 56);
	put_le64(file + 120 + 24, 0x1001000);
	check_ok(parse(FILE_SIZE, &k, &err), &err);
	check_int(k.n_segments, 2);
	check_int(k.begin, 0x1000000);
	check_int(k.end, 0x1005800);
}

TEST(elf_that_is_broken)
{
	make_elf(0x1000100, 0x1000000, 0);
	refused(40, "cut short");
	refused(0x3fff, "cut short");
	put_le64(file + 64 + 32, UINT64_MAX); /* p_filesz */
	refused(FILE_SIZE, "cut short");
	make_elf(0x1000100, 0x1000000, 0);
	put_le64(file + 64 + 40, UINT64_MAX - 0x1000000); /* p_memsz */
	refused(FILE_SIZE, "outside of 1 MiB to 3 GiB");
	put_le64(file + 64 + 40, 0x2000); /* less than in the file */
	refused(FILE_SIZE, "more bytes in the file than in memory");
	put_le64(file + 64 + 40, 0);
	refused(FILE_SIZE, "more bytes in the file than in memory");
	make_elf(0x1000100, 0x1000, 0);
	refused(FILE_SIZE, "outside of 1 MiB to 3 GiB");
	make_elf(0x900000, 0x1000000, 0);
	refused(FILE_SIZE, "which is not loaded");
	make_elf(0x1000100, 0x1000000, 0xffffffff);
	refused(FILE_SIZE, "which is not loaded");
	make_elf(0x1000100, 0x1000000, 0);
	put_le32(file + 64, PT_NOTE);
	refused(FILE_SIZE, "no segment");
	put_le64(file + 32, UINT64_MAX - 8); /* e_phoff */
	refused(FILE_SIZE, "program headers");
	put_le16(file + 56, 0xffff); /* PN_XNUM: their number is elsewhere */
	put_le64(file + 32, 64);
	refused(FILE_SIZE, "program headers");
	put_le16(file + 18, EM_AARCH64);
	refused(FILE_SIZE, "no ELF file of x86-64");
}

TEST(notes_of_all_lengths_stay_inside)
{
	struct error err = ERROR_INIT;
	struct kernel_image k;

	for (uint32_t length = 0; length < 64; length++) {
		make_elf(0x1000100, 0x1000000, 0x1000200);
		put_le64(file + 120 + 8, FILE_SIZE - length);
		put_le64(file + 120 + 32, length);
		memmove(file + FILE_SIZE - length, file + 0x200, length < 20 ? length : 20);
		check(parse(FILE_SIZE, &k, &err) == 0);
		check_int(k.entry, length >= 20 ? KERNEL_ENTRY_PVH : KERNEL_ENTRY_LONG);
	}
}

TEST(bzimage_by_the_64_bit_protocol)
{
	struct error err = ERROR_INIT;
	struct kernel_image k;

	make_bzimage();
	check_ok(parse(0x3400, &k, &err), &err);
	check_int(k.entry, KERNEL_ENTRY_LONG);
	check_int(k.entry_point, 0x1000200);
	check_int(k.segments[0].offset, 0x400);
	check_int(k.segments[0].file_size, 0x3000);
	check_int(k.end, 0x1800000);
	check_int(k.cmdline_max, 2047);
	check_int(k.initrd_max, 0x7fffffff);
	check_int(k.setup_size, 0x202 + 0x6a - 0x1f1);
}

TEST(bzimage_that_is_broken)
{
	make_bzimage();
	refused(0x33ff, "cut short");
	put_le16(file + 0x236, 0);
	refused(FILE_SIZE, "no 64-bit entry");
	make_bzimage();
	put_le16(file + 0x206, 0x020a);
	refused(FILE_SIZE, "no 64-bit entry");
	make_bzimage();
	put_le32(file + 0x1f4, 0xffffffff);
	refused(FILE_SIZE, "cut short");
	make_bzimage();
	put_le64(file + 0x258, UINT64_MAX);
	refused(FILE_SIZE, "outside of");
	make_bzimage();
	put_le32(file + 0x1f4, 1);
	refused(FILE_SIZE, "before its entry");
}

TEST(multiboot_by_addresses)
{
	struct error err = ERROR_INIT;
	struct kernel_image k;

	make_multiboot(0x10003);
	check_ok(parse(FILE_SIZE, &k, &err), &err);
	check_int(k.entry, KERNEL_ENTRY_MULTIBOOT);
	check_int(k.entry_point, 0x100080);
	check_int(k.segments[0].offset, 0);
	check_int(k.segments[0].file_size, 0x2000);
	check_int(k.segments[0].memory_size, 0x8000);
}

/* Multiboot 0.6.96 §3.1.3: load_end_addr 0 is the whole file, bss_end_addr 0 is no bss. */
TEST(multiboot_addresses_that_are_zero)
{
	struct error err = ERROR_INIT;
	struct kernel_image k;

	make_multiboot(0x10003);
	put_le32(file + 0x54, 0);
	put_le32(file + 0x58, 0);
	check_ok(parse(FILE_SIZE, &k, &err), &err);
	check_int(k.segments[0].file_size, FILE_SIZE);
	check_int(k.segments[0].memory_size, FILE_SIZE);
	/* The header need not be where the file begins to be loaded. */
	put_le32(file + 0x50, 0x100040);
	check_ok(parse(FILE_SIZE, &k, &err), &err);
	check_int(k.segments[0].offset, 0x40);
	check_int(k.segments[0].file_size, FILE_SIZE - 0x40);
}

/* §3.1.1: within the first 8192 bytes, on four. */
TEST(multiboot_header_has_its_place)
{
	struct error err = ERROR_INIT;
	struct kernel_image k;
	uint8_t header[32];

	make_multiboot(0x10003);
	memcpy(header, file + 0x40, 32);
	put_le32(header + 12, 0x100000);
	for (size_t at = 0; at <= 0x2004; at += at ? 0x1ff0 / 4 : 4) {
		memset(file, 0, sizeof(file));
		memcpy(file + at, header, 32);
		if (at % 4 == 0 && at + 12 <= 8192)
			check_ok(parse(FILE_SIZE, &k, &err), &err);
		else
			refused(FILE_SIZE, "none that can be booted");
	}
	memset(file, 0, sizeof(file));
	memcpy(file + 0x42, header, 32);
	refused(FILE_SIZE, "none that can be booted");
}

/* §3.1.3: with bit 16 the addresses of the header count, ELF file or not. */
TEST(multiboot_addresses_win_over_elf)
{
	struct error err = ERROR_INIT;
	struct kernel_image k;

	make_elf(0x1000100, 0x1000000, 0);
	put_le32(file + 0x80, 0x1badb002);
	put_le32(file + 0x84, 0x10003);
	put_le32(file + 0x88, -(0x1badb002u + 0x10003));
	put_le32(file + 0x8c, 0x200080);
	put_le32(file + 0x90, 0x200000);
	put_le32(file + 0x94, 0);
	put_le32(file + 0x98, 0);
	put_le32(file + 0x9c, 0x200100);
	check_ok(parse(FILE_SIZE, &k, &err), &err);
	check_int(k.entry, KERNEL_ENTRY_MULTIBOOT);
	check_int(k.entry_point, 0x200100);
	check_int(k.n_segments, 1);
	check_int(k.begin, 0x200000);
	/* Without it the file's segments do. */
	put_le32(file + 0x84, 3);
	put_le32(file + 0x88, -(0x1badb002u + 3));
	check_ok(parse(FILE_SIZE, &k, &err), &err);
	check_int(k.entry, KERNEL_ENTRY_MULTIBOOT);
	check_int(k.entry_point, 0x1000100);
	check_int(k.begin, 0x1000000);
}

TEST(multiboot_that_is_broken)
{
	make_multiboot(0x10003);
	refused(0x50, "cut short");
	make_multiboot(0x00003);
	refused(FILE_SIZE, "without addresses");
	make_multiboot(0x10007);
	refused(FILE_SIZE, "features 0x4");
	make_multiboot(0x10003);
	put_le32(file + 0x50, 0x100041); /* load behind the header */
	refused(FILE_SIZE, "before the file");
	make_multiboot(0x10003);
	put_le32(file + 0x58, 0x101fff);
	refused(FILE_SIZE, "bss ends before its data");
	make_multiboot(0x10003);
	put_le32(file + 0x54, 0xfffff);
	refused(FILE_SIZE, "ends before it begins");
	make_multiboot(0x10003);
	file[0x48]++; /* the checksum: no header at all */
	refused(FILE_SIZE, "none that can be booted");
	refused(0, "none that can be booted");
}

/* ---- loading */

struct loaded {
	struct guest_memory memory;
	struct load_config config;
	struct load_entry entry;
	struct error err;
	int fd;
};

static void set_up(struct loaded *l, size_t size)
{
	char path[300];
	int none;

	memset(l, 0, sizeof(*l));
	check_ok(ram_allocate(&l->memory, &(struct ram_config){.size = 32u << 20}, &none, &l->err),
	         &l->err);
	snprintf(path, sizeof(path), "%s/kernel", check_tmpdir());
	l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	check(l->fd >= 0);
	check_int(fs_write_all(l->fd, file, size), 0);
	l->config.kernel = (struct load_file){file, size, l->fd};
	l->config.cmdline = "one two";
}

static uint8_t *at(struct loaded *l, uint64_t gpa)
{
	uint8_t *p = guest_memory_ptr(&l->memory, gpa, 4096, GUEST_READ);

	check(p);
	return p;
}

static void done(struct loaded *l)
{
	guest_memory_clear(&l->memory);
	close(l->fd);
}

/* Mapped or copied, a guest sees the same bytes, and zeros behind them. */
static void elf_with(bool map)
{
	struct loaded l;
	uint8_t *info;

	make_elf(0x1000100, 0x1000000, 0x1000200);
	put_le64(file + 64 + 32, 0x2801); /* not a whole page */
	for (size_t i = 0x1000; i < FILE_SIZE; i++)
		file[i] = (uint8_t)(i * 7);
	set_up(&l, FILE_SIZE);
	l.config.map = map;
	l.config.rsdp = 0xe0000;
	check_ok(load_kernel(&l.memory, &l.config, &l.entry, &l.err), &l.err);
	check_mem(at(&l, 0x1000000), file + 0x1000, 0x1000);
	check_mem(at(&l, 0x1001000), file + 0x2000, 0x1000);
	check_mem(at(&l, 0x1002000), file + 0x3000, 0x801);
	for (int i = 0x801; i < 0x1000; i++)
		check_int(at(&l, 0x1002000)[i], 0);
	check_int(l.entry.rip, 0x1000200);
	check_int(l.entry.rbx, LAYOUT_START_INFO);
	info = at(&l, LAYOUT_START_INFO);
	check_int(get_le32(info), 0x336ec578);
	check_str((char *)at(&l, get_le64(info + 24)), "one two");
	check_int(get_le64(info + 32), 0xe0000);
	check_int(get_le64(info + 40), LAYOUT_START_INFO + 88);
	check_int(get_le32(info + 12), 0); /* modules */
	/* What the guest writes stays its own. */
	at(&l, 0x1000000)[0] ^= 0xff;
	check_int(pread(l.fd, info, 1, 0x1000), 1);
	check_int(info[0], file[0x1000]);
	done(&l);
}

TEST(loading_by_mapping)
{
	elf_with(true);
}

TEST(loading_by_copying)
{
	elf_with(false);
}

TEST(a_file_that_was_cut_meanwhile_is_an_error)
{
	struct loaded l;

	make_elf(0x1000100, 0x1000000, 0x1000200);
	set_up(&l, FILE_SIZE);
	check_int(ftruncate(l.fd, 0x1800), 0);
	check_int(load_kernel(&l.memory, &l.config, &l.entry, &l.err), -ENODATA);
	check(strstr(l.err.text, "cannot be read into guest memory"));
	done(&l);
}

/* Whether huge pages were asked for where the host address lies (smaps(5), VmFlags). */
static bool is_asked_for(const uint8_t *p)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	bool here = false, asked = false;
	char line[512];

	check(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= (uintptr_t)p && (uintptr_t)p < end;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			asked = strstr(line, " hg") != NULL;
	}
	fclose(f);
	return asked;
}

/* Below the kernel and at the top, but in small guests; each at its first and last byte, and
 * beside. */
TEST(linux_finds_huge_pages_where_it_begins)
{
	const struct {
		uint32_t mib;
		bool asked; /* in a guest of 128 MiB, with a kernel at 16 MiB */
	} places[] = {{7, false},   {8, true},   {15, true},  {16, true},  {64, false},
	              {121, false}, {122, true}, {125, true}, {126, false}};

	for (uint32_t mib = 32; mib <= 128; mib += 96) {
		struct loaded l;
		bool can;
		int none;

		make_elf(0x1000100, 0x1000000, 0x1000200);
		put_le64(file + 64 + 40, 4u << 20);
		set_up(&l, FILE_SIZE);
		guest_memory_clear(&l.memory);
		check_ok(
		    ram_allocate(&l.memory, &(struct ram_config){.size = mib << 20}, &none, &l.err),
		    &l.err);
		l.config.map = true;
		check_ok(load_kernel(&l.memory, &l.config, &l.entry, &l.err), &l.err);
		can = is_asked_for(l.memory.regions[0].host + (16 << 20));
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
			if (places[i].mib < mib)
				check_int(is_asked_for(l.memory.regions[0].host +
				                       ((uint64_t)places[i].mib << 20)),
				          can && places[i].asked &&
				              (mib == 128 || places[i].mib == 16));
		done(&l);
	}
}

TEST(linux_is_told_of_its_ramdisk_and_memory)
{
	struct loaded l;
	uint8_t *z, disk[5000];
	uint64_t ramdisk;

	memset(disk, 0x5a, sizeof(disk));
	make_bzimage();
	set_up(&l, FILE_SIZE);
	l.config.initrd = (struct load_file){disk, sizeof(disk), -1};
	check_ok(load_kernel(&l.memory, &l.config, &l.entry, &l.err), &l.err);
	check_int(l.entry.rsi, LAYOUT_ZERO_PAGE);
	check_int(l.entry.rip, 0x1000200);
	z = at(&l, LAYOUT_ZERO_PAGE);
	check_mem(z + 0x202, "HdrS", 4);
	check_int(z[0x210], 0xff);
	ramdisk = get_le32(z + 0x218);
	check_int(get_le32(z + 0x21c), sizeof(disk));
	check_int(ramdisk % 4096, 0);
	check(ramdisk + sizeof(disk) <= 32u << 20 && ramdisk >= 0x1800000);
	check_mem(at(&l, ramdisk), disk, 4096);
	check_int(z[0x1e8], 4);
	check_int(get_le64(z + 0x2d0), 0);
	check_int(get_le64(z + 0x2d0 + 60), 0x100000);
	check_int(get_le64(z + 0x2d0 + 68), (32u << 20) - 0x100000);
	check_int(get_le32(z + 0x2d0 + 76), 1);
	done(&l);
}

TEST(multiboot_is_told_of_its_memory)
{
	struct loaded l;
	uint8_t *info;

	make_multiboot(0x10003);
	set_up(&l, FILE_SIZE);
	check_ok(load_kernel(&l.memory, &l.config, &l.entry, &l.err), &l.err);
	check_int(l.entry.rax, 0x2badb002);
	check_int(l.entry.rip, 0x100080);
	info = at(&l, l.entry.rbx);
	check_int(get_le32(info) & 0x45, 0x45);
	check_int(get_le32(info + 4), 639);
	check_int(get_le32(info + 8), 31 * 1024);
	check_str((char *)at(&l, get_le32(info + 16)), "one two");
	check_int(get_le32(info + 44), 4 * 24);
	done(&l);
	/* As GRUB and QEMU: the kernel's own name is the first word; the host's folders are not. */
	set_up(&l, FILE_SIZE);
	l.config.name = "/some/where/kernel.flat";
	check_ok(load_kernel(&l.memory, &l.config, &l.entry, &l.err), &l.err);
	check_str((char *)at(&l, get_le32(at(&l, l.entry.rbx) + 16)), "kernel.flat one two");
	done(&l);
}

/* §3.3: mods_addr; a module on a page, its end behind its last byte, no string, no reserved bits.
 */
TEST(multiboot_is_told_of_its_module)
{
	struct loaded l;
	uint8_t *info, *module, initrd[5000];

	memset(initrd, 0x5a, sizeof(initrd));
	make_multiboot(0x10003);
	set_up(&l, FILE_SIZE);
	l.config.initrd = (struct load_file){initrd, sizeof(initrd), -1};
	check_ok(load_kernel(&l.memory, &l.config, &l.entry, &l.err), &l.err);
	info = at(&l, l.entry.rbx);
	check_int(get_le32(info) & 0x8, 0x8);
	check_int(get_le32(info + 20), 1);
	module = at(&l, get_le32(info + 24));
	check_int(get_le32(module) % 4096, 0);
	check_int(get_le32(module + 4) - get_le32(module), sizeof(initrd));
	check_mem(at(&l, get_le32(module)), initrd, 4096);
	check_int(get_le32(module + 8), 0);
	check_int(get_le32(module + 12), 0);
	done(&l);
}

TEST(what_does_not_fit_is_refused)
{
	struct loaded l;
	_cleanup_free_ char *words = calloc(1, 70000);
	uint8_t disk[1] = {0};

	make_elf(0x1000100, 0x1000000, 0);
	put_le64(file + 64 + 40, 64u << 20);
	set_up(&l, FILE_SIZE);
	check_int(load_kernel(&l.memory, &l.config, &l.entry, &l.err), -EINVAL);
	check(strstr(l.err.text, "does not fit") && strstr(l.err.text, "80 MiB"));
	done(&l);
	make_bzimage();
	set_up(&l, FILE_SIZE);
	memset(words, 'x', 2048);
	l.config.cmdline = words;
	check_int(load_kernel(&l.memory, &l.config, &l.entry, &l.err), -EINVAL);
	check(strstr(l.err.text, "at most 2047 bytes, not 2048"));
	l.config.cmdline = "";
	l.config.initrd = (struct load_file){disk, 30u << 20, -1};
	check_int(load_kernel(&l.memory, &l.config, &l.entry, &l.err), -EINVAL);
	check(strstr(l.err.text, "initial ramdisk of 30 MiB"));
	done(&l);
}

TEST(memory_leaves_the_gap_out)
{
	struct guest_memory m = {0};
	struct memory_map_entry map[MEMORY_MAP_MAX];
	struct error err = ERROR_INIT;
	unsigned int n;
	int fd = -1;

	check_ok(
	    ram_allocate(&m, &(struct ram_config){.size = 4ull << 30, .shared = true}, &fd, &err),
	    &err);
	check(fd >= 0);
	check_int(m.n, 2);
	check_int(m.regions[0].size, LAYOUT_GAP);
	check_int(m.regions[1].gpa, LAYOUT_GAP_END);
	check_int(m.regions[1].size, 1ull << 30);
	check(!guest_memory_ptr(&m, LAYOUT_GAP - 4, 8, GUEST_READ));
	n = memory_map(&m, map);
	check_int(map[n - 1].gpa, LAYOUT_GAP_END);
	guest_memory_clear(&m);
	close(fd);
}

TEST(memory_of_odd_sizes_is_refused)
{
	static const uint64_t sizes[] = {0, 1, 15u << 20, (16u << 20) + 4096, RAM_MAX + (1 << 20)};
	struct guest_memory m = {0};
	struct error err = ERROR_INIT;
	int fd;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		check_int(ram_allocate(&m, &(struct ram_config){.size = sizes[i]}, &fd, &err),
		          -EINVAL);
	check_int(m.n, 0);
}

TEST_MAIN()
