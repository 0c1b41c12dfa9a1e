/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/disk: partition tables as sfdisk reads and writes them, the DAX block, the whole. */
#include "lib/disk/layout.h"

#include <fcntl.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/process.h"
#include "lib/base/str.h"
#include "lib/disk/dax_info.h"
#include "tests/unit/check.h"

#define MIB (1024ull * 1024)

static int new_file(const char *path, uint64_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	check(fd >= 0);
	check_int(ftruncate(fd, (off_t)size), 0);
	return fd;
}

/* `sfdisk --dump` without its line that names the file, blanks dropped. */
static void sfdisk_dump(const char *path, struct buffer *out)
{
	char *argv[] = {"/usr/sbin/sfdisk", "--dump", (char *)path, NULL};
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct error err = ERROR_INIT;
	int status = 0;

	if (!fs_exists(argv[0]))
		check_skip("sfdisk is not installed");
	check_ok(process_run(argv, &text, NULL, 65536, &status, &err), &err);
	check_int(process_exit_code(status), 0);
	for (const char *p = buffer_cstr(&text); *p; p++)
		if (*p != ' ')
			buffer_append(out, p, 1);
}

static void check_has(const struct buffer *text, const char *words)
{
	if (!strstr(buffer_cstr(text), words))
		check_fail(__FILE__, __LINE__, "no \"%s\" in: %s", words, buffer_cstr(text));
}

TEST(both_tables_are_what_sfdisk_reads)
{
	_cleanup_free_ char *path = str_printf("%s/disk", check_tmpdir());
	_cleanup_free_ char *pmem = str_printf("%s/pmem", check_tmpdir());
	_cleanup_buffer_ struct buffer one = BUFFER_INIT, two = BUFFER_INIT;
	struct disk_layout l, again;
	struct error err = ERROR_INIT;
	_cleanup_close_ int fd = -1, pmem_fd = -1;
	uint8_t sector[512];

	check_ok(disk_layout_plan(101 * MIB, 850000, &l, &err), &err);
	check_int(l.size, 106 * MIB);
	check_int(l.hash_start, 104 * MIB);
	fd = new_file(path, l.size);
	check_ok(disk_layout_write(&l, fd, 0x12345678, &err), &err);
	sfdisk_dump(path, &one);
	check_has(&one, "label:dos");
	check_has(&one, "label-id:0x12345678");
	check_has(&one, "disk1:start=6144,size=206848,type=83,bootable\n");
	check_has(&one, "disk2:start=212992,size=1664,type=83\n");
	/* As the guest sees it. */
	pmem_fd = new_file(pmem, l.size - DISK_DAX_START);
	check_int(fs_pread_all(fd, sector, sizeof(sector), DISK_DAX_START), 0);
	check_int(fs_pwrite_all(pmem_fd, sector, sizeof(sector), 0), 0);
	sfdisk_dump(pmem, &two);
	check_has(&two, "pmem1:start=2048,size=206848,type=83,bootable\n");
	check_has(&two, "pmem2:start=208896,size=1664,type=83\n");
	check_int(disk_layout_read(fd, &again, &err), 0);
	check_mem(&again, &l, sizeof(l));
}

/* Kata's own builder computes the second partition twice and the tables disagree for these. */
TEST(both_tables_agree_for_every_size)
{
	_cleanup_free_ char *path = str_printf("%s/disk", check_tmpdir());
	_cleanup_close_ int fd = new_file(path, 0);
	struct disk_layout l, again;
	struct error err = ERROR_INIT;

	for (uint64_t mib = 90; mib < 310; mib++) {
		check_ok(disk_layout_plan(mib * MIB + 4096, mib * 8192, &l, &err), &err);
		check_int(ftruncate(fd, (off_t)l.size), 0);
		check_ok(disk_layout_write(&l, fd, 1, &err), &err);
		check_ok(disk_layout_read(fd, &again, &err), &err);
		check_mem(&again, &l, sizeof(l));
		check_int(l.size % (2 * MIB), 0);
	}
}

/* What sfdisk writes, we read. */
TEST(reads_what_sfdisk_writes)
{
	_cleanup_free_ char *path = str_printf("%s/disk", check_tmpdir());
	_cleanup_free_ char *command =
	    str_printf("printf 'label: dos\\nstart=2048,size=4096,type=83,bootable\\n"
	               "start=8192,size=100,type=7\\n' | /usr/sbin/sfdisk -q %s",
	               path);
	char *argv[] = {"/bin/sh", "-c", command, NULL};
	_cleanup_close_ int fd = new_file(path, 16 * MIB);
	struct error err = ERROR_INIT;
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	uint8_t sector[MBR_SIZE];
	struct disk_layout l;
	struct mbr mbr;
	int status;

	if (!fs_exists("/usr/sbin/sfdisk"))
		check_skip("sfdisk is not installed");
	check_ok(process_run(argv, &out, NULL, 65536, &status, &err), &err);
	check_int(process_exit_code(status), 0);
	check_int(fs_pread_all(fd, sector, sizeof(sector), 0), 0);
	check_ok(mbr_parse(sector, sizeof(sector), 16 * MIB, &mbr, &err), &err);
	check_int(mbr.partitions[0].start, MIB);
	check_int(mbr.partitions[0].size, 2 * MIB);
	check_int(mbr.partitions[0].type, 0x83);
	check(mbr.partitions[0].boot);
	check_int(mbr.partitions[1].start, 4 * MIB);
	check_int(mbr.partitions[1].size, 51200);
	check_int(mbr.partitions[1].type, 7);
	check(!mbr.partitions[1].boot);
	check_int(mbr.partitions[2].size, 0);
	/* The second partition ends within a smaller disk no more. */
	check_int(mbr_parse(sector, sizeof(sector), 4 * MIB + 51199, &mbr, &err), -EUCLEAN);
	check(strstr(err.text, "beyond the end"));
	check_int(disk_layout_read(fd, &l, &err), 1);
}

TEST(partitions_that_cannot_be_are_refused)
{
	static const struct {
		struct mbr_partition a, b;
		int result;
	} bad[] = {
	    {{0, 512, 0x83, false}, {0}, -EINVAL},
	    {{1000, 512, 0x83, false}, {0}, -EINVAL},
	    {{512, 100, 0x83, false}, {0}, -EINVAL},
	    {{512, 1024, 0x83, false}, {1024, 512, 0x83, false}, -EINVAL},
	    {{512, 512ull << 32, 0x83, false}, {0}, -EFBIG},
	    {{512ull << 32, 512, 0x83, false}, {0}, -EFBIG},
	};
	struct error err = ERROR_INIT;
	struct disk_layout l;
	uint8_t out[MBR_SIZE];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const struct mbr mbr = {.partitions = {bad[i].a, bad[i].b}};

		check_int(mbr_format(&mbr, out, &err), bad[i].result);
	}
	check_int(disk_layout_plan(0, 0, &l, &err), -EINVAL);
	check_int(disk_layout_plan(UINT64_MAX, 0, &l, &err), -EFBIG);
}

/* The block as a list of bytes, its sum worked out apart: low words are the signature's four,
 * 0x00020000, 0x00200000, 1 and 0x00200000. */
TEST(the_dax_block_is_what_the_kernel_takes)
{
	const struct dax_info info = {.data_offset = 2 * MIB, .align = 2 << 20};
	uint8_t block[DAX_INFO_SIZE];
	struct dax_info again;
	struct error err = ERROR_INIT;
	uint64_t low = 0, high = 0;

	dax_info_format(&info, block);
	check_mem(block, "NVDIMM_PFN_INFO", 16);
	check_mem(block + 52, "\0\0\2\0\0\0\x20\0\0\0\0\0", 12);
	check_mem(block + 72, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\x20\0", 16);
	for (size_t i = 0; i < 1022; i++) {
		low = (low + (block[4 * i] | block[4 * i + 1] << 8 | block[4 * i + 2] << 16 |
		              (uint64_t)block[4 * i + 3] << 24)) &
		      0xffffffff;
		high += low;
	}
	high += 2 * low;
	check_int(get_le32(block + 4088), low);
	check_int(get_le32(block + 4092), (uint32_t)high);
	check_ok(dax_info_parse(block, sizeof(block), &again, &err), &err);
	check_int(again.data_offset, 2 * MIB);
	for (size_t i = 16; i < DAX_INFO_SIZE; i += 37) {
		block[i] ^= 4;
		check_int(dax_info_parse(block, sizeof(block), &again, &err), -EUCLEAN);
		block[i] ^= 4;
	}
	block[3] = 'x';
	check_int(dax_info_parse(block, sizeof(block), &again, &err), 1);
	check_int(dax_info_parse(block, sizeof(block) - 1, &again, &err), 1);
}

TEST(damaged_disks_are_refused_with_their_fault)
{
	static const struct {
		uint64_t at;
		uint8_t value;
		const char *words;
	} bad[] = {
	    {510, 0, "no partition table"},
	    {446, 1, "boot flag"},
	    {4096 + 56, 1, "checksum"},
	    {DISK_DAX_START + 511, 0, "as a pmem device: there is no partition table"},
	    {DISK_DAX_START + 446 + 13, 0x10, "do not say the same"},
	    {446 + 12 + 3, 0xff, "beyond the end"},
	};
	_cleanup_free_ char *path = str_printf("%s/disk", check_tmpdir());
	struct disk_layout l, again;
	struct error err = ERROR_INIT;
	_cleanup_close_ int fd = new_file(path, 16 * MIB);

	check_ok(disk_layout_plan(4 * MIB, 40960, &l, &err), &err);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		check_int(ftruncate(fd, 0), 0);
		check_int(ftruncate(fd, (off_t)l.size), 0);
		check_ok(disk_layout_write(&l, fd, 7, &err), &err);
		check_int(fs_pwrite_all(fd, &bad[i].value, 1, bad[i].at), 0);
		check_int(disk_layout_read(fd, &again, &err), -EUCLEAN);
		if (!strstr(err.text, bad[i].words))
			check_fail(__FILE__, __LINE__, "\"%s\" does not say %s", err.text,
			           bad[i].words);
		error_clear(&err);
	}
	check_int(ftruncate(fd, 0), 0);
	check_int(disk_layout_read(fd, &again, &err), 1);
}

TEST_MAIN()
