/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes states of snapshots. Most inputs would end at a checksum: with an odd first byte they are
 * made to hold. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-shim/vmm/snapshot.h"
#include "host-shim/vmm/snapshot_memory.h"
#include "host-shim/vmm/snapshot_pages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Sets the sizes and checksums that a file of this size would have. */
static void mend(uint8_t *d, size_t size)
{
	size_t at = 64;

	if (size < 64)
		return;
	memcpy(d, "KIHONVMS\1\0\0\0", 12);
	put_le64(d + 16, size);
	memcpy(d + 24, "x86_64\0\0\0\0\0\0\0\0\0\0", 16);
	put_le32(d + 60, snapshot_crc(d, 60));
	while (size - at >= 56) {
		uint64_t fields = get_le64(d + at + 40);

		if (fields > size - at - 56)
			return;
		put_le32(d + at + 48, snapshot_crc(d + at + 56, (size_t)fields));
		put_le32(d + at + 52, snapshot_crc(d + at, 52));
		at += 56 + (size_t)fields;
	}
}

/* A file as long as the state says, as far as that is sensible. */
static void use_memory(struct snapshot *s)
{
	struct guest_memory m = {0};
	const struct snapshot_section *section;
	uint64_t file_size = 0;
	int fd = memfd_create("memory", MFD_CLOEXEC);

	if (snapshot_open(s, "memory", 1, &section, NULL) == 0 &&
	    snapshot_get_u64(section, 2, &file_size, NULL) == 0 && file_size <= 64u << 20) {
		size_t n = 0;
		const uint8_t *id = snapshot_find(section, 1, 0, &n);
		uint8_t last[32] = "KIHONVMS memory";

		if (id && n == 16)
			memcpy(last + 16, id, 16);
		if (ftruncate(fd, (off_t)file_size + 4096) < 0 ||
		    pwrite(fd, last, sizeof(last), (off_t)file_size) < 0)
			abort();
	}
	if (snapshot_memory_map(s, fd, &m, NULL) == 0)
		for (unsigned int i = 0; i < m.n; i++)
			m.regions[i].host[m.regions[i].size - 1]++;
	snapshot_memory_check(s, fd, NULL);
	guest_memory_clear(&m);
	close(fd);
}

/* A list of pages, over memory of 1 MiB and another behind it. */
static void use_pages(struct snapshot *s)
{
	static uint8_t ram[2][1 << 20];
	const struct snapshot_section *section;
	struct snapshot_range *ranges = NULL;
	struct guest_memory m = {0};
	uint8_t id[SNAPSHOT_ID_SIZE] = {0};
	size_t n = 0;

	if (snapshot_open(s, "pages", ~0u, &section, NULL) == 0)
		snapshot_get(section, 1, id, sizeof(id), NULL);
	guest_memory_add(&m, 0, sizeof(ram[0]), ram[0], false, NULL);
	guest_memory_add(&m, 4ull << 30, sizeof(ram[1]), ram[1], false, NULL);
	if (snapshot_pages_parse(s, id, &m, &ranges, &n, NULL) == 0)
		for (size_t i = 0; i < n; i++) {
			uint8_t *p =
			    guest_memory_ptr(&m, ranges[i].gpa, ranges[i].size, GUEST_READ);

			if (!p || ranges[i].size == 0)
				abort();
			p[ranges[i].size - 1]++;
		}
	free(ranges);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot *s = NULL;
	const struct snapshot_section *section;
	uint8_t *copy;
	size_t n;

	if (size < 1)
		return 0;
	copy = malloc(size);
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 1)
		mend(copy, size - 1);
	if (snapshot_parse(&s, copy, size - 1, NULL) == 0) {
		uint64_t value;

		if (snapshot_open(s, "vcpu.0", ~0u, &section, NULL) == 0)
			for (unsigned int tag = 0; tag < 16; tag++) {
				const uint8_t *p = snapshot_find(section, tag, tag & 1, &n);

				if (p && (p < copy || p + n > copy + size - 1))
					abort();
				snapshot_get_u64(section, tag, &value, NULL);
			}
		use_memory(s);
		use_pages(s);
		snapshot_finish(s, NULL);
	}
	snapshot_free(s);
	free(copy);
	return 0;
}
