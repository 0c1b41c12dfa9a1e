/* SPDX-License-Identifier: Apache-2.0 */
/* layer_options: a table of the options, and what each value may be. */
#include "guest/agent/storage/layer_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/str.h"

#define VERITY_PREFIX "X-kata.dmverity"
#define OURS_PREFIX   "X-kihon.dmverity"
#define MKDIR         "X-kata.mkdir.path="
#define MKFS          "X-kata.mkfs"

static int bad(struct error *err, const char *option, const char *why)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "option \"%.200s\": %s", option, why);
}

/* ---- values: each returns NULL, or what is wrong with it */

static const char *read_bool(const char *value, bool *out)
{
	*out = strcmp(value, "true") == 0;
	return *out || strcmp(value, "false") == 0 ? NULL : "neither true nor false";
}

static const char *read_block_size(const char *value, uint32_t *out)
{
	if (parse_u32(value, out) < 0 || *out < 512 || *out > 65536 || *out & (*out - 1))
		return "a block has a power of two of bytes, from 512 to 65536";
	return NULL;
}

static const char *read_hex(const char *value, uint8_t *out, size_t max, size_t *size)
{
	size_t n = strlen(value) / 2;

	if (n > max || verity_unhex(value, out, n) < 0)
		return "no hexadecimal number of a length that can be";
	*size = n;
	return NULL;
}

static const char *set_multi_layer(const char *value, struct layer_options *o)
{
	return read_bool(value, &o->layer);
}

static const char *set_lower(const char *value, struct layer_options *o)
{
	o->layer = true;
	if (*value)
		return "takes no value";
	if (o->role == LAYER_UPPER)
		return "a layer is upper or lower";
	o->role = LAYER_LOWER;
	return NULL;
}

static const char *set_upper(const char *value, struct layer_options *o)
{
	o->layer = true;
	if (*value)
		return "takes no value";
	if (o->role == LAYER_LOWER)
		return "a layer is upper or lower";
	o->role = LAYER_UPPER;
	return NULL;
}

static const char *set_partition(const char *value, struct layer_options *o)
{
	if (parse_u32(value, &o->partition) < 0 || o->partition == 0 ||
	    o->partition > LAYER_PARTITION_MAX)
		return "a partition has a number from 1 to 255";
	return NULL;
}

static const char *set_root(const char *value, struct layer_options *o)
{
	const char *wrong =
	    read_hex(value, o->verity.root, sizeof(o->verity.root), &o->verity.root_size);

	return wrong || o->verity.root_size < 16 ? "no root hash in hexadecimal" : NULL;
}

static const char *set_offset(const char *value, struct layer_options *o)
{
	if (parse_u64(value, &o->verity.hash_offset) < 0 || o->verity.hash_offset == 0 ||
	    o->verity.hash_offset > INT64_MAX || o->verity.hash_offset % 512)
		return "no offset in bytes behind the data, of whole sectors";
	return NULL;
}

static const char *set_data_block(const char *value, struct layer_options *o)
{
	return read_block_size(value, &o->verity.data_block_size);
}

static const char *set_hash_block(const char *value, struct layer_options *o)
{
	return read_block_size(value, &o->verity.hash_block_size);
}

static const char *set_salt(const char *value, struct layer_options *o)
{
	o->verity.has_salt = true;
	if (strcmp(value, "-") == 0)
		return NULL;
	return read_hex(value, o->verity.salt, sizeof(o->verity.salt), &o->verity.salt_size);
}

static const char *set_algorithm(const char *value, struct layer_options *o)
{
	static const struct {
		const char *name;
		size_t bytes;
	} known[] = {{"sha256", 32}, {"sha384", 48}, {"sha512", 64}};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(value, known[i].name) != 0)
			continue;
		strcpy(o->verity.algorithm, value);
		return NULL;
	}
	return "the hash is sha256, sha384 or sha512";
}

/* "1" is the format's number; some write the hash's name here. */
static const char *set_hash_type(const char *value, struct layer_options *o)
{
	if (parse_u32(value, &o->verity.hash_type) < 0)
		return set_algorithm(value, o);
	o->verity.has_hash_type = true;
	return o->verity.hash_type > 1 ? "the format is 0 or 1" : NULL;
}

static const char *set_no_superblock(const char *value, struct layer_options *o)
{
	if (*value)
		return read_bool(value, &o->verity.no_superblock);
	o->verity.no_superblock = true;
	return NULL;
}

static const char *set_corruption(const char *value, struct layer_options *o)
{
	static const char *const words[] = {"eio", "restart", "panic"};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(value, words[i]) != 0)
			continue;
		o->verity.corruption = (enum layer_corruption)i;
		return NULL;
	}
	return "what to do is eio, restart or panic";
}

/* Looked at once all are read: whether there is verity, and a partition, at all. */
static const char *set_nothing(const char *value, struct layer_options *o)
{
	bool ignored;

	return read_bool(value, &ignored);
}

/* ---- the table */

enum { OPT_ENABLED, OPT_ROOT, OPT_OFFSET, OPT_GPT, OPT_PARTITION, OPT_OTHERS };

static const struct option {
	const char *name;
	const char *(*set)(const char *value, struct layer_options *o);
} table[] = {
    [OPT_ENABLED] = {VERITY_PREFIX "-enabled", set_nothing},
    [OPT_ROOT] = {VERITY_PREFIX ".roothash", set_root},
    [OPT_OFFSET] = {VERITY_PREFIX ".hashoffset", set_offset},
    [OPT_GPT] = {"X-kata.gpt-partitioned", set_nothing},
    [OPT_PARTITION] = {"X-kata.partition-number", set_partition},
    [OPT_OTHERS] = {VERITY_PREFIX ".blocksize", set_data_block},
    {VERITY_PREFIX ".hashsize", set_hash_block},
    {VERITY_PREFIX ".algorithm", set_algorithm},
    {VERITY_PREFIX ".salt", set_salt},
    {VERITY_PREFIX ".hashtype", set_hash_type},
    {VERITY_PREFIX ".no-superblock", set_no_superblock},
    {OURS_PREFIX ".on-corruption", set_corruption},
    {"X-kata.multi-layer", set_multi_layer},
    {"X-kata.overlay-lower", set_lower},
    {"X-kata.overlay-upper", set_upper},
};

#define N_OPTIONS (sizeof(table) / sizeof(table[0]))

/* The value of an option with this name; "" for the bare name, NULL for another option. */
static const char *value_of(const char *option, const char *name)
{
	size_t n = strlen(name);

	if (strncmp(option, name, n) != 0)
		return NULL;
	return option[n] == '=' ? option + n + 1 : option[n] == '\0' ? option + n : NULL;
}

static int take_option(const char *option, const char *seen[N_OPTIONS], struct layer_options *out,
                       struct error *err)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const char *value = value_of(option, table[i].name), *wrong;

		if (!value)
			continue;
		if (seen[i] && strcmp(seen[i], value) != 0)
			return bad(err, option, "it is there twice, with different values");
		seen[i] = value;
		wrong = table[i].set(value, out);
		return wrong ? bad(err, option, wrong) : 0;
	}
	if (str_starts(option, VERITY_PREFIX) || str_starts(option, OURS_PREFIX))
		return bad(err, option, "not known; nothing about a hash tree is ignored");
	if (str_starts(option, MKFS) && value_of(option, MKFS) &&
	    strcmp(value_of(option, MKFS), "false") != 0)
		return bad(err, option,
		           "this guest formats no disks; give one that has a file system");
	return 0;
}

static int check_verity(const char *const seen[N_OPTIONS], struct layer_options *o,
                        struct error *err)
{
	struct layer_verity *v = &o->verity;
	bool enabled = seen[OPT_ENABLED] && strcmp(seen[OPT_ENABLED], "true") == 0;

	if (!enabled && !seen[OPT_ROOT])
		return 0;
	if (seen[OPT_ENABLED] && !enabled)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "dm-verity is both disabled and given a root hash");
	if (!seen[OPT_ROOT])
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "dm-verity needs the option " VERITY_PREFIX ".roothash=");
	if (!seen[OPT_OFFSET])
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "dm-verity needs the option " VERITY_PREFIX ".hashoffset=");
	if (o->role == LAYER_UPPER)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "dm-verity cannot protect an upper layer: it is written to");
	v->enabled = true;
	return 0;
}

static int check_partition(const char *const seen[N_OPTIONS], struct error *err)
{
	bool gpt = seen[OPT_GPT] && strcmp(seen[OPT_GPT], "true") == 0;

	if (gpt == !!seen[OPT_PARTITION])
		return 0;
	return error_set_kind(err, ERROR_INPUT, EINVAL,
	                      "X-kata.gpt-partitioned=true and X-kata.partition-number= go "
	                      "together");
}

bool layer_options_is_layer(const char *driver, char *const *options, size_t n)
{
	if (strcmp(driver, LAYER_DRIVER) == 0)
		return true;
	for (size_t i = 0; i < n; i++)
		if (strcmp(options[i], "X-kata.multi-layer=true") == 0 ||
		    value_of(options[i], "X-kata.overlay-lower") ||
		    value_of(options[i], "X-kata.overlay-upper"))
			return true;
	return false;
}

const char *layer_options_root_hash(char *const *options, size_t n)
{
	const char *found = "";

	for (size_t i = 0; i < n; i++) {
		const char *value = value_of(options[i], VERITY_PREFIX ".roothash");

		if (value)
			return value;
		if (str_starts(options[i], VERITY_PREFIX))
			found = "?";
	}
	return found;
}

int layer_options_parse(const char *driver, const char *fstype, char *const *options, size_t n,
                        struct layer_options *out, struct error *err)
{
	const char *seen[N_OPTIONS] = {NULL};
	int r = 0;

	*out = (struct layer_options){.layer = false};
	for (size_t i = 0; i < n && r == 0; i++)
		r = take_option(options[i], seen, out, err);
	out->layer = layer_options_is_layer(driver, options, n);
	if (out->layer && out->role == LAYER_NONE)
		out->role = strcmp(fstype, "erofs") == 0  ? LAYER_LOWER
		            : strcmp(fstype, "ext4") == 0 ? LAYER_UPPER
		                                          : LAYER_NONE;
	if (r == 0)
		r = check_verity(seen, out, err);
	if (r == 0)
		r = check_partition(seen, err);
	return r;
}

/* ---- directories */

/* "0700", "1000:1000" and so on, after the path. */
static const char *read_owner(const char *text, struct layer_mkdir *out)
{
	_cleanup_strv_ struct strv words = STRV_INIT;

	if (strv_split(&words, text, ":") < 0)
		return "out of memory";
	if (words.n > 3 ||
	    (words.n > 0 && (parse_octal(words.v[0], &out->mode) < 0 || out->mode > 07777)))
		return "what comes after the path is MODE[:UID[:GID]]";
	if ((words.n > 1 && parse_u32(words.v[1], &out->uid) < 0) ||
	    (words.n > 2 && parse_u32(words.v[2], &out->gid) < 0))
		return "what comes after the path is MODE[:UID[:GID]]";
	return NULL;
}

int layer_mkdir_parse(const char *option, struct layer_mkdir *out, struct error *err)
{
	static const char upper[] = "{{ mount 0 }}", lower[] = "{{ mount 1 }}";
	const char *path = option + strlen(MKDIR), *wrong = NULL;

	if (!str_starts(option, MKDIR))
		return 1;
	*out = (struct layer_mkdir){.mode = 0755};
	if (str_starts(path, upper)) {
		path += strlen(upper);
	} else if (str_starts(path, lower)) {
		out->in_lower = true;
		path += strlen(lower);
	}
	out->path = path;
	out->path_size = strcspn(path, ":");
	if (out->path_size == 0 || out->path_size > 3000)
		return bad(err, option, "a path is missing, or too long");
	if (memmem(path, out->path_size, "{{", 2))
		return bad(err, option, "only {{ mount 0 }} and {{ mount 1 }} are known, in front");
	if (path[out->path_size])
		wrong = read_owner(path + out->path_size + 1, out);
	return wrong ? bad(err, option, wrong) : 0;
}
