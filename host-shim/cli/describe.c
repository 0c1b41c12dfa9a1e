/* SPDX-License-Identifier: Apache-2.0 */
/* describe: prints the command that would run a guest, for a person or a shell. */
#include "describe.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

/* In single quotes nothing is special but the quote itself. */
static void add_word(struct buffer *b, const char *word)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	                            "0123456789-_=+,./:@%";

	if (b->size > 0)
		buffer_append(b, " ", 1);
	if (*word && !word[strspn(word, plain)]) {
		buffer_append(b, word, strlen(word));
		return;
	}
	buffer_append(b, "'", 1);
	for (; *word; word++) {
		if (*word == '\'')
			buffer_append(b, "'\\'", 3);
		buffer_append(b, word, 1);
	}
	buffer_append(b, "'", 1);
}

int describe_guest(struct hypervisor *hv, struct error *err)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	_cleanup_strv_ struct strv words = STRV_INIT;
	int r = hypervisor_command(hv, &words, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < words.n; i++)
		add_word(&b, words.v[i]);
	buffer_append(&b, "\n", 1);
	if (b.failed)
		return error_set(err, ENOMEM, "no memory for the command");
	r = fs_write_all(STDOUT_FILENO, b.data, b.size);
	return r < 0 ? error_errno(err, -r, "standard output") : 0;
}
