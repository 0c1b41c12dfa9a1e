/* SPDX-License-Identifier: Apache-2.0 */
/* layer: the rules of layer.md, seen through the EROFS reader; hostile archives stay inside. */
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/str.h"
#include "lib/erofs/reader.h"
#include "lib/image/layer.h"
#include "lib/image/path.h"
#include "lib/image/stage.h"
#include "tar_maker.h"

static const struct tar_limits usual = TAR_LIMITS_DEFAULT;

/* Makes DIR/NAME out of an archive, on top of other such files. */
static int make_layer(const struct buffer *tar, const char *name, const char *const *below,
                      size_t n_below, bool *needs_lower, struct error *err)
{
	_cleanup_free_ char *path = str_printf("%s/%s", check_tmpdir(), name);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	_cleanup_lower_ struct lower *lower = NULL;
	_cleanup_layer_ struct layer *layer = NULL;
	_cleanup_tar_ struct tar *t = NULL;
	_cleanup_strv_ struct strv files = STRV_INIT;
	bool needs = false;
	int r;

	check(fd >= 0);
	for (size_t i = 0; i < n_below; i++)
		check_int(strv_addf(&files, "%s/%s", check_tmpdir(), below[i]), 0);
	r = layer_new(fd, &usual, &layer, err);
	if (!r)
		r = tar_new(&layer_sink, layer, &usual, &t, err);
	if (!r)
		r = tar_feed(t, tar->data, tar->size, err);
	if (!r)
		r = tar_end(t, err);
	if (!r)
		r = layer_settle(layer, &needs, err);
	if (!r)
		r = lower_open((const char *const *)files.v, n_below, &lower, err);
	if (!r)
		r = layer_finish(layer, lower, err);
	if (needs_lower)
		*needs_lower = needs;
	return r;
}

static int note_xattr(const char *name, const void *value, size_t size, void *data)
{
	buffer_printf(data, " {%s=%.*s}", name, (int)size, (const char *)value);
	return 0;
}

struct walk {
	struct erofs_image *image;
	struct buffer *out;
};

/* "path TYPEmode uid [rdev] [->target] [content] {xattrs}\n" */
static int note_entry(const char *path, const struct erofs_stat *st, void *data)
{
	const struct walk *w = data;
	struct error err = ERROR_INIT;
	char text[256] = "";

	buffer_printf(w->out, "/%s %o %u", path, st->mode, st->uid);
	if (S_ISCHR(st->mode) || S_ISBLK(st->mode))
		buffer_printf(w->out, " %u:%u", st->rdev_major, st->rdev_minor);
	if (S_ISREG(st->mode) || S_ISLNK(st->mode)) {
		check(erofs_pread(w->image, st, text, sizeof(text) - 1, 0, &err) >= 0);
		buffer_printf(w->out, " %s%s", S_ISLNK(st->mode) ? "->" : "", text);
	}
	if (st->nlink > 1 && !S_ISDIR(st->mode))
		buffer_printf(w->out, " x%u", st->nlink);
	check_ok(erofs_xattrs(w->image, st, note_xattr, w->out, &err), &err);
	buffer_str(w->out, "\n");
	return 0;
}

static void shows(const char *name, const char *want)
{
	_cleanup_free_ char *path = str_printf("%s/%s", check_tmpdir(), name);
	_cleanup_close_ int fd = open(path, O_RDONLY);
	_cleanup_erofs_image_ struct erofs_image *image = NULL;
	_cleanup_buffer_ struct buffer out = BUFFER_INIT;
	struct erofs_check_result result;
	struct error err = ERROR_INIT;

	check_ok(erofs_open_fd(&image, fd, &err), &err);
	check_ok(erofs_check(image, &result, &err), &err);
	check_ok(erofs_walk(image, note_entry, &(struct walk){image, &out}, &err), &err);
	check_str(buffer_cstr(&out), want);
}

static void layer(const struct buffer *tar, const char *want)
{
	struct error err = ERROR_INIT;

	check_ok(make_layer(tar, "l", NULL, 0, NULL, &err), &err);
	shows("l", want);
}

static void refused(const struct buffer *tar, int code)
{
	struct error err = ERROR_INIT;

	check_int(make_layer(tar, "l", NULL, 0, NULL, &err), code);
	check(err.text[0]);
	check(!strchr(err.text, '\n'));
}

#define ROOT "/ 40755 0 {" LAYER_ROOT_UNSAID "=y}\n" /* an archive without "./" */

TEST(all_kinds)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	tar_dir(&b, "./", 0711, 5);
	tar_dir(&b, "d/", 01777, 1);
	tar_file(&b, "d/f", "hello");
	tar_symlink(&b, "d/s", "../x");
	tar_hardlink(&b, "d/h", "d/f");
	tar_make(&b, &(struct tar_make){.type = '6', .name = "d/p", .mode = 0600});
	tar_finish(&b);
	layer(&b, "/ 40711 5\n/d 41777 1\n/d/f 100644 0 hello x2\n/d/h 100644 0 hello x2\n"
	          "/d/p 10600 0\n/d/s 120777 0 ->../x\n");
}

TEST(the_same_path_twice)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	tar_dir(&b, "d", 0700, 1);
	tar_file(&b, "d/kept", "1");
	tar_dir(&b, "d", 0750, 2); /* attributes replaced, content kept */
	tar_file(&b, "f", "old");
	tar_file(&b, "f", "new");
	tar_dir(&b, "x", 0700, 0);
	tar_file(&b, "x/gone", "");
	tar_file(&b, "x", "file");
	layer(&b, ROOT "/d 40750 2\n/d/kept 100644 0 1\n/f 100644 0 new\n/x 100644 0 file\n");
}

TEST(whiteouts)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	tar_dir(&b, "d", 0755, 0);
	tar_file(&b, "d/.wh.gone", "");
	tar_file(&b, ".wh..wh.plnk", ""); /* aufs's own */
	tar_file(&b, ".wh.both", "");     /* hides what is below, not what is here */
	tar_file(&b, "both", "here");
	tar_dir(&b, "dir", 0755, 0);
	tar_file(&b, "dir/x", "");
	tar_file(&b, ".wh.dir", "");
	layer(&b, ROOT "/both 100644 0 here\n/d 40755 0\n/d/gone 20000 0 0:0\n"
	               "/dir 40755 0 {trusted.overlay.opaque=y}\n/dir/x 100644 0 \n");
}

TEST(opaque_wherever_it_stands)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	tar_file(&b, "a/.wh..wh..opq", ""); /* a has no entry of its own */
	tar_dir(&b, "b", 0700, 0);
	tar_file(&b, "b/x", "x");
	tar_file(&b, "b/.wh..wh..opq", "");
	tar_file(&b, "b/y", "y");
	layer(&b, ROOT "/a 40755 0 {trusted.overlay.opaque=y}\n"
	               "/b 40700 0 {trusted.overlay.opaque=y}\n/b/x 100644 0 x\n/b/y 100644 0 y\n");
}

TEST(whiteouts_that_mean_nothing)
{
	static const char *const names[] = {".wh.", ".wh..", ".wh...", "d/.wh.."};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		_cleanup_buffer_ struct buffer b = BUFFER_INIT;

		tar_file(&b, names[i], "");
		refused(&b, -EINVAL);
	}
}

TEST(names_stay_inside)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	tar_file(&b, "../../../up", "1");
	tar_file(&b, "/abs", "2");
	tar_file(&b, "a/../b//./c", "3");
	tar_hardlink(&b, "hard", "../../up");
	tar_symlink(&b, "out", "/etc");
	tar_file(&b, "out/passwd", "4");
	tar_symlink(&b, "up2", "../../../..");
	tar_file(&b, "up2/root", "5");
	tar_symlink(&b, "one", "two");
	tar_symlink(&b, "two", "three");
	tar_file(&b, "one/x", "6");
	layer(&b,
	      ROOT "/abs 100644 0 2\n/b 40755 0\n/b/c 100644 0 3\n/etc 40755 0\n"
	           "/etc/passwd 100644 0 4\n/hard 100644 0 1 x2\n/one 120777 0 ->two\n"
	           "/out 120777 0 ->/etc\n/root 100644 0 5\n/three 40755 0\n/three/x 100644 0 6\n"
	           "/two 120777 0 ->three\n/up 100644 0 1 x2\n/up2 120777 0 ->../../../..\n");
}

/* Links to what only the layers below hold: through links there, one file for two names of one
 * inode, a whiteout that hides the target, a name that is replaced before the end. */
TEST(hard_links_to_files_below)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct error err = ERROR_INIT;
	bool needs_lower = false;
	static const char *const below[] = {"1", "2", "3"};

	tar_dir(&b, "usr", 0755, 0);
	tar_dir(&b, "usr/bin", 0755, 0);
	tar_file(&b, "usr/bin/tool", "content of the tool");
	tar_hardlink(&b, "usr/bin/alias", "usr/bin/tool");
	tar_file(&b, "empty", "");
	tar_symlink(&b, "bin", "usr/bin");
	check_ok(make_layer(&b, "1", NULL, 0, NULL, &err), &err);
	buffer_clear(&b);
	tar_hardlink(&b, "a", "bin/tool");
	tar_hardlink(&b, "b", "/usr/bin/alias");
	tar_hardlink(&b, "c", "a");
	tar_hardlink(&b, "d", "nowhere");
	tar_file(&b, "d", "replaced");
	tar_hardlink(&b, "e", "empty");
	check_ok(make_layer(&b, "2", below, 1, &needs_lower, &err), &err);
	check(needs_lower);
	shows("2", ROOT "/a 100644 0 content of the tool x2\n/b 100644 0 content of the tool\n"
	                "/c 100644 0 content of the tool x2\n/d 100644 0 replaced\n/e 100644 0 \n");
	buffer_clear(&b);
	tar_hardlink(&b, "x", "bin");
	check_int(make_layer(&b, "l", below, 2, NULL, NULL), -EPERM);
	buffer_clear(&b);
	tar_file(&b, ".wh.a", "");
	check_ok(make_layer(&b, "3", below, 2, NULL, &err), &err);
	buffer_clear(&b);
	tar_hardlink(&b, "x", "a");
	check_int(make_layer(&b, "l", below, 3, NULL, NULL), -ENOENT);
}

TEST(refusals)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT, name = BUFFER_INIT, x = BUFFER_INIT;

	tar_hardlink(&b, "h", "nowhere");
	refused(&b, -ENOENT);
	buffer_clear(&b);
	tar_dir(&b, "d", 0755, 0);
	tar_hardlink(&b, "h", "d");
	refused(&b, -EPERM);
	buffer_clear(&b);
	tar_file(&b, "f", "");
	tar_file(&b, "f/below", "");
	refused(&b, -ENOTDIR);
	buffer_clear(&b);
	tar_file(&b, ".", "");
	refused(&b, -EINVAL);
	buffer_clear(&b);
	tar_symlink(&b, "a", "b");
	tar_symlink(&b, "b", "a");
	tar_file(&b, "a/x", "");
	refused(&b, -ELOOP);
	buffer_clear(&b);
	for (int i = 0; i < 10000; i++)
		buffer_str(&name, "d/");
	tar_record(&x, "path", name.data, name.size);
	tar_extended(&b, 'x', &x);
	tar_file(&b, "deep", "");
	refused(&b, -ENAMETOOLONG);
	buffer_clear(&b);
	buffer_clear(&x);
	buffer_clear(&name);
	buffer_fill(&name, 'n', 256);
	tar_record(&x, "path", name.data, name.size);
	tar_extended(&b, 'x', &x);
	tar_file(&b, "long", "");
	refused(&b, -ENAMETOOLONG);
}

/* As deep as a path may be. */
TEST(deep_but_possible)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT, name = BUFFER_INIT, x = BUFFER_INIT;
	struct error err = ERROR_INIT;

	for (int i = 0; i < 2047; i++)
		buffer_str(&name, "d/");
	buffer_str(&name, "f");
	tar_record(&x, "path", name.data, name.size);
	tar_extended(&b, 'x', &x);
	tar_file(&b, "deep", "x");
	check_ok(make_layer(&b, "l", NULL, 0, NULL, &err), &err);
}

TEST(xattrs)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT, x = BUFFER_INIT;

	tar_record(&x, "SCHILY.xattr.user.a", "1", 1);
	tar_record(&x, "SCHILY.xattr.security.capability", "cap", 3);
	tar_record(&x, "SCHILY.xattr.trusted.overlay.redirect", "/etc/shadow", 11);
	tar_record(&x, "SCHILY.xattr.com.apple.quarantine", "q", 1);
	tar_extended(&b, 'x', &x);
	tar_file(&b, "f", "");
	layer(&b, ROOT "/f 100644 0  {user.a=1} {security.capability=cap}\n");
}

static const char *const base[] = {"base", "mid"};

/* base: /tmp 1777 uid 7 with an xattr, /lib -> usr/lib, /usr/lib, /gone/sub 0711. mid hides /gone.
 */
static void make_below(void)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT, x = BUFFER_INIT, m = BUFFER_INIT;
	struct error err = ERROR_INIT;
	bool needs;

	tar_record(&x, "SCHILY.xattr.user.t", "v", 1);
	tar_extended(&b, 'x', &x);
	tar_dir(&b, "tmp", 01777, 7);
	tar_dir(&b, "usr", 0755, 0);
	tar_dir(&b, "usr/lib", 0700, 3);
	tar_symlink(&b, "lib", "usr/lib");
	tar_symlink(&b, "loop", "loop/x");
	tar_dir(&b, "gone", 0711, 9);
	tar_dir(&b, "gone/sub", 0711, 9);
	check_ok(make_layer(&b, "base", NULL, 0, &needs, &err), &err);
	check(!needs);
	tar_file(&m, ".wh.gone", "");
	check_ok(make_layer(&m, "mid", base, 1, &needs, &err), &err);
	check(!needs);
}

TEST(parents_take_after_the_layers_below)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct error err = ERROR_INIT;
	bool needs;

	make_below();
	tar_file(&b, "tmp/new/x", "1");
	tar_file(&b, "gone/sub/y", "2"); /* hidden in between: nobody knows it */
	check_ok(make_layer(&b, "top", base, 2, &needs, &err), &err);
	check(needs);
	shows("top", ROOT "/gone 40755 0\n/gone/sub 40755 0\n/gone/sub/y 100644 0 2\n"
	                  "/tmp 41777 7 {user.t=v}\n/tmp/new 40755 0\n/tmp/new/x 100644 0 1\n");
	/* On nothing, the same archive gives ordinary directories. */
	check_ok(make_layer(&b, "alone", NULL, 0, &needs, &err), &err);
	shows("alone", ROOT "/gone 40755 0\n/gone/sub 40755 0\n/gone/sub/y 100644 0 2\n"
	                    "/tmp 40755 0\n/tmp/new 40755 0\n/tmp/new/x 100644 0 1\n");
}

/* lib is a link below: a directory here would hide all of usr/lib. */
TEST(parents_that_are_links_below)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct error err = ERROR_INIT;

	make_below();
	tar_file(&b, "lib/a.so", "1");
	tar_hardlink(&b, "lib/b.so", "lib/a.so");
	tar_dir(&b, "lib/sub", 0710, 4);
	tar_file(&b, "lib/sub/c", "2");
	tar_file(&b, "lib/.wh.old", "");
	tar_file(&b, "usr/lib/d", "3");
	check_ok(make_layer(&b, "top", base, 2, NULL, &err), &err);
	shows("top", ROOT "/usr 40755 0\n/usr/lib 40700 3\n/usr/lib/a.so 100644 0 1 x2\n"
	                  "/usr/lib/b.so 100644 0 1 x2\n/usr/lib/d 100644 0 3\n"
	                  "/usr/lib/old 20000 0 0:0\n/usr/lib/sub 40710 4\n"
	                  "/usr/lib/sub/c 100644 0 2\n");
}

/* An entry of its own replaces the link, as unpacking does. */
TEST(own_entries_replace_links_below)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct error err = ERROR_INIT;
	bool needs;

	make_below();
	tar_dir(&b, "lib", 0755, 0);
	tar_file(&b, "lib/x", "1");
	check_ok(make_layer(&b, "top", base, 2, &needs, &err), &err);
	check(!needs);
	shows("top", ROOT "/lib 40755 0\n/lib/x 100644 0 1\n");
}

TEST(links_in_a_circle_below)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	struct error err = ERROR_INIT;

	make_below();
	tar_file(&b, "loop/y", "");
	check_int(make_layer(&b, "top", base, 2, NULL, &err), -ELOOP);
	check(err.text[0]);
}

TEST(paths)
{
	struct error err = ERROR_INIT;
	struct image_path p;

	check_ok(image_path_set(&p, "/a//b/./../c/", &err), &err);
	check_str(p.text, "a/c");
	check_str(image_path_name(&p), "c");
	image_path_up(&p);
	image_path_up(&p);
	image_path_up(&p);
	check_str(p.text, "");
	check_ok(image_path_add(&p, "../..", &err), &err);
	check_int(p.len, 0);
}

/* The stages one after the other: what does not hold is found, whatever the order. */
TEST(stages_verify)
{
	static const char hello[] =
	    "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
	struct error err = ERROR_INIT;
	struct digest want;

	check_ok(digest_parse(hello, "x", &want, &err), &err);
	for (int i = 0; i < 4; i++) {
		_cleanup_stage_ struct stage *s = NULL;
		_cleanup_free_ char *path = str_printf("%s/s", check_tmpdir());
		_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		_cleanup_layer_ struct layer *l = NULL;
		const char *text = i == 0 ? "hello" : i == 1 ? "hellx" : i == 2 ? "hell" : "hello!";
		int r;

		check_ok(layer_new(fd, &usual, &l, &err), &err);
		check_ok(stage_tar_new(&layer_sink, l, &usual, &s, &err), &err);
		check_ok(stage_verify_new(&want, 5, true, "the blob", &s, &s, &err), &err);
		r = stage_feed(s, (const uint8_t *)text, strlen(text), &err);
		if (i == 3) {
			check_int(r, -EFBIG);
			check_int(err.kind, ERROR_VERIFICATION);
			continue;
		}
		check_ok(r, &err);
		/* "hello" has its digest, but is no tar: found after it. */
		check_int(stage_end(s, &err), i == 0 ? -ENODATA : -EBADMSG);
	}
}

TEST_MAIN()
