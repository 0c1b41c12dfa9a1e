/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-oci-layout: indexes, and archives with an OCI layout or what "docker save" writes, are
 * refused with a reason or read; what is read has the digests that it should have.
 *
 * Input: a byte that chooses, then index.json or the archive.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/image/hash.h"
#include "lib/image/oci_dest_index.h"
#include "lib/image/oci_source.h"
#include "lib/oci/image_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* What is taken can be added to, and is then taken again with one entry more. */
static void read_index(const char *json, size_t size)
{
	struct dest_manifest add = {.tag = (char *)"new",
	                            .desc = {.media_type = IMAGE_TYPE_MANIFEST, .size = 3}};
	_cleanup_image_index_ struct image_index index = {0}, after = {0};
	_cleanup_buffer_ struct buffer old = BUFFER_INIT, text = BUFFER_INIT;
	struct error err = ERROR_INIT;

	if (image_index_parse(json, size, "index.json", &index, &err)) {
		must(err.text[0]);
		return;
	}
	must(!digest_parse("sha256:"
	                   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	                   "x", &add.desc.digest, NULL));
	buffer_append(&old, json, size);
	must(!dest_index(&old, &add, 1, &text, &err));
	must(!image_index_parse(text.data, text.size, "index.json", &after, &err));
	must(after.n >= 1 && after.n <= index.n + 1);
}

static int ignore(void *data, const uint8_t *p, size_t n, struct error *err)
{
	*(uint64_t *)data += n;
	return 0;
}

static void read_archive(const char *path)
{
	_cleanup_oci_source_ struct oci_source *s = NULL;
	_cleanup_oci_image_ struct oci_image image = {0};
	struct error err = ERROR_INIT;
	struct digest got;

	if (oci_source_open(path, NULL, NULL, &s, &err) ||
	    oci_source_image(s, NULL, &image, &err)) {
		must(err.text[0]);
		return;
	}
	must(!hash_bytes(digest_algorithm(&image.manifest.config.digest), image.config_json.data,
	                 image.config_json.size, &got, NULL));
	must(digest_equal(&got, &image.manifest.config.digest));
	for (size_t i = 0; i < image.manifest.n_layers; i++) {
		uint64_t n = 0;

		if (!oci_source_blob(s, &image.manifest.layers[i], ignore, &n, NULL))
			must(n == image.manifest.layers[i].size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = -1;
	char path[32];

	if (!size)
		return 0;
	if (data[0] == 'i') {
		read_index((const char *)data + 1, size - 1);
		return 0;
	}
	fd = memfd_create("archive", MFD_CLOEXEC);
	must(fd >= 0 && !fs_write_all(fd, data + 1, size - 1));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_archive(path);
	return 0;
}
