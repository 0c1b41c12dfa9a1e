/* SPDX-License-Identifier: Apache-2.0 */
/* boot_words: joins the parts of a kernel command line. */
#include "lib/guestimg/boot_words.h"

#include "lib/base/bytes.h"
#include "lib/base/str.h"

char *boot_words_join(const struct boot_words *w)
{
	const char *const parts[] = {w->machine, w->platform, w->root,  w->net,
	                             w->level,   w->image,    w->append};
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (!str_empty(parts[i]))
			buffer_printf(&b, "%s%s", b.size > 0 ? " " : "", parts[i]);
	return buffer_steal(&b);
}

char *boot_words_launch(const struct boot_launch *l)
{
	const char *const roots[] = {
	    [BOOT_ROOT_NONE] = NULL,
	    [BOOT_ROOT_BLK] = l->words_blk ? l->words_blk : BOOT_WORDS_ROOT_BLK,
	    [BOOT_ROOT_PMEM] = l->words_pmem ? l->words_pmem : BOOT_WORDS_ROOT_PMEM,
	};
	const struct boot_words words = {.machine = BOOT_WORDS_MACHINE,
	                                 .platform = l->platform,
	                                 .root = roots[l->root],
	                                 .net = l->net,
	                                 .level = l->level,
	                                 .image = l->image,
	                                 .append = l->append};

	return boot_words_join(&words);
}
