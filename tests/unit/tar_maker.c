/* SPDX-License-Identifier: Apache-2.0 */
/* tar_maker: see the header. */
#include "tar_maker.h"

#include <stdio.h>
#include <string.h>

static void octal(unsigned char *field, size_t digits, uint64_t v)
{
	while (digits--) {
		field[digits] = (unsigned char)('0' + (v & 7));
		v >>= 3;
	}
}

void tar_make_header(struct buffer *b, const struct tar_make *m)
{
	unsigned char h[512] = {0};
	unsigned int sum = 0;

	strncpy((char *)h, m->name, 100);
	octal(h + 100, 7, m->mode ? m->mode : 0644);
	octal(h + 108, 7, m->uid);
	octal(h + 116, 7, m->gid);
	octal(h + 124, 11, m->size);
	octal(h + 136, 11, m->mtime);
	memset(h + 148, ' ', 8);
	h[156] = (unsigned char)(m->type ? m->type : '0');
	if (m->link)
		strncpy((char *)h + 157, m->link, 100);
	memcpy(h + 257, m->gnu ? "ustar  " : "ustar\00000", 8);
	for (size_t i = 0; i < 512; i++)
		sum += h[i];
	octal(h + 148, 6, sum);
	h[154] = 0;
	buffer_append(b, h, 512);
}

void tar_make(struct buffer *b, const struct tar_make *m)
{
	tar_make_header(b, m);
	buffer_append(b, m->content, m->size);
	buffer_fill(b, 0, -m->size & 511);
}

void tar_file(struct buffer *b, const char *name, const char *text)
{
	tar_make(b, &(struct tar_make){.name = name, .content = text, .size = strlen(text)});
}

void tar_dir(struct buffer *b, const char *name, uint32_t mode, uint32_t uid)
{
	tar_make(b, &(struct tar_make){.type = '5', .name = name, .mode = mode, .uid = uid});
}

void tar_symlink(struct buffer *b, const char *name, const char *target)
{
	tar_make(b, &(struct tar_make){.type = '2', .name = name, .link = target, .mode = 0777});
}

void tar_hardlink(struct buffer *b, const char *name, const char *target)
{
	tar_make(b, &(struct tar_make){.type = '1', .name = name, .link = target});
}

void tar_record(struct buffer *b, const char *key, const void *value, size_t size)
{
	size_t rest = 1 + strlen(key) + 1 + size + 1, total = rest + 1;
	char digits[24];

	while ((size_t)snprintf(digits, sizeof(digits), "%zu", total) + rest != total)
		total++;
	buffer_printf(b, "%zu %s=", total, key);
	buffer_append(b, value, size);
	buffer_str(b, "\n");
}

void tar_extended(struct buffer *b, char type, const struct buffer *records)
{
	tar_make(b, &(struct tar_make){.type = type,
	                               .name = "PaxHeaders/x",
	                               .content = records->data,
	                               .size = records->size});
}

void tar_finish(struct buffer *b)
{
	buffer_fill(b, 0, 1024);
}
