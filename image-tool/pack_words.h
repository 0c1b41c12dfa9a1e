/* SPDX-License-Identifier: Apache-2.0 */
/* pack_words: a command as people write it, in words. */
#pragma once

#include "lib/base/error.h"
#include "lib/base/str.h"

/*
 * cmd: what --cmd was given; plain: words that stood by themselves. Both is -EINVAL (kind usage).
 * One --cmd is split as a POSIX shell splits words - blanks, quotes, backslashes, and nothing else
 * - or is a JSON array of strings; of several each is a word as it stands. No words when neither
 * was given.
 */
int pack_words(const struct strv *cmd, const struct strv *plain, struct strv *out,
               struct error *err);
