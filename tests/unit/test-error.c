/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/base/error. */
#include "lib/base/error.h"

#include "tests/unit/check.h"

TEST(text_and_code)
{
	struct error err = ERROR_INIT;

	check_int(error_set(&err, EINVAL, "bad %s", "thing"), -EINVAL);
	check_int(err.code, -EINVAL);
	check_str(err.text, "bad thing");
	check_int(error_prefix(&err, err.code, "reading %d", 7), -EINVAL);
	check_str(err.text, "reading 7: bad thing");
	error_hint(&err, err.code, "give %s", "less");
	check_str(err.text, "reading 7: bad thing; give less");
	error_clear(&err);
	check_int(err.code, 0);
}

TEST(errno_text_and_kind)
{
	struct error err = ERROR_INIT;

	check_int(error_errno(&err, ENOENT, "open x"), -ENOENT);
	check_str(err.text, "open x: No such file or directory");
	check_int(err.kind, ERROR_ENVIRONMENT);
	error_set_kind(&err, ERROR_INPUT, EBADMSG, "x");
	check_int(err.kind, ERROR_INPUT);
}

TEST(stays_one_line)
{
	struct error err = ERROR_INIT;

	error_set(&err, EINVAL, "name \"%s\"", "a\nb\033[31m");
	check(!strchr(err.text, '\n') && !strchr(err.text, '\033'));
}

TEST(null_is_fine)
{
	check_int(error_set(NULL, EIO, "x"), -EIO);
	check_int(error_prefix(NULL, -EIO, "x"), -EIO);
	error_clear(NULL);
}

TEST(too_long_is_cut)
{
	struct error err = ERROR_INIT;
	char big[2000];

	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	error_set(&err, EIO, "%s", big);
	for (int i = 0; i < 3; i++)
		error_prefix(&err, -EIO, "prefix");
	error_hint(&err, -EIO, "%s", big);
	check(strlen(err.text) < sizeof(err.text));
	check(strncmp(err.text, "prefix: prefix: prefix: aaa", 26) == 0);
}

TEST_MAIN()
