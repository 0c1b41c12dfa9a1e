/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/base/str. */
#include "lib/base/str.h"

#include "tests/unit/check.h"

TEST(numbers)
{
	uint64_t v = 0;
	uint32_t w = 0;

	check_int(parse_u64("18446744073709551615", &v), 0);
	check(v == UINT64_MAX);
	check_int(parse_u64("18446744073709551616", &v), -ERANGE);
	check_int(parse_u64("", &v), -EINVAL);
	check_int(parse_u64(" 1", &v), -EINVAL);
	check_int(parse_u64("-1", &v), -EINVAL);
	check_int(parse_u64("+1", &v), -EINVAL);
	check_int(parse_u64("1x", &v), -EINVAL);
	check_int(parse_u32("4294967296", &w), -ERANGE);
	check_int(parse_octal("0755", &w), 0);
	check_int(w, 0755);
	check_int(parse_octal("8", &w), -EINVAL);
}

TEST(units)
{
	uint64_t v;

	check(parse_size("128M", &v) == 0 && v == 128ull << 20);
	check(parse_size("2GiB", &v) == 0 && v == 2ull << 30);
	check(parse_size("7", &v) == 0 && v == 7);
	check_int(parse_size("1Q", &v), -EINVAL);
	check_int(parse_size("99999999999999999T", &v), -ERANGE);
	check(parse_duration_ms("30", &v) == 0 && v == 30000);
	check(parse_duration_ms("500ms", &v) == 0 && v == 500);
	check(parse_duration_ms("5m", &v) == 0 && v == 300000);
}

TEST(vectors)
{
	_cleanup_strv_ struct strv sv = STRV_INIT;

	for (int i = 0; i < 100; i++)
		check_int(strv_addf(&sv, "%d", i), 0);
	check_int(sv.n, 100);
	check_str(sv.v[99], "99");
	check(!sv.v[100]);
	check(strv_has(&sv, "42") && !strv_has(&sv, "100"));
}

TEST(splitting)
{
	_cleanup_strv_ struct strv sv = STRV_INIT;

	check_int(strv_split(&sv, "//a/b//c/", "/"), 0);
	check_int(sv.n, 3);
	check_str(sv.v[2], "c");
}

TEST_MAIN()
