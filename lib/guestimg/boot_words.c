/* SPDX-License-Identifier: Apache-2.0 */
/* boot_words: joins the parts of a kernel command line. */
#include "lib/guestimg/boot_words.h"

#include "lib/base/bytes.h"
#include "lib/base/str.h"

char *boot_words_join(const struct boot_words *w)
{
	const char *const parts[] = {w->machine, w->clock, w->root,  w->net,
	                             w->level,   w->image, w->append};
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (!str_empty(parts[i]))
			buffer_printf(&b, "%s%s", b.size > 0 ? " " : "", parts[i]);
	return buffer_steal(&b);
}
