/* SPDX-License-Identifier: Apache-2.0 */
/* tar_header: see the header file. */
#include "lib/image/tar_header.h"

#include <errno.h>
#include <string.h>

static int octal(const uint8_t *p, size_t n, int64_t *out)
{
	uint64_t v = 0;
	size_t i = 0;

	while (i < n && (p[i] == ' ' || p[i] == '\0'))
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
		if (v >> 60)
			return -ERANGE;
		v = v << 3 | (uint64_t)(p[i] - '0');
	}
	for (; i < n; i++)
		if (p[i] != ' ' && p[i] != '\0')
			return -EINVAL;
	if (v > INT64_MAX)
		return -ERANGE;
	*out = (int64_t)v;
	return 0;
}

/* Two's complement, big-endian, the very first bit being the mark. */
static int base256(const uint8_t *p, size_t n, int64_t *out)
{
	uint8_t sign = p[0] & 0x40 ? 0xff : 0;
	uint64_t v = sign ? UINT64_MAX : 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t byte = i == 0 ? (uint8_t)((p[0] & 0x7f) | (sign & 0x80)) : p[i];

		if ((uint8_t)(v >> 56) != sign)
			return -ERANGE;
		v = v << 8 | byte;
	}
	if ((uint8_t)(v >> 63 ? 0xff : 0) != sign)
		return -ERANGE;
	*out = (int64_t)v;
	return 0;
}

int tar_number(const uint8_t *field, size_t size, int64_t *out)
{
	return field[0] & 0x80 ? base256(field, size, out) : octal(field, size, out);
}

/* The sum of all bytes with the checksum itself taken as blanks; old tars added up
 * signed bytes. */
static bool checksum_ok(const uint8_t *b)
{
	int64_t want, plain = 0, with_sign = 0;

	if (octal(b + TAR_AT_CHECKSUM, 8, &want))
		return false;
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		uint8_t c = i >= TAR_AT_CHECKSUM && i < TAR_AT_CHECKSUM + 8 ? ' ' : b[i];

		plain += c;
		with_sign += (int8_t)c;
	}
	return want == plain || want == with_sign;
}

static void copy_field(char *to, const uint8_t *from, size_t n)
{
	size_t len = strnlen((const char *)from, n);

	memcpy(to, from, len);
	to[len] = '\0';
}

static int number(const uint8_t *b, size_t at, size_t size, int64_t min, int64_t max,
                  const char *what, int64_t *out, struct error *err)
{
	int r = tar_number(b + at, size, out);

	if (!r && (*out < min || *out > max))
		r = -ERANGE;
	if (r)
		return error_set_kind(err, ERROR_INPUT, -r, "a tar header whose %s is no number%s",
		                      what, r == -ERANGE ? " that is possible" : "");
	return 0;
}

static void read_name(const uint8_t *b, bool ustar, char *out)
{
	size_t n = 0;

	if (ustar && b[TAR_AT_PREFIX]) {
		copy_field(out, b + TAR_AT_PREFIX, 155);
		n = strlen(out);
		out[n++] = '/';
	}
	copy_field(out + n, b + TAR_AT_NAME, 100);
}

int tar_header_parse(const uint8_t block[TAR_BLOCK], struct tar_header *out, struct error *err)
{
	static const uint8_t zeros[TAR_BLOCK];
	int64_t mode, uid, gid, size, major = 0, minor = 0;
	bool ustar;
	int r;

	if (!memcmp(block, zeros, TAR_BLOCK))
		return 1;
	if (!checksum_ok(block))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "not a tar archive: a header's checksum does not hold");
	memset(out, 0, sizeof(*out));
	out->type = (char)block[TAR_AT_TYPE];
	ustar = !memcmp(block + TAR_AT_MAGIC, "ustar\0", 6);
	out->gnu = !memcmp(block + TAR_AT_MAGIC, "ustar  ", 7);
	read_name(block, ustar, out->name);
	copy_field(out->link, block + TAR_AT_LINK, 100);

	r = number(block, TAR_AT_MODE, 8, INT64_MIN, INT64_MAX, "mode", &mode, err);
	if (!r)
		r = number(block, TAR_AT_UID, 8, 0, INT64_MAX, "uid", &uid, err);
	if (!r)
		r = number(block, TAR_AT_GID, 8, 0, INT64_MAX, "gid", &gid, err);
	if (!r)
		r = number(block, TAR_AT_SIZE, 12, 0, INT64_MAX, "size", &size, err);
	if (!r)
		r = number(block, TAR_AT_MTIME, 12, INT64_MIN, INT64_MAX, "mtime", &out->mtime,
		           err);
	if (!r && (out->type == '3' || out->type == '4'))
		r = number(block, TAR_AT_MAJOR, 8, 0, 0xfff, "device number", &major, err);
	if (!r && (out->type == '3' || out->type == '4'))
		r = number(block, TAR_AT_MINOR, 8, 0, 0xfffff, "device number", &minor, err);
	if (r)
		return r;
	out->mode = (uint32_t)(mode & 07777);
	out->uid = (uint64_t)uid;
	out->gid = (uint64_t)gid;
	out->size = (uint64_t)size;
	out->major = (uint32_t)major;
	out->minor = (uint32_t)minor;
	return 0;
}
