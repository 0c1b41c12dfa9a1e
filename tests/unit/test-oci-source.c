/* SPDX-License-Identifier: Apache-2.0 */
/* lib/image/oci_source, oci_files, oci_dest: names, archives, what is written is what is read. */
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/image/hash.h"
#include "lib/image/oci_dest.h"
#include "lib/image/oci_files.h"
#include "lib/image/oci_source.h"
#include "tar_maker.h"

static struct error err;

static const char *path_of(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", check_tmpdir(), name);
	return path;
}

static void write_archive(const char *name, const struct buffer *tar)
{
	check_ok(fs_write_file_atomic(path_of(name), tar->data, tar->size, 0644, &err), &err);
}

static void check_file(const struct oci_files *f, const char *name, const char *want)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	check_int(oci_files_read(f, name, 1000000, &b, &err), 0);
	check_int(b.size, strlen(want));
	check(b.size == 0 || !memcmp(b.data, want, b.size));
}

TEST(files_of_an_archive)
{
	_cleanup_buffer_ struct buffer tar = BUFFER_INIT, none = BUFFER_INIT;
	_cleanup_oci_files_ struct oci_files *f = NULL;
	char text[1400];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	tar_dir(&tar, "./", 0755, 0);
	tar_file(&tar, "./a", "first");
	tar_file(&tar, "dir/long", text);
	tar_file(&tar, "a", "second");
	tar_file(&tar, "empty", "");
	tar_symlink(&tar, "dir/up", "../a");
	tar_symlink(&tar, "dir/out", "../../../../etc/passwd");
	tar_symlink(&tar, "loop", "loop");
	tar_hardlink(&tar, "hard", "dir/long");
	tar_file(&tar, "/../last", "end");
	tar_finish(&tar);
	write_archive("x", &tar);
	check_ok(oci_files_open_archive(path_of("x"), &f, &err), &err);
	check_file(f, "a", "second"); /* as when it is unpacked */
	check_file(f, "dir/long", text);
	check_file(f, "hard", text);
	check_file(f, "dir/up", "second");
	check_file(f, "empty", "");
	check_file(f, "last", "end");
	check_int(oci_files_read(f, "dir/out", 10, &none, &err), 1);
	check_int(oci_files_read(f, "loop", 10, &none, &err), 1);
	check_int(oci_files_read(f, "dir", 10, &none, &err), 1);
	check_int(oci_files_read(f, "nothing", 10, &none, &err), 1);
	check_int(oci_files_read(f, "dir/long", 10, &none, &err), -EFBIG);
}

TEST(archives_that_are_none)
{
	static const size_t cuts[] = {1, 100, 511, 513, 700, 1023};
	_cleanup_buffer_ struct buffer tar = BUFFER_INIT;
	struct oci_files *f = NULL;

	tar_file(&tar, "a", "some text");
	tar_file(&tar, "b", "some text");
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct buffer cut = {.data = tar.data, .size = cuts[i]};

		error_clear(&err);
		write_archive("cut", &cut);
		check(oci_files_open_archive(path_of("cut"), &f, &err) < 0);
		check_int(err.kind, ERROR_INPUT);
	}
	check(oci_files_open_archive(check_tmpdir(), &f, &err) < 0);
	check_int(oci_files_open_archive("/nonexistent", &f, &err), -ENOENT);
}

/* An image without layers, by what the library itself writes. */
static void write_image(const char *name, const char *tag)
{
	static const char config[] =
	    "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
	    "\"diff_ids\":[]}}";
	struct image_descriptor desc = {.media_type = IMAGE_TYPE_CONFIG},
	                        manifest = {.media_type = IMAGE_TYPE_MANIFEST};
	_cleanup_buffer_ struct buffer json = BUFFER_INIT;
	_cleanup_oci_dest_ struct oci_dest *d = NULL;

	check_ok(oci_dest_open(name, NULL, NULL, &d, &err), &err);
	check_ok(oci_dest_bytes(d, config, strlen(config), &desc, &err), &err);
	buffer_printf(&json,
	              "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"%s\",\"digest\":\"%s\","
	              "\"size\":%zu},\"layers\":[]}",
	              desc.media_type, desc.digest.text, strlen(config));
	check_ok(oci_dest_manifest(d, tag, json.data, json.size, NULL, &manifest, &err), &err);
	check_ok(oci_dest_commit(d, &err), &err);
}

static void read_image(const char *name, const char *kind, const char *tag)
{
	_cleanup_oci_image_ struct oci_image image = {0};
	_cleanup_oci_source_ struct oci_source *s = NULL;

	check_ok(oci_source_open(name, NULL, NULL, &s, &err), &err);
	check_str(oci_source_kind(s), kind);
	check_ok(oci_source_image(s, NULL, &image, &err), &err);
	check_int(image.manifest.n_layers, 0);
	check_str(oci_source_tag(s), tag);
}

TEST(what_is_written_is_read)
{
	_cleanup_free_ char *dir = str_printf("%s/out", check_tmpdir());
	_cleanup_free_ char *tagged = str_printf("%s/out:docker.io/library/x:1", check_tmpdir());
	_cleanup_free_ char *prefixed = str_printf("oci:%s/out:two", check_tmpdir());
	_cleanup_free_ char *archive = str_printf("%s/x.tar", check_tmpdir());
	struct oci_source *s = NULL;

	write_image(dir, "docker.io/library/x:1");
	read_image(dir, "oci", "docker.io/library/x:1");
	read_image(tagged, "oci", "docker.io/library/x:1");
	write_image(prefixed, "two");
	read_image(prefixed, "oci", "two");
	write_image(archive, "three");
	read_image(archive, "oci-archive", "three");
	check_ok(oci_source_open(dir, NULL, NULL, &s, &err), &err);
	{
		_cleanup_oci_image_ struct oci_image image = {0};

		check_int(oci_source_image(s, NULL, &image, &err), -EINVAL); /* two of them */
	}
	oci_source_close(s);
}

TEST(a_destination_that_is_dropped_leaves_nothing)
{
	_cleanup_free_ char *dir = str_printf("%s/out", check_tmpdir());
	struct image_descriptor desc = {.media_type = IMAGE_TYPE_CONFIG};
	struct oci_dest *d = NULL;

	check_ok(oci_dest_open(dir, NULL, NULL, &d, &err), &err);
	check_ok(oci_dest_bytes(d, "x", 1, &desc, &err), &err);
	oci_dest_close(d);
	check_int(rmdir(check_tmpdir()), 0);
	check_int(mkdir(check_tmpdir(), 0700), 0);
}

TEST(names)
{
	static const struct {
		const char *name;
		int code;
		enum error_kind kind;
	} bad[] = {
	    {"/nonexistent/x", -ENOENT, ERROR_INPUT},
	    {"./nonexistent", -ENOENT, ERROR_INPUT},
	    {"nonexistent", -ENOENT, ERROR_INPUT},
	    {"oci:nonexistent/x", -ENOENT, ERROR_INPUT},
	    {"oci-archive:/", -EISDIR, ERROR_INPUT},
	    {"oci:/dev/null", -ENOTDIR, ERROR_INPUT},
	    {"/:", -EINVAL, ERROR_USAGE},
	    {"registry.example/x:1", -EINVAL, ERROR_INPUT}, /* nobody is asked here */
	    {"docker://registry.example/x:1", -EINVAL, ERROR_INPUT},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct oci_source *s = NULL;

		error_clear(&err);
		check_int(oci_source_open(bad[i].name, NULL, NULL, &s, &err), bad[i].code);
		check_int(err.kind, bad[i].kind);
	}
}

TEST_MAIN()
