/* SPDX-License-Identifier: Apache-2.0 */
/* initdata: see the header. */
#include "lib/image/initdata.h"

#include <ctype.h>
#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <limits.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/base/toml.h"
#include "lib/image/inflate.h"

int initdata_key_check(const char *key, struct error *err)
{
	size_t n = strlen(key);
	bool ok = n >= 1 && n <= INITDATA_MAX_KEY && key[0] != '.';

	for (size_t i = 0; ok && i < n; i++)
		ok = isalnum((unsigned char)key[i]) || strchr("._-", key[i]);
	if (!ok)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "init-data: \"%.64s\" is not a file name (1 to %d of A-Z a-z "
		                      "0-9 . _ -, no leading dot)",
		                      key, INITDATA_MAX_KEY);
	return 0;
}

int initdata_build_toml(struct buffer *out, const struct initdata_entry *entries, size_t n,
                        struct error *err)
{
	size_t before = out->size;

	if (n > INITDATA_MAX_ENTRIES)
		return error_set_kind(err, ERROR_INPUT, E2BIG, "init-data: more than %d files",
		                      INITDATA_MAX_ENTRIES);
	buffer_str(out, "version = \"0.1.0\"\nalgorithm = \"sha256\"\n\n[data]\n");
	for (size_t i = 0; i < n; i++) {
		int r = initdata_key_check(entries[i].key, err);

		if (r)
			return r;
		buffer_printf(out, "\"%s\" = ", entries[i].key);
		if (toml_quote(out, entries[i].data, entries[i].size))
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "init-data: %s is not UTF-8 text", entries[i].key);
		buffer_str(out, "\n");
	}
	if (out->failed)
		return error_set(err, ENOMEM, "out of memory");
	if (out->size - before > INITDATA_MAX_TOML)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "init-data: the files take more than %d bytes",
		                      INITDATA_MAX_TOML);
	return 0;
}

/* One gzip member (RFC 1952) without a name or a time, so that the bytes repeat. */
static int compress(const struct buffer *text, struct buffer *out, struct error *err)
{
	_cleanup_free_ struct isal_zstream *z = calloc(1, sizeof(*z));
	uint8_t *room = buffer_reserve(out, text->size + text->size / 8 + 1024);

	if (!z || !room)
		return error_set(err, ENOMEM, "out of memory");
	isal_deflate_stateless_init(z);
	z->gzip_flag = IGZIP_GZIP;
	z->end_of_stream = 1;
	z->next_in = text->data;
	z->avail_in = (uint32_t)text->size;
	z->next_out = room;
	z->avail_out = (uint32_t)(text->size + text->size / 8 + 1024);
	if (isal_deflate_stateless(z) != COMP_OK)
		return error_set(err, EIO, "init-data: cannot compress %zu bytes", text->size);
	out->size += z->total_out;
	return 0;
}

int initdata_build(struct buffer *out, const struct initdata_entry *entries, size_t n,
                   struct error *err)
{
	_cleanup_buffer_ struct buffer toml = BUFFER_INIT, gzip = BUFFER_INIT;
	size_t before = out->size;
	int r = initdata_build_toml(&toml, entries, n, err);

	if (!r)
		r = compress(&toml, &gzip, err);
	if (r)
		return r;
	if (gzip.size > INITDATA_MAX_GZIP)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "init-data: the files take more than %d bytes compressed",
		                      INITDATA_MAX_GZIP);
	buffer_append(out, INITDATA_MAGIC, strlen(INITDATA_MAGIC));
	buffer_le64(out, gzip.size);
	buffer_append(out, gzip.data, gzip.size);
	buffer_fill(out, 0, -(out->size - before) & (INITDATA_SECTOR - 1));
	return out->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

static int add_text(void *data, const uint8_t *p, size_t n, struct error *err)
{
	struct buffer *toml = data;

	if (toml->size + n > INITDATA_MAX_TOML)
		return error_set_kind(err, ERROR_INPUT, EFBIG,
		                      "init-data: it unpacks to more than %d bytes",
		                      INITDATA_MAX_TOML);
	buffer_append(toml, p, n);
	return toml->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

int initdata_unwrap(const uint8_t *device, size_t size, struct buffer *toml, struct error *err)
{
	struct reader r = reader_init(device, size);
	_cleanup_inflate_ struct inflate *z = NULL;
	_cleanup_buffer_ struct buffer plain = BUFFER_INIT;
	const uint8_t *magic = reader_bytes(&r, strlen(INITDATA_MAGIC));
	uint64_t length = reader_le64(&r);
	int e;

	if (r.failed || memcmp(magic, INITDATA_MAGIC, strlen(INITDATA_MAGIC)))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "init-data: the device does not begin with \"%s\"",
		                      INITDATA_MAGIC);
	if (length > INITDATA_MAX_GZIP || length > reader_left(&r))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "init-data: %llu bytes are said to follow, of which there "
		                      "are %zu (and at most %d are taken)",
		                      (unsigned long long)length, reader_left(&r),
		                      INITDATA_MAX_GZIP);
	e = inflate_new(IMAGE_GZIP, add_text, &plain, &z, err);
	if (!e)
		e = inflate_feed(z, r.p, (size_t)length, err);
	if (!e)
		e = inflate_end(z, err);
	if (e)
		return error_prefix(err, e, "init-data");
	buffer_append(toml, plain.data, plain.size);
	return toml->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

static int check_head(const cJSON *root, struct error *err)
{
	static const char *const algorithms[] = {"sha256", "sha384", "sha512"};
	static const char what[] = "init-data";
	const char *version, *algorithm;
	int r = json_string(root, "version", true, &version, what, err);

	if (!r)
		r = json_string(root, "algorithm", true, &algorithm, what, err);
	if (r)
		return r;
	if (!str_starts(version, "0.1."))
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "init-data: version \"%.32s\" is not understood, only 0.1.x",
		                      version);
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (!strcmp(algorithm, algorithms[i]))
			return 0;
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "init-data: the algorithm \"%.32s\" is not understood", algorithm);
}

int initdata_each(const char *toml, size_t size, initdata_fn fn, void *data, struct error *err)
{
	_cleanup_cjson_ cJSON *root = NULL;
	const cJSON *table = NULL, *item;
	int r = toml_parse(toml, size, INITDATA_MAX_TOML, "init-data", &root, err);

	if (!r)
		r = check_head(root, err);
	if (!r)
		r = json_object(root, "data", true, &table, "init-data", err);
	if (r)
		return r;
	if (cJSON_GetArraySize(table) > INITDATA_MAX_ENTRIES)
		return error_set_kind(err, ERROR_INPUT, E2BIG, "init-data: more than %d files",
		                      INITDATA_MAX_ENTRIES);
	cJSON_ArrayForEach(item, table)
	{
		r = initdata_key_check(item->string, err);
		if (r)
			return r;
		if (!cJSON_IsString(item))
			return error_set_kind(err, ERROR_INPUT, EINVAL,
			                      "init-data: \"%s\" is not text", item->string);
	}
	cJSON_ArrayForEach(item, table)
	{
		r = fn(data, item->string, item->valuestring, strlen(item->valuestring), err);
		if (r)
			return r;
	}
	return 0;
}
