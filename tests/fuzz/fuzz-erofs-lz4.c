/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-erofs-lz4: whatever a file holds, its compressed image is sound and gives it back.
 *
 * Input: a byte that chooses compressor and cluster size, then the content as steps: a byte
 * for the kind and two for the length of a run of one byte, of noise, of the input's own
 * bytes, or of what came before.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/erofs/reader.h"
#include "lib/erofs/writer.h"

#define CONTENT_MAX (192u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void step(struct reader *r, struct buffer *out)
{
	uint8_t kind = reader_u8(r);
	size_t n = reader_le16(r), left = reader_left(r), from = kind >> 2;
	uint32_t noise = kind;
	uint8_t *p;

	if (out->size + n > CONTENT_MAX)
		n = CONTENT_MAX - out->size;
	if ((kind & 3) == 2 && n > left)
		n = left;
	p = buffer_reserve(out, n);
	if (!p)
		abort();
	for (size_t i = 0; i < n; i++) {
		noise = noise * 1664525 + 1013904223;
		if ((kind & 3) == 0)
			p[i] = (uint8_t)from;
		else if ((kind & 3) == 1)
			p[i] = (uint8_t)(noise >> 24);
		else if ((kind & 3) == 2)
			p[i] = reader_u8(r);
		else
			p[i] = out->size > from ? out->data[out->size - 1 - from] : 7;
	}
	out->size += n;
}

static void __attribute__((noreturn)) fail(const struct error *err, const char *what)
{
	dprintf(2, "%s: %s\n", what, err->text);
	abort();
}

static void read_back(int fd, const struct buffer *content)
{
	struct error err = ERROR_INIT;
	struct erofs_image *image;
	struct erofs_stat st;
	uint8_t *got = malloc(content->size + 1);

	if (!got || erofs_open_fd(&image, fd, &err) < 0 || erofs_check(image, NULL, &err) < 0)
		fail(&err, "check");
	if (erofs_lookup(image, "f", 1, &st, &err) < 0 ||
	    erofs_pread(image, &st, got, content->size, 0, &err) != (ssize_t)content->size)
		fail(&err, "read");
	if (content->size && memcmp(got, content->data, content->size) != 0)
		fail(&err, "other bytes");
	erofs_close(image);
	free(got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const how[] = {"lz4", "lz4hc,1", "lz4hc,4", "lz4hc,10"};
	static const uint32_t blocks[] = {1, 2, 4, 16};
	const struct erofs_attr attr = {.mode = S_IFREG | 0644};
	struct reader r = reader_init(data, size);
	struct erofs_write_opts opts = {0};
	struct error err = ERROR_INIT;
	struct buffer content = BUFFER_INIT;
	struct erofs_tree *tree;
	struct erofs_node *node;
	uint8_t choice = reader_u8(&r);
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	for (int i = 0; i < 100 && reader_left(&r); i++)
		step(&r, &content);
	if (fd < 0 || erofs_compression_parse(how[choice % 4], &opts.compression, &err) < 0 ||
	    erofs_tree_new(&tree, NULL, &err) < 0 ||
	    erofs_tree_add(tree, "f", 1, &attr, &node, &err) < 0)
		fail(&err, "start");
	opts.compression.cluster_blocks = blocks[choice / 4 % 4];
	erofs_node_set_memory(tree, node, content.data, content.size, &err);
	if (erofs_write_tree(tree, fd, &opts, NULL, &err) < 0)
		fail(&err, "write");
	read_back(fd, &content);
	erofs_tree_free(tree);
	buffer_free(&content);
	close(fd);
	return 0;
}
