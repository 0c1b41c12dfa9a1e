/* SPDX-License-Identifier: Apache-2.0 */
/* initdata: what is built is what gzip(1) and a TOML reader see, and what is refused. */
#include "check.h"

#include <fcntl.h>

#include "lib/base/fs.h"
#include "lib/image/initdata.h"

static const struct initdata_entry entries[] = {
    {"cdh.toml", "[image]\nx = \"\xc3\xa9\"\n", 17},
    {"auth.json", "{}", 2},
    {"empty", "", 0},
};

static int note(void *data, const char *key, const void *text, size_t size, struct error *err)
{
	buffer_printf(data, "%s=%.*s;", key, (int)size, (const char *)text);
	return 0;
}

TEST(round_trip)
{
	_cleanup_buffer_ struct buffer dev = BUFFER_INIT, again = BUFFER_INIT;
	_cleanup_buffer_ struct buffer toml = BUFFER_INIT, seen = BUFFER_INIT;
	struct error err = ERROR_INIT;

	check_ok(initdata_build(&dev, entries, 3, &err), &err);
	check_ok(initdata_build(&again, entries, 3, &err), &err);
	check_int(dev.size % INITDATA_SECTOR, 0);
	check_int(dev.size, again.size);
	check_mem(dev.data, again.data, dev.size);
	check_mem(dev.data, "initdata", 8);
	check_ok(initdata_unwrap(dev.data, dev.size, &toml, &err), &err);
	check_str(buffer_cstr(&toml),
	          "version = \"0.1.0\"\nalgorithm = \"sha256\"\n\n[data]\n\"cdh.toml\" = "
	          "\"[image]\\nx = \\\"\xc3\xa9\\\"\\n\"\n\"auth.json\" = \"{}\"\n\"empty\" = "
	          "\"\"\n");
	check_ok(initdata_each((char *)toml.data, toml.size, note, &seen, &err), &err);
	check_str(buffer_cstr(&seen), "cdh.toml=[image]\nx = \"\xc3\xa9\"\n;auth.json={};empty=;");
}

/* The gzip part, read by somebody else. */
TEST(gzip_reads_it)
{
	_cleanup_buffer_ struct buffer dev = BUFFER_INIT, toml = BUFFER_INIT;
	struct error err = ERROR_INIT;
	char path[512], text[4096] = "";
	FILE *f;

	check_ok(initdata_build(&dev, entries, 3, &err), &err);
	check_ok(initdata_build_toml(&toml, entries, 3, &err), &err);
	snprintf(path, sizeof(path), "%s/x.gz", check_tmpdir());
	check_ok(
	    fs_write_file_atomic(path, dev.data + 16, (size_t)get_le64(dev.data + 8), 0600, &err),
	    &err);
	snprintf(text, sizeof(text), "gzip -dc %s", path);
	f = popen(text, "r");
	check(f);
	memset(text, 0, sizeof(text));
	check(fread(text, 1, sizeof(text) - 1, f) > 0);
	check_int(pclose(f), 0);
	check_str(text, buffer_cstr(&toml));
}

static void refuse_toml(const char *toml)
{
	_cleanup_buffer_ struct buffer seen = BUFFER_INIT;
	struct error err = ERROR_INIT;

	check(initdata_each(toml, strlen(toml), note, &seen, &err) < 0);
	check(err.text[0]);
	check_int(seen.size, 0);
}

#define HEAD "version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n"

TEST(bad_toml)
{
	refuse_toml("");
	refuse_toml("version = \"0.2.0\"\nalgorithm = \"sha256\"\n[data]\na = ''");
	refuse_toml("version = \"0.1.0\"\nalgorithm = \"md5\"\n[data]\na = ''");
	refuse_toml("version = \"0.1.0\"\nalgorithm = \"sha256\"\n");
	refuse_toml(HEAD "ok = ''\n\"../x\" = ''");
	refuse_toml(HEAD "ok = ''\n\".hidden\" = ''");
	refuse_toml(HEAD "ok = ''\n\"a/b\" = ''");
	refuse_toml(HEAD "ok = ''\n\"\" = ''");
	refuse_toml(HEAD "ok = ''\na = 1");
	refuse_toml(HEAD "ok = ''\n[data.a]\nb = ''");
}

TEST(bad_device)
{
	_cleanup_buffer_ struct buffer dev = BUFFER_INIT, toml = BUFFER_INIT;
	struct error err = ERROR_INIT;
	size_t gzip;

	check_ok(initdata_build(&dev, entries, 3, &err), &err);
	gzip = (size_t)get_le64(dev.data + 8);
	check_int(initdata_unwrap(dev.data, 4, &toml, &err), -EINVAL);
	check_int(initdata_unwrap(dev.data, 16 + gzip - 1, &toml, &err), -EINVAL);
	put_le64(dev.data + 8, gzip - 1);
	check_int(initdata_unwrap(dev.data, dev.size, &toml, &err), -ENODATA);
	put_le64(dev.data + 8, gzip + 1);
	check_int(initdata_unwrap(dev.data, dev.size, &toml, &err), -ENODATA);
	put_le64(dev.data + 8, UINT64_MAX);
	check_int(initdata_unwrap(dev.data, dev.size, &toml, &err), -EINVAL);
	put_le64(dev.data + 8, gzip);
	dev.data[16 + gzip / 2] ^= 0x55;
	check(initdata_unwrap(dev.data, dev.size, &toml, &err) < 0);
	dev.data[0] = 'I';
	check_int(initdata_unwrap(dev.data, dev.size, &toml, &err), -EINVAL);
	check_int(toml.size, 0);
}

TEST(bad_entries)
{
	static const struct initdata_entry bad[] = {
	    {"a/b", "", 0}, {"", "", 0}, {".a", "", 0}, {"a", "\xff", 1}, {"a", "x\0y", 3},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_cleanup_buffer_ struct buffer dev = BUFFER_INIT;
		struct error err = ERROR_INIT;

		check_int(initdata_build(&dev, &bad[i], 1, &err), -EINVAL);
		check(err.text[0]);
	}
}

TEST(bomb)
{
	_cleanup_buffer_ struct buffer big = BUFFER_INIT, dev = BUFFER_INIT;
	struct initdata_entry e = {"a", NULL, 0};
	struct error err = ERROR_INIT;

	buffer_fill(&big, 'a', INITDATA_MAX_TOML + 1);
	e.data = big.data;
	e.size = big.size;
	check_int(initdata_build(&dev, &e, 1, &err), -EFBIG);
	check_int(dev.size, 0);
}

TEST_MAIN()
