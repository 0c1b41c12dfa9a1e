/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/disk/gpt: tables as sfdisk(8) writes them, each field wrong in turn, either end
 * lost. */
#include "lib/disk/gpt.h"

#include <fcntl.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "tests/unit/check.h"

#define BLOCK     512u
#define DISK_SIZE (1u << 20)
#define BACKUP    (DISK_SIZE / BLOCK - 1)

static uint8_t disk[DISK_SIZE];

/* A disk of 1 MiB with this script's partitions. */
static void make_disk(const char *script)
{
	_cleanup_free_ char *path = str_printf("%s/disk", check_tmpdir());
	_cleanup_free_ char *line = str_printf("rm -f %s; truncate -s %u %s && printf '%s' | "
	                                       "PATH=$PATH:/sbin:/usr/sbin sfdisk -q %s",
	                                       path, DISK_SIZE, path, script, path);
	_cleanup_close_ int fd = -1;

	if (!fs_exists("/sbin/sfdisk") && !fs_exists("/usr/sbin/sfdisk"))
		check_skip("sfdisk is not installed");
	check_int(system(line), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	check_int(fs_pread_all(fd, disk, sizeof(disk), 0), 0);
}

#define TWO "label: gpt\\nstart=64,size=8\\nstart=1990,size=20\\n"

static void fix(uint64_t lba)
{
	uint8_t *h = disk + lba * BLOCK;
	uint32_t crc = UINT32_MAX;

	put_le32(h + 16, 0);
	for (unsigned int i = 0; i < get_le32(h + 12) && i < BLOCK; i++) {
		crc ^= h[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	put_le32(h + 16, ~crc);
}

static int parse(struct gpt *gpt, struct error *err)
{
	return gpt_parse(disk, sizeof(disk), BLOCK, gpt, err);
}

static void check_two(void)
{
	_cleanup_gpt_ struct gpt gpt = {NULL, 0};
	struct error err = ERROR_INIT;

	check_ok(parse(&gpt, &err), &err);
	check_int((int)gpt.n, 2);
	check_int((int)gpt_find(&gpt, 1)->start, 64 * BLOCK);
	check_int((int)gpt_find(&gpt, 1)->size, 8 * BLOCK);
	check_int((int)gpt_find(&gpt, 2)->start, 1990 * BLOCK);
	check_int((int)gpt_find(&gpt, 2)->size, 20 * BLOCK);
	check(!gpt_find(&gpt, 3) && !gpt_find(&gpt, 0));
}

static void check_refused(const char *word)
{
	struct error err = ERROR_INIT;
	struct gpt gpt;

	check_int(parse(&gpt, &err), -EUCLEAN);
	check(!gpt.partitions && gpt.n == 0);
	if (!strstr(err.text, word))
		check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", err.text, word);
}

TEST(as_sfdisk_writes_them)
{
	make_disk(TWO);
	check_two();
}

TEST(numbers_have_gaps)
{
	_cleanup_gpt_ struct gpt gpt = {NULL, 0};
	struct error err = ERROR_INIT;

	make_disk("label: gpt\\ndisk5 : start=64,size=8\\ndisk128 : start=80,size=8\\n");
	check_ok(parse(&gpt, &err), &err);
	check_int((int)gpt.n, 2);
	check_int((int)gpt_find(&gpt, 5)->start, 64 * BLOCK);
	check_int((int)gpt_find(&gpt, 128)->start, 80 * BLOCK);
}

TEST(either_end_suffices)
{
	make_disk(TWO);
	memset(disk + BLOCK, 0xa5, 33 * BLOCK); /* header and entries */
	check_two();
	make_disk(TWO);
	memset(disk + sizeof(disk) - 33 * BLOCK, 0xa5, 33 * BLOCK);
	check_two();
	memset(disk + BLOCK, 0, BLOCK);
	check_refused("no GPT header");
}

TEST(no_protective_entry)
{
	make_disk(TWO);
	disk[446 + 4] = 0x83;
	check_refused("protective");
	disk[510] = 0;
	check_refused("no partition table");
}

TEST(each_field_wrong_in_turn)
{
	static const struct {
		unsigned int at, size;
		uint64_t value;
		const char *word;
	} wrongs[] = {
	    {8, 4, 0x20000, "revision"},    {12, 4, 91, "size"},
	    {12, 4, 513, "size"},           {24, 8, 2, "another block"},
	    {40, 8, 1, "usable"},           {40, 8, 3000, "usable"},
	    {48, 8, BACKUP + 1, "usable"},  {48, 8, UINT64_MAX, "usable"},
	    {72, 8, 1, "do not fit"},       {72, 8, UINT64_MAX, "do not fit"},
	    {72, 8, BACKUP, "do not fit"},  {80, 4, 4097, "size or number"},
	    {80, 4, UINT32_MAX, "number"},  {84, 4, 64, "size or number"},
	    {84, 4, 129, "size or number"}, {84, 4, 1u << 31, "do not fit"},
	    {88, 4, 1, "checksum"},         {80, 4, 100, "checksum"},
	};

	make_disk(TWO);
	memset(disk + BACKUP * BLOCK, 0, BLOCK);
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(*wrongs); i++) {
		uint8_t *h = disk + BLOCK, kept[BLOCK];

		memcpy(kept, h, BLOCK);
		if (wrongs[i].size == 4)
			put_le32(h + wrongs[i].at, (uint32_t)wrongs[i].value);
		else
			put_le64(h + wrongs[i].at, wrongs[i].value);
		check_refused(wrongs[i].at == 12 ? "size" : "checksum");
		fix(1);
		check_refused(wrongs[i].word);
		memcpy(h, kept, BLOCK);
	}
	check_two();
}

/* Entries are written anew with a right checksum, so that only their content is wrong. */
static void set_entry(unsigned int i, uint64_t first, uint64_t last)
{
	uint8_t *entries = disk + 2 * BLOCK;
	uint32_t crc = UINT32_MAX;

	memset(entries + i * 128, 7, 32);
	put_le64(entries + i * 128 + 32, first);
	put_le64(entries + i * 128 + 40, last);
	for (unsigned int at = 0; at < 128 * 128; at++) {
		crc ^= entries[at];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	put_le32(disk + BLOCK + 88, ~crc);
	fix(1);
}

TEST(partitions_that_cannot_be)
{
	make_disk(TWO);
	memset(disk + BACKUP * BLOCK, 0, BLOCK);
	set_entry(2, 71, 71);
	check_refused("1 and 3 overlap");
	set_entry(2, 64, 71); /* the same place twice */
	check_refused("overlap");
	set_entry(2, 90, 89);
	check_refused("partition 3");
	set_entry(2, 90, UINT64_MAX);
	check_refused("partition 3");
	set_entry(2, 0, 1);
	check_refused("partition 3");
	set_entry(2, 72, 72);
	{
		_cleanup_gpt_ struct gpt gpt = {NULL, 0};

		check_int(parse(&gpt, NULL), 0);
		check_int((int)gpt.n, 3);
	}
}

TEST(small_disks_and_odd_blocks)
{
	struct gpt gpt;

	make_disk(TWO);
	for (size_t size = 0; size < 40 * BLOCK; size += 100)
		check_int(gpt_parse(disk, size, BLOCK, &gpt, NULL), -EUCLEAN);
	check_int(gpt_parse(disk, sizeof(disk), 0, &gpt, NULL), -EINVAL);
	check_int(gpt_parse(disk, sizeof(disk), 8192, &gpt, NULL), -EINVAL);
	check_int(gpt_parse(disk, sizeof(disk), 4096, &gpt, NULL), -EUCLEAN);
}

TEST_MAIN()
