/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/guestimg: what is read, what is refused and with which words, what is written. */
#include "lib/guestimg/guestimg.h"

#include <fcntl.h>

#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/str.h"
#include "lib/guestimg/boot_words.h"
#include "tests/unit/check.h"

#define HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const char good[] =
    "{\"schema\":1,\"name\":\"kihon-x\",\"version\":\"0.1.0\",\"profile\":\"x\",\"arch\":\"x86_"
    "64\","
    "\"timestamp\":5,\"kernel\":{\"vmlinux\":\"vmlinux\",\"bzimage\":\"bzImage\",\"version\":\"6\"}"
    ","
    "\"rootfs\":{\"file\":\"root\",\"format\":\"erofs\"},\"cmdline\":\"ro quiet\","
    "\"agent\":{\"version\":\"1\",\"min_version\":\"1\",\"protocol\":\"1\"},\"files\":["
    "{\"name\":\"vmlinux\",\"size\":12345678901,\"sha256\":\"" HASH "\"},"
    "{\"name\":\"bzImage\",\"size\":0,\"sha256\":\"" HASH "\"},"
    "{\"name\":\"root\",\"size\":1,\"sha256\":\"" HASH "\"}],"
    "\"packages\":[{\"name\":\"musl\",\"version\":\"1.2\",\"source\":\"musl\",\"licence\":\"MIT\"}]"
    "}";

TEST(reads_all_members)
{
	_cleanup_guestimg_ struct guestimg *img = NULL;
	struct error err = ERROR_INIT;

	check_ok(guestimg_parse(good, sizeof(good) - 1, &img, &err), &err);
	check_str(img->name, "kihon-x");
	check_int(img->timestamp, 5);
	check_str(img->kernel.bzimage, "bzImage");
	check(!img->kernel.config_sha256);
	check_str(img->rootfs.format, "erofs");
	check_str(img->cmdline, "ro quiet");
	check_int(img->n_files, 3);
	check_int(guestimg_find(img, "vmlinux")->size, 12345678901);
	check(!guestimg_find(img, "nothing"));
	check_int(img->n_packages, 1);
	check_str(img->packages[0].licence, "MIT");
	check(!img->packages[0].sha256);
	check(!img->program);
	check_int(img->memory_min, 0);
}

/* `good` with the first `from` replaced by `to` must be refused with `words` in the line. */
static void refused(const char *from, const char *to, const char *words)
{
	_cleanup_guestimg_ struct guestimg *img = NULL;
	struct error err = ERROR_INIT;
	const char *at = strstr(good, from);
	_cleanup_free_ char *text = NULL;

	check(at);
	text = str_printf("%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
	check(guestimg_parse(text, strlen(text), &img, &err) < 0);
	check(!img);
	check_int(err.kind, ERROR_INPUT);
	if (!strstr(err.text, words))
		check_fail(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", err.text, words);
	check(!strchr(err.text, '\n'));
}

TEST(refuses_other_schemas)
{
	refused("\"schema\":1", "\"schema\":2", "newer Kihon");
	refused("\"schema\":1", "\"schema\":0", "older Kihon");
	refused("\"schema\":1", "\"schema\":\"1\"", "schema");
	refused("\"schema\":1,", "", "schema");
}

TEST(refuses_wrong_members)
{
	refused("\"profile\":\"x\"", "\"profile\":7", "profile");
	refused("\"rootfs\":{", "\"rootfs\":[{", "");
	refused("\"arch\":\"x86_64\",", "", "arch");
	refused("\"size\":0", "\"size\":-1", "size");
	refused("\"size\":0", "\"size\":1.5", "size");
	refused("\"size\":0", "\"size\":1e300", "size");
	refused("\"format\":\"erofs\"", "\"format\":\"xfs\"", "format");
	refused("\"files\":[", "\"files\":[3,", "files");
	refused("ro quiet", "ro\\nquiet", "control characters");
	refused("ro quiet", "ro \xd1", "UTF-8");
	refused("}]}", "}]", "JSON");
	refused("}]}", "}]} x", "behind its end");
}

TEST(refuses_names_that_are_paths)
{
	refused("\"vmlinux\":\"vmlinux\"", "\"vmlinux\":\"../vmlinux\"", "vmlinux");
	refused("\"vmlinux\":\"vmlinux\"", "\"vmlinux\":\"..\"", "vmlinux");
	refused("\"vmlinux\":\"vmlinux\"", "\"vmlinux\":\"\"", "vmlinux");
	refused("\"file\":\"root\"", "\"file\":\"a/b\"", "file");
	refused("\"name\":\"root\"", "\"name\":\"/root\"", "name");
}

TEST(refuses_files_that_do_not_fit_together)
{
	refused("\"file\":\"root\"", "\"file\":\"other\"", "not among");
	refused("\"name\":\"bzImage\"", "\"name\":\"vmlinux\"", "twice");
	refused(HASH, "E3b0", "SHA-256");
	refused("\"sha256\":\"e3", "\"sha256\":\"Z3", "SHA-256");
}

TEST(bounds_what_it_reads)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_guestimg_ struct guestimg *img = NULL;
	struct error err = ERROR_INIT;

	buffer_fill(&text, ' ', GUESTIMG_MAX_SIZE + 1);
	check_int(guestimg_parse((char *)text.data, text.size, &img, &err), -EFBIG);
	buffer_clear(&text);
	buffer_str(&text, "{\"schema\":1,\"x\":");
	buffer_fill(&text, '[', 100000);
	check(guestimg_parse((char *)text.data, text.size, &img, &err) < 0);
}

/* What is written is read by an independent parser as the same values, and by ours as the same
 * bytes. */
TEST(writes_what_it_reads)
{
	_cleanup_guestimg_ struct guestimg *img = NULL, *again = NULL;
	_cleanup_buffer_ struct buffer one = BUFFER_INIT, two = BUFFER_INIT;
	_cleanup_cjson_ cJSON *ours = NULL, *theirs = cJSON_Parse(good);
	struct error err = ERROR_INIT;

	check_ok(guestimg_parse(good, sizeof(good) - 1, &img, &err), &err);
	guestimg_format(img, &one);
	ours = cJSON_Parse(buffer_cstr(&one));
	check(cJSON_Compare(ours, theirs, true));
	check_ok(guestimg_parse((char *)one.data, one.size, &again, &err), &err);
	guestimg_format(again, &two);
	check_str(buffer_cstr(&two), buffer_cstr(&one));
}

TEST(images_of_a_single_program)
{
	_cleanup_guestimg_ struct guestimg *img = NULL, *again = NULL;
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct error err = ERROR_INIT;

	check_ok(guestimg_parse(good, sizeof(good) - 1, &img, &err), &err);
	img->program = "/bin/x";
	img->memory_min = 24;
	guestimg_format(img, &text);
	check_ok(guestimg_parse((char *)text.data, text.size, &again, &err), &err);
	check_str(again->program, "/bin/x");
	check_int(again->memory_min, 24);
	refused("\"cmdline\":", "\"memory_min\":\"24\",\"cmdline\":", "memory_min");
}

TEST(keeps_the_hot_files_of_the_root)
{
	static const char *hot[] = {"/sbin/init", "/lib/\"x\"*"};
	_cleanup_guestimg_ struct guestimg *img = NULL, *again = NULL;
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	struct error err = ERROR_INIT;

	check_ok(guestimg_parse(good, sizeof(good) - 1, &img, &err), &err);
	check_int(img->rootfs.n_hot, 0);
	img->rootfs.hot = hot;
	img->rootfs.n_hot = 2;
	img->rootfs.size = 77;
	guestimg_format(img, &text);
	check_ok(guestimg_parse((char *)text.data, text.size, &again, &err), &err);
	check_int(again->rootfs.n_hot, 2);
	check_str(again->rootfs.hot[0], hot[0]);
	check_str(again->rootfs.hot[1], hot[1]);
	check_int(again->rootfs.size, 77);
	refused("\"format\":\"erofs\"", "\"format\":\"erofs\",\"hot\":{}", "hot");
	refused("\"format\":\"erofs\"", "\"format\":\"erofs\",\"hot\":[1]", "hot");
	refused("\"format\":\"erofs\"", "\"format\":\"erofs\",\"hot\":[\"a\\n\"]", "hot");
}

TEST(saves_and_loads)
{
	_cleanup_guestimg_ struct guestimg *img = NULL, *again = NULL;
	struct error err = ERROR_INIT;
	const char *dir = check_tmpdir();

	check_int(guestimg_load(dir, &again, &err), -ENOENT);
	check(strstr(err.text, "kata-image-tool build"));
	error_clear(&err);
	check_ok(guestimg_parse(good, sizeof(good) - 1, &img, &err), &err);
	check_ok(guestimg_save(img, dir, &err), &err);
	check_ok(guestimg_load(dir, &again, &err), &err);
	check_str(again->profile, "x");
	img->rootfs.file = "else";
	check_int(guestimg_save(img, dir, &err), -EINVAL);
	check_int(guestimg_save(again, "/nonexistent", &err), -ENOENT);
}

TEST(boot_words_in_their_order)
{
	const struct boot_words all = {.machine = "m",
	                               .platform = "c",
	                               .root = "r",
	                               .net = "n",
	                               .level = "l",
	                               .image = "i",
	                               .append = "a b"};
	const struct boot_words some = {.platform = "", .root = "r", .append = "a"};
	_cleanup_free_ char *one = boot_words_join(&all), *two = boot_words_join(&some);
	_cleanup_free_ char *none = boot_words_join(&(struct boot_words){NULL});

	const struct boot_launch blk = {
	    .root = BOOT_ROOT_BLK, .words_pmem = "p", .net = BOOT_WORDS_NET_USER, .image = "i"};
	const struct boot_launch pmem = {.root = BOOT_ROOT_PMEM, .words_pmem = "p", .append = "a"};
	_cleanup_free_ char *disk = boot_words_launch(&blk), *mapped = boot_words_launch(&pmem);

	check_str(disk, "console=ttyS0 panic=-1 noreplace-smp root=/dev/vda rootfstype=erofs ro "
	                "ip=10.0.2.15::10.0.2.2:255.255.255.0::eth0:off:10.0.2.3 i");
	check_str(mapped, "console=ttyS0 panic=-1 noreplace-smp p a");
	check_str(one, "m c r n l i a b");
	check_str(two, "r a");
	check_str(none, "");
}

TEST_MAIN()
