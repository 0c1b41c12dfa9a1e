/* SPDX-License-Identifier: Apache-2.0 */
/* cpio: a machine that takes an archive a piece at a time. */
#include "lib/cpio/cpio.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HEADER_SIZE 110u
#define FIELDS      13u
#define TRAILER     "TRAILER!!!"

/* Eight hexadecimal digits each, behind the magic number. */
enum field {
	FIELD_INO,
	FIELD_MODE,
	FIELD_UID,
	FIELD_GID,
	FIELD_NLINK,
	FIELD_MTIME,
	FIELD_SIZE,
	FIELD_DEV_MAJOR,
	FIELD_DEV_MINOR,
	FIELD_RDEV_MAJOR,
	FIELD_RDEV_MINOR,
	FIELD_NAME_SIZE,
	FIELD_CHECKSUM,
};

enum state {
	STATE_HEADER,
	STATE_NAME,
	STATE_CONTENT,
	STATE_PADDING, /* to the next multiple of four */
	STATE_BETWEEN, /* behind a trailer: zeros, or another archive */
};

struct cpio {
	const struct cpio_ops *ops;
	void *data;
	enum state state;
	uint64_t at; /* bytes taken so far */
	uint8_t header[HEADER_SIZE];
	char name[CPIO_NAME_MAX + 1];
	size_t have, name_size; /* of the header or the name */
	struct cpio_member member;
	uint32_t left; /* of the content */
	bool summed;
	uint32_t checksum, sum;
};

static int damaged(const struct cpio *c, struct error *err, const char *what)
{
	return error_set_kind(
	    err, ERROR_INPUT, EUCLEAN, "the cpio archive %s (%s%.200s, byte %llu)", what,
	    c->name[0] ? "at " : "at its start", c->name, (unsigned long long)c->at);
}

int cpio_new(const struct cpio_ops *ops, void *data, struct cpio **out, struct error *err)
{
	struct cpio *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(err, ENOMEM, "no memory to read a cpio archive");
	c->ops = ops;
	c->data = data;
	*out = c;
	return 0;
}

void cpio_free(struct cpio *c)
{
	free(c);
}

static int hex_field(const uint8_t *p, uint32_t *out)
{
	*out = 0;
	for (int i = 0; i < 8; i++) {
		unsigned int digit;

		if (p[i] >= '0' && p[i] <= '9')
			digit = p[i] - '0';
		else if (p[i] >= 'a' && p[i] <= 'f')
			digit = p[i] - 'a' + 10u;
		else if (p[i] >= 'A' && p[i] <= 'F')
			digit = p[i] - 'A' + 10u;
		else
			return -EINVAL;
		*out = *out << 4 | digit;
	}
	return 0;
}

static int take_header(struct cpio *c, struct error *err)
{
	uint32_t f[FIELDS];

	if (memcmp(c->header, "07070", 5) != 0 || (c->header[5] != '1' && c->header[5] != '2'))
		return damaged(c, err, "has no header (070701 or 070702) where one must be");
	for (unsigned int i = 0; i < FIELDS; i++)
		if (hex_field(c->header + 6 + 8 * (size_t)i, &f[i]) < 0)
			return damaged(c, err, "has a header with other than hexadecimal digits");
	c->member = (struct cpio_member){
	    .archive = c->member.archive,
	    .ino = f[FIELD_INO],
	    .mode = f[FIELD_MODE],
	    .uid = f[FIELD_UID],
	    .gid = f[FIELD_GID],
	    .nlink = f[FIELD_NLINK],
	    .mtime = f[FIELD_MTIME],
	    .size = f[FIELD_SIZE],
	    .dev_major = f[FIELD_DEV_MAJOR],
	    .dev_minor = f[FIELD_DEV_MINOR],
	    .rdev_major = f[FIELD_RDEV_MAJOR],
	    .rdev_minor = f[FIELD_RDEV_MINOR],
	};
	c->name_size = f[FIELD_NAME_SIZE];
	c->summed = c->header[5] == '2';
	c->checksum = f[FIELD_CHECKSUM];
	c->sum = 0;
	if (c->name_size < 1 || c->name_size > CPIO_NAME_MAX)
		return damaged(c, err,
		               "has a member whose name is empty or longer than 4095 bytes");
	c->state = STATE_NAME;
	c->have = 0;
	return 0;
}

static int content_over(struct cpio *c, struct error *err)
{
	if (c->summed && S_ISREG(c->member.mode) && c->sum != c->checksum)
		return damaged(c, err, "has a member whose checksum does not hold");
	c->state = STATE_PADDING;
	return 0;
}

/* The name and its padding are in. */
static int take_name(struct cpio *c, struct error *err)
{
	int r;

	if (c->name[c->name_size - 1] != 0 || strlen(c->name) != c->name_size - 1)
		return damaged(c, err, "has a name that does not end where it should");
	if (strcmp(c->name, TRAILER) == 0) {
		if (c->member.size != 0)
			return damaged(c, err, "has a trailer with content");
		c->state = STATE_BETWEEN;
		c->have = 0;
		c->member.archive++;
		return 0;
	}
	c->member.name = c->name;
	c->member.offset = c->at;
	c->left = c->member.size;
	c->state = STATE_CONTENT;
	r = c->ops->member(&c->member, c->data, err);
	return r ?: c->left > 0 ? 0 : content_over(c, err);
}

/* At most `want` bytes in all into `to`, `pad` more passed over; 1 when they are there. */
static int collect(struct cpio *c, void *to, size_t want, size_t pad, const uint8_t **p,
                   const uint8_t *end)
{
	while (*p < end && c->have < want + pad) {
		size_t n = (size_t)(end - *p);
		size_t room = c->have < want ? want - c->have : want + pad - c->have;

		if (n > room)
			n = room;
		if (c->have < want)
			memcpy((uint8_t *)to + c->have, *p, n);
		*p += n;
		c->have += n;
		c->at += n;
	}
	return c->have == want + pad;
}

static int feed_content(struct cpio *c, const uint8_t **p, const uint8_t *end, struct error *err)
{
	size_t n = (size_t)(end - *p);
	int r = 0;

	if (n > c->left)
		n = c->left;
	if (c->summed)
		for (size_t i = 0; i < n; i++)
			c->sum += (*p)[i];
	if (c->ops->content)
		r = c->ops->content(*p, n, c->data, err);
	*p += n;
	c->at += n;
	c->left -= (uint32_t)n;
	return r ?: c->left > 0 ? 0 : content_over(c, err);
}

/* Zeros behind an archive; anything else begins another one, on a multiple of four. */
static int feed_between(struct cpio *c, const uint8_t **p, const uint8_t *end, struct error *err)
{
	while (*p < end && **p == 0) {
		(*p)++;
		c->at++;
	}
	if (*p == end)
		return 0;
	if (c->at % 4)
		return damaged(c, err, "is followed by something that is no archive");
	c->state = STATE_HEADER;
	c->have = 0;
	return 0;
}

static int feed_padding(struct cpio *c, const uint8_t **p, const uint8_t *end, struct error *err)
{
	for (; *p < end && c->at % 4; c->at++)
		if (*(*p)++ != 0)
			return damaged(c, err, "has something else than zeros behind a member");
	if (c->at % 4 == 0) {
		c->state = STATE_HEADER;
		c->have = 0;
	}
	return 0;
}

static int step(struct cpio *c, const uint8_t **p, const uint8_t *end, struct error *err)
{
	size_t pad;

	switch (c->state) {
	case STATE_HEADER:
		return collect(c, c->header, HEADER_SIZE, 0, p, end) ? take_header(c, err) : 0;
	case STATE_NAME:
		pad = (4 - (HEADER_SIZE + c->name_size) % 4) % 4;
		return collect(c, c->name, c->name_size, pad, p, end) ? take_name(c, err) : 0;
	case STATE_CONTENT:
		return feed_content(c, p, end, err);
	case STATE_PADDING:
		return feed_padding(c, p, end, err);
	case STATE_BETWEEN:
		return feed_between(c, p, end, err);
	}
	return 0;
}

int cpio_feed(struct cpio *c, const uint8_t *p, size_t n, struct error *err)
{
	const uint8_t *end = p + n;
	int r = 0;

	while (r == 0 && p < end)
		r = step(c, &p, end, err);
	return r;
}

int cpio_end(struct cpio *c, struct error *err)
{
	return c->state == STATE_BETWEEN ? 0 : damaged(c, err, "ends before its trailer");
}
