/* SPDX-License-Identifier: Apache-2.0 */
/* format: struct guestimg as the text of image.json, one line a file and a package. */
#include <errno.h>
#include <inttypes.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/guestimg/guestimg.h"

/* `"key":"value"` after a comma unless it is the first of its object; nothing for NULL. */
static void member(struct buffer *out, const char *key, const char *value)
{
	if (!value)
		return;
	if (out->size > 0 && out->data[out->size - 1] != '{')
		buffer_str(out, ",");
	buffer_json_string(out, key);
	buffer_str(out, ":");
	buffer_json_string(out, value);
}

static void format_files(const struct guestimg *img, struct buffer *out)
{
	for (size_t i = 0; i < img->n_files; i++) {
		buffer_str(out, i == 0 ? "\n  {" : ",\n  {");
		member(out, "name", img->files[i].name);
		buffer_printf(out, ",\"size\":%" PRIu64, img->files[i].size);
		member(out, "sha256", img->files[i].sha256);
		buffer_str(out, "}");
	}
}

static void format_packages(const struct guestimg *img, struct buffer *out)
{
	for (size_t i = 0; i < img->n_packages; i++) {
		const struct guestimg_package *p = &img->packages[i];

		buffer_str(out, i == 0 ? "\n  {" : ",\n  {");
		member(out, "name", p->name);
		member(out, "version", p->version);
		member(out, "source", p->source);
		member(out, "licence", p->licence);
		member(out, "sha256", p->sha256);
		buffer_str(out, "}");
	}
}

static void format_verity(const struct guestimg_verity *v, struct buffer *out)
{
	if (!v->root_hash)
		return;
	buffer_str(out, ",\n \"verity\":{");
	member(out, "root_hash", v->root_hash);
	member(out, "salt", v->salt);
	buffer_printf(out,
	              ",\"data_blocks\":%" PRIu64 ",\"data_offset\":%" PRIu64
	              ",\"hash_offset\":%" PRIu64 "}",
	              v->data_blocks, v->data_offset, v->hash_offset);
}

static void format_hot(const struct guestimg *img, struct buffer *out)
{
	for (size_t i = 0; i < img->rootfs.n_hot; i++) {
		buffer_str(out, i == 0 ? ",\"hot\":[" : ",");
		buffer_json_string(out, img->rootfs.hot[i]);
	}
	if (img->rootfs.n_hot > 0)
		buffer_str(out, "]");
}

void guestimg_format(const struct guestimg *img, struct buffer *out)
{
	buffer_printf(out, "{\n \"schema\":%d", GUESTIMG_SCHEMA);
	member(out, "name", img->name);
	member(out, "version", img->version);
	member(out, "profile", img->profile);
	member(out, "arch", img->arch);
	buffer_printf(out, ",\"timestamp\":%" PRIu64 ",\n \"kernel\":{", img->timestamp);
	member(out, "vmlinux", img->kernel.vmlinux);
	member(out, "bzimage", img->kernel.bzimage);
	member(out, "version", img->kernel.version);
	member(out, "config", img->kernel.config);
	member(out, "config_sha256", img->kernel.config_sha256);
	member(out, "compiler", img->kernel.compiler);
	buffer_str(out, "},\n \"rootfs\":{");
	member(out, "file", img->rootfs.file);
	member(out, "format", img->rootfs.format);
	member(out, "type", img->rootfs.type);
	member(out, "compress", img->rootfs.compress);
	if (img->rootfs.size > 0)
		buffer_printf(out, ",\"size\":%" PRIu64, img->rootfs.size);
	member(out, "words_blk", img->rootfs.words_blk);
	member(out, "words_pmem", img->rootfs.words_pmem);
	format_hot(img, out);
	buffer_str(out, "}");
	format_verity(&img->verity, out);
	member(out, "cmdline", img->cmdline);
	member(out, "program", img->program);
	if (img->memory_min > 0)
		buffer_printf(out, ",\"memory_min\":%" PRIu64, img->memory_min);
	buffer_str(out, ",\n \"agent\":{");
	member(out, "version", img->agent.version);
	member(out, "min_version", img->agent.min_version);
	member(out, "protocol", img->agent.protocol);
	buffer_str(out, "},\n \"files\":[");
	format_files(img, out);
	buffer_str(out, "],\n \"packages\":[");
	format_packages(img, out);
	buffer_str(out, "]\n}\n");
}

int guestimg_save(const struct guestimg *img, const char *dir, struct error *err)
{
	_cleanup_buffer_ struct buffer text = BUFFER_INIT;
	_cleanup_guestimg_ struct guestimg *again = NULL;
	_cleanup_free_ char *path = str_printf("%s/" GUESTIMG_FILE, dir);
	int r;

	guestimg_format(img, &text);
	if (!path || text.failed)
		return error_set(err, ENOMEM, "no memory to write image.json");
	r = guestimg_parse((const char *)text.data, text.size, &again, err);
	if (r < 0)
		return error_prefix(err, r, "refusing to write %s", path);
	return fs_write_file_atomic(path, text.data, text.size, 0644, err);
}
