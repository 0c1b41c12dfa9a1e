/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/base/bytes. */
#include "lib/base/bytes.h"

#include "tests/unit/check.h"

TEST(reader_numbers)
{
	static const uint8_t raw[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
	struct reader r = reader_init(raw, sizeof(raw));

	check_int(reader_le16(&r), 0x0201);
	check_int(reader_be16(&r), 0x0304);
	check_int(reader_be32(&r), 0x05060708);
	check_int(reader_left(&r), 1);
	check(!r.failed);
	check_int(reader_le32(&r), 0);
	check(r.failed);
	check_int(reader_u8(&r), 0); /* once failed, nothing more is read */
}

TEST(reader_huge_length)
{
	struct reader r = reader_init("abc", 3);

	check(!reader_bytes(&r, SIZE_MAX));
	check(r.failed);
}

TEST(buffer_round_trip)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	buffer_le16(&b, 0x1234);
	buffer_be32(&b, 0xdeadbeef);
	buffer_le64(&b, 0x0102030405060708);
	buffer_printf(&b, "%s-%d", "x", 5);
	struct reader r = reader_init(b.data, b.size);

	check_int(reader_le16(&r), 0x1234);
	check_int(reader_be32(&r), 0xdeadbeef);
	check(reader_le64(&r) == 0x0102030405060708);
	check_mem(reader_bytes(&r, 3), "x-5", 3);
	check_int(reader_left(&r), 0);
	check_int(b.data[b.size], 0);
}

TEST(buffer_limit)
{
	_cleanup_buffer_ struct buffer b = {.limit = 10};

	buffer_fill(&b, 'a', 10);
	check(!b.failed);
	buffer_str(&b, "b");
	check(b.failed);
	check_int(b.size, 10);
	check(!buffer_steal(&b));
}

TEST(json_escape)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	buffer_json_escape(&b, "a\"\\\n\x01é\xff\xc0\xaf", 10);
	check_str(buffer_cstr(&b), "a\\\"\\\\\\u000a\\u0001é\\ufffd\\ufffd\\ufffd");
}

TEST(alignment)
{
	uint64_t v;

	check(align_up64(4097, 4096, &v) && v == 8192);
	check(align_up64(0, 4096, &v) && v == 0);
	check(!align_up64(UINT64_MAX, 4096, &v));
}

TEST_MAIN()
