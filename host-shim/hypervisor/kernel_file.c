/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_file: is the file of a guest kernel whole? */
#include "kernel_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"

/* boot.rst, "The Real-Mode Kernel Header": offsets in the file. */
#define BZIMAGE_SETUP_SECTS 0x1f1
#define BZIMAGE_SYSSIZE     0x1f4
#define BZIMAGE_MAGIC       0x202

struct kernel_file {
	const char *path;
	int fd;
	uint64_t size;
	uint8_t head[1024];
	size_t have; /* bytes of head */
};

static int bad(const struct kernel_file *k, const char *what, struct error *err)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "the kernel %s %s: build or copy it again",
	                      k->path, what);
}

static bool holds(const struct kernel_file *k, uint64_t offset, uint64_t size)
{
	return offset <= k->size && size <= k->size - offset;
}

static int check_segments(const struct kernel_file *k, const Elf64_Ehdr *e, struct error *err)
{
	unsigned int loads = 0;

	for (unsigned int i = 0; i < e->e_phnum; i++) {
		Elf64_Phdr p;

		if (pread(k->fd, &p, sizeof(p), (off_t)(e->e_phoff + i * sizeof(p))) != sizeof(p) ||
		    !holds(k, p.p_offset, p.p_filesz))
			return bad(k, "is cut short (a segment ends behind its end)", err);
		loads += p.p_type == PT_LOAD;
	}
	return loads > 0 ? 0 : bad(k, "has no segment to load", err);
}

static int check_elf(const struct kernel_file *k, struct error *err)
{
	Elf64_Ehdr e;

	if (k->have < sizeof(e))
		return bad(k, "is cut short (within the ELF header)", err);
	memcpy(&e, k->head, sizeof(e));
	if (e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_ident[EI_DATA] != ELFDATA2LSB ||
	    e.e_machine != EM_X86_64)
		return bad(k, "is no ELF file of x86-64", err);
	if (e.e_phentsize != sizeof(Elf64_Phdr) ||
	    !holds(k, e.e_phoff, (uint64_t)e.e_phnum * sizeof(Elf64_Phdr)))
		return bad(k, "is cut short (the program headers are not in it)", err);
	return check_segments(k, &e, err);
}

static int check_bzimage(const struct kernel_file *k, struct error *err)
{
	/* No setup sectors means 4, for the sake of old loaders; syssize counts 16 bytes. */
	uint64_t setup = k->head[BZIMAGE_SETUP_SECTS] ?: 4;
	uint64_t size = (setup + 1) * 512 + (uint64_t)get_le32(k->head + BZIMAGE_SYSSIZE) * 16;

	return holds(k, 0, size) ? 0 : bad(k, "is cut short (its header tells more)", err);
}

int kernel_file_check(const char *path, struct error *err)
{
	struct kernel_file k = {.path = path};
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "cannot read the kernel %s", path);
	n = pread(fd, k.head, sizeof(k.head), 0);
	if (n < 0)
		return error_errno(err, errno, "cannot read the kernel %s", path);
	k.fd = fd;
	k.size = (uint64_t)st.st_size;
	k.have = (size_t)n;
	if (k.have >= SELFMAG && memcmp(k.head, ELFMAG, SELFMAG) == 0)
		return check_elf(&k, err);
	if (k.have > BZIMAGE_MAGIC + 4 && memcmp(k.head + BZIMAGE_MAGIC, "HdrS", 4) == 0)
		return check_bzimage(&k, err);
	return 0;
}
