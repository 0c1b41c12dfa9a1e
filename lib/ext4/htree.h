/* SPDX-License-Identifier: Apache-2.0 */
/* htree: a directory of several blocks, found through hashes of its names. Private to lib/ext4. */
#pragma once

#include "lib/ext4/dir.h"

/* Blocks of index that so many blocks of names take. */
uint64_t htree_index_blocks(uint64_t leaves);

/* Writes all blocks; the inode is the caller's. -EFBIG: more names than two levels of index
 * reach (some 258,000 blocks of them). */
int htree_write(const struct dir *d, struct volume *v, struct runs *runs);
