/* SPDX-License-Identifier: Apache-2.0 */
/* test-vmm-snapshot: what is written is read again; what is damaged, cut short, foreign or newer is
 * refused. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "host-shim/vmm/snapshot.h"
#include "host-shim/vmm/snapshot_memory.h"
#include "lib/base/cleanup.h"
#include "lib/base/fs.h"
#include "tests/unit/check.h"

TEST(checksum_is_the_one_of_the_rfc)
{
	uint8_t zeros[32] = {0};

	/* RFC 3720 B.4, and the usual check value. */
	check(snapshot_crc("123456789", 9) == 0xe3069283);
	check(snapshot_crc(zeros, sizeof(zeros)) == 0x8a9136aa);
}

static int temp_file(void)
{
	return open(check_tmpdir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/* Two sections as a machine writes them. */
static void make_file(struct buffer *out)
{
	_cleanup_snapshot_writer_ struct snapshot_writer w = SNAPSHOT_WRITER_INIT;
	_cleanup_close_ int fd = temp_file();
	struct error err = ERROR_INIT;

	snapshot_begin(&w, "vcpu.0", 2, 0);
	snapshot_put_u32(&w, 1, 0x11223344);
	snapshot_put(&w, 7, "abc", 3);
	snapshot_put(&w, 7, "defgh", 5);
	snapshot_put(&w, 9, "", 0);
	snapshot_begin(&w, "extra", 1, SNAPSHOT_OPTIONAL);
	snapshot_put_u64(&w, 1, 1ull << 40);
	check_ok(snapshot_write(&w, fd, &err), &err);
	check(lseek(fd, 0, SEEK_SET) == 0);
	check_int(fs_read_fd(fd, 1 << 20, out), 0);
}

TEST(bytes_are_where_the_header_says)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	const uint8_t *d;

	make_file(&b);
	d = b.data;
	/* A header, two heads of sections, fields of 4, 3, 5, 0 and 8 bytes. */
	check_int(b.size, 64 + 56 + 4 * 8 + 8 + 8 + 8 + 0 + 56 + 8 + 8);
	check_mem(d, "KIHONVMS\1\0\0\0\2\0\0\0", 16);
	check_int(get_le64(d + 16), b.size);
	check_mem(d + 24, "x86_64\0\0\0\0\0\0\0\0\0\0", 16);
	check_str((const char *)d + 40, KIHON_VERSION);
	check_int(get_le32(d + 60), snapshot_crc(d, 60));
	check_str((const char *)d + 64, "vcpu.0");
	check_int(get_le32(d + 64 + 32), 2);
	check_int(get_le64(d + 64 + 40), 4 * 8 + 24);
	check_int(get_le32(d + 64 + 48), snapshot_crc(d + 64 + 56, 4 * 8 + 24));
	check_int(get_le32(d + 64 + 52), snapshot_crc(d + 64, 52));
	check_mem(d + 120, "\1\0\0\0\4\0\0\0\x44\x33\x22\x11\0\0\0\0\7\0\0\0\3\0\0\0abc\0\0\0\0\0",
	          32);
}

TEST(what_is_written_is_read)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	_cleanup_snapshot_ struct snapshot *s = NULL;
	const struct snapshot_section *section;
	struct error err = ERROR_INIT;
	uint32_t v32;
	uint64_t v64;
	size_t n;

	make_file(&b);
	check_ok(snapshot_parse(&s, b.data, b.size, &err), &err);
	check_str(snapshot_made_by(s), KIHON_VERSION);
	check_ok(snapshot_open(s, "vcpu.0", 3, &section, &err), &err);
	check_int(section->version, 2);
	check_ok(snapshot_get_u32(section, 1, &v32, &err), &err);
	check(v32 == 0x11223344);
	check_mem(snapshot_find(section, 7, 0, &n), "abc", 3);
	check_int(n, 3);
	check_mem(snapshot_find(section, 7, 1, &n), "defgh", 5);
	check_int(n, 5);
	check(snapshot_find(section, 7, 2, &n) == NULL);
	check(snapshot_find(section, 9, 0, &n) != NULL);
	check_int(n, 0);
	check_int(snapshot_get_u64(section, 1, &v64, &err), -EINVAL);
	check_str(err.text, "the snapshot's section vcpu.0 has a field 1 of 4 bytes, not 8");
	check_int(snapshot_get_u32(section, 2, &v32, &err), -EINVAL);
	/* Nobody asked for "extra": it may be left out. */
	check_ok(snapshot_finish(s, &err), &err);
}

TEST(newer_and_unknown_sections_are_refused)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	_cleanup_snapshot_ struct snapshot *s = NULL;
	const struct snapshot_section *section;
	struct error err = ERROR_INIT;

	make_file(&b);
	check_ok(snapshot_parse(&s, b.data, b.size, &err), &err);
	check_int(snapshot_finish(s, &err), -EPROTONOSUPPORT);
	check(strstr(err.text, "vcpu.0"));
	check_int(snapshot_open(s, "vcpu.0", 1, &section, &err), -EPROTONOSUPPORT);
	check(strstr(err.text, "version 2"));
	check_int(snapshot_open(s, "vcpu.1", 1, &section, &err), -ENOENT);
}

TEST(every_damaged_byte_is_noticed)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	make_file(&b);
	for (size_t i = 0; i < b.size; i++) {
		for (unsigned int bit = 0; bit < 8; bit++) {
			struct snapshot *s = NULL;
			struct error err = ERROR_INIT;

			b.data[i] ^= (uint8_t)(1 << bit);
			check(snapshot_parse(&s, b.data, b.size, &err) < 0);
			check(err.text[0] && !s);
			b.data[i] ^= (uint8_t)(1 << bit);
		}
	}
}

TEST(every_cut_is_noticed)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct snapshot *s = NULL;
	struct error err = ERROR_INIT;

	make_file(&b);
	for (size_t n = 0; n < b.size; n++) {
		/* In memory of its own, so that reading past it shows. */
		uint8_t *copy = malloc(n ? n : 1);

		memcpy(copy, b.data, n);
		check_int(snapshot_parse(&s, copy, n, &err), -EINVAL);
		free(copy);
	}
	check(strstr(err.text, "cut short"));
	buffer_fill(&b, 0, 8);
	check_int(snapshot_parse(&s, b.data, b.size, &err), -EINVAL);
	check(strstr(err.text, "behind its end"));
}

/* Changes a header and makes its checksum hold again. */
static int parse_with(size_t at, uint8_t value, struct error *err)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct snapshot *s = NULL;
	int r;

	make_file(&b);
	b.data[at] = value;
	put_le32(b.data + 60, snapshot_crc(b.data, 60));
	put_le32(b.data + 64 + 48, snapshot_crc(b.data + 120, 56));
	put_le32(b.data + 64 + 52, snapshot_crc(b.data + 64, 52));
	r = snapshot_parse(&s, b.data, b.size, err);
	snapshot_free(s);
	return r;
}

TEST(foreign_files_are_refused_with_the_reason)
{
	struct error err = ERROR_INIT;

	check_int(parse_with(8, 2, &err), -EPROTONOSUPPORT);
	check(strstr(err.text, "format 2"));
	check_int(parse_with(24, 'y', &err), -EINVAL);
	check(strstr(err.text, "architecture 'y86_64'"));
	check_int(parse_with(0, 'X', &err), -EINVAL);
	check(strstr(err.text, "is none"));
	check_int(parse_with(13, 0xff, &err), -EINVAL);
	check(strstr(err.text, "too many sections"));
	check_int(parse_with(12, 3, &err), -EINVAL);
	check_int(parse_with(12, 1, &err), -EINVAL);
	check(strstr(err.text, "behind its last section"));
	/* A field longer than its section; a section longer than the file; names. */
	check_int(parse_with(124, 0xf0, &err), -EINVAL);
	check(strstr(err.text, "do not fit"));
	check_int(parse_with(127, 0xff, &err), -EINVAL);
	check_int(parse_with(64 + 41, 0xff, &err), -EINVAL);
	check(strstr(err.text, "longer than the file"));
	check_int(parse_with(64 + 47, 0xff, &err), -EINVAL);
	check_int(parse_with(64, 0, &err), -EINVAL);
	check_int(parse_with(64, '\n', &err), -EINVAL);
	check_int(parse_with(64 + 20, 'x', &err), -EINVAL);
}

TEST(two_sections_of_one_name_are_refused)
{
	_cleanup_snapshot_writer_ struct snapshot_writer w = SNAPSHOT_WRITER_INIT;
	_cleanup_close_ int fd = temp_file();
	struct snapshot *s = NULL;
	struct error err = ERROR_INIT;

	snapshot_begin(&w, "same", 1, 0);
	snapshot_begin(&w, "same", 1, 0);
	check_ok(snapshot_write(&w, fd, &err), &err);
	check_int(snapshot_read(&s, fd, &err), -EINVAL);
	check(strstr(err.text, "taken"));
}

TEST(misuse_is_told_when_writing)
{
	_cleanup_snapshot_writer_ struct snapshot_writer w = SNAPSHOT_WRITER_INIT;
	struct error err = ERROR_INIT;

	check(snapshot_write(&w, -1, &err) < 0);
	snapshot_put_u32(&w, 1, 1); /* in no section */
	check(snapshot_write(&w, -1, &err) < 0);
	snapshot_writer_clear(&w);
	snapshot_begin(&w, "a name that is longer than there is room", 1, 0);
	check(snapshot_write(&w, -1, &err) < 0);
	snapshot_writer_clear(&w);
	snapshot_begin(&w, "good", 1, 0);
	check_int(snapshot_write(&w, -1, &err), -EBADF);
}

/* ---- memory */

#define LOW  (5ull << 20)
#define HIGH (3ull << 20)

struct machine {
	int memfd, file;
	struct guest_memory memory;
	struct snapshot_writer writer;
	struct snapshot *snapshot;
};

static void save_machine(struct machine *m)
{
	_cleanup_close_ int state = temp_file();
	struct error err = ERROR_INIT;
	struct snapshot_ram ram;

	memset(m, 0, sizeof(*m));
	m->writer = (struct snapshot_writer)SNAPSHOT_WRITER_INIT;
	m->memfd = memfd_create("ram", MFD_CLOEXEC);
	m->file = temp_file();
	check(ftruncate(m->memfd, LOW + HIGH) == 0);
	check_ok(guest_memory_map(&m->memory, 0, LOW, m->memfd, 0, false, &err), &err);
	check_ok(guest_memory_map(&m->memory, 4ull << 30, HIGH, m->memfd, LOW, false, &err), &err);
	memset(guest_memory_ptr(&m->memory, 4096, 10, GUEST_WRITE), 'a', 10);
	memset(guest_memory_ptr(&m->memory, LOW - 5, 5, GUEST_WRITE), 'b', 5);
	memset(guest_memory_ptr(&m->memory, (4ull << 30) + 8192, 9, GUEST_WRITE), 'c', 9);
	ram = (struct snapshot_ram){m->memory.regions, 2, m->memfd};
	check_ok(snapshot_memory_save(&m->writer, &ram, m->file, &err), &err);
	check_ok(snapshot_write(&m->writer, state, &err), &err);
	check_ok(snapshot_read(&m->snapshot, state, &err), &err);
}

static void free_machine(struct machine *m)
{
	close(m->memfd);
	close(m->file);
	guest_memory_clear(&m->memory);
	snapshot_writer_clear(&m->writer);
	snapshot_free(m->snapshot);
}

TEST(memory_is_mapped_privately)
{
	struct machine m;
	struct guest_memory one = {0}, two = {0};
	struct error err = ERROR_INIT;
	struct stat st;
	char *p;

	save_machine(&m);
	check(fstat(m.file, &st) == 0);
	/* 6 MiB and 4 MiB, and the last page; most of it holes. */
	check_int(st.st_size, (10 << 20) + 4096);
	check(st.st_blocks * 512 < 1 << 20);
	check_ok(snapshot_memory_check(m.snapshot, m.file, &err), &err);
	check_ok(snapshot_memory_map(m.snapshot, m.file, &one, &err), &err);
	check_ok(snapshot_memory_map(m.snapshot, m.file, &two, &err), &err);
	check_ok(snapshot_finish(m.snapshot, &err), &err);
	check_int(one.n, 2);
	check_mem(guest_memory_ptr(&one, 0, LOW, GUEST_READ),
	          guest_memory_ptr(&m.memory, 0, LOW, GUEST_READ), LOW);
	check_mem(guest_memory_ptr(&one, 4ull << 30, HIGH, GUEST_READ),
	          guest_memory_ptr(&m.memory, 4ull << 30, HIGH, GUEST_READ), HIGH);
	/* What one clone writes, neither another nor the file sees. */
	p = guest_memory_ptr(&one, 4096, 1, GUEST_WRITE);
	*p = 'z';
	check(*(char *)guest_memory_ptr(&two, 4096, 1, GUEST_READ) == 'a');
	check_ok(snapshot_memory_check(m.snapshot, m.file, &err), &err);
	guest_memory_clear(&one);
	guest_memory_clear(&two);
	free_machine(&m);
}

TEST(memory_that_nobody_touched_stays_untouched)
{
	struct machine m;
	struct stat st;

	save_machine(&m);
	check(fstat(m.memfd, &st) == 0);
	/* Three pages were written, and are all that there is after saving. */
	check_int(st.st_blocks * 512, 3 * 4096);
	free_machine(&m);
}

static void check_refused(struct machine *m, const char *reason)
{
	struct guest_memory memory = {0};
	struct error err = ERROR_INIT;

	check_int(snapshot_memory_map(m->snapshot, m->file, &memory, &err), -EINVAL);
	if (!strstr(err.text, reason))
		check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", err.text, reason);
	check_int(memory.n, 0);
}

TEST(memory_of_another_snapshot_is_refused)
{
	struct machine m, other;
	int file;

	save_machine(&m);
	save_machine(&other);
	file = m.file;
	m.file = other.file;
	check_refused(&m, "another snapshot");
	m.file = file;
	check(ftruncate(m.file, 10 << 20) == 0);
	check_refused(&m, "cut short");
	check(ftruncate(m.file, (10 << 20) + 4096) == 0);
	check_refused(&m, "no name");
	free_machine(&m);
	free_machine(&other);
}

TEST(damaged_memory_is_named_by_address)
{
	struct machine m;
	struct error err = ERROR_INIT;

	save_machine(&m);
	check(pwrite(m.file, "x", 1, (6 << 20) + 100) == 1);
	check_int(snapshot_memory_check(m.snapshot, m.file, &err), -EINVAL);
	check_str(err.text, "the snapshot's memory is damaged between 0x100000000 and 0x100200000");
	free_machine(&m);
}

TEST(private_memory_is_saved_too)
{
	_cleanup_snapshot_writer_ struct snapshot_writer w = SNAPSHOT_WRITER_INIT;
	_cleanup_close_ int file = temp_file();
	struct guest_region region = {.gpa = 0, .size = LOW};
	struct snapshot_ram ram = {&region, 1, -1};
	struct error err = ERROR_INIT;
	char c = 0;

	region.host = mmap(NULL, LOW, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(region.host != MAP_FAILED);
	region.host[LOW - 1] = 'q';
	check_ok(snapshot_memory_save(&w, &ram, file, &err), &err);
	check(pread(file, &c, 1, LOW - 1) == 1 && c == 'q');
	check(munmap(region.host, LOW) == 0);
}

TEST_MAIN()
