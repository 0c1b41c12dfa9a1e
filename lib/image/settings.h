/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings: what a pull is told besides the image's name - a folder of files as
 * init-data brings them, and what the command line adds.
 *
 *	cdh.toml     the table [image] (TOML, or JSON): extra_root_certificates,
 *	             registry_config or registry_configuration_uri, image_pull_proxy
 *	             {https_proxy, http_proxy, no_proxy},
 *	             max_concurrent_layer_downloads_per_image,
 *	             authenticated_registry_credentials_uri, image_security_policy or
 *	             image_security_policy_uri (the latter wins)
 *	auth.json    credentials, when cdh.toml names none
 *	policy.json  the image policy, when cdh.toml names none
 *
 * URIs are file:///PATH, resolved inside the folder (a PATH that begins with the
 * folder's own path is taken for a file of it). Without a policy every image is taken.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/image/auth.h"
#include "lib/image/policy.h"

#define SETTINGS_DOWNLOADS     3 /* layers at a time, as others do by default */
#define SETTINGS_DOWNLOADS_MAX 16

struct settings {
	struct buffer ca;        /* PEM, all certificates that are trusted */
	const char *https_proxy; /* into cdh */
	const char *http_proxy;
	const char *no_proxy;
	uint32_t downloads;
	const cJSON *registries;      /* registry_config.h; may be NULL */
	struct auth_file *auth;       /* may be NULL */
	struct policy *policy;        /* may be NULL */
	cJSON *cdh, *registries_file; /* owned */
};

struct settings_from {
	const char *config_dir;  /* may be NULL */
	const char *ca_file;     /* PEM, added; may be NULL */
	const char *auth_file;   /* instead of the folder's; may be NULL */
	const char *policy_file; /* likewise */
	bool system_ca;          /* the host's own certificates too, when there are any */
};

int settings_load(const struct settings_from *from, struct settings *out, struct error *err);
void settings_clear(struct settings *s);
#define _cleanup_settings_ _cleanup_(settings_clear)
