/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-registry: the answers of a registry - manifests, indexes, configs, challenges,
 * tokens - and init-data are refused with a reason or taken.
 *
 * Input: a byte that chooses the reader, then the answer.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/image/auth.h"
#include "lib/image/initdata.h"
#include "lib/image/policy.h"
#include "lib/oci/image_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int (*reader_fn)(const char *text, size_t size, struct error *err);

static int read_manifest(const char *text, size_t size, struct error *err)
{
	_cleanup_image_manifest_ struct image_manifest m = {0};

	return image_manifest_parse(text, size, &m, err);
}

static int read_kind(const char *text, size_t size, struct error *err)
{
	enum image_media_kind kind;

	return image_manifest_kind(text, size, NULL, &kind, err);
}

static int read_index(const char *text, size_t size, struct error *err)
{
	struct image_platform want;
	struct image_descriptor d;

	image_platform_host(&want);
	return image_index_choose(text, size, &want, &d, err);
}

static int read_config(const char *text, size_t size, struct error *err)
{
	_cleanup_image_config_ struct image_config c = {0};

	return image_config_parse(text, size, &c, err);
}

static int read_challenge(const char *text, size_t size, struct error *err)
{
	struct auth_challenge c;

	return auth_challenge_parse(text, &c, err);
}

static int read_token(const char *text, size_t size, struct error *err)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	return auth_token_parse(text, size, &b, err);
}

static int read_policy(const char *text, size_t size, struct error *err)
{
	_cleanup_policy_ struct policy *p = NULL;
	struct reference ref;
	int r = policy_parse(text, size, &p, err);

	if (r || reference_parse("h.io/a/b:c", &ref, err))
		return r;
	return policy_check(p, &ref, err);
}

static int read_auth(const char *text, size_t size, struct error *err)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	_cleanup_auth_file_ struct auth_file *f = NULL;
	struct reference ref;
	int r = auth_file_parse(text, size, &f, err);

	if (r || reference_parse("h.io/a/b:c", &ref, err))
		return r;
	r = auth_file_find(f, &ref, &b, err);
	return r < 0 ? r : 0;
}

static int ignore(void *data, const char *key, const void *text, size_t size, struct error *err)
{
	if (strchr(key, '/') || key[0] == '.')
		abort();
	return 0;
}

static int read_initdata(const char *text, size_t size, struct error *err)
{
	_cleanup_buffer_ struct buffer toml = BUFFER_INIT;
	int r = initdata_unwrap((const uint8_t *)text, size, &toml, err);

	return r ? r : initdata_each(buffer_cstr(&toml), toml.size, ignore, NULL, err);
}

static int read_initdata_toml(const char *text, size_t size, struct error *err)
{
	return initdata_each(text, size, ignore, NULL, err);
}

static const reader_fn readers[] = {
    read_manifest, read_kind,   read_index, read_config,   read_challenge,
    read_token,    read_policy, read_auth,  read_initdata, read_initdata_toml,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	char *text;

	if (!size)
		return 0;
	text = malloc(size);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (readers[data[0] % (sizeof(readers) / sizeof(readers[0]))](text, size - 1, &err) < 0 &&
	    !err.text[0])
		abort();
	free(text);
	return 0;
}
