/* SPDX-License-Identifier: Apache-2.0 */
/*
 * initdata: the block device by which the host hands configuration to a guest.
 *
 * On the device: the 8 bytes "initdata", the length of what follows as u64
 * little-endian, then a gzip stream, then padding to whole sectors. The stream
 * holds a TOML document:
 *
 *	version = "0.1.0"
 *	algorithm = "sha256"
 *	[data]
 *	"cdh.toml" = "..."
 *
 * The digest that a TEE measures is that of the TOML's exact bytes. Without a
 * TEE nothing measures it, and the guest trusts it as it trusts the host.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

#define INITDATA_MAGIC       "initdata"
#define INITDATA_SECTOR      512
#define INITDATA_MAX_GZIP    (1024 * 1024)     /* the most of compressed bytes accepted */
#define INITDATA_MAX_TOML    (4 * 1024 * 1024) /* the most of plain bytes accepted */
#define INITDATA_MAX_ENTRIES 64
#define INITDATA_MAX_KEY     128

/* The storage driver by which CreateSandbox says that such a disk came while the guest ran. */
#define INITDATA_DRIVER "initdata"
/* Its file with the allow-list of the agent's requests; "policy.json" is the image policy. */
#define INITDATA_AGENT_POLICY "agent-policy.json"

/* One file for the guest, e.g. "cdh.toml", "auth.json", "policy.json". */
struct initdata_entry {
	const char *key;
	const void *data; /* UTF-8 text without NUL bytes: TOML carries nothing else */
	size_t size;
};

/* Appends the TOML document, then the whole device (padded to INITDATA_SECTOR).
 * The same entries give the same bytes. -EINVAL: a key or a text that cannot be
 * carried (names it); -EFBIG: past the limits above. */
int initdata_build_toml(struct buffer *out, const struct initdata_entry *entries, size_t n,
                        struct error *err);
int initdata_build(struct buffer *out, const struct initdata_entry *entries, size_t n,
                   struct error *err);

/* The TOML inside the device's bytes (at least up to the end of the gzip stream;
 * bytes after it are not looked at). Appends to `toml`. */
int initdata_unwrap(const uint8_t *device, size_t size, struct buffer *toml, struct error *err);

/* Calls fn for each [data] key of a TOML document, after all was checked (version
 * 0.1.x, known algorithm, names as initdata_key_check()). Stops at the first non-zero
 * return and returns it. */
typedef int (*initdata_fn)(void *data, const char *key, const void *text, size_t size,
                           struct error *err);
int initdata_each(const char *toml, size_t size, initdata_fn fn, void *data, struct error *err);

/* A key is a file name: 1 to INITDATA_MAX_KEY of [A-Za-z0-9._-], no leading '.'. */
int initdata_key_check(const char *key, struct error *err);
