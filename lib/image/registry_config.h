/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry_config: where an image is really fetched from - the part of registries.conf
 * version 2 that confidential guests use:
 *
 *	unqualified-search-registries = ["registry.example"]
 *	[[registry]]
 *	prefix = "docker.io/library"     # what it is about; location when absent
 *	location = "mirror.example/hub"  # what stands instead; prefix when absent
 *	insecure = false                 # plain HTTP
 *	blocked = false
 *	[[registry.mirror]]              # tried first, in order
 *	location = "..."
 *	insecure = false
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/oci/reference.h"

#define REGISTRY_SOURCES_MAX 32

/* One place to try. */
struct registry_source {
	struct reference ref;
	bool plain_http;
};

struct registry_sources {
	struct registry_source v[REGISTRY_SOURCES_MAX];
	size_t n;
};

/* Checks a table (from TOML or JSON) once. */
int registry_config_check(const cJSON *table, struct error *err);

/* The places of an image in the order to try; table may be NULL. -EACCES: blocked. */
int registry_config_expand(const cJSON *table, const char *reference, struct registry_sources *out,
                           struct error *err);
