/* SPDX-License-Identifier: Apache-2.0 */
/* inflate: streams that gzip(1) and zstd(1) made, in pieces, joined, and damaged. */
#include "check.h"

#include <fcntl.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/image/inflate.h"

static int collect(void *data, const uint8_t *p, size_t n, struct error *err)
{
	buffer_append(data, p, n);
	return 0;
}

static int run(enum image_compression how, const struct buffer *in, size_t step, struct buffer *out,
               struct error *err)
{
	_cleanup_inflate_ struct inflate *z = NULL;
	int r = inflate_new(how, collect, out, &z, err);

	for (size_t i = 0; !r && i < in->size; i += step)
		r = inflate_feed(z, in->data + i, in->size - i < step ? in->size - i : step, err);
	return r ? r : inflate_end(z, err);
}

static void gives(enum image_compression how, const struct buffer *in, const struct buffer *want)
{
	static const size_t steps[] = {1 << 30, 65536, 4097, 1};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		_cleanup_buffer_ struct buffer out = BUFFER_INIT;
		struct error err = ERROR_INIT;

		check_ok(run(how, in, steps[i], &out, &err), &err);
		check_int(out.size, want->size);
		if (want->size)
			check_mem(out.data, want->data, want->size);
	}
}

static void fails(enum image_compression how, const struct buffer *in, int code)
{
	static const size_t steps[] = {1 << 30, 1};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		_cleanup_buffer_ struct buffer out = BUFFER_INIT;
		struct error err = ERROR_INIT;

		check_int(run(how, in, steps[i], &out, &err), code);
		check_int(err.kind, ERROR_INPUT);
	}
}

/* Text that compresses somewhat: a seeded sequence of words. */
static void make_plain(struct buffer *b, size_t size)
{
	uint32_t seed = 42;

	while (b->size < size) {
		seed = seed * 1664525 + 1013904223;
		buffer_printf(b, "%x %s ", seed >> 20,
		              seed & 1024 ? "layer" : "manifest of an image");
	}
}

/* Appends what `command` makes of the plain bytes. */
static void compress(const struct buffer *plain, const char *command, struct buffer *out)
{
	struct error err = ERROR_INIT;
	char path[600], line[1300];
	int r;

	snprintf(path, sizeof(path), "%s/plain", check_tmpdir());
	check_ok(fs_write_file_atomic(path, plain->data, plain->size, 0600, &err), &err);
	snprintf(line, sizeof(line), "%s <%s >%s.z 2>/dev/null", command, path, path);
	check_int(system(line), 0);
	snprintf(line, sizeof(line), "%s.z", path);
	r = fs_read_file(AT_FDCWD, line, 64 << 20, out, &err);
	check_ok(r, &err);
}

TEST(gzip)
{
	static const char *const commands[] = {"gzip -1", "gzip -9", "gzip -c -N",
	                                       "pigz 2>/dev/null || gzip"};
	_cleanup_buffer_ struct buffer plain = BUFFER_INIT;

	make_plain(&plain, 400000);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		_cleanup_buffer_ struct buffer z = BUFFER_INIT;

		compress(&plain, commands[i], &z);
		gives(IMAGE_GZIP, &z, &plain);
	}
}

TEST(gzip_members)
{
	_cleanup_buffer_ struct buffer plain = BUFFER_INIT, z = BUFFER_INIT, all = BUFFER_INIT;

	make_plain(&plain, 100000);
	for (int i = 0; i < 3; i++) {
		compress(&plain, i == 1 ? "sh -c 'head -c 0 | gzip'" : "gzip", &z);
		if (i != 1)
			buffer_append(&all, plain.data, plain.size);
	}
	gives(IMAGE_GZIP, &z, &all);
}

TEST(zstd)
{
	static const char *const commands[] = {"zstd -q -1", "zstd -q -19", "zstd -q --long=27"};
	_cleanup_buffer_ struct buffer plain = BUFFER_INIT;

	make_plain(&plain, 400000);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		_cleanup_buffer_ struct buffer z = BUFFER_INIT;

		compress(&plain, commands[i], &z);
		gives(IMAGE_ZSTD, &z, &plain);
	}
}

/* As zstd:chunked images have them: frames with skippable ones between and after. */
TEST(zstd_skippable)
{
	_cleanup_buffer_ struct buffer plain = BUFFER_INIT, z = BUFFER_INIT, all = BUFFER_INIT;

	make_plain(&plain, 50000);
	for (int i = 0; i < 3; i++) {
		compress(&plain, "zstd -q", &z);
		buffer_append(&all, plain.data, plain.size);
		buffer_le32(&z, 0x184d2a50);
		buffer_le32(&z, 1000);
		buffer_fill(&z, 'x', 1000);
	}
	gives(IMAGE_ZSTD, &z, &all);
}

TEST(plain)
{
	_cleanup_buffer_ struct buffer plain = BUFFER_INIT, none = BUFFER_INIT;

	make_plain(&plain, 1000);
	gives(IMAGE_PLAIN, &plain, &plain);
	gives(IMAGE_PLAIN, &none, &none);
}

static void damage(enum image_compression how, const char *command)
{
	_cleanup_buffer_ struct buffer plain = BUFFER_INIT, z = BUFFER_INIT, b = BUFFER_INIT;
	struct error err = ERROR_INIT;

	make_plain(&plain, 20000);
	compress(&plain, command, &z);
	fails(how, &b, -ENODATA); /* nothing at all */
	for (size_t n = 1; n < z.size; n += 1 + z.size / 50) {
		buffer_clear(&b);
		buffer_append(&b, z.data, n);
		fails(how, &b, -ENODATA);
	}
	buffer_clear(&b);
	buffer_append(&b, z.data, z.size);
	buffer_str(&b, "rubbish behind the end");
	fails(how, &b, -EINVAL);
	buffer_clear(&b);
	buffer_append(&b, plain.data, plain.size);
	fails(how, &b, -EINVAL);
	/* A flipped bit anywhere is noticed: by the codes or by the checksum. */
	for (size_t i = 10; i < z.size; i += 1 + z.size / 50) {
		_cleanup_buffer_ struct buffer out = BUFFER_INIT;

		buffer_clear(&b);
		buffer_append(&b, z.data, z.size);
		b.data[i] ^= 4;
		check(run(how, &b, 4096, &out, &err) < 0);
	}
}

TEST(damaged_gzip)
{
	damage(IMAGE_GZIP, "gzip -n");
}

TEST(damaged_zstd)
{
	damage(IMAGE_ZSTD, "zstd -q --check");
}

TEST_MAIN()
