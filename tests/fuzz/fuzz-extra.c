/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-extra: whatever an archive of --extra holds, it becomes entries of a tree that can be
 * written, or is refused. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image-tool/extra_tar.h"
#include "image-tool/tool.h"
#include "lib/erofs/writer.h"
#include "tests/fuzz/tar_fix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What main.c has. */
bool tool_interrupted(void)
{
	return false;
}

static void add(const uint8_t *data, size_t size)
{
	_cleanup_close_ int in = memfd_create("in", MFD_CLOEXEC);
	_cleanup_close_ int spool = memfd_create("spool", MFD_CLOEXEC);
	_cleanup_close_ int out = memfd_create("out", MFD_CLOEXEC);
	static const struct erofs_write_opts opts = EROFS_WRITE_OPTS_LAYER;
	_cleanup_erofs_tree_ struct erofs_tree *tree = NULL;
	void *map = NULL;
	size_t map_size = 0;
	char sha256[65];

	if (in < 0 || write(in, data, size) != (ssize_t)size || lseek(in, 0, SEEK_SET) != 0 ||
	    erofs_tree_new(&tree, NULL, NULL) < 0)
		return;
	if (extra_tar_add(tree, in, spool, 0, &map, &map_size, sha256, NULL) == 0 &&
	    map_size < 64u << 20)
		erofs_write_tree(tree, out, &opts, NULL, NULL);
	if (map)
		munmap(map, map_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *tar = malloc(size + 1);

	if (!tar)
		return 0;
	tar_fix(tar, data, size);
	add(tar, size);
	free(tar);
	return 0;
}
