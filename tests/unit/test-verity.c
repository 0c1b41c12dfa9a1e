/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/verity: root hashes and bytes as veritysetup makes them, and every damage found. */
#include "lib/verity/verity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/process.h"
#include "lib/base/str.h"
#include "tests/unit/check.h"

#define SALT_HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define UUID_HEX "00112233-4455-6677-8899-aabbccddeeff"

static const uint8_t uuid[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

/* A file of `blocks` blocks that differ from each other. */
static int make_data(const char *path, uint64_t blocks)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint32_t block[VERITY_BLOCK_SIZE / 4];
	uint32_t x = 12345;

	check(fd >= 0);
	for (uint64_t b = 0; b < blocks; b++) {
		for (size_t i = 0; i < sizeof(block) / sizeof(*block); i++)
			block[i] = x = x * 1664525u + 1013904223u;
		check_int(fs_pwrite_all(fd, block, sizeof(block), b * sizeof(block)), 0);
	}
	return fd;
}

static struct verity params(uint64_t blocks)
{
	struct verity v = {.data_blocks = blocks, .salt_size = 32};

	for (size_t i = 0; i < 32; i++)
		v.salt[i] = (uint8_t)i;
	memcpy(v.uuid, uuid, sizeof(v.uuid));
	return v;
}

/* Exit status of a program; its standard output in `out`. */
static int run(char *const *argv, struct buffer *out)
{
	struct error err = ERROR_INIT;
	_cleanup_buffer_ struct buffer errors = BUFFER_INIT;
	int status = 0;

	check_ok(process_run(argv, out, &errors, 65536, &status, &err), &err);
	return process_exit_code(status);
}

static void need_veritysetup(void)
{
	if (!fs_exists("/usr/sbin/veritysetup") && !fs_exists("/sbin/veritysetup"))
		check_skip("veritysetup is not installed");
}

static void check_same_file(const char *a, const char *b)
{
	char *argv[] = {"cmp", (char *)a, (char *)b, NULL};
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;

	if (run(argv, &out) != 0)
		check_fail(__FILE__, __LINE__, "%s", buffer_cstr(&out));
}

static void same_as_veritysetup(uint64_t blocks, bool superblock)
{
	_cleanup_free_ char *data = str_printf("%s/data", check_tmpdir());
	_cleanup_free_ char *ours = str_printf("%s/ours", check_tmpdir());
	_cleanup_free_ char *theirs = str_printf("%s/theirs", check_tmpdir());
	_cleanup_free_ char *n = str_printf("--data-blocks=%llu", (unsigned long long)blocks);
	_cleanup_close_ int data_fd = make_data(data, blocks);
	_cleanup_close_ int hash_fd = open(ours, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	_cleanup_close_ int their_fd = open(theirs, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *format[] = {"/usr/sbin/veritysetup",
	                  "format",
	                  data,
	                  theirs,
	                  n,
	                  "--salt=" SALT_HEX,
	                  "--uuid=" UUID_HEX,
	                  superblock ? NULL : "--no-superblock",
	                  NULL};
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	struct verity v = params(blocks);
	const struct verity_place place = {data_fd, 0, hash_fd, 0, superblock};
	struct error err = ERROR_INIT;
	char root[65];
	struct stat st;
	uint64_t size;

	check_ok(verity_format(&v, &place, &err), &err);
	verity_hex(v.root, sizeof(v.root), root);
	check_int(run(format, &out), 0);
	if (!strstr(buffer_cstr(&out), root))
		check_fail(__FILE__, __LINE__, "root %s, veritysetup says: %s", root,
		           buffer_cstr(&out));
	check_ok(verity_tree_size(blocks, superblock, &size, &err), &err);
	check_int(fstat(hash_fd, &st), 0);
	check_int(st.st_size, size);
	/* veritysetup leaves the rest of the superblock's block as a hole. */
	check_int(ftruncate(their_fd, (off_t)size), 0);
	check_same_file(ours, theirs);
	check_ok(verity_check(&v, &place, &err), &err);
}

TEST(trees_are_those_of_veritysetup)
{
	static const uint64_t blocks[] = {1, 2, 127, 128, 129, 1000, 16384, 16385};

	need_veritysetup();
	for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++) {
		same_as_veritysetup(blocks[i], true);
		same_as_veritysetup(blocks[i], false);
	}
}

/* Data and tree in one file, not at its start: what veritysetup verify says of it. */
TEST(veritysetup_verifies_an_appended_tree)
{
	_cleanup_free_ char *path = str_printf("%s/disk", check_tmpdir());
	_cleanup_close_ int fd = make_data(path, 300);
	const struct verity_place place = {fd, 0, fd, 310 * VERITY_BLOCK_SIZE, true};
	char offset[] = "--hash-offset=1269760", root[65];
	char *verify[] = {"/usr/sbin/veritysetup", "verify", path, path, root, offset, NULL};
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	struct verity v = params(300), again;
	struct error err = ERROR_INIT;
	uint8_t super[VERITY_SUPER_SIZE], byte = 0;

	need_veritysetup();
	check_ok(verity_format(&v, &place, &err), &err);
	verity_hex(v.root, sizeof(v.root), root);
	check_int(run(verify, &out), 0);
	check_int(fs_pread_all(fd, super, sizeof(super), place.hash_offset), 0);
	check_ok(verity_super_parse(super, sizeof(super), &again, &err), &err);
	check_int(again.data_blocks, 300);
	check_int(again.salt_size, 32);
	check_mem(again.salt, v.salt, 32);
	check_mem(again.uuid, uuid, 16);
	check_int(fs_pwrite_all(fd, &byte, 1, 200 * VERITY_BLOCK_SIZE + 77), 0);
	check(run(verify, &out) != 0);
	check_int(verity_check(&v, &place, &err), -EBADMSG);
	check_int(err.kind, ERROR_VERIFICATION);
	check(strstr(err.text, "data block 200 (byte 819200)"));
}

TEST(a_flipped_bit_is_found_wherever_it_is)
{
	_cleanup_free_ char *path = str_printf("%s/disk", check_tmpdir());
	_cleanup_close_ int fd = make_data(path, 5000);
	const struct verity_place place = {fd, 0, fd, 5000 * VERITY_BLOCK_SIZE, false};
	struct verity v = params(5000);
	struct error err = ERROR_INIT;
	uint64_t tree;

	check_ok(verity_format(&v, &place, &err), &err);
	check_ok(verity_tree_size(5000, false, &tree, &err), &err);
	check_int(tree, (40 + 1) * VERITY_BLOCK_SIZE);
	/* Each block of the tree (its padding too), and some of the data. */
	for (uint64_t b = 0; b < 5041; b += b < 5000 ? 499 : 1) {
		uint64_t at = b * VERITY_BLOCK_SIZE + b % VERITY_BLOCK_SIZE;
		char block[32];
		uint8_t byte, bad;

		check_int(fs_pread_all(fd, &byte, 1, at), 0);
		bad = byte ^ 0x10;
		check_int(fs_pwrite_all(fd, &bad, 1, at), 0);
		error_clear(&err);
		check_int(verity_check(&v, &place, &err), -EBADMSG);
		snprintf(block, sizeof(block), "%s block %llu ", b < 5000 ? "data" : "hash",
		         (unsigned long long)(b < 5000 ? b : b - 5000));
		if (!strstr(err.text, block))
			check_fail(__FILE__, __LINE__, "\"%s\" does not name %s", err.text, block);
		check_int(fs_pwrite_all(fd, &byte, 1, at), 0);
	}
	check_ok(verity_check(&v, &place, &err), &err);
	check_int(ftruncate(fd, 5020 * VERITY_BLOCK_SIZE), 0);
	check_int(verity_check(&v, &place, &err), -ENODATA);
}

TEST(what_cannot_be_is_refused)
{
	struct verity v = params(0);
	const struct verity_place odd = {0, 0, 0, 100, false},
	                          far = {0, 0, 0, INT64_MAX - 4095, false};
	struct error err = ERROR_INIT;
	uint64_t size;

	check_int(verity_tree_size(0, false, &size, &err), -EINVAL);
	check_int(verity_tree_size(UINT64_MAX, true, &size, &err), -EFBIG);
	v.data_blocks = 10;
	check_int(verity_check(&v, &odd, &err), -EINVAL);
	check_int(verity_check(&v, &far, &err), -EFBIG);
	v.salt_size = 257;
	check_int(verity_check(&v, &odd, &err), -EINVAL);
}

/* Documentation/admin-guide/device-mapper/dm-init.rst and verity.rst give the order of words. */
TEST(the_kernel_is_told_all_there_is)
{
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	struct verity v = {.data_blocks = 512, .salt = {0xab, 0xcd}, .salt_size = 2};
	struct verity_device dev = {"kihon-root", "/dev/vda", "/dev/vda", 512 * 4096, true};
	struct error err = ERROR_INIT;

	memset(v.root, 0x5a, sizeof(v.root));
	check_ok(verity_kernel_words(&v, &dev, &out, &err), &err);
	check_str(
	    buffer_cstr(&out),
	    "dm-mod.create=\"kihon-root,,,ro,0 4096 verity 1 /dev/vda /dev/vda 4096 4096 512 "
	    "513 sha256 5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a abcd "
	    "1 panic_on_corruption\"");
	buffer_clear(&out);
	v.salt_size = 0;
	dev.superblock = false;
	check_ok(verity_kernel_words(&v, &dev, &out, &err), &err);
	check(strstr(buffer_cstr(&out), " 512 512 sha256 5a") != NULL);
	check(strstr(buffer_cstr(&out), "5a - 1 panic") != NULL);
	dev.data_dev = "/dev/vda\" init=/bin/sh \"";
	check_int(verity_kernel_words(&v, &dev, &out, &err), -EINVAL);
	dev.data_dev = "";
	check_int(verity_kernel_words(&v, &dev, &out, &err), -EINVAL);
}

TEST(superblocks_of_other_kinds_are_refused)
{
	static const struct {
		size_t at;
		uint8_t value;
		const char *words;
	} bad[] = {
	    {0, 'V', "is not there"},   {8, 2, "version"},      {12, 0, "version"},
	    {32, 'S', "hash"},          {38, '5', "hash"},      {65, 2, "blocks of other"},
	    {69, 2, "blocks of other"}, {79, 0xff, "too many"}, {72, 0, "no or too many"},
	    {81, 2, "longer than 256"},
	};
	struct verity v = params(1), out;
	uint8_t super[VERITY_SUPER_SIZE];
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		verity_super_format(&v, super);
		check_ok(verity_super_parse(super, sizeof(super), &out, &err), &err);
		super[bad[i].at] = bad[i].value;
		check_int(verity_super_parse(super, sizeof(super), &out, &err), -EUCLEAN);
		if (!strstr(err.text, bad[i].words))
			check_fail(__FILE__, __LINE__, "\"%s\" does not say %s", err.text,
			           bad[i].words);
		error_clear(&err);
	}
	check_int(verity_super_parse(super, sizeof(super) - 1, &out, &err), -EUCLEAN);
}

TEST_MAIN()
