/* SPDX-License-Identifier: Apache-2.0 */
/* tar: archives made by hand and by GNU tar, whole and byte by byte, and broken ones. */
#include "check.h"

#include <stdio.h>
#include <fcntl.h>

#include "lib/base/fs.h"
#include "lib/image/tar.h"
#include "tar_maker.h"

/* What was read, as text: "type path mode uid:gid mtime size [->link] {xattrs} content\n". */
static int on_entry(void *data, const struct tar_entry *e, struct error *err)
{
	static const char letters[] = "fhlcbdp";

	buffer_printf(data, "%c %s %o %u:%u %lld.%09u %llu", letters[e->type], e->path, e->mode,
	              e->uid, e->gid, (long long)e->mtime, e->mtime_ns,
	              (unsigned long long)e->size);
	if (e->type == TAR_HARDLINK || e->type == TAR_SYMLINK)
		buffer_printf(data, " ->%s", e->link);
	if (e->type == TAR_CHAR || e->type == TAR_BLOCK_DEVICE)
		buffer_printf(data, " %u,%u", e->major, e->minor);
	for (size_t i = 0; i < e->n_xattrs; i++)
		buffer_printf(data, " {%s=%.*s}", e->xattrs[i].name, (int)e->xattrs[i].size,
		              (const char *)e->xattrs[i].value);
	if (e->size)
		buffer_str(data, " ");
	return 0;
}

static int on_content(void *data, const uint8_t *p, uint64_t n, struct error *err)
{
	if (p)
		buffer_append(data, p, (size_t)n);
	else
		buffer_fill(data, '0', (size_t)n);
	return 0;
}

static int on_end(void *data, struct error *err)
{
	buffer_str(data, "\n");
	return 0;
}

static const struct tar_sink sink = {on_entry, on_content, on_end};

static int read_tar(const struct buffer *tar, size_t step, const struct tar_limits *limits,
                    struct buffer *seen, struct error *err)
{
	struct tar_limits usual = TAR_LIMITS_DEFAULT;
	_cleanup_tar_ struct tar *t = NULL;
	int r = tar_new(&sink, seen, limits ? limits : &usual, &t, err);

	for (size_t i = 0; !r && i < tar->size; i += step)
		r = tar_feed(t, tar->data + i, tar->size - i < step ? tar->size - i : step, err);
	return r ? r : tar_end(t, err);
}

/* The same in whole, in odd pieces and byte by byte. */
static void reads(const struct buffer *tar, const char *want)
{
	static const size_t steps[] = {SIZE_MAX / 2, 513, 511, 7, 1};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		_cleanup_buffer_ struct buffer seen = BUFFER_INIT;
		struct error err = ERROR_INIT;

		check_ok(read_tar(tar, steps[i], NULL, &seen, &err), &err);
		check_str(buffer_cstr(&seen), want);
	}
}

static void fails(const struct buffer *tar, int code)
{
	static const size_t steps[] = {SIZE_MAX / 2, 1};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		_cleanup_buffer_ struct buffer seen = BUFFER_INIT;
		struct error err = ERROR_INIT;

		check_int(read_tar(tar, steps[i], NULL, &seen, &err), code);
		check(err.text[0]);
		check_int(err.kind, ERROR_INPUT);
	}
}

TEST(ustar)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	tar_dir(&b, "d/", 0755, 3);
	tar_make(&b, &(struct tar_make){.name = "d/f",
	                                .mode = 04755,
	                                .uid = 1,
	                                .gid = 2,
	                                .mtime = 99,
	                                .content = "hello",
	                                .size = 5});
	tar_file(&b, "empty", "");
	tar_symlink(&b, "s", "d/f");
	tar_hardlink(&b, "h", "d/f");
	tar_make(&b, &(struct tar_make){.type = '6', .name = "p"});
	tar_finish(&b);
	buffer_str(&b, "rubbish behind the end");
	reads(&b, "d d/ 755 3:0 0.000000000 0\n"
	          "f d/f 4755 1:2 99.000000000 5 hello\n"
	          "f empty 644 0:0 0.000000000 0\n"
	          "l s 777 0:0 0.000000000 0 ->d/f\n"
	          "h h 644 0:0 0.000000000 0 ->d/f\n"
	          "p p 644 0:0 0.000000000 0\n");
}

/* Some tools leave the final zeros out. */
TEST(no_end_marker)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	reads(&b, "");
	tar_file(&b, "a", "x");
	reads(&b, "f a 644 0:0 0.000000000 1 x\n");
}

TEST(pax)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT, x = BUFFER_INIT, g = BUFFER_INIT;

	tar_record(&g, "comment", "x", 1);
	tar_record(&g, "uid", "4", 1);
	tar_record(&g, "SCHILY.xattr.user.g", "global", 6);
	tar_extended(&b, 'g', &g);
	tar_record(&x, "path", "a\nb\xff", 4);
	tar_record(&x, "linkpath", "target", 6);
	tar_record(&x, "uid", "3000000000", 10);
	tar_record(&x, "mtime", "-1.25", 5);
	tar_record(&x, "SCHILY.xattr.user.a", "1\n2", 3);
	tar_record(&x, "SCHILY.xattr.user.gone", "", 0);
	tar_record(&x, "LIBARCHIVE.xattr.user.b%20c", "aGk=", 4);
	tar_extended(&b, 'x', &x);
	tar_symlink(&b, "short", "short");
	tar_file(&b, "next", "n");
	tar_finish(&b);
	reads(&b, "l a\nb\xff 777 3000000000:0 -2.750000000 0 ->target {user.a=1\n2} {user.b "
	          "c=hi} {user.g=global}\n"
	          "f next 644 4:0 0.000000000 1 {user.g=global} n\n");
}

/* The size of a pax header counts, not the one in the member's. */
TEST(pax_size)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT, x = BUFFER_INIT;

	tar_record(&x, "size", "3", 1);
	tar_extended(&b, 'x', &x);
	tar_make_header(&b, &(struct tar_make){.name = "f"});
	buffer_append(&b, "abc", 3);
	buffer_fill(&b, 0, 509);
	tar_finish(&b);
	reads(&b, "f f 644 0:0 0.000000000 3 abc\n");
}

TEST(gnu_long_names)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT, want = BUFFER_INIT;
	char name[301], target[201];

	memset(name, 'n', 300);
	memset(target, 't', 200);
	name[300] = target[200] = '\0';
	tar_make(
	    &b,
	    &(struct tar_make){
	        .type = 'L', .name = "././@LongLink", .gnu = true, .content = name, .size = 301});
	tar_make(
	    &b,
	    &(struct tar_make){
	        .type = 'K', .name = "././@LongLink", .gnu = true, .content = target, .size = 201});
	tar_symlink(&b, "cut", "cut");
	tar_file(&b, "next", "");
	tar_finish(&b);
	buffer_printf(&want, "l %s 777 0:0 0.000000000 0 ->%s\nf next 644 0:0 0.000000000 0\n",
	              name, target);
	reads(&b, buffer_cstr(&want));
}

TEST(numbers)
{
	static const uint8_t negative[12] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	                                     0xff, 0xff, 0xff, 0xff, 0xff, 0xfe};
	static const uint8_t huge[12] = {0x80, 1};
	static const uint8_t big[12] = {0x80, 0,    0,    0,    0x7f, 0xff,
	                                0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	int64_t v;

	check_int(tar_number((const uint8_t *)"0000644\0", 8, &v), 0);
	check_int(v, 0644);
	check_int(tar_number((const uint8_t *)"  644 \0\0", 8, &v), 0);
	check_int(v, 0644);
	check_int(tar_number((const uint8_t *)"\0\0\0\0\0\0\0\0", 8, &v), 0);
	check_int(v, 0);
	check_int(tar_number((const uint8_t *)"00006448", 8, &v), -EINVAL);
	check_int(tar_number((const uint8_t *)"6 4     ", 8, &v), -EINVAL);
	check_int(tar_number((const uint8_t *)"-1      ", 8, &v), -EINVAL);
	check_int(tar_number(negative, 12, &v), 0);
	check_int(v, -2);
	check_int(tar_number(big, 12, &v), 0);
	check_int(v, INT64_MAX);
	check_int(tar_number(huge, 12, &v), -ERANGE);
}

/* Reads what a command writes. */
static void run_tar(const char *command, struct buffer *out)
{
	FILE *f = popen(command, "r");
	size_t n;

	check(f);
	while ((n = fread(buffer_reserve(out, 65536), 1, 65536, f)) > 0)
		out->size += n;
	check_int(pclose(f), 0);
}

TEST(gnu_tar_writes_all_formats)
{
	static const char *const formats[] = {"v7", "oldgnu", "gnu", "ustar", "pax"};
	char command[1024];

	snprintf(
	    command, sizeof(command),
	    "cd %s && mkdir -p d && printf hello >d/f && ln -s f d/s && ln d/f d/h && mkfifo d/p "
	    "&& chmod 750 d && touch -h -d @100 d/s d/p && touch -d @100 d/f d",
	    check_tmpdir());
	check_int(system(command), 0);
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		_cleanup_buffer_ struct buffer b = BUFFER_INIT;

		snprintf(command, sizeof(command),
		         "cd %s && tar -c --format=%s --sort=name --owner=:5 --group=:6 %s d",
		         check_tmpdir(), formats[i], i ? "" : "--exclude=d/p");
		run_tar(command, &b);
		reads(&b, i ? "d d/ 750 5:6 100.000000000 0\n"
		              "f d/f 644 5:6 100.000000000 5 hello\n"
		              "h d/h 644 5:6 100.000000000 0 ->d/f\n"
		              "p d/p 644 5:6 100.000000000 0\n"
		              "l d/s 777 5:6 100.000000000 0 ->f\n"
		            : "d d/ 750 5:6 100.000000000 0\n"
		              "f d/f 644 5:6 100.000000000 5 hello\n"
		              "h d/h 644 5:6 100.000000000 0 ->d/f\n"
		              "l d/s 777 5:6 100.000000000 0 ->f\n");
	}
}

TEST(gnu_tar_sparse)
{
	static const char *const forms[] = {"--format=gnu", "--format=pax --sparse-version=0.0",
	                                    "--format=pax --sparse-version=0.1",
	                                    "--format=pax --sparse-version=1.0"};
	_cleanup_buffer_ struct buffer want = BUFFER_INIT;
	char command[1024], path[512];
	int fd;

	/* 60 pieces: more than fit into a GNU header and the block after it. */
	snprintf(path, sizeof(path), "%s/sparse", check_tmpdir());
	fd = open(path, O_RDWR | O_CREAT, 0644);
	check(fd >= 0);
	buffer_str(&want, "f sparse 644 0:0 7.000000000 ");
	buffer_printf(&want, "%u ", 60 * 65536 + 100);
	for (int i = 0; i < 60; i++) {
		char block[4096];

		memset(block, 'a' + i % 26, sizeof(block));
		check_int(pwrite(fd, block, sizeof(block), i * 65536), sizeof(block));
		buffer_append(&want, block, sizeof(block));
		buffer_fill(&want, '0', 65536 - sizeof(block));
	}
	check_int(ftruncate(fd, 60 * 65536 + 100), 0);
	buffer_fill(&want, '0', 100);
	buffer_str(&want, "\n");
	close(fd);
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		_cleanup_buffer_ struct buffer b = BUFFER_INIT;

		snprintf(command, sizeof(command),
		         "cd %s && tar -c --sparse %s --owner=:0 --group=:0 --mtime=@7 sparse",
		         check_tmpdir(), forms[i]);
		run_tar(command, &b);
		check(b.size < 400000); /* it is sparse indeed */
		reads(&b, buffer_cstr(&want));
	}
}

TEST(broken)
{
	_cleanup_buffer_ struct buffer good = BUFFER_INIT, b = BUFFER_INIT;

	tar_file(&good, "a", "hello");
	/* ends in a header, in the content, in the padding */
	for (size_t n = 1; n < good.size; n += 97) {
		buffer_clear(&b);
		buffer_append(&b, good.data, n);
		fails(&b, -ENODATA);
	}
	buffer_clear(&b);
	buffer_append(&b, good.data, good.size);
	b.data[0] = 'b';
	fails(&b, -EINVAL);
	buffer_clear(&b);
	tar_make(&b, &(struct tar_make){.type = 'Z', .name = "a"});
	fails(&b, -EINVAL);
	buffer_clear(&b);
	buffer_fill(&b, 0xff, 512);
	fails(&b, -EINVAL);
}

static void fails_with_record(const char *key, const char *value)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT, x = BUFFER_INIT;

	tar_record(&x, key, value, strlen(value));
	tar_extended(&b, 'x', &x);
	tar_file(&b, "f", "abc");
	fails(&b, -EINVAL);
}

TEST(broken_pax)
{
	static const char *const bodies[] = {"x",        "5",       "5 ",
	                                     "99 a=b\n", "6 a=b",   "5 =b\n",
	                                     "5 ab\n",   "0 a=b\n", "18446744073709551622 a=b\n"};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		_cleanup_buffer_ struct buffer b = BUFFER_INIT, x = BUFFER_INIT;

		buffer_str(&x, bodies[i]);
		tar_extended(&b, 'x', &x);
		tar_file(&b, "f", "");
		fails(&b, -EINVAL);
	}
	fails_with_record("size", "-1");
	fails_with_record("size", "1x");
	fails_with_record("uid", "x");
	fails_with_record("mtime", "1.x");
	fails_with_record("mtime", "99999999999999999999");
	fails_with_record("SCHILY.xattr.", "x");
	fails_with_record("LIBARCHIVE.xattr.user.%0", "aGk=");
	fails_with_record("LIBARCHIVE.xattr.user.%00", "aGk=");
	fails_with_record("LIBARCHIVE.xattr.user.a", "!");
	fails_with_record("GNU.sparse.major", "2");
	fails_with_record("GNU.sparse.map", "1,");
	fails_with_record("GNU.sparse.map", "1,2,3");
	fails_with_record("GNU.sparse.numbytes", "1");
}

TEST(broken_sparse)
{
	static const char *const maps[] = {
	    "0,4",                    /* more than is stored */
	    "0,2",                    /* less */
	    "2,1,0,2",                /* out of order */
	    "0,2,1,1",                /* one over the other */
	    "100,3",                  /* behind the end */
	    "18446744073709551615,3", /* round the end */
	};

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		_cleanup_buffer_ struct buffer b = BUFFER_INIT, x = BUFFER_INIT;

		tar_record(&x, "GNU.sparse.size", "10", 2);
		tar_record(&x, "GNU.sparse.map", maps[i], strlen(maps[i]));
		tar_extended(&b, 'x', &x);
		tar_file(&b, "f", "abc");
		fails(&b, -EINVAL);
	}
}

TEST(limits)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT, seen = BUFFER_INIT;
	struct tar_limits limits = {.max_size = 7, .max_entries = 2, .max_header = 4096};
	struct error err = ERROR_INIT;

	tar_file(&b, "a", "1234");
	tar_file(&b, "b", "123");
	check_ok(read_tar(&b, 512, &limits, &seen, &err), &err);
	limits.max_size = 6;
	check_int(read_tar(&b, 512, &limits, &seen, &err), -EFBIG);
	limits.max_size = 7;
	limits.max_entries = 1;
	check_int(read_tar(&b, 512, &limits, &seen, &err), -E2BIG);
	limits.max_entries = 2;
	buffer_clear(&b);
	tar_make_header(&b, &(struct tar_make){.type = 'x', .name = "x", .size = 4097});
	check_int(read_tar(&b, 512, &limits, &seen, &err), -EFBIG);
	buffer_clear(&b);
	tar_make_header(&b, &(struct tar_make){.type = 'L', .name = "x", .size = 07777777777777});
	check_int(read_tar(&b, 512, &limits, &seen, &err), -EFBIG);
}

/* An apparent size of 8 EiB must not overflow any sum. */
TEST(sizes_do_not_overflow)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT, x = BUFFER_INIT;

	tar_record(&x, "size", "18446744073709551615", 20);
	tar_extended(&b, 'x', &x);
	tar_file(&b, "f", "abc");
	fails(&b, -EFBIG);
	buffer_clear(&b);
	buffer_clear(&x);
	tar_record(&x, "size", "9223372036854775807", 19);
	tar_extended(&b, 'x', &x);
	tar_file(&b, "f", "abc");
	fails(&b, -EFBIG);
}

TEST_MAIN()
