/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stranger: a multiboot-1 kernel as others build them: a 32-bit ELF file for 4 MiB that asks for
 * page-aligned modules and memory information, has a .bss, programs a 16550 and waits for it as the
 * book says. Prints what it was told; its status at port 0xf4 is 0 when all of it is as the
 * Multiboot Specification 0.6.96 §3.3 has it, else the number of the check.
 */
typedef unsigned int u32;
typedef unsigned char u8;
typedef unsigned long long u64;

__attribute__((section(".multiboot"), used)) static const u32 header[3] = {0x1badb002, 3,
                                                                           -(0x1badb002u + 3)};

struct info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4],
	    mmap_length, mmap_addr;
	u32 drives_length, drives_addr, config_table, boot_loader_name;
};
struct module {
	u32 start, end, string, reserved;
};
struct memory {
	u32 size;
	u64 base, length;
	u32 type;
} __attribute__((packed));

static volatile u8 zeros[70000];
static volatile u32 kept[4] = {0x12345678, 1, 2, 3};

static inline void outb(unsigned short port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline u8 inb(unsigned short port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void put(char c)
{
	while (!(inb(0x3f8 + 5) & 0x20))
		;
	outb(0x3f8, (u8)c);
}

static void text(const char *s)
{
	while (*s)
		put(*s++);
}

static void number(u32 n)
{
	char digits[11], *p = digits + 10;

	*p = 0;
	do {
		*--p = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	text(p);
}

static void line(const char *name, u32 n)
{
	text(name);
	put(' ');
	number(n);
	put('\n');
}

static void serial(void)
{
	outb(0x3f8 + 1, 0x00);
	outb(0x3f8 + 3, 0x80);
	outb(0x3f8 + 0, 0x01);
	outb(0x3f8 + 1, 0x00);
	outb(0x3f8 + 3, 0x03);
	outb(0x3f8 + 2, 0xc7);
}

/* The available memory from 1 MiB on, in KiB; 0 when the list is not to be believed. */
static u32 upper_memory(const struct info *m)
{
	u32 at = m->mmap_addr, end = m->mmap_addr + m->mmap_length, kib = 0;
	u64 last = 0;

	while (at < end) {
		const struct memory *e = (const struct memory *)at;

		if (e->size < 20 || (e->length && e->base < last))
			return 0;
		last = e->base + e->length;
		if (e->type == 1 && e->base == 0x100000)
			kib = (u32)(e->length >> 10);
		at += e->size + 4;
	}
	return at == end ? kib : 0;
}

static u32 look(u32 magic, const struct info *m)
{
	const struct module *mods = (const struct module *)m->mods_addr;
	u32 kib;

	if (magic != 0x2badb002)
		return 1;
	for (u32 i = 0; i < sizeof(zeros); i++)
		if (zeros[i])
			return 2;
	if (kept[0] != 0x12345678 || kept[3] != 3)
		return 3;
	if ((m->flags & 0x45) != 0x45)
		return 4;
	text((const char *)m->cmdline);
	put('\n');
	kib = upper_memory(m);
	line("upper", m->mem_upper);
	if (m->mem_lower < 512 || m->mem_lower > 640 || kib == 0 || m->mem_upper != kib)
		return 5;
	line("modules", m->flags & 8 ? m->mods_count : 0);
	if (!(m->flags & 8) || m->mods_count == 0)
		return 0;
	if (mods[0].start & 0xfff || mods[0].start < 0x400000 || mods[0].end <= mods[0].start)
		return 6;
	for (u32 at = mods[0].start; at < mods[0].end; at++)
		put(*(const char *)at);
	return 0;
}

/* Of the word status=N; else 0. */
static u32 wanted(const char *words)
{
	static const char name[] = "status=";
	u32 matched = 0, n = 0;

	for (; *words && matched < sizeof(name) - 1; words++)
		matched = *words == name[matched] ? matched + 1 : *words == name[0];
	for (; matched == sizeof(name) - 1 && *words >= '0' && *words <= '9'; words++)
		n = n * 10 + (u32)(*words - '0');
	return n;
}

__attribute__((used)) static void begin(u32 magic, const struct info *m)
{
	u32 status;

	serial();
	status = look(magic, m);
	outb(0xf4, (u8)(status ? status : wanted((const char *)m->cmdline)));
}

__asm__(".globl _start\n"
        "_start: mov $stack + 8192, %esp\n"
        "	push %ebx\n"
        "	push %eax\n"
        "	call begin\n"
        "1:	hlt\n"
        "	jmp 1b\n"
        ".lcomm stack, 8192\n");
