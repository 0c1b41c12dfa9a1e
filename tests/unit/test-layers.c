/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of a root file system: what their options mean, dm-verity tables beside veritysetup(8)'s
 * superblocks, partitions on a sysfs made by hand, ten thousand storages. */
#include <fcntl.h>

#include "check.h"
#include "guest/agent/storage/layer_device.h"
#include "guest/agent/storage/layer_group.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#define HASH   "0123456789abcdef0123456789abcdef0123456789ABCDEF0123456789abcdef"
#define LOWER  "X-kata.overlay-lower"
#define ROOT   "X-kata.dmverity.roothash=" HASH
#define OFFSET "X-kata.dmverity.hashoffset=8192"

#define PARSE(out, err, ...)                                                                       \
	parse((out), (err), (const char *const[]){__VA_ARGS__},                                    \
	      sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static int parse(struct layer_options *o, struct error *err, const char *const *v, size_t n)
{
	return layer_options_parse("blk", "erofs", (char *const *)v, n, o, err);
}

TEST(roles)
{
	struct layer_options o;

	check_int(PARSE(&o, NULL, "ro", "noatime"), 0);
	check(!o.layer && !o.verity.enabled && o.partition == 0);
	check_int(PARSE(&o, NULL, LOWER), 0);
	check(o.layer && o.role == LAYER_LOWER);
	check_int(PARSE(&o, NULL, "X-kata.multi-layer=true"), 0);
	check(o.layer && o.role == LAYER_LOWER); /* by its type */
	check_int(PARSE(&o, NULL, "X-kata.multi-layer=true", "X-kata.overlay-upper"), 0);
	check(o.role == LAYER_UPPER);
	check_int(PARSE(&o, NULL, "X-kata.multi-layer=false"), 0);
	check(!o.layer);
	check_int(layer_options_parse("erofs.multi-layer", "ext4", NULL, 0, &o, NULL), 0);
	check(o.layer && o.role == LAYER_UPPER);
	check_int(PARSE(&o, NULL, "X-kata.something-new=1", "X-other"), 0);
}

TEST(verity)
{
	struct layer_options o;

	check_int(PARSE(&o, NULL, LOWER, ROOT, OFFSET, "X-kata.dmverity-enabled=true",
	                "X-kata.dmverity.blocksize=512", "X-kata.dmverity.hashsize=1024",
	                "X-kata.dmverity.algorithm=sha256", "X-kata.dmverity.salt=a0Ff",
	                "X-kata.dmverity.hashtype=1", "X-kata.dmverity.no-superblock",
	                "X-kihon.dmverity.on-corruption=panic", "X-kata.gpt-partitioned=true",
	                "X-kata.partition-number=255"),
	          0);
	check(o.verity.enabled && o.verity.no_superblock);
	check_int((int)o.partition, 255);
	check_int((int)o.verity.root_size, 32);
	check_int(o.verity.root[1], 0x23);
	check_int((int)o.verity.salt_size, 2);
	check_int(o.verity.salt[1], 0xff);
	check_int((int)o.verity.hash_offset, 8192);
	check_int((int)o.verity.data_block_size, 512);
	check_int((int)o.verity.hash_block_size, 1024);
	check_int(o.verity.corruption, LAYER_CORRUPTION_PANIC);
	/* A root hash alone is meant, too. */
	check_int(PARSE(&o, NULL, ROOT, OFFSET, ROOT), 0);
	check(o.verity.enabled && o.verity.corruption == LAYER_CORRUPTION_EIO);
}

TEST(what_cannot_be)
{
	static const struct {
		const char *v[4];
		const char *word;
	} bad[] = {
	    {{LOWER, "X-kata.overlay-upper"}, "upper or lower"},
	    {{LOWER "=x"}, "no value"},
	    {{"X-kata.multi-layer=yes"}, "neither"},
	    {{"X-kata.multi-layer"}, "neither"},
	    {{"X-kata.dmverity-enabled=true"}, "roothash="},
	    {{"X-kata.dmverity-enabled=1"}, "neither"},
	    {{"X-kata.dmverity-enabled=false", ROOT, OFFSET}, "both disabled"},
	    {{ROOT}, "hashoffset="},
	    {{ROOT, OFFSET, "X-kata.overlay-upper"}, "upper layer"},
	    {{ROOT "00", ROOT}, "different values"},
	    {{OFFSET, "X-kata.dmverity.hashoffset=4096"}, "different values"},
	    {{"X-kata.dmverity.roothash=0"}, "root hash"},
	    {{"X-kata.dmverity.roothash="}, "root hash"},
	    {{"X-kata.dmverity.roothash=" HASH HASH "00"}, "root hash"},
	    {{"X-kata.dmverity.roothash=" HASH " 1 ignore_corruption"}, "root hash"},
	    {{"X-kata.dmverity.hashoffset=-4096"}, "no offset"},
	    {{"X-kata.dmverity.hashoffset=0"}, "no offset"},
	    {{"X-kata.dmverity.hashoffset=100"}, "no offset"},
	    {{"X-kata.dmverity.hashoffset=18446744073709547520"}, "no offset"},
	    {{"X-kata.dmverity.blocksize=0"}, "power of two"},
	    {{"X-kata.dmverity.blocksize=4095"}, "power of two"},
	    {{"X-kata.dmverity.hashsize=131072"}, "power of two"},
	    {{"X-kata.dmverity.algorithm=md5"}, "sha256"},
	    {{"X-kata.dmverity.algorithm=sha256 0 0"}, "sha256"},
	    {{"X-kata.dmverity.salt=0"}, "hexadecimal"},
	    {{"X-kata.dmverity.salt=zz"}, "hexadecimal"},
	    {{"X-kata.dmverity.hashtype=2"}, "0 or 1"},
	    {{"X-kata.dmverity.no-superblock=maybe"}, "neither"},
	    {{"X-kata.dmverity.ignore_corruption"}, "not known"},
	    {{"X-kata.dmverityx"}, "not known"},
	    {{"X-kihon.dmverity.on-corruption=ignore"}, "panic"},
	    {{"X-kata.gpt-partitioned=true"}, "together"},
	    {{"X-kata.partition-number=1"}, "together"},
	    {{"X-kata.partition-number=1", "X-kata.gpt-partitioned=false"}, "together"},
	    {{"X-kata.partition-number=0"}, "1 to 255"},
	    {{"X-kata.partition-number=256"}, "1 to 255"},
	    {{"X-kata.partition-number=+1"}, "1 to 255"},
	    {{"X-kata.mkfs=true"}, "formats no disks"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct error err = ERROR_INIT;
		struct layer_options o;
		size_t n = 0;

		while (n < 4 && bad[i].v[n])
			n++;
		if (parse(&o, &err, bad[i].v, n) != -EINVAL || !strstr(err.text, bad[i].word))
			check_fail(__FILE__, __LINE__, "%s: \"%s\"", bad[i].v[0], err.text);
	}
}

TEST(directories)
{
	static const char *const bad[] = {
	    "",     ":0755",     "{{ mount 0 }}", "{{ mount 2 }}/x", "/x/{{ mount 0 }}",
	    "/x:8", "/x:0755:a", "/x:0755:1:2:3"};
	struct layer_mkdir d;

	check_int(layer_mkdir_parse("ro", &d, NULL), 1);
	check_int(layer_mkdir_parse("X-kata.mkdir.path={{ mount 0 }}/up/per:1777:7:8", &d, NULL),
	          0);
	check(!d.in_lower && d.path_size == 7 && memcmp(d.path, "/up/per", 7) == 0);
	check(d.mode == 01777 && d.uid == 7 && d.gid == 8);
	check_int(layer_mkdir_parse("X-kata.mkdir.path={{ mount 1 }}/x", &d, NULL), 0);
	check(d.in_lower && d.mode == 0755 && d.uid == 0);
	check_int(layer_mkdir_parse("X-kata.mkdir.path=plain", &d, NULL), 0);
	check(!d.in_lower && d.path_size == 5);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_free_ char *o = str_printf("X-kata.mkdir.path=%s", bad[i]);

		if (layer_mkdir_parse(o, &d, NULL) != -EINVAL)
			check_fail(__FILE__, __LINE__, "\"%s\" is taken", o);
	}
}

/* ---- tables */

/* veritysetup(8) makes the tree over 8 KiB of zeros behind them, in the same file. */
static void make_tree(const char *options, uint8_t super[VERITY_SUPER_SIZE])
{
	_cleanup_free_ char *path = str_printf("%s/tree", check_tmpdir());
	_cleanup_free_ char *line =
	    str_printf("rm -f %s; truncate -s 8192 %s; PATH=$PATH:/sbin:/usr/sbin veritysetup "
	               "format --data-blocks=2 --hash-offset=8192 %s %s %s >/dev/null",
	               path, path, options, path, path);
	_cleanup_close_ int fd = -1;

	if (!fs_exists("/usr/sbin/veritysetup") && !fs_exists("/sbin/veritysetup"))
		check_skip("veritysetup is not installed");
	check_int(system(line), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	check_int(fs_pread_all(fd, super, VERITY_SUPER_SIZE, 8192), 0);
}

static void check_table(const struct layer_options *o, const uint8_t *super, const char *want,
                        uint64_t want_sectors)
{
	_cleanup_buffer_ struct buffer params = BUFFER_INIT;
	struct error err = ERROR_INIT;
	uint64_t sectors = 0;

	check_ok(layer_verity_table(&o->verity, "254:16", 1 << 20, super, &params, &sectors, &err),
	         &err);
	check_str(buffer_cstr(&params), want);
	check_int((int)sectors, (int)want_sectors);
}

#define LOW "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

TEST(tables)
{
	uint8_t super[VERITY_SUPER_SIZE];
	struct layer_options o;

	/* Without a superblock the options and the usual values are all there is. */
	check_int(PARSE(&o, NULL, ROOT, OFFSET, "X-kata.dmverity.no-superblock=true"), 0);
	check_table(&o, super, "1 254:16 254:16 4096 4096 2 2 sha256 " LOW " -", 16);
	make_tree("--salt=c0ffee --data-block-size=4096 --hash-block-size=4096", super);
	check_int(PARSE(&o, NULL, ROOT, OFFSET), 0);
	check_table(&o, super, "1 254:16 254:16 4096 4096 2 3 sha256 " LOW " c0ffee", 16);
	check_int(PARSE(&o, NULL, ROOT, OFFSET, "X-kihon.dmverity.on-corruption=panic"), 0);
	check_table(&o, super,
	            "1 254:16 254:16 4096 4096 2 3 sha256 " LOW " c0ffee 1 panic_on_corruption",
	            16);
	make_tree("--salt=- --data-block-size=512 --hash-block-size=1024 --data-blocks=10 "
	          "--hash=sha512",
	          super);
	check_int(PARSE(&o, NULL, "X-kata.dmverity.roothash=" LOW LOW, OFFSET), 0);
	check_table(&o, super, "1 254:16 254:16 512 1024 10 9 sha512 " LOW LOW " -", 10);
}

TEST(superblocks_that_say_something_else)
{
	static const struct {
		const char *option, *word;
	} bad[] = {
	    {"X-kata.dmverity.salt=00", "another salt"},
	    {"X-kata.dmverity.salt=-", "another salt"},
	    {"X-kata.dmverity.blocksize=1024", "another data block size"},
	    {"X-kata.dmverity.hashsize=1024", "another hash block size"},
	    {"X-kata.dmverity.algorithm=sha512", "another hash"},
	    {"X-kata.dmverity.hashtype=0", "another format"},
	};
	uint8_t super[VERITY_SUPER_SIZE];
	struct layer_options o;
	uint64_t sectors;

	make_tree("--salt=c0ffee", super);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_buffer_ struct buffer params = BUFFER_INIT;
		struct error err = ERROR_INIT;

		check_int(PARSE(&o, &err, ROOT, OFFSET, bad[i].option), 0);
		check_int(
		    layer_verity_table(&o.verity, "1:1", 1 << 20, super, &params, &sectors, &err),
		    -EINVAL);
		if (!strstr(err.text, bad[i].word))
			check_fail(__FILE__, __LINE__, "%s: %s", bad[i].option, err.text);
	}
	/* Every byte of it wrong in turn: refused, or a table of words that can be. */
	check_int(PARSE(&o, NULL, ROOT, OFFSET), 0);
	for (size_t i = 0; i < VERITY_SUPER_SIZE; i++) {
		_cleanup_buffer_ struct buffer params = BUFFER_INIT;

		super[i] ^= 0x80;
		if (layer_verity_table(&o.verity, "1:1", 1 << 20, super, &params, &sectors, NULL) ==
		    0)
			check(sectors <= 16 && params.size < 1024);
		super[i] ^= 0x80;
	}
	super[72] = 3; /* data blocks: more than there are before it */
	{
		_cleanup_buffer_ struct buffer params = BUFFER_INIT;
		struct error err = ERROR_INIT;

		check_int(
		    layer_verity_table(&o.verity, "1:1", 1 << 20, super, &params, &sectors, &err),
		    -EINVAL);
		check(strstr(err.text, "among the data"));
	}
}

TEST(a_root_hash_of_another_length)
{
	_cleanup_buffer_ struct buffer params = BUFFER_INIT;
	struct error err = ERROR_INIT;
	struct layer_options o;
	uint64_t sectors;

	check_int(PARSE(&o, NULL, "X-kata.dmverity.roothash=" LOW "00", OFFSET,
	                "X-kata.dmverity.no-superblock=true"),
	          0);
	check_int(layer_verity_table(&o.verity, "1:1", 1 << 20, NULL, &params, &sectors, &err),
	          -EINVAL);
	check(strstr(err.text, "as long as"));
	check_int(PARSE(&o, NULL, ROOT, OFFSET, "X-kata.dmverity.no-superblock=true"), 0);
	check_int(layer_verity_table(&o.verity, "1:1", 8192, NULL, &params, &sectors, &err),
	          -EINVAL);
	check(strstr(err.text, "not within"));
}

/* ---- partitions */

TEST(nodes_of_partitions)
{
	_cleanup_free_ char *script =
	    str_printf("cd %s && mkdir -p class/block/vdb3 class/block/pmem0p3 class/block/vdc3 && "
	               "for d in class/block/*; do echo 2048 >$d/start; echo 16 >$d/size; done && "
	               "echo 17 >class/block/vdc3/size && : >disk",
	               check_tmpdir());
	_cleanup_free_ char *disk = str_printf("%s/disk", check_tmpdir());
	const struct gpt_partition p = {.number = 3, .start = 1 << 20, .size = 8192};
	struct error err = ERROR_INIT;
	_cleanup_close_ int fd = -1;
	char node[LAYER_NODE_MAX];

	check_int(system(script), 0);
	fd = open(disk, O_RDONLY | O_CLOEXEC);
	check_ok(layer_partition_node(check_tmpdir(), fd, "/dev/vdb", &p, node, &err), &err);
	check_str(node, "/dev/vdb3");
	check_ok(layer_partition_node(check_tmpdir(), fd, "/dev/pmem0", &p, node, &err), &err);
	check_str(node, "/dev/pmem0p3");
	check_int(layer_partition_node(check_tmpdir(), fd, "/dev/vdc", &p, node, &err), -EUCLEAN);
	/* The kernel has none: it is asked to add it, which a plain file cannot. */
	check_int(layer_partition_node(check_tmpdir(), fd, "/dev/vdd", &p, node, &err), -ENOTTY);
	check(strstr(err.text, "adding partition 3 of /dev/vdd"));
}

/* ---- groups */

static char *lower_words[] = {(char *)"X-kata.overlay-lower", (char *)"X-kata.multi-layer=true"};
static char *upper_words[] = {(char *)"X-kata.overlay-upper", (char *)"X-kata.multi-layer=true"};

static void make_storage(Grpc__Storage *s, char **words)
{
	grpc__storage__init(s);
	s->driver = (char *)"blk";
	s->source = (char *)"02";
	s->fstype = (char *)(words == upper_words ? "ext4" : "erofs");
	s->mount_point = (char *)"/m";
	s->options = words;
	s->n_options = words ? 2 : 0;
}

TEST(ten_thousand_layers)
{
	enum { MANY = 10000 };
	static Grpc__Storage all[MANY], *list[MANY];
	struct error err = ERROR_INIT;
	struct layer_group *g = NULL;

	for (size_t i = 0; i < MANY; i++) {
		make_storage(&all[i], lower_words);
		list[i] = &all[i];
	}
	check_int(layer_group_new(list, MANY, "c1", 0, &g, &err), -E2BIG);
	check(strstr(err.text, "10000 layers"));
	check_int(layer_group_new(list, 501, "c1", 0, &g, &err), -E2BIG);
	check_ok(layer_group_new(list, 500, "c1", 0, &g, &err), &err);
	check_int((int)g->n_lower, 500);
	layer_group_free(g);
	make_storage(&all[250], upper_words);
	make_storage(&all[7], NULL); /* a volume among them */
	check_ok(layer_group_new(list, 502, "c1", 0, &g, &err), &err);
	check(g->n_lower == 500 && g->n == 501 && g->main == &all[250] && g->has_upper);
	check(g->layers[500].request == &all[250] && g->layers[7].request == &all[8]);
	check_str(g->base, "/run/kata-containers/c1/multi-layer");
	layer_group_free(g);
}

TEST_MAIN()
