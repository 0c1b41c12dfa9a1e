/* SPDX-License-Identifier: Apache-2.0 */
/* digest: the text form, against known values. */
#include "check.h"

#include "lib/oci/digest.h"

#define HEX64 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

TEST(good)
{
	struct error err = ERROR_INIT;
	struct digest d, e;
	char file[DIGEST_FILE_MAX];
	uint8_t bytes[32];

	check_ok(digest_parse("sha256:" HEX64, "x", &d, &err), &err);
	check_int(digest_algorithm(&d), DIGEST_SHA256);
	digest_file_name(&d, file);
	check_str(file, "sha256-" HEX64);
	for (size_t i = 0; i < 32; i++)
		sscanf(&HEX64[2 * i], "%2hhx", &bytes[i]);
	digest_from_bytes(DIGEST_SHA256, bytes, &e);
	check(digest_equal(&d, &e));
	check_ok(digest_parse("sha512:" HEX64 HEX64, "x", &e, &err), &err);
	check_int(digest_algorithm(&e), DIGEST_SHA512);
	check(!digest_equal(&d, &e));
	check(!digest_equal(&(struct digest){""}, &(struct digest){""}));
}

TEST(bad)
{
	static const char *const texts[] = {
	    "",
	    "sha256",
	    "sha256:",
	    "md5:d41d8cd98f00b204e9800998ecf8427e",
	    "sha256:" HEX64 "0",
	    "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
	    "sha256:../../../../../../../../../../../../../../../../../../../../etc/passwd",
	    "sha512:" HEX64,
	    "SHA256:" HEX64,
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct error err = ERROR_INIT;
		struct digest d;

		check_int(digest_parse(texts[i], "x", &d, &err), -EINVAL);
		check(err.text[0]);
	}
}

TEST_MAIN()
