/* SPDX-License-Identifier: Apache-2.0 */
/* lib/erofs: compressed files: what is written is read back, whatever is damaged is found. */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "lib/base/bytes.h"
#include "lib/erofs/format.h"
#include "lib/erofs/reader.h"
#include "lib/erofs/writer.h"
#include "tests/unit/check.h"

static const struct erofs_attr file = {.mode = S_IFREG | 0644};

static struct error err;
static struct erofs_tree *tree;
static uint32_t seed = 1;

static uint32_t next(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

/* ---------------------------------------------------------------- contents */

static void make_zeros(uint8_t *p, size_t n)
{
	memset(p, 0, n);
}

static void make_noise(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)next();
}

static void make_text(uint8_t *p, size_t n)
{
	static const char *const words[] = {"layer ", "manifest ", "digest\n", "sandbox, ",
	                                    "ring ",  "queue; ",   "guest ",   "\t{ "};

	for (size_t i = 0; i < n;) {
		const char *w = words[next() % 8];

		for (; *w && i < n; w++)
			p[i++] = (uint8_t)*w;
	}
}

/* Runs of noise, text and zeros whose edges are nowhere in particular. */
static void make_mixed(uint8_t *p, size_t n)
{
	static void (*const kinds[])(uint8_t *, size_t) = {make_zeros, make_noise, make_text};

	for (size_t i = 0; i < n;) {
		size_t run = 1 + next() % 30000;

		if (run > n - i)
			run = n - i;
		kinds[next() % 3](p + i, run);
		i += run;
	}
}

static const struct content {
	const char *name;
	void (*make)(uint8_t *p, size_t n);
} contents[] = {
    {"zeros", make_zeros}, {"noise", make_noise}, {"text", make_text}, {"mixed", make_mixed}};

static const size_t sizes[] = {0,     1,     4095,  4096,  4097,    8191,    8192,   8193,
                               12289, 16384, 16385, 70000, 1000000, 1048577, 2100000};

#define N(array) (sizeof(array) / sizeof(*(array)))

struct kept {
	char path[64];
	uint8_t *data;
	size_t size;
} kept[N(contents) * N(sizes)];

static struct erofs_node *add(const char *path, const uint8_t *data, size_t size)
{
	struct erofs_node *n;

	check_ok(erofs_tree_add(tree, path, strlen(path), &file, &n, &err), &err);
	check_ok(erofs_node_set_memory(tree, n, data, size, &err), &err);
	return n;
}

static void make_tree(void)
{
	struct kept *k = kept;

	check_ok(erofs_tree_new(&tree, NULL, &err), &err);
	for (size_t i = 0; i < N(contents); i++)
		for (size_t j = 0; j < N(sizes); j++, k++) {
			snprintf(k->path, sizeof(k->path), "%s/%zu", contents[i].name, sizes[j]);
			k->size = sizes[j];
			k->data = malloc(k->size + 1);
			contents[i].make(k->data, k->size);
			add(k->path, k->data, k->size);
		}
}

static void drop_tree(void)
{
	for (size_t i = 0; i < N(kept); i++)
		free(kept[i].data);
	erofs_tree_free(tree);
}

static int new_file(void)
{
	int fd = open(check_tmpdir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	check(fd >= 0);
	return fd;
}

static struct erofs_write_opts options(const char *how, uint32_t blocks)
{
	struct erofs_write_opts o = EROFS_WRITE_OPTS_IMAGE;

	check_ok(erofs_compression_parse(how, &o.compression, &err), &err);
	if (blocks)
		o.compression.cluster_blocks = blocks;
	return o;
}

/* ---------------------------------------------------------------- round trips */

static void check_file(struct erofs_image *image, const struct kept *k)
{
	uint8_t *buf = malloc(k->size + 1);
	struct erofs_stat st;

	check_ok(erofs_lookup(image, k->path, strlen(k->path), &st, &err), &err);
	check_int(st.size, k->size);
	check_int(erofs_pread(image, &st, buf, k->size + 1, 0, &err), k->size);
	check(memcmp(buf, k->data, k->size) == 0);
	for (int i = 0; i < 60 && k->size; i++) {
		size_t at = next() % k->size, n = 1 + next() % 9000;
		size_t want = n < k->size - at ? n : k->size - at;

		check_int(erofs_pread(image, &st, buf, want, at, &err), want);
		check(memcmp(buf, k->data + at, want) == 0);
	}
	free(buf);
}

static void round_trip(const char *how, uint32_t blocks)
{
	struct erofs_write_opts o = options(how, blocks);
	struct erofs_check_result result;
	struct erofs_write_stats stats;
	struct erofs_image *image;
	int fd = new_file();

	make_tree();
	check_ok(erofs_write_tree(tree, fd, &o, &stats, &err), &err);
	check_ok(erofs_open_fd(&image, fd, &err), &err);
	check_ok(erofs_check(image, &result, &err), &err);
	check_int(result.files, N(kept));
	check_int(result.compressed_files, stats.packed_files);
	check_int(result.compressed_bytes, stats.packed_bytes);
	/* Everything of more than a block but noise. */
	check(stats.packed_files >= 2 * 11 && stats.packed_files <= 3 * 11);
	check(stats.packed_bytes < stats.packed_from);
	for (size_t i = 0; i < N(kept); i++)
		check_file(image, &kept[i]);
	erofs_close(image);
	close(fd);
	drop_tree();
}

TEST(lz4_of_one_block)
{
	round_trip("lz4", 1);
}

TEST(lz4)
{
	round_trip("lz4", 0);
}

TEST(lz4_of_64_blocks)
{
	round_trip("lz4", 64);
}

TEST(lz4hc)
{
	round_trip("lz4hc", 0);
}

TEST(lz4hc_1_of_one_block)
{
	round_trip("lz4hc,1", 1);
}

TEST(lz4hc_12)
{
	round_trip("lz4hc,12", 0);
}

/* ---------------------------------------------------------------- what is done with nodes */

TEST(twice_the_same_bytes_and_without_a_trace)
{
	struct erofs_write_opts o = options("lz4hc", 0), plain = EROFS_WRITE_OPTS_IMAGE;
	struct erofs_write_stats stats;
	int fd[4];
	char *bytes[4];
	off_t size[4];

	make_tree();
	for (int i = 0; i < 4; i++) {
		fd[i] = new_file();
		check_ok(erofs_write_tree(tree, fd[i], i % 2 ? &o : &plain, &stats, &err), &err);
		size[i] = lseek(fd[i], 0, SEEK_END);
		check_int(stats.size, size[i]);
		bytes[i] = malloc((size_t)size[i]);
		check(pread(fd[i], bytes[i], (size_t)size[i], 0) == size[i]);
		close(fd[i]);
	}
	for (int i = 0; i < 2; i++)
		check(size[i] == size[i + 2] &&
		      memcmp(bytes[i], bytes[i + 2], (size_t)size[i]) == 0);
	check(size[1] < size[0]);
	for (int i = 0; i < 4; i++)
		free(bytes[i]);
	drop_tree();
}

/* FNV-1a of the image of make_tree(): changes when the layout is changed on purpose, or with
 * another liblz4. */
static uint64_t image_sum(const char *how, uint32_t blocks)
{
	struct erofs_write_opts o = options(how, blocks);
	struct erofs_write_stats stats;
	uint64_t sum = 0xcbf29ce484222325u;
	uint8_t *image;
	int fd = new_file();

	seed = 1;
	make_tree();
	check_ok(erofs_write_tree(tree, fd, &o, &stats, &err), &err);
	image = malloc(stats.size);
	check(image && pread(fd, image, stats.size, 0) == (ssize_t)stats.size);
	for (uint64_t i = 0; i < stats.size; i++)
		sum = (sum ^ image[i]) * 0x100000001b3u;
	free(image);
	close(fd);
	drop_tree();
	return sum;
}

TEST(frozen_bytes)
{
	if (strcmp(erofs_lz4_version(), "1.9.4") != 0)
		check_skip("the sums are those of liblz4 1.9.4, not %s", erofs_lz4_version());
	check_int(image_sum("lz4", 1), 0xbc3e7402d1e23059u);
	check_int(image_sum("lz4", 4), 0xa2ee849d2b91e3dau);
	check_int(image_sum("lz4hc", 4), 0x22377021b0d1aee9u);
}

TEST(hot_files_and_links)
{
	struct erofs_write_opts o = options("lz4", 0);
	struct erofs_write_stats stats;
	struct erofs_image *image;
	struct erofs_stat st, other;
	uint32_t last = 0;
	int fd = new_file();

	make_tree();
	erofs_node_set_hot(erofs_tree_find(tree, "text/2100000", 12));
	erofs_node_set_hot(erofs_tree_find(tree, "text/70000", 10));
	erofs_node_set_hot(erofs_tree_find(tree, "zeros/70000", 11));
	erofs_node_set_hot(erofs_tree_root(tree));
	check_ok(erofs_tree_link(tree, "a", 1, "text/1000000", 12, &err), &err);
	check_ok(erofs_tree_link(tree, "zz", 2, "text/1000000", 12, &err), &err);
	check_ok(erofs_write_tree(tree, fd, &o, &stats, &err), &err);
	check_ok(erofs_open_fd(&image, fd, &err), &err);
	check_ok(erofs_check(image, NULL, &err), &err);
	check_ok(erofs_lookup(image, "text/2100000", 12, &st, &err), &err);
	check_int(st.layout, EROFS_LAYOUT_PLAIN);
	check_int(st.block % 512, 0);
	/* Hot files lie one behind the other. */
	check_ok(erofs_lookup(image, "text/70000", 10, &st, &err), &err);
	check_int(st.layout, EROFS_LAYOUT_PLAIN);
	last = st.block;
	check_ok(erofs_lookup(image, "zeros/70000", 11, &st, &err), &err);
	check_int(st.block, last + 18);
	check_ok(erofs_lookup(image, "text/1000000", 12, &st, &err), &err);
	check_int(st.layout, EROFS_LAYOUT_COMPRESSED_FULL);
	check_int(st.nlink, 3);
	check_ok(erofs_lookup(image, "zz", 2, &other, &err), &err);
	check_int(other.nid, st.nid);
	erofs_close(image);
	close(fd);
	drop_tree();
}

/* A file of the host, larger than the window, and one that changes. */
TEST(files_of_the_host)
{
	struct erofs_write_opts o = options("lz4", 0);
	size_t size = 9000001;
	uint8_t *data = malloc(size), *got = malloc(size);
	struct erofs_image *image;
	struct erofs_node *node;
	struct erofs_stat st;
	char path[4096];
	int fd = new_file(), in;

	snprintf(path, sizeof(path), "%s/in", check_tmpdir());
	in = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	make_mixed(data, size);
	check(write(in, data, size) == (ssize_t)size);
	check_ok(erofs_tree_new(&tree, NULL, &err), &err);
	check_ok(erofs_tree_add(tree, "in", 2, &file, &node, &err), &err);
	check_ok(erofs_node_set_path(tree, node, path, size, &err), &err);
	check_ok(erofs_write_tree(tree, fd, &o, NULL, &err), &err);
	check_ok(erofs_open_fd(&image, fd, &err), &err);
	check_ok(erofs_lookup(image, "in", 2, &st, &err), &err);
	check_int(st.layout, EROFS_LAYOUT_COMPRESSED_FULL);
	check_int(erofs_pread(image, &st, got, size, 0, &err), size);
	check(memcmp(got, data, size) == 0);
	erofs_close(image);
	check(ftruncate(in, 5000) == 0);
	check_int(erofs_write_tree(tree, fd, &o, NULL, &err), -ESTALE);
	check(unlink(path) == 0);
	check_int(erofs_write_tree(tree, fd, &o, NULL, &err), -ENOENT);
	erofs_tree_free(tree);
	close(fd);
	close(in);
	free(data);
	free(got);
}

static int questions;

static bool stop_later(void)
{
	return ++questions > 3;
}

TEST(being_interrupted)
{
	struct erofs_write_opts o = options("lz4", 0);
	int fd = new_file();

	o.interrupted = stop_later;
	make_tree();
	check_int(erofs_write_tree(tree, fd, &o, NULL, &err), -EINTR);
	o.interrupted = NULL;
	o.compression.cluster_blocks = 257;
	check_int(erofs_write_tree(tree, fd, &o, NULL, &err), -EINVAL);
	o.compression.cluster_blocks = 0;
	check_int(erofs_write_tree(tree, fd, &o, NULL, &err), -EINVAL);
	close(fd);
	drop_tree();
}

TEST(names_of_compressors)
{
	static const char *const wrong[] = {"",        "lz",       "lz4h",     "lz4,1",  "lz4hc,",
	                                    "lz4hc,0", "lz4hc,13", "lz4hc,-1", "zstd",   "lz4hc,9,",
	                                    "lz4 ",    "LZ4",      "lz4hc,9x", "lz4hc,,"};
	struct erofs_compression c;

	check_ok(erofs_compression_parse("lz4", &c, &err), &err);
	check(c.compressor == &erofs_lz4 && c.cluster_blocks == EROFS_CLUSTER_BLOCKS);
	check_ok(erofs_compression_parse("lz4hc", &c, &err), &err);
	check(c.compressor == &erofs_lz4hc && c.level == 9);
	check_ok(erofs_compression_parse("lz4hc,12", &c, &err), &err);
	check_int(c.level, 12);
	for (size_t i = 0; i < N(wrong); i++) {
		check_int(erofs_compression_parse(wrong[i], &c, &err), -EINVAL);
		check_int(err.kind, ERROR_USAGE);
	}
}

/* ---------------------------------------------------------------- damage */

static uint8_t *bytes;
static size_t size;

static void load(const char *how, uint32_t blocks)
{
	struct erofs_write_opts o = options(how, blocks);
	static uint8_t text[90000];
	int fd = new_file();
	struct stat st;

	o.flags = 0;
	make_mixed(text, 50000);
	make_text(text + 50000, 40000);
	check_ok(erofs_tree_new(&tree, NULL, &err), &err);
	add("file", text, sizeof(text));
	check_ok(erofs_write_tree(tree, fd, &o, NULL, &err), &err);
	erofs_tree_free(tree);
	check(fstat(fd, &st) == 0);
	size = (size_t)st.st_size;
	bytes = malloc(size); /* in a tight allocation, so that ASan sees the edge */
	check(bytes && pread(fd, bytes, size, 0) == (ssize_t)size);
	bytes[EROFS_SUPER_OFFSET + SB_COMPAT] = 0; /* without a checksum */
	close(fd);
}

/* Checks and reads all of the image, whatever the check says. */
static int look(struct erofs_stat *st)
{
	struct erofs_image *image;
	uint8_t buf[5000];
	int r = erofs_open_memory(&image, bytes, size, NULL);

	if (r < 0)
		return r;
	r = erofs_check(image, NULL, &err);
	if (erofs_lookup(image, "file", 4, st, NULL) == 0)
		for (uint64_t at = 0; at < 90000; at += sizeof(buf))
			erofs_pread(image, st, buf, sizeof(buf), at, NULL);
	erofs_close(image);
	return r;
}

static int with_le16(size_t at, uint16_t value)
{
	uint16_t old = get_le16(bytes + at);
	struct erofs_stat st;
	int r;

	put_le16(bytes + at, value);
	r = look(&st);
	put_le16(bytes + at, old);
	return r;
}

TEST(damaged_indexes)
{
	struct erofs_stat st;
	size_t header, entry;
	uint16_t ahead;

	load("lz4", 0);
	check_ok(look(&st), &err);
	check_int(st.layout, EROFS_LAYOUT_COMPRESSED_FULL);
	header = (size_t)(st.offset + INODE_COMPACT_SIZE + 7) / 8 * 8;
	entry = header + CLUSTER_HEADER_SIZE + CLUSTER_INDEX_GAP;
	check_int(with_le16(header + CLUSTER_HEADER_ADVISE, CLUSTER_ADVISE_BIG_1 | 8), -EOPNOTSUPP);
	check(strstr(err.text, "ztailpacking"));
	check_int(with_le16(header + CLUSTER_HEADER_ADVISE, CLUSTER_ADVISE_BIG_1 | 0x20),
	          -EOPNOTSUPP);
	check(strstr(err.text, "fragments"));
	check_int(with_le16(header + CLUSTER_HEADER_ADVISE, 1), -EOPNOTSUPP);
	check_int(with_le16(header + CLUSTER_HEADER_ADVISE, 0x100), -EOPNOTSUPP);
	check_int(with_le16(header + CLUSTER_HEADER_ALGORITHM, 1), -EOPNOTSUPP);
	check(strstr(err.text, "LZ4"));
	check_int(with_le16(header + CLUSTER_HEADER_ALGORITHM, 0x8000), -EOPNOTSUPP);
	check_int(with_le16(header + CLUSTER_HEADER_ALGORITHM, 0x0200), -EOPNOTSUPP);
	/* Clusters of several blocks without the bit that allows them, here or for the image. */
	check_int(with_le16(header + CLUSTER_HEADER_ADVISE, 0), -EUCLEAN);
	check_int(with_le16(EROFS_SUPER_OFFSET + SB_INCOMPAT, EROFS_INCOMPAT_ZERO_PADDING),
	          -EUCLEAN);
	/* A compact index that counts blocks for one kind of clusters only. */
	check_int(with_le16(st.offset, EROFS_LAYOUT_COMPRESSED_COMPACT << 1), -EUCLEAN);
	check(strstr(err.text, "none should be"));
	check_int(with_le16(entry, CLUSTER_PARTIAL | CLUSTER_HEAD1), -EOPNOTSUPP);
	check(strstr(err.text, "deduplication"));
	/* The first byte belongs to nothing. */
	check_int(with_le16(entry, CLUSTER_NONHEAD), -EUCLEAN);
	check_int(with_le16(entry + CLUSTER_ENTRY_OFFSET, 1), -EUCLEAN);
	check_int(with_le16(entry + CLUSTER_ENTRY_OFFSET, 4096), -EUCLEAN);
	check_int(with_le16(entry + CLUSTER_ENTRY_BLOCK, 0), -EUCLEAN);
	check_int(with_le16(entry + CLUSTER_ENTRY_BLOCK + 2, 0xffff), -EUCLEAN);
	check(strstr(err.text, "beyond"));
	/* The second entry of a run of several says that the next run is further than it is. */
	while (get_le16(bytes + entry) != CLUSTER_NONHEAD)
		entry += CLUSTER_ENTRY_SIZE;
	ahead = get_le16(bytes + entry + CLUSTER_ENTRY_AHEAD);
	check_int(with_le16(entry + CLUSTER_ENTRY_AHEAD, ahead), 0);
	check_int(with_le16(entry + CLUSTER_ENTRY_AHEAD, (uint16_t)(ahead + 1)), -EUCLEAN);
	check(strstr(err.text, "past the next run"));
	free(bytes);
}

/* Any byte of index and clusters turned over, and any cut: an answer, and no more. */
TEST(every_byte)
{
	static const struct {
		const char *how;
		uint32_t blocks;
	} kinds[] = {{"lz4", 1}, {"lz4", 4}, {"lz4hc", 16}};
	struct erofs_stat st;
	size_t whole;

	for (size_t i = 0; i < N(kinds); i++) {
		load(kinds[i].how, kinds[i].blocks);
		check_ok(look(&st), &err);
		for (size_t at = EROFS_SUPER_OFFSET; at < size; at++)
			if (at >= st.offset || at % 37 == 0) {
				bytes[at] ^= 0xff;
				look(&st);
				bytes[at] ^= 0xff;
			}
		for (whole = size; size >= EROFS_BLOCK_SIZE; size -= 1000)
			look(&st);
		size = whole;
		check_ok(look(&st), &err);
		free(bytes);
	}
}

TEST_MAIN()
