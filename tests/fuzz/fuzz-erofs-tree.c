/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-erofs-tree: any order of adding, linking and removing gives a tree whose image is
 * sound.
 *
 * Input: commands of one byte and a path of a length byte; the path's bytes are drawn from
 * few letters, so that paths meet. The image must pass erofs_check() and list the same
 * number of names as the tree.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/erofs/reader.h"
#include "lib/erofs/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t read_path(struct reader *r, char *path, size_t max)
{
	static const char letters[16] = "aabbcd////./xy.\xff";
	size_t n = reader_u8(r) % max;

	for (size_t i = 0; i < n; i++)
		path[i] = letters[reader_u8(r) % 16];
	return n;
}

static void command(struct erofs_tree *t, struct erofs_writer *w, struct reader *r)
{
	static const uint32_t types[8] = {S_IFREG, S_IFDIR, S_IFCHR, S_IFIFO,
	                                  S_IFREG, S_IFDIR, S_IFREG, S_IFSOCK};
	uint8_t op = reader_u8(r), detail = reader_u8(r);
	struct erofs_attr a = {.mode = types[detail % 8] | 0644, .uid = detail > 200 ? 70000 : 0};
	char path[64], other[64], name[16];
	size_t len = read_path(r, path, sizeof(path)), other_len;
	struct erofs_node *node;
	struct erofs_extent extent;
	struct erofs_xattr x = {name, other, 0};

	switch (op % 6) {
	case 0:
	case 1:
		if (erofs_tree_add(t, path, len, &a, &node, NULL) < 0 || !S_ISREG(a.mode))
			break;
		if (erofs_writer_data_start(w, EROFS_SIZE_UNKNOWN, NULL) < 0)
			abort();
		erofs_writer_data(w, path, len, NULL);
		erofs_writer_data_zeros(w, detail * 64u, NULL);
		if (detail % 5 == 0) {
			erofs_writer_data_abort(w, NULL);
			erofs_node_copy_memory(t, node, path, len, NULL);
			break;
		}
		if (erofs_writer_data_end(w, &extent, NULL) < 0 ||
		    erofs_node_set_extent(t, node, &extent, NULL) < 0)
			abort();
		break;
	case 2:
		other_len = read_path(r, other, sizeof(other));
		erofs_tree_link(t, path, len, other, other_len, NULL);
		break;
	case 3:
		other_len = read_path(r, other, sizeof(other));
		erofs_tree_add_symlink(t, path, len, &a, other, other_len, NULL, NULL);
		break;
	case 4:
		erofs_tree_remove(t, path, len, NULL);
		break;
	default:
		node = erofs_tree_find(t, path, len);
		x.size = read_path(r, other, sizeof(other));
		memcpy(name, "user.a", 7);
		name[5] = (char)('a' + detail % 4);
		if (node)
			erofs_node_add_xattr(t, node, &x, NULL);
	}
}

static int count(const char *path, const struct erofs_stat *st, void *data)
{
	++*(uint64_t *)data;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(data, size);
	struct erofs_write_opts opts = {.flags = reader_u8(&r) & 3};
	struct error err = ERROR_INIT;
	struct erofs_tree *tree;
	struct erofs_writer *w;
	struct erofs_image *image;
	uint64_t names = 0;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || erofs_tree_new(&tree, NULL, &err) < 0)
		abort();
	if (erofs_writer_begin(&w, fd, &opts, &err) < 0)
		abort();
	for (int i = 0; i < 500 && !r.failed; i++)
		command(tree, w, &r);
	if (erofs_writer_finish(w, tree, NULL, &err) < 0 || erofs_open_fd(&image, fd, &err) < 0 ||
	    erofs_check(image, NULL, &err) < 0 || erofs_walk(image, count, &names, &err) < 0 ||
	    names != erofs_tree_entries(tree) + 1) {
		dprintf(2, "%s\n", err.text);
		abort();
	}
	erofs_close(image);
	erofs_writer_free(w);
	erofs_tree_free(tree);
	close(fd);
	return 0;
}
