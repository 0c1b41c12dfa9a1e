/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/cpio: archives as cpio(1) makes them, packed as its friends pack them, damaged ones.
 */
#include "lib/cpio/cpio.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "lib/base/process.h"
#include "lib/cpio/unpack.h"
#include "tests/unit/check.h"

struct seen {
	struct buffer text; /* "name size content|" */
};

static int member(const struct cpio_member *m, void *data, struct error *err)
{
	struct seen *s = data;

	buffer_printf(&s->text, "%s %o %u ", m->name, m->mode & S_IFMT, m->size);
	return 0;
}

static int content(const uint8_t *p, size_t n, void *data, struct error *err)
{
	struct seen *s = data;

	buffer_append(&s->text, p, n);
	return 0;
}

static const struct cpio_ops ops = {member, content};

/* What `sh -c script` prints, run in an empty folder with two files. */
static void made_by(const char *script, struct buffer *out)
{
	struct error err = ERROR_INIT;
	char command[1024];
	char *argv[] = {"/bin/sh", "-c", command, NULL};
	int status = 0;

	snprintf(command, sizeof(command),
	         "set -e; export PATH=$PATH:/usr/bin; cd '%s'; printf one >a; printf three >bcd; "
	         "ln -sf a "
	         "link; %s",
	         check_tmpdir(), script);
	check_ok(process_run(argv, out, NULL, 1u << 20, &status, &err), &err);
	if (process_exit_code(status) == 127)
		check_skip("a tool is missing for: %s", script);
	check_int(process_exit_code(status), 0);
}

#define NEWC "printf 'a\\nbcd\\nlink\\n' | cpio -o -H newc --quiet"
#define CRC  "printf 'a\\nbcd\\nlink\\n' | cpio -o -H crc --quiet"
static const char listing[] = "a 100000 3 onebcd 100000 5 threelink 120000 1 a";

/* Reads it in pieces of `piece` bytes. */
static int read_all(const struct buffer *archive, size_t piece, struct seen *s, struct error *err)
{
	_cleanup_cpio_ struct cpio *c = NULL;
	int r = cpio_new(&ops, s, &c, err);

	for (size_t at = 0; r == 0 && at < archive->size; at += piece)
		r = cpio_feed(c, archive->data + at,
		              archive->size - at < piece ? archive->size - at : piece, err);
	return r ?: cpio_end(c, err);
}

static void expect(const char *script, size_t piece, const char *want)
{
	_cleanup_buffer_ struct buffer archive = BUFFER_INIT;
	struct error err = ERROR_INIT;
	struct seen s = {0};

	made_by(script, &archive);
	check_ok(read_all(&archive, piece, &s, &err), &err);
	check_str(buffer_cstr(&s.text), want);
	buffer_free(&s.text);
}

TEST(archives_of_cpio_are_read_in_pieces_of_any_size)
{
	expect(NEWC, 1, listing);
	expect(NEWC, 7, listing);
	expect(NEWC, 65536, listing);
	expect(CRC, 3, listing);
}

TEST(archives_behind_one_another_are_one)
{
	char twice[2 * sizeof(listing)];

	snprintf(twice, sizeof(twice), "%s%s", listing, listing);
	expect(NEWC "; " CRC, 100, twice);
}

static int take(void *data, const uint8_t *p, size_t n, struct error *err)
{
	return cpio_feed(data, p, n, err);
}

TEST(packed_archives_hold_the_same)
{
	static const char *const packers[] = {"", " | gzip -9", " | zstd -q", " | lz4 -lq",
	                                      " >x; lz4 -lqc x; lz4 -lqc x"};

	for (size_t i = 0; i < sizeof(packers) / sizeof(*packers); i++) {
		_cleanup_buffer_ struct buffer packed = BUFFER_INIT;
		_cleanup_cpio_ struct cpio *c = NULL;
		_cleanup_close_ int fd = memfd_create("initrd", MFD_CLOEXEC);
		struct error err = ERROR_INIT;
		struct seen s = {0};
		char script[256];

		snprintf(script, sizeof(script), "(%s)%s", NEWC, packers[i]);
		made_by(script, &packed);
		check_int(fs_write_all(fd, packed.data, packed.size), 0);
		check_ok(cpio_new(&ops, &s, &c, &err), &err);
		check_ok(unpack_file(fd, 0, packed.size, take, c, &err), &err);
		check_ok(cpio_end(c, &err), &err);
		check(strncmp(buffer_cstr(&s.text), listing, sizeof(listing) - 1) == 0);
		/* Cut anywhere, it is damaged. */
		for (size_t n = 0; n + 600 < packed.size || n < 20; n += 13) {
			struct seen part = {0};
			int r;

			cpio_free(steal_ptr(&c));
			check_ok(cpio_new(&ops, &part, &c, &err), &err);
			r = unpack_file(fd, 0, n, take, c, &err);
			check(r < 0 || cpio_end(c, &err) < 0);
			check_int(err.kind, ERROR_INPUT);
			buffer_free(&part.text);
		}
		buffer_free(&s.text);
	}
}

/* Bytes of an archive put wrong, and a word of what is said then. */
TEST(damage_is_named)
{
	static const struct {
		size_t at;
		const char *bytes, *says;
	} cases[] = {
	    {0, "0", NULL},     {0, "x", "no header"},    {5, "3", "no header"},
	    {6, "g", "digits"}, {94, "0000", NULL},       {94, "7fffffff", "name"},
	    {110, "aa", "end"}, {94, "00000000", "name"},
	};
	_cleanup_buffer_ struct buffer archive = BUFFER_INIT;

	made_by(NEWC, &archive);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_buffer_ struct buffer bad = BUFFER_INIT;
		struct error err = ERROR_INIT;
		struct seen s = {0};
		int r;

		buffer_append(&bad, archive.data, archive.size);
		memcpy(bad.data + cases[i].at, cases[i].bytes, strlen(cases[i].bytes));
		r = read_all(&bad, 50, &s, &err);
		if (cases[i].says) {
			check_int(r, -EUCLEAN);
			check_int(err.kind, ERROR_INPUT);
			check(strstr(err.text, cases[i].says));
		} else {
			check_ok(r, &err);
		}
		buffer_free(&s.text);
	}
}

TEST(a_checksum_that_does_not_hold_is_found)
{
	_cleanup_buffer_ struct buffer archive = BUFFER_INIT;
	struct error err = ERROR_INIT;
	struct seen s = {0};

	made_by(CRC, &archive);
	archive.data[112]++;
	check_int(read_all(&archive, 50, &s, &err), -EUCLEAN);
	check(strstr(err.text, "checksum"));
	buffer_free(&s.text);
}

TEST(what_is_no_initrd_is_refused)
{
	_cleanup_close_ int fd = memfd_create("initrd", MFD_CLOEXEC);
	struct error err = ERROR_INIT;

	check_int(fs_write_all(fd, "hello, world", 12), 0);
	check_int(unpack_file(fd, 0, 12, take, NULL, &err), -EINVAL);
	check_int(err.kind, ERROR_INPUT);
	check_int(unpack_file(fd, 0, 0, take, NULL, &err), -EINVAL);
}

TEST_MAIN()
