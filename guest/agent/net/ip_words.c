/* SPDX-License-Identifier: Apache-2.0 */
/* ip_words: fields by position, each with its own check. */
#include "ip_words.h"

#include <errno.h>
#include <string.h>

#include "lib/base/str.h"

enum field {
	CLIENT,
	SERVER,
	GATEWAY,
	MASK,
	HOSTNAME,
	DEVICE,
	AUTOCONF,
	DNS0,
	DNS1,
	NTP0,
	N_FIELDS
};

static const char *const field_names[N_FIELDS] = {
    "client address", "server address", "gateway",     "netmask",     "host name",
    "device",         "autoconf",       "name server", "name server", "time server"};

#define FIELD_MAX 64

static int bad_field(struct error *err, enum field f, const char *text)
{
	return error_set_kind(err, ERROR_INPUT, EINVAL, "kernel word ip=: \"%.64s\" is no %s", text,
	                      field_names[f]);
}

/* Cuts the value at its colons; fields that are not there are "". */
static int split(const char *value, char fields[N_FIELDS][FIELD_MAX + 1], struct error *err)
{
	for (size_t i = 0; i < N_FIELDS; i++) {
		size_t n = strcspn(value, ":");

		if (n > FIELD_MAX)
			return bad_field(err, (enum field)i, value);
		memcpy(fields[i], value, n);
		fields[i][n] = '\0';
		value += n;
		if (*value == ':')
			value++;
	}
	return *value ? error_set_kind(err, ERROR_INPUT, EINVAL,
	                               "kernel word ip= has more than %d fields", N_FIELDS)
	              : 0;
}

static int parse_v4(const char *text, enum field f, struct net_addr *out, struct error *err)
{
	if (!*text)
		return 0;
	if (net_addr_parse(out, text) < 0 || out->family != AF_INET || out->prefix != 32)
		return bad_field(err, f, text);
	return 0;
}

/* 0 static, 1 off, 2 by DHCP. */
static int autoconf(const char *text, struct error *err)
{
	static const struct {
		const char *text;
		int how;
	} ways[] = {{"", 0},    {"off", 1},  {"none", 1}, {"on", 2},
	            {"any", 2}, {"dhcp", 2}, {"both", 2}, {"static", 0}};

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		if (strcmp(text, ways[i].text) == 0)
			return ways[i].how;
	return bad_field(err, AUTOCONF, text);
}

static int parse_names(struct ip_word *out, char fields[N_FIELDS][FIELD_MAX + 1], struct error *err)
{
	const char *device = fields[DEVICE];

	if (*device && !net_name_valid(device))
		return bad_field(err, DEVICE, device);
	strcpy(out->hostname, fields[HOSTNAME]);
	memcpy(out->device, device, strlen(device) + 1);
	return 0;
}

static int parse_static(struct ip_word *out, char fields[N_FIELDS][FIELD_MAX + 1],
                        struct error *err)
{
	uint8_t first;

	if (parse_v4(fields[CLIENT], CLIENT, &out->address, err) < 0 ||
	    parse_v4(fields[GATEWAY], GATEWAY, &out->gateway, err) < 0)
		return -EINVAL;
	if (!out->address.family)
		return error_set_kind(err, ERROR_INPUT, EINVAL,
		                      "kernel word ip=: neither an address nor dhcp");
	/* Without a mask the class of the address says. */
	first = out->address.bytes[0];
	out->address.prefix = first < 128 ? 8 : first < 192 ? 16 : 24;
	if (*fields[MASK] && net_prefix_parse(fields[MASK], AF_INET, &out->address.prefix) < 0)
		return bad_field(err, MASK, fields[MASK]);
	return 0;
}

int ip_word_parse(struct ip_word *out, const char *value, struct error *err)
{
	char fields[N_FIELDS][FIELD_MAX + 1];
	const char *how = value;
	int r;

	memset(out, 0, sizeof(*out));
	if (strchr(value, ':')) {
		r = split(value, fields, err);
		if (r < 0)
			return r;
		how = fields[AUTOCONF];
	} else {
		memset(fields, 0, sizeof(fields));
		/* A lone address is the first field, any other lone text the seventh. */
		if (net_addr_parse(&out->address, value) == 0) {
			memcpy(fields[CLIENT], value, strlen(value) + 1);
			how = "";
		}
	}
	r = autoconf(how, err);
	if (r < 0)
		return r;
	/* "off" as the seventh field means no protocol; alone it means no network. */
	if (r == 1 && !*fields[CLIENT])
		return 1;
	out->dhcp = r == 2;
	if (parse_names(out, fields, err) < 0 || (!out->dhcp && parse_static(out, fields, err) < 0))
		return -EINVAL;
	for (enum field f = DNS0; f <= DNS1; f++) {
		if (parse_v4(fields[f], f, &out->dns[out->n_dns], err) < 0)
			return -EINVAL;
		out->n_dns += *fields[f] != '\0';
	}
	return 0;
}

int ip_words_read(const struct cmdline *c, struct ip_word *out, size_t *n, struct error *err)
{
	const struct cmdline_word *w;
	size_t i = 0;

	*n = 0;
	while ((w = cmdline_next(c, "ip", &i))) {
		int r;

		if (*n == IP_WORDS_MAX)
			return error_set_kind(err, ERROR_INPUT, E2BIG,
			                      "more than %d kernel words ip=", IP_WORDS_MAX);
		r = ip_word_parse(&out[*n], w->value ? w->value : "", err);
		if (r < 0)
			return r;
		*n += r == 0;
	}
	return 0;
}
