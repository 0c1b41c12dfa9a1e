/* SPDX-License-Identifier: Apache-2.0 */
/* confidential: reads the parameters of a confidential launch. */
#include "confidential.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/image/base64.h"
#include "lib/measure/vcpu.h"

#define SEV (1u << CONFIDENTIAL_SEV)
#define SNP (1u << CONFIDENTIAL_SEV_SNP)
#define TDX (1u << CONFIDENTIAL_TDX)

#define SNP_POLICY_ONE    (1ull << 17)
#define SNP_ID_BLOCK_SIZE 96
#define SNP_ID_AUTH_SIZE  4096
#define BLOB_FILE_MAX     (64u << 10)

static const char *const kinds[] = {
    [CONFIDENTIAL_SEV] = "sev", [CONFIDENTIAL_SEV_SNP] = "sev-snp", [CONFIDENTIAL_TDX] = "tdx"};
/* SEV API, "Guest Policy": no debugging. SEV-SNP ABI, "Guest Policy": bit 17 is always one, 16 lets
 * the guest run on hyperthreads. TDX: QEMU's own choice, no debugging. */
static const uint64_t policies[] = {
    [CONFIDENTIAL_SEV] = 0x1, [CONFIDENTIAL_SEV_SNP] = 0x30000, [CONFIDENTIAL_TDX] = 0};
#define N_KINDS (sizeof(kinds) / sizeof(*kinds))

/* How a value is read. */
enum type {
	TYPE_TEXT,   /* char * */
	TYPE_SWITCH, /* bool: on, off */
	TYPE_OFF,    /* bool, true for off */
	TYPE_BITS,   /* uint64_t, 0x... */
	TYPE_NUMBER, /* uint32_t, 1 to limit */
	TYPE_HEX,    /* char *, base64 of `limit` bytes given in hexadecimal digits */
	TYPE_FILE,   /* char *, base64 of a file of `limit` bytes, or with base64 of as many */
};

#define FIELD(member) offsetof(struct confidential, member)

static const struct key {
	const char *name;
	unsigned int kinds;
	enum type type;
	size_t field;
	size_t limit;
} keys[] = {
    {"firmware", SEV | SNP | TDX, TYPE_TEXT, FIELD(firmware), 0},
    {"cpu", SEV | SNP | TDX, TYPE_TEXT, FIELD(cpu), 0},
    {"kernel-hashes", SEV | SNP, TYPE_OFF, FIELD(no_hashes), 0},
    {"policy", SEV | SNP, TYPE_BITS, FIELD(policy), 0},
    {"cbitpos", SEV | SNP, TYPE_NUMBER, FIELD(cbitpos), 63},
    {"reduced-phys-bits", SEV | SNP, TYPE_NUMBER, FIELD(reduced_phys_bits), 63},
    {"session-file", SEV, TYPE_TEXT, FIELD(session), 0},
    {"dh-cert-file", SEV, TYPE_TEXT, FIELD(dh_cert), 0},
    {"host-data", SNP, TYPE_HEX, FIELD(host_data), 32},
    {"id-block", SNP, TYPE_FILE, FIELD(id_block), SNP_ID_BLOCK_SIZE},
    {"id-auth", SNP, TYPE_FILE, FIELD(id_auth), SNP_ID_AUTH_SIZE},
    {"author-key", SNP, TYPE_SWITCH, FIELD(author_key), 0},
    {"attributes", TDX, TYPE_BITS, FIELD(policy), 0},
    {"mrconfigid", TDX, TYPE_HEX, FIELD(mrconfigid), 48},
    {"mrowner", TDX, TYPE_HEX, FIELD(mrowner), 48},
    {"mrownerconfig", TDX, TYPE_HEX, FIELD(mrownerconfig), 48},
    {"quote-socket", TDX, TYPE_TEXT, FIELD(quote_socket), 0},
};
#define N_KEYS (sizeof(keys) / sizeof(*keys))

static int wrong(struct error *err, const struct key *k, const char *value, const char *what)
{
	return error_set_kind(err, ERROR_USAGE, EINVAL, "--confidential: %s=%.40s: %s", k->name,
	                      value, what);
}

/* ---- values */

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory for the parameters of a confidential guest");
}

static int keep_base64(char **to, const void *bytes, size_t size, struct error *err)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;

	base64_encode(&b, bytes, size);
	*to = buffer_steal(&b);
	return *to ? 0 : no_memory(err);
}

static int take_hex(const struct key *k, const char *value, char **to, struct error *err)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	uint8_t bytes[64];

	if (strlen(value) != 2 * k->limit || strspn(value, digits) != 2 * k->limit) {
		_cleanup_free_ char *what =
		    str_printf("this takes %zu hexadecimal digits", 2 * k->limit);

		return what ? wrong(err, k, value, what) : no_memory(err);
	}
	for (size_t i = 0; i < k->limit; i++) {
		const char byte[] = {value[2 * i], value[2 * i + 1], '\0'};

		bytes[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return keep_base64(to, bytes, k->limit, err);
}

/* Tools write these structures as they are, or as base64. */
static int take_file(const struct key *k, const char *value, char **to, struct error *err)
{
	_cleanup_buffer_ struct buffer file = BUFFER_INIT, plain = BUFFER_INIT;
	int r = fs_read_file(AT_FDCWD, value, BLOB_FILE_MAX, &file, err);

	if (r < 0)
		return error_prefix(err, r, "--confidential: %s", k->name);
	if (file.size == k->limit)
		return keep_base64(to, file.data, file.size, err);
	if (base64_decode(&plain, buffer_cstr(&file), file.size) < 0 || plain.size != k->limit)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "--confidential: %s: %s has neither %zu bytes nor these in "
		                      "base64",
		                      k->name, value, k->limit);
	return keep_base64(to, plain.data, plain.size, err);
}

static int take_bits(const struct key *k, const char *value, uint64_t *to, struct error *err)
{
	const char *digits = str_starts(value, "0x") ? value + 2 : "";
	size_t n = strspn(digits, "0123456789abcdefABCDEF");

	if (n == 0 || n > 16 || digits[n])
		return wrong(err, k, value, "this takes a hexadecimal number, 0x...");
	*to = strtoull(digits, NULL, 16);
	return 0;
}

static int take_number(const struct key *k, const char *value, uint32_t *to, struct error *err)
{
	if (parse_u32(value, to) < 0 || *to == 0 || *to > k->limit)
		return wrong(err, k, value, "this takes a number from 1 to 63");
	return 0;
}

static int take_switch(const struct key *k, const char *value, bool *to, struct error *err)
{
	bool on = strcmp(value, "on") == 0;

	if (!on && strcmp(value, "off") != 0)
		return wrong(err, k, value, "this takes on or off");
	*to = k->type == TYPE_OFF ? !on : on;
	return 0;
}

static int take_text(const struct key *k, const char *value, char **to, struct error *err)
{
	if (!*value)
		return wrong(err, k, value, "a value is missing");
	*to = strdup(value);
	return *to ? 0 : no_memory(err);
}

static int take(struct confidential *c, const struct key *k, const char *value, struct error *err)
{
	void *field = (char *)c + k->field;

	switch (k->type) {
	case TYPE_SWITCH:
	case TYPE_OFF:
		return take_switch(k, value, field, err);
	case TYPE_BITS:
		return take_bits(k, value, field, err);
	case TYPE_NUMBER:
		return take_number(k, value, field, err);
	case TYPE_HEX:
		return take_hex(k, value, field, err);
	case TYPE_FILE:
		return take_file(k, value, field, err);
	case TYPE_TEXT:
		break;
	}
	return take_text(k, value, field, err);
}

/* ---- the text */

/* The next part of the text, doubled commas made single, in fresh memory; NULL on a full one. */
static char *next_part(const char **text)
{
	_cleanup_buffer_ struct buffer b = BUFFER_INIT;
	const char *p = *text;

	for (; *p && (*p != ',' || p[1] == ','); p++) {
		buffer_append(&b, p, 1);
		p += *p == ',';
	}
	*text = *p ? p + 1 : p;
	return buffer_steal(&b);
}

static int find_kind(const char *name, enum confidential_kind *out, struct error *err)
{
	for (size_t i = 0; i < N_KINDS; i++)
		if (strcmp(kinds[i], name) == 0) {
			*out = (enum confidential_kind)i;
			return 0;
		}
	return error_set_kind(err, ERROR_USAGE, EINVAL,
	                      "--confidential %.40s: there are sev, sev-snp and tdx", name);
}

static int take_part(struct confidential *c, char *part, uint32_t *seen, struct error *err)
{
	char *value = strchr(part, '=');

	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < N_KEYS; i++) {
		if (strcmp(keys[i].name, part) != 0)
			continue;
		if (!value)
			return wrong(err, &keys[i], "", "a value is missing");
		if (!(keys[i].kinds & 1u << c->kind))
			return error_set_kind(err, ERROR_USAGE, EINVAL,
			                      "--confidential: %s changes nothing with %s", part,
			                      kinds[c->kind]);
		if (*seen & 1u << i)
			return wrong(err, &keys[i], value, "it is given twice");
		*seen |= 1u << i;
		return take(c, &keys[i], value, err);
	}
	return error_set_kind(err, ERROR_USAGE, EINVAL,
	                      "--confidential: there is no \"%.40s\" (see docs/confidential.md)",
	                      part);
}

/* vsock:CID:PORT or unix:PATH. */
static bool is_socket(const char *s)
{
	uint32_t cid, port;
	char *colon;
	_cleanup_free_ char *numbers = str_starts(s, "vsock:") ? strdup(s + 6) : NULL;

	if (!numbers)
		return str_starts(s, "unix:") && s[5];
	colon = strchr(numbers, ':');
	if (!colon)
		return false;
	*colon = '\0';
	return parse_u32(numbers, &cid) == 0 && parse_u32(colon + 1, &port) == 0;
}

/* A character of QEMU's options in it would be one of them. */
static int check_cpu(const struct confidential *c, struct error *err)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	                              "0123456789-._";

	if (c->cpu && c->cpu[strspn(c->cpu, letters)])
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--confidential: cpu=%.40s is no name of a processor model",
		                      c->cpu);
	return 0;
}

/* What does not go together, and what was not said. */
static int finish(struct confidential *c, struct error *err)
{
	bool snp = c->kind == CONFIDENTIAL_SEV_SNP;

	if (!c->firmware)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--confidential %s wants firmware=FILE: what starts the "
		                      "guest is measured",
		                      kinds[c->kind]);
	if (snp && !(c->policy & SNP_POLICY_ONE))
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--confidential: policy=0x%" PRIx64
		                      ": bit 17 of SEV-SNP's policy must be set",
		                      c->policy);
	if (c->kind == CONFIDENTIAL_SEV && c->policy > UINT32_MAX)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--confidential: policy=0x%" PRIx64 ": SEV's has 32 bits",
		                      c->policy);
	if (!c->id_block != !c->id_auth || (c->author_key && !c->id_auth))
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--confidential: id-block and id-auth go together, "
		                      "author-key=on with them");
	if (!c->session != !c->dh_cert)
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--confidential: session-file and dh-cert-file go together");
	if (c->quote_socket && !is_socket(c->quote_socket))
		return error_set_kind(err, ERROR_USAGE, EINVAL,
		                      "--confidential: quote-socket=%.40s is neither "
		                      "vsock:CID:PORT nor unix:PATH",
		                      c->quote_socket);
	if (!c->cpu && snp && !(c->cpu = strdup(VCPU_DEFAULT)))
		return no_memory(err);
	c->reduced_phys_bits = c->reduced_phys_bits ?: 1;
	return check_cpu(c, err);
}

int confidential_parse(const char *text, struct confidential **out, struct error *err)
{
	_cleanup_confidential_ struct confidential *c = calloc(1, sizeof(*c));
	_cleanup_free_ char *kind = next_part(&text);
	uint32_t seen = 0;
	int r;

	if (!c || !kind)
		return no_memory(err);
	r = find_kind(kind, &c->kind, err);
	c->policy = policies[c->kind];
	while (r == 0 && *text) {
		_cleanup_free_ char *part = next_part(&text);

		r = part ? take_part(c, part, &seen, err) : no_memory(err);
	}
	if (r == 0)
		r = finish(c, err);
	if (r < 0)
		return r;
	*out = steal_ptr(&c);
	return 0;
}

void confidential_free(struct confidential *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < N_KEYS; i++)
		if (keys[i].type == TYPE_TEXT || keys[i].type == TYPE_HEX ||
		    keys[i].type == TYPE_FILE)
			free(*(char **)((char *)c + keys[i].field));
	free(c);
}

const char *confidential_name(const struct confidential *c)
{
	return kinds[c->kind];
}
